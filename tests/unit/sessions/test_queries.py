"""A merchant's own sessions over HTTP: cancel, detail and the six lists (spec 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.testing import FakeClock
from tests.unit.catalog.support import Caller, Server
from tests.unit.sessions.till import CANCEL, Till
from tests.unit.sessions.world import World, new_world

pytestmark = pytest.mark.anyio

UNKNOWN = "sess_00000000000000000000000000000000"
STATES = ("paid", "settling", "completed", "cancelled", "settlement_pending", "expired")


def path_of(state: str) -> str:
    return "settlement/pending" if state == "settlement_pending" else state


async def test_cancel_ends_a_session_nobody_pays_and_tells(till: Till) -> None:
    made = await till.session()
    assert await till.caller.data(CANCEL, {"sessionId": made["sessionId"]}) == {"success": True}
    after = (await till.detail(made["sessionId"]))["session"]
    assert after == {**made, "status": "cancelled"}
    events = await till.caller.events(made["sessionId"])
    assert [event for event, _ in events] == ["session.created", "session.cancelled"]
    assert events[1][1]["sessionData"]["status"] == "cancelled"


async def test_a_session_that_was_signed_for_cannot_be_cancelled(till: Till) -> None:
    view = await till.world.open()
    await till.world.prepare(view)
    answer = await till.caller.refusal(CANCEL, {"sessionId": view.session.session_id})
    assert answer == (100207, "Session cannot be cancelled")
    assert (await till.detail(view.session.session_id))["session"]["signedOnce"] == 1


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("paid", 100204),
        ("settling", 100209),
        ("settlement_pending", 100209),
        ("completed", 100209),
        ("expired", 100203),
        ("cancelled", 100205),
    ],
)
async def test_api_22_a_session_past_its_beginning_cannot_be_cancelled(
    till: Till, state: str, code: int
) -> None:
    view = await till.in_state(state)
    answer = await till.caller.refusal(CANCEL, {"sessionId": view.session.session_id})
    assert answer[0] == code
    assert (await till.detail(view.session.session_id))["session"]["status"] == state


async def test_only_one_of_two_cancels_wins(till: Till) -> None:
    made = await till.session()
    body = {"sessionId": made["sessionId"]}
    answers = await asyncio.gather(*(till.caller.answer(CANCEL, body) for _ in range(5)))
    assert sorted(answer["code"] for answer in answers) == [0, 100205, 100205, 100205, 100205]
    assert len(await till.caller.events(made["sessionId"])) == 2


async def test_detail_is_nested_and_shows_the_payment(till: Till, clock: FakeClock) -> None:
    found = await till.detail((await till.in_state("completed")).session.session_id)
    session, transaction = found["session"], found["transaction"]
    now = wire_time(clock.now())
    assert (session["status"], session["signedOnce"]) == ("completed", 1)
    assert (session["paymentSucceededTime"], session["settlementSucceededTime"]) == (now, now)
    assert session["receiptId"].startswith("rcp_")
    assert session["paidToken"] == "polygon::usdc"
    assert session["initiateTx"] == session["completeTx"] == transaction["sourceTx"]
    assert session["payer"] == transaction["from"] == "0x" + "01" * 20
    assert transaction["to"] == session["recipient"]
    assert {name: transaction[name] for name in transaction if name.endswith("Value")} == {
        "totalValue": 10_000_000,
        "paymentValue": 10_000_000,
        "feeValue": 20_000,
        "netValue": 9_980_000,
    }
    assert (transaction["channelId"], transaction["orderType"]) == ("polygon", 1)
    assert transaction["targetTx"] == transaction["sourceTx"]
    assert transaction["finalizeTime"] == now


async def test_what_is_not_known_yet_is_empty(till: Till) -> None:
    found = await till.detail((await till.in_state("paid")).session.session_id)
    assert (found["session"]["completeTx"], found["session"]["settlementSucceededTime"]) == (
        "",
        None,
    )
    assert (found["transaction"]["targetTx"], found["transaction"]["finalizeTime"]) == ("", "")


async def test_each_list_holds_its_state_newest_first(till: Till) -> None:
    made = {state: (await till.in_state(state)).session.session_id for state in STATES}
    everything = await till.caller.data("/session/list/all/1/100")
    assert [row["session"]["sessionId"] for row in everything["sessions"]] == list(
        reversed(made.values())
    )
    for state, session_id in made.items():
        if state == "expired":
            continue
        page = await till.caller.data(f"/session/list/{path_of(state)}/1/10")
        assert [row["session"]["sessionId"] for row in page["sessions"]] == [session_id]
        assert page["sessions"][0] == await till.detail(session_id)


async def test_there_is_no_list_of_open_or_expired_sessions(till: Till) -> None:
    for state in ("initialized", "expired"):
        answer = await till.caller.client.get(
            f"/api/v1/session/list/{state}/1/1",
            headers={"authorization": f"Bearer {till.caller.secret}"},
        )
        assert answer.status_code == 404


async def test_pages_are_numbers_and_follow_each_other(till: Till) -> None:
    ids = [(await till.session())["sessionId"] for _ in range(5)]
    pages = [await till.caller.data(f"/session/list/all/{number}/2") for number in (1, 2, 3)]
    assert [(page["total"], page["page"], page["size"]) for page in pages] == [
        (5, 1, 2),
        (5, 2, 2),
        (5, 3, 2),
    ]
    listed = [row["session"]["sessionId"] for page in pages for row in page["sessions"]]
    assert listed == list(reversed(ids))


async def test_api_25_a_page_past_the_end_is_empty_and_a_wrong_one_is_refused(till: Till) -> None:
    await till.session()
    for number in (2, 10**9):
        page = await till.caller.data(f"/session/list/all/{number}/100")
        assert (page["total"], page["sessions"]) == (1, [])
    for wrong in ("0/1", "-1/1", "1/0", "1/101", "1/1000000000", "x/1", "1/%31%20", "1.0/1"):
        code, message = await till.caller.refusal(f"/session/list/all/{wrong}")
        assert code == 400101, wrong
        assert message.startswith("Invalid field format: "), wrong


async def _strangers(till: Till, server: Server, world: World) -> list[Caller]:
    another = await new_world(world.db)
    live = Tenant(world.tenant.merchant_id, Mode.LIVE)
    return [await server.caller(another.tenant), await server.caller(live)]


async def test_aut_02_sessions_of_another_merchant_or_mode_do_not_exist(
    till: Till, server: Server, world: World
) -> None:
    view = await till.in_state("paid")
    session_id = view.session.session_id
    unknown = await till.caller.refusal(f"/session/{UNKNOWN}")
    for stranger in await _strangers(till, server, world):
        # Byte for byte what an id that never was gets: its existence does not leak.
        assert await stranger.refusal(f"/session/{session_id}") == unknown
        assert await stranger.refusal(CANCEL, {"sessionId": session_id}) == unknown
        for state in ("all", "paid"):
            page = await stranger.data(f"/session/list/{state}/1/10")
            assert (page["total"], page["sessions"]) == (0, [])


async def test_api_26_what_names_no_session_is_not_found(till: Till) -> None:
    ids: list[Any] = [UNKNOWN, "", "sess_", "' OR 1=1--", "%", "_", "prd_" + "0" * 24, "x" * 100]
    for session_id in ids:
        assert (await till.caller.refusal(CANCEL, {"sessionId": session_id}))[0] == 100201
    for text in ("sess_%25", "'%20OR%201=1--", "a%2Fb", "%00", "x" * 300):
        assert (await till.caller.refusal(f"/session/{text}"))[0] == 100201
    for wrong in (None, 1, ["x"], "x" * 101):
        assert (await till.caller.refusal(CANCEL, {"sessionId": wrong}))[0] == 400101
