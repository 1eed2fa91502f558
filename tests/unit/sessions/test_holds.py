"""Capture and void as merchants ask for them: what is intended, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.chain.executor.model import Sender
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.rails.hold import capture_call, reclaim_call, void_call
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import paying
from gstable_server.sessions.holds import routes as hold_routes
from gstable_server.sessions.holds.operations import reclaim_due
from tests.unit.catalog.support import Server, serving
from tests.unit.sessions.holding import (
    CAPTURE,
    CAPTURE_SECONDS,
    HOLD_RAIL,
    PRICE,
    VOID,
    Holder,
    with_holds,
)
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import POLYGON, World

pytestmark = pytest.mark.anyio
IMPOSSIBLE = "Capture is not possible: "
NO_VOID = "Void is not possible: "


@pytest.fixture
def world(world: World) -> World:
    return with_holds(world)


@pytest.fixture
async def holder(till: Till) -> Holder:
    return Holder(till.caller, till.world)


def network(holder: Holder) -> Network:
    return holder.world.desk.networks.network("polygon")


# --- opening ------------------------------------------------------------------------------


async def test_a_manual_session_is_paid_in_its_own_token_through_the_hold_only(
    till: Till, holder: Holder
) -> None:
    made = await till.session(captureMethod="manual")
    assert made["captureMethod"] == "manual"
    assert "hold" not in made
    view = await holder.open()
    found = paying.options(holder.world.desk, view.session, view.session.created_at)
    assert [(one.token.token_id, one.rail) for one in found] == [("polygon::usdc", "hold")]
    prepared = await holder.world.prepare(view)
    order = prepared.signed.order
    assert order.rail == HOLD_RAIL  # type: ignore[union-attr]
    assert (order.total, order.fee_amount, order.merchant_amount) == (PRICE, 0, 9_980_000)


async def test_the_way_is_automatic_unless_said(till: Till) -> None:
    assert (await till.session())["captureMethod"] == "automatic"
    assert (await till.session(captureMethod="automatic"))["captureMethod"] == "automatic"


@pytest.mark.parametrize("wrong", ["later", "", 1, True, ["manual"]])
async def test_no_other_way_is_taken(till: Till, wrong: object) -> None:
    await till.refused_field("captureMethod", captureMethod=wrong)


async def test_what_cannot_be_held_or_captured_is_not_opened(till: Till, world: World) -> None:
    here = world.desk
    for desk in (
        replace(here, networks=Networks((POLYGON,))),
        replace(here, rails=()),
        replace(here, relays=False),
    ):
        world.desk = desk
        with pytest.raises(Exception, match="captureMethod cannot be manual"):
            await world.open(captureMethod="manual")
    assert await till.total() == 0


# --- capture and void ---------------------------------------------------------------------


async def test_a_capture_is_intended_once_for_the_relayer_until_the_time_is_over(
    holder: Holder,
) -> None:
    view = await holder.authorized("seen")
    answered = await holder.capture(view, 4_000_000)
    assert answered["hold"] == {
        "authorized": PRICE,
        "captured": 0,
        "returned": 0,
        "remaining": PRICE,
        "captureBefore": int(view.session.created_at.timestamp()) + CAPTURE_SECONDS,
    }
    [intent] = await holder.intents()
    assert (intent.network, intent.sender, intent.purpose) == ("polygon", Sender.RELAYER, "capture")
    assert intent.subject == view.session.session_id
    assert intent.deadline == from_unix_seconds(answered["hold"]["captureBefore"])
    assert intent.call.to == HOLD_RAIL
    assert intent.call == capture_call(network(holder), view.session.session_key, 4_000_000)


async def test_without_an_amount_all_that_is_free_is_captured(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.capture(view, 1_000_000)
    await holder.capture(view)
    *_, last = await holder.intents()
    assert int.from_bytes(last.call.data[-32:], "big") == PRICE - 1_000_000


async def test_a_void_is_intended_for_whenever_it_can_be_sent(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.void(view)
    [intent] = await holder.intents()
    assert (intent.purpose, intent.deadline) == ("void", None)
    assert intent.call == void_call(network(holder), view.session.session_key)


async def test_captures_at_once_do_not_exceed_what_is_held(holder: Holder) -> None:
    view = await holder.authorized()
    body = {"sessionId": view.session.session_id, "amount": 6_000_000}
    answers = await holder.at_once(CAPTURE, [body] * 5)
    assert sorted(one["code"] for one in answers) == [0, 100601, 100601, 100601, 100601]
    assert len(await holder.intents()) == 1


async def test_a_capture_and_a_void_at_once_do_not_both_go_out(holder: Holder) -> None:
    view = await holder.authorized()
    body = {"sessionId": view.session.session_id}
    answers = [
        *await holder.at_once(CAPTURE, [body]),
        *await holder.at_once(VOID, [body, body]),
    ]
    assert [one["code"] for one in answers] == [0, 100602, 100602]


# --- every refusal names what is wrong and changes nothing --------------------------------


async def test_a_session_of_somebody_else_is_not_found(holder: Holder, server: Server) -> None:
    view = await holder.authorized()
    holder.caller = await server.merchant()
    for path in (CAPTURE, VOID):
        assert await holder.refused(path, view) == (100201, "Session not found")


async def test_a_session_of_the_other_mode_is_not_found(
    holder: Holder, server: Server, world: World
) -> None:
    view = await holder.authorized()
    holder.caller = await server.caller(replace(world.tenant, mode=Mode.LIVE))
    assert await holder.refused(VOID, view) == (100201, "Session not found")


async def test_no_session_is_found_by_a_wrong_id(holder: Holder) -> None:
    for path in (CAPTURE, VOID):
        code, _ = await holder.caller.refusal(path, {"sessionId": "sess"})
        assert code == 100201


async def test_a_session_that_is_captured_with_its_payment(holder: Holder) -> None:
    view = await holder.world.open()
    reason = "sessionId names a session that is captured with its payment"
    assert await holder.refused(CAPTURE, view) == (100601, IMPOSSIBLE + reason)
    assert await holder.refused(VOID, view) == (100602, NO_VOID + reason)


async def test_a_session_that_nobody_has_paid_into(holder: Holder) -> None:
    view = await holder.open()
    reason = "sessionId names a session that nobody has authorized"
    assert await holder.refused(CAPTURE, view) == (100601, IMPOSSIBLE + reason)
    assert await holder.refused(VOID, view) == (100602, NO_VOID + reason)


async def test_what_came_too_late_can_be_let_go_and_not_captured(holder: Holder) -> None:
    view = await holder.authorized(late=True)
    reason = "sessionId names a session that nobody has authorized"
    assert await holder.refused(CAPTURE, view) == (100601, IMPOSSIBLE + reason)
    await holder.void(view)
    assert [intent.purpose for intent in await holder.intents()] == ["void"]


async def test_after_the_time_nothing_is_captured(holder: Holder, clock: FakeClock) -> None:
    view = await holder.authorized()
    clock.advance(CAPTURE_SECONDS)
    code, message = await holder.refused(CAPTURE, view)
    assert (code, message.rpartition(" before ")[0]) == (
        100601,
        f"{IMPOSSIBLE}sessionId names a session that could be captured",
    )


async def test_more_than_remains_besides_what_is_on_its_way(holder: Holder) -> None:
    view = await holder.authorized()
    reason = "amount is more than remains: 10000000 (10.00 USD)"
    assert await holder.refused(CAPTURE, view, amount=PRICE + 1) == (100601, IMPOSSIBLE + reason)
    await holder.capture(view, 4_000_000)
    reason = "amount is more than remains: 6000000 (6.00 USD)"
    assert await holder.refused(CAPTURE, view, amount=6_000_001) == (100601, IMPOSSIBLE + reason)
    await holder.capture(view, 6_000_000)
    reason = "sessionId names a session of which nothing remains to be captured"
    assert await holder.refused(CAPTURE, view) == (100601, IMPOSSIBLE + reason)


@pytest.mark.parametrize("amount", [0, -1, 1.5, "1", True, 10**18])
async def test_an_amount_that_is_none(holder: Holder, amount: object) -> None:
    view = await holder.authorized()
    code, message = await holder.refused(CAPTURE, view, amount=amount)
    assert (code, message[:29]) == (400101, "Invalid field format: amount ")


async def test_an_amount_that_would_be_all_fee(holder: Holder) -> None:
    view = await holder.authorized()
    code, message = await holder.refused(CAPTURE, view, amount=1)
    assert (code, message) == (
        400101,
        "Invalid field format: amount is so small that the fee would be all of it",
    )
    await holder.capture(view, 2)


async def test_while_it_is_voided_nothing_else_is_done(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.void(view)
    reason = "sessionId names a session that is being voided"
    assert await holder.refused(CAPTURE, view) == (100601, IMPOSSIBLE + reason)
    assert await holder.refused(VOID, view) == (100602, NO_VOID + reason)


async def test_while_a_capture_is_on_its_way_nothing_is_voided(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.capture(view, 1_000_000)
    reason = "sessionId names a session of which a capture is on its way"
    assert await holder.refused(VOID, view) == (100602, NO_VOID + reason)


async def test_what_this_server_cannot_send_any_more(holder: Holder, world: World) -> None:
    view = await holder.authorized()
    here = world.desk
    for desk in (
        replace(here, relays=False),
        replace(here, networks=Networks(())),
        replace(here, networks=Networks((POLYGON,))),
    ):
        async with serving(world.db, hold_routes.routes(desk)) as server:
            holder.caller = await server.caller(world.tenant)
            for path in (CAPTURE, VOID):
                code, message = await holder.refused(path, view)
                assert code == 400205
                assert message.endswith("the merchant's own wallet can")


# --- when nobody does anything ------------------------------------------------------------


async def test_when_time_is_over_the_rest_is_given_back_once(
    holder: Holder, world: World, clock: FakeClock
) -> None:
    view = await holder.authorized()
    assert await world.db.run(reclaim_due, world.desk) == 0
    clock.advance(CAPTURE_SECONDS)
    unable = replace(world.desk, relays=False)
    assert await world.db.run(reclaim_due, unable) == 0
    assert await world.db.run(reclaim_due, world.desk) == 1
    assert await world.db.run(reclaim_due, world.desk) == 0
    [intent] = await holder.intents()
    assert (intent.purpose, intent.deadline) == ("recover", None)
    assert intent.call == reclaim_call(network(holder), view.session.session_key)


async def test_what_is_empty_or_not_on_the_chain_is_not_given_back(
    holder: Holder, world: World, clock: FakeClock
) -> None:
    empty = await holder.authorized()
    await holder.hear("seen", log=holder.log(empty, "captured", PRICE))
    await holder.authorized("seen", "reorged")
    clock.advance(CAPTURE_SECONDS + 1)
    assert await world.db.run(reclaim_due, world.desk) == 0
