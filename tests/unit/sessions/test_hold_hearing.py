"""What the chain and the executor tell of holds: book, states, letters, reorganisations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.model import PaymentState
from gstable_server.sessions.refunds.model import obstacle, remaining
from tests.unit.sessions.holding import CAPTURE, CAPTURE_SECONDS, PRICE, VOID, Holder, with_holds
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(world: World) -> World:
    return with_holds(world)


@pytest.fixture
async def holder(till: Till) -> Holder:
    return Holder(till.caller, till.world)


async def test_what_is_held_belongs_to_nobody_yet(holder: Holder, world: World) -> None:
    view = await holder.authorized("seen")
    assert await world.told(view) == ["created", "paid"]
    assert await world.balances() == {"payers": -PRICE, "rail:hold": PRICE}
    view = await holder.authorized("seen", "final")
    assert await holder.status(view) == "paid"
    assert view.payment is not None
    assert (view.payment.received, obstacle(view.payment)) == (
        0,
        "names a payment whose money is not in the merchant's wallet",
    )


async def test_captures_and_the_rest_back_from_the_payment_to_the_end(
    holder: Holder, world: World
) -> None:
    view = await holder.authorized()
    first = holder.log(view, "captured", 4_000_000)
    await holder.hear("seen", log=first)
    assert await holder.hold(view) == (PRICE, 4_000_000, 0, 6_000_000)
    assert await world.balances() == {
        "payers": -PRICE,
        "rail:hold": 6_000_000,
        "merchant:pending": 3_992_000,
        "fees:pending": 8_000,
    }
    assert await world.told(view) == ["created", "paid"]
    await holder.hear("final", log=first)
    await holder.hear("seen", "final", log=holder.log(view, "captured", 2_500_000))
    assert await holder.status(view) == "paid"
    await holder.hear("seen", "final", log=holder.log(view, "voided", 3_500_000))
    assert await world.balances() == {"payers": -6_500_000, "merchant": 6_487_000, "fees": 13_000}
    assert await world.told(view) == [
        *("created", "paid", "captured", "captured", "voided", "completed"),
    ]
    found = await world.view(view.session.session_id)
    assert found.session.completed_at is not None
    assert found.payment is not None
    assert remaining(found.payment, ()) == found.payment.received == 6_487_000
    assert obstacle(found.payment) is None


async def test_what_was_told_says_how_much_and_by_what(holder: Holder) -> None:
    view = await holder.authorized()
    log = holder.log(view, "captured", 4_000_000)
    await holder.hear("seen", "final", log=log)
    [letter] = [
        payload
        for kind, payload in await holder.caller.events(view.session.session_id)
        if kind == "session.captured"
    ]
    assert {name: letter["holdData"][name] for name in letter["holdData"] if name[:3] != "exe"} == {
        "what": "captured",
        "amount": 4_000_000,
        "amountInToken": "4000000",
        "merchantReceived": 3_992_000,
        "fee": 8_000,
        "txHash": f"0x{log.tx_hash.hex()}",
    }
    assert letter["sessionData"]["hold"]["captured"] == 4_000_000
    transaction = letter["transaction"]
    assert (transaction["totalValue"], transaction["netValue"], transaction["feeValue"]) == (
        PRICE,
        3_992_000,
        8_000,
    )
    assert transaction["targetTx"] == f"0x{log.tx_hash.hex()}"


@pytest.mark.parametrize("what", ["voided", "reclaimed"])
async def test_when_all_went_back_the_session_is_cancelled(
    holder: Holder, world: World, what: str
) -> None:
    view = await holder.authorized()
    log = holder.log(view, what, PRICE)
    await holder.hear("seen", log=log)
    assert await holder.status(view) == "paid"
    await holder.hear("final", log=log)
    assert await holder.status(view) == "cancelled"
    assert await world.told(view) == ["created", "paid", "voided", "cancelled"]
    assert await world.balances() == {}


async def test_all_captured_at_once_completes(holder: Holder, world: World) -> None:
    view = await holder.authorized()
    await holder.hear("seen", "final", log=holder.log(view, "captured", PRICE))
    assert await world.told(view) == ["created", "paid", "captured", "completed"]
    assert await world.balances() == {"payers": -PRICE, "merchant": 9_980_000, "fees": 20_000}


async def test_a_reorganised_capture_is_taken_back_and_comes_again(
    holder: Holder, world: World
) -> None:
    view = await holder.authorized()
    log = holder.log(view, "captured", PRICE)
    await holder.hear("seen", "seen", "reorged", log=log)
    assert await holder.hold(view) == (PRICE, 0, 0, PRICE)
    assert await world.balances() == {"payers": -PRICE, "rail:hold": PRICE}
    await holder.hear("lost", log=log)
    await holder.hear("seen", "final", "final", log=replace(log, block_number=999))
    assert await holder.hold(view) == (PRICE, PRICE, 0, 0)
    assert await world.told(view) == ["created", "paid", "captured", "completed"]
    assert await world.balances() == {"payers": -PRICE, "merchant": 9_980_000, "fees": 20_000}


async def test_a_reorganisation_of_the_payment_takes_its_captures_with_it(
    holder: Holder, world: World
) -> None:
    view = await holder.authorized("seen")
    at = view.session.created_at
    log = holder.log(view, "captured", PRICE)
    await holder.hear("seen", log=log)
    await holder.authorize(view, "reorged", at=at)
    await holder.hear("reorged", log=log)
    assert await world.balances() == {}
    assert await holder.status(view) == "settlement_pending"
    await holder.authorize(view, "seen", at=at)
    await holder.hear("seen", log=log)
    assert await holder.hold(view) == (PRICE, PRICE, 0, 0)
    await holder.authorize(view, "final", at=at)
    await holder.hear("final", log=log)
    assert await holder.status(view) == "completed"


async def test_another_payment_after_a_reorganisation_has_a_hold_of_its_own(
    holder: Holder, world: World
) -> None:
    view = await holder.authorized("seen", "reorged", "lost")
    assert await holder.status(view) == "initialized"
    at = view.session.created_at
    for fact in ("seen", "final"):
        await holder.authorize(view, fact, at=at, tx=2)
    await holder.hear("seen", "final", log=holder.log(view, "captured", PRICE))
    found = await world.view(view.session.session_id)
    assert [one.state for one in found.payments] == [PaymentState.LOST, PaymentState.FINAL]
    assert [one.hold.captured for one in found.payments if one.hold] == [0, PRICE]
    assert found.session.state.value == "completed"


@pytest.mark.parametrize("path", [VOID, CAPTURE])
async def test_what_was_asked_of_a_hold_that_is_lost_is_given_up(holder: Holder, path: str) -> None:
    view = await holder.authorized("seen")
    await (holder.void(view) if path == VOID else holder.capture(view))
    await holder.hear_of_payment(view, "reorged")
    assert len(await holder.intents()) == 1
    await holder.hear_of_payment(view, "lost")
    assert await holder.intents() == []
    assert await holder.instruction_states() == ["withdrawn"]
    at = view.session.created_at
    for fact in ("seen", "final"):
        await holder.authorize(view, fact, at=at, tx=2)
    assert await holder.hold(view) == (PRICE, 0, 0, PRICE)
    assert await holder.intents() == []


async def test_what_was_asked_is_kept_for_another_payment_that_stands(holder: Holder) -> None:
    view = await holder.authorized("seen", "reorged")
    await holder.authorize(view, "seen", at=view.session.created_at, tx=2)
    await holder.capture(view)
    await holder.hear_of_payment(view, "lost")
    assert len(await holder.intents()) == 1


async def test_what_is_sent_for_a_lost_hold_fails_by_itself(holder: Holder) -> None:
    view = await holder.authorized("seen")
    await holder.void(view)
    [intent] = await holder.intents()
    await holder.signed(intent.cause, holder.log(view, "voided", PRICE))
    await holder.hear_of_payment(view, "reorged")
    await holder.hear_of_payment(view, "lost")
    assert await holder.instruction_states() == ["requested"]
    await holder.executed("failed", intent.cause, holder.log(view, "voided", PRICE))
    assert await holder.instruction_states() == ["failed"]


async def test_what_leaves_a_late_hold_is_booked_as_exceptional_and_moves_no_session(
    holder: Holder, world: World
) -> None:
    view = await holder.authorized(late=True)
    await holder.hear("seen", "final", log=holder.log(view, "captured", 1_000_000))
    assert await holder.status(view) == "initialized"
    assert (await world.balances())["merchant:exceptional"] == 998_000
    await holder.hear("seen", "final", log=holder.log(view, "voided", 9_000_000))
    assert await holder.status(view) == "initialized"
    assert await world.balances() == {
        "payers": -1_000_000,
        "merchant:exceptional": 998_000,
        "fees": 2_000,
    }


async def test_a_hold_of_no_session_is_booked_all_the_same(holder: Holder, world: World) -> None:
    view = await holder.authorized()
    foreign = holder.log(view, "captured", 1_000, session_key=b"\x99" * 32)
    await holder.hear("seen", "final", log=foreign)
    found = await world.balances()
    assert (found["unmatched"], found["fees"]) == (998, 2)
    assert await holder.hold(view) == (PRICE, 0, 0, PRICE)


async def test_a_fee_that_nobody_could_take_is_the_merchants(holder: Holder, world: World) -> None:
    view = await holder.authorized()
    log = holder.log(view, "captured", PRICE, merchant_received=PRICE, fee_received=0)
    await holder.hear("seen", "final", log=log)
    assert await world.balances() == {"payers": -PRICE, "merchant": PRICE}


# --- what became of our own transactions --------------------------------------------------


async def test_what_is_mined_is_counted_once_whoever_tells_it_first(holder: Holder) -> None:
    for chain_first in (True, False):
        view = await holder.authorized()
        await holder.capture(view, 6_000_000)
        *_, intent = await holder.intents()
        log = holder.log(view, "captured", 6_000_000)
        if chain_first:
            await holder.hear("seen", log=log)
            # Not yet known to be ours: rather too little is free than too much.
            code, _ = await holder.refused(CAPTURE, view, amount=1_000_000)
            assert code == 100601
        await holder.executed("mined", intent.cause, log)
        if not chain_first:
            code, _ = await holder.refused(CAPTURE, view, amount=4_000_001)
            assert code == 100601
            await holder.hear("seen", log=log)
        await holder.capture(view, 4_000_000)
        code, _ = await holder.refused(CAPTURE, view, amount=2)
        assert code == 100601


async def test_our_own_capture_is_known_by_its_log_before_the_executor_tells(
    holder: Holder,
) -> None:
    view = await holder.authorized()
    await holder.capture(view, 6_000_000)
    [intent] = await holder.intents()
    log = holder.log(view, "captured", 6_000_000)
    await holder.signed(intent.cause, log)
    await holder.hear("seen", log=log)
    await holder.capture(view, 4_000_000)
    await holder.hear("reorged", log=log)
    code, _ = await holder.refused(CAPTURE, view, amount=2)
    assert code == 100601


async def test_a_reorganised_capture_of_ours_is_on_its_way_again(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.capture(view, 6_000_000)
    [intent] = await holder.intents()
    log = holder.log(view, "captured", 6_000_000)
    await holder.executed("mined", intent.cause, log)
    await holder.hear("seen", "reorged", log=log)
    code, message = await holder.refused(CAPTURE, view, amount=4_000_001)
    assert (code, message.rpartition(": ")[2]) == (100601, "4000000 (4.00 USD)")


async def test_a_capture_that_failed_and_can_still_be_done_is_tried_again(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.capture(view, 6_000_000)
    [intent] = await holder.intents()
    await holder.executed("failed", intent.cause)
    *_, again = await holder.intents()
    assert again.cause == intent.cause[:-1] + "1"
    assert again.call == intent.call
    # What is told of the attempt before concerns nothing any more.
    await holder.executed("failed", intent.cause)
    assert await holder.instruction_states() == ["requested"]
    log = holder.log(view, "captured", 6_000_000)
    await holder.executed("mined", again.cause, log)
    await holder.hear("seen", "final", log=log)
    await holder.executed("final", again.cause, log)
    assert await holder.instruction_states() == ["done"]


async def test_a_capture_that_failed_because_it_is_gone_is_given_up(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.capture(view, 6_000_000)
    [intent] = await holder.intents()
    await holder.hear("seen", log=holder.log(view, "captured", 5_000_000))
    await holder.executed("failed", intent.cause)
    assert await holder.instruction_states() == ["failed"]
    await holder.capture(view, 5_000_000)


async def test_a_capture_that_was_refused_by_the_clock_is_given_up(
    holder: Holder, clock: FakeClock
) -> None:
    view = await holder.authorized()
    await holder.capture(view, 6_000_000)
    [intent] = await holder.intents()
    clock.advance(CAPTURE_SECONDS)
    await holder.executed("refused", intent.cause)
    assert await holder.instruction_states() == ["failed"]
    await holder.void(view)


async def test_what_others_took_first_is_withdrawn_in_the_order_of_asking(holder: Holder) -> None:
    view = await holder.authorized()
    for amount in (5_000_000, 3_000_000, 2_000_000):
        await holder.capture(view, amount)
    causes = [intent.cause for intent in await holder.intents()]
    # The merchant's own wallet captures 4 USD: for the second there is too little then.
    await holder.hear("seen", "final", log=holder.log(view, "captured", 4_000_000))
    states = [await holder.intent_state(cause) for cause in causes]
    assert states == ["queued", "withdrawn", "withdrawn"]
    assert await holder.instruction_states() == ["requested", "withdrawn", "withdrawn"]
    await holder.capture(view, 1_000_000)


async def test_a_void_that_somebody_else_did_first_is_withdrawn(holder: Holder) -> None:
    view = await holder.authorized()
    await holder.void(view)
    [intent] = await holder.intents()
    await holder.hear("seen", "final", log=holder.log(view, "voided", PRICE))
    assert await holder.intent_state(intent.cause) == "withdrawn"
    code, _ = await holder.refused(VOID, view)
    assert code == 100602


async def test_what_the_executor_tells_of_others_is_nothing_to_us(holder: Holder) -> None:
    before = await holder.rows()
    await holder.executed("final", "relay:of:somebody", None)
    assert await holder.rows() == before
