"""The test clock: a session's own times come closer, and what is due then happens by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import hearing
from gstable_server.sessions.advancing import brought_closer
from gstable_server.sessions.model import Flag, SessionView
from gstable_server.sessions.refunds import operations as refunds
from tests.conftest import START
from tests.unit.catalog.support import Server
from tests.unit.sessions.refunding import Refunder
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import World, new_world

pytestmark = pytest.mark.anyio

ADVANCE = "/test/session/advance"
YEAR = 365 * 24 * 3600
HALF_PAST = START + timedelta(milliseconds=500)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("ahead", "by", "left"),
    [
        (1800, 1, 1799),
        (1800, 1799, 1),
        (1800, 1800, 0),
        # Never before now: a payment that is in a block already stays in time.
        (1800, YEAR, 0),
        # What is over stays over, at the moment at which it was.
        (0, 60, 0),
        (-60, 60, -60),
    ],
)
def test_times_come_closer_but_never_pass_the_present_second(
    ahead: int, by: int, left: int
) -> None:
    moved = brought_closer(START + seconds(ahead), seconds(by), HALF_PAST)
    assert moved == START + seconds(left)


async def advance(till: Till, view: SessionView, by: int = YEAR) -> None:
    body = {"sessionId": view.session.session_id, "seconds": by}
    assert await till.caller.data(ADVANCE, body) == {"success": True}


async def test_an_advanced_session_expires_by_the_usual_timetable(till: Till) -> None:
    view = await till.world.open()
    await advance(till, view, 1799)
    assert await till.world.db.run(hearing.expire_due, till.world.desk) == 0
    found = (await till.detail(view.session.session_id))["session"]
    assert found["expirationTime"] == unix_seconds(START + seconds(1))
    await advance(till, view, 1)
    assert await till.world.told(view) == ["created"], "the clock itself tells nothing"
    assert await till.world.db.run(hearing.expire_due, till.world.desk) == 1
    assert await till.world.told(view) == ["created", "expired"]


@pytest.mark.parametrize(
    ("after", "flags", "told"),
    [
        # In the same second, as a block counts: it may have been mined before the call.
        (0, frozenset(), ["created", "expired", "paid"]),
        (1, {Flag.LATE}, ["created", "expired", "paid_late"]),
    ],
    ids=["in the second of the call", "later"],
)
async def test_a_signed_order_outlives_the_new_expiry_and_its_payment_is_late(
    till: Till, after: int, flags: set[Flag], told: list[str]
) -> None:
    view = await till.world.open()
    await till.world.prepare(view)
    await advance(till, view)
    await till.world.db.run(hearing.expire_due, till.world.desk)
    await till.world.hear("seen", till.world.log(view, at=START + seconds(after)))
    [payment] = (await till.world.view(view.session.session_id)).payments
    assert payment.flags == flags
    assert await till.world.told(view) == told


async def test_what_was_paid_in_time_stays_paid_and_completes(till: Till) -> None:
    view = await till.in_state("paid")
    await advance(till, view)
    await till.world.db.run(hearing.expire_due, till.world.desk)
    found = (await till.detail(view.session.session_id))["session"]
    assert found["status"] == "paid"


async def test_a_prepared_refund_lapses_with_the_sessions_clock(
    till: Till, clock: FakeClock
) -> None:
    refunder = Refunder.at(till)
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1_000_000)
    given_up = await refunder.prepare(view, amount=1_000_000)
    await till.caller.data("/session/refund/cancel", {"refundId": given_up["refundId"]})
    await advance(till, view, 3600)
    path = "/session/refund/detail/"
    found = await till.caller.data(path + made["refundId"])
    assert made["expiresAt"] - found["expiresAt"] == 3600
    untouched = await till.caller.data(path + given_up["refundId"])
    assert untouched["expiresAt"] == given_up["expiresAt"]
    await advance(till, view)
    assert await till.world.db.run(refunds.expire_due) == 1
    assert (await till.caller.data(path + made["refundId"]))["status"] == "expired"


async def test_aut_02_nobody_elses_clock_and_no_live_one_is_moved(
    till: Till, server: Server, world: World
) -> None:
    view = await world.open()
    body = {"sessionId": view.session.session_id, "seconds": 60}
    stranger = await server.caller((await new_world(world.db)).tenant)
    assert await stranger.refusal(ADVANCE, body) == (100201, "Session not found")
    live = await server.caller(Tenant(world.tenant.merchant_id, Mode.LIVE))
    headers = {"authorization": f"Bearer {live.secret}"}
    answer = await live.client.post(f"/api/v1{ADVANCE}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, 200102)
    assert (await world.view(view.session.session_id)).session == view.session


@pytest.mark.parametrize("wrong", [0, -1, YEAR + 1, 1.5, "60", None, True])
async def test_api_26_seconds_are_a_whole_number_up_to_a_year(till: Till, wrong: Any) -> None:
    view = await till.world.open()
    body = {"sessionId": view.session.session_id, "seconds": wrong}
    code, message = await till.caller.refusal(ADVANCE, body)
    assert (code, message.split()[3]) == (400101, "seconds"), message
    assert (await till.world.view(view.session.session_id)).session == view.session


async def test_an_unknown_session_has_no_clock(till: Till) -> None:
    for text in ("sess_" + "0" * 32, "", "lnk_1"):
        code, _ = await till.caller.refusal(ADVANCE, {"sessionId": text, "seconds": 1})
        assert code == 100201
