"""What the chain, the clock and merchants who ask at once make of refunds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gstable_server.kernel.address import Address
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.refunds import operations
from tests.unit.sessions.refunding import CANCEL, OTHER, RECEIVED, Refunder, text
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import USDT

pytestmark = pytest.mark.anyio


@pytest.fixture
def refunder(till: Till) -> Refunder:
    return Refunder.at(till)


# --- the chain ---------------------------------------------------------------------------------


async def test_a_transfer_is_seen_and_completes_the_refund(refunder: Refunder) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=4_000_000)
    before = await refunder.world.balances()
    log = refunder.transfer(made)
    await refunder.hear("seen", log=log)
    seen = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert (seen["status"], seen["txHash"]) == ("seen", f"0x{log.tx_hash.hex()}")
    assert "transaction" not in seen
    assert await refunder.told(view) == []
    assert await refunder.world.balances() == before
    await refunder.hear("final", log=log)
    done = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert done["status"] == "completed"
    [letter] = await refunder.told(view)
    detail = await refunder.caller.data(f"/session/{view.session.session_id}")
    assert detail["session"].pop("refunds") == [done]
    assert letter == {
        "sessionData": {**detail["session"], "currency": "polygon::usdc"},
        "transaction": detail["transaction"],
        "refundData": done,
    }
    assert await refunder.world.balances() == {
        **before,
        "merchant": before["merchant"] - 4_000_000,
        "payers": before["payers"] + 4_000_000,
    }
    assert await refunder.watches() == 0


async def test_every_fact_counts_once(refunder: Refunder) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1_000_000)
    log = refunder.transfer(made)
    await refunder.hear("seen", "seen", "final", "final", "seen", log=log)
    assert await refunder.status(made) == "completed"
    assert len(await refunder.told(view)) == 1
    assert (await refunder.world.balances())["merchant"] == RECEIVED - 1_000_000


async def test_money_that_pays_nothing_is_booked_back_from_where_it_stands(
    refunder: Refunder,
) -> None:
    view = await refunder.paid(merchant_received=5)
    made = await refunder.prepare(view)
    await refunder.hear("seen", "final", log=refunder.transfer(made))
    balances = await refunder.world.balances()
    assert "merchant:exceptional" not in balances
    assert balances == {"payers": -20_000, "fees": 20_000}


async def test_refunds_of_identical_terms_are_proven_once_each(refunder: Refunder) -> None:
    view = await refunder.paid()
    first = await refunder.prepare(view, amount=1_000_000)
    second = await refunder.prepare(view, amount=1_000_000)
    sent = refunder.transfer(first, 1)
    await refunder.hear("seen", "final", log=sent)
    assert [await refunder.status(one) for one in (first, second)] == ["completed", "prepared"]
    # Both may stand in one transaction, as of a wallet that sends several at once.
    await refunder.hear("seen", log=replace(sent, log_position=1))
    assert [await refunder.status(one) for one in (first, second)] == ["completed", "seen"]
    # A third one of the kind has no refund to prove.
    await refunder.hear("seen", "final", log=refunder.transfer(first, 3))
    assert len(await refunder.told(view)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"token": USDT.address},
        {"token": Address(b"\x99" * 20)},
        {"sender": OTHER},
        {"receiver": OTHER},
        {"amount": 999_999},
        {"amount": 1_000_001},
        {"network": "base"},
    ],
    ids=["token", "look-alike", "sender", "receiver", "less", "more", "network"],
)
async def test_a_transfer_of_other_terms_proves_nothing(
    refunder: Refunder, change: dict[str, Any]
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1_000_000)
    await refunder.hear("seen", "final", log=refunder.transfer(made, **change))
    assert await refunder.status(made) == "prepared"
    assert await refunder.told(view) == []


async def test_a_transfer_from_before_the_refund_was_for_something_else(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1_000_000)
    old = refunder.transfer(made, block_time=clock.now() - timedelta(minutes=5, seconds=1))
    await refunder.hear("seen", "final", log=old)
    assert await refunder.status(made) == "prepared"
    # A block's time may be a little before that of what is in it.
    recent = refunder.transfer(made, 2, block_time=clock.now() - timedelta(seconds=12))
    await refunder.hear("seen", log=recent)
    assert await refunder.status(made) == "seen"


async def test_a_reorganised_transfer_proves_again_when_it_returns(refunder: Refunder) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    log = refunder.transfer(made)
    await refunder.hear("seen", "reorged", log=log)
    found = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert found == made
    # What it sets aside stays set aside: the transaction may be mined again.
    assert (await refunder.refused(view, amount=1))[0] == 100502
    await refunder.hear("seen", "final", log=replace(log, block_number=300))
    assert await refunder.status(made) == "completed"
    assert len(await refunder.told(view)) == 1


async def test_a_transfer_that_is_lost_leaves_the_refund_to_be_sent_again(
    refunder: Refunder,
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    before = await refunder.world.balances()
    await refunder.hear("seen", "reorged", "lost", log=refunder.transfer(made, 1))
    assert await refunder.status(made) == "prepared"
    await refunder.hear("seen", "final", log=refunder.transfer(made, 2))
    assert await refunder.status(made) == "completed"
    assert (await refunder.world.balances())["payers"] == before["payers"] + RECEIVED


# --- the clock, and giving up ------------------------------------------------------------------


async def test_a_refund_that_nobody_sends_frees_its_part(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    clock.advance(24 * 3600 - 1)
    assert await refunder.world.db.run(operations.expire_due) == 0
    clock.advance(1)
    assert await refunder.world.db.run(operations.expire_due) == 1
    assert await refunder.world.db.run(operations.expire_due) == 0
    assert await refunder.status(made) == "expired"
    assert (await refunder.prepare(view))["amount"] == RECEIVED


async def test_a_transfer_after_the_expiry_is_still_proven(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    clock.advance(24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    clock.advance(7 * 24 * 3600 - 1)
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    await refunder.hear("seen", "final", log=refunder.transfer(made))
    assert await refunder.status(made) == "completed"
    assert len(await refunder.told(view)) == 1
    assert (await refunder.refused(view))[0] == 100502


async def test_a_live_refund_is_proven_before_one_that_was_given_up(refunder: Refunder) -> None:
    view = await refunder.paid()
    given_up = await refunder.prepare(view)
    await refunder.caller.data(CANCEL, {"refundId": given_up["refundId"]})
    live = await refunder.prepare(view)
    await refunder.hear("seen", log=refunder.transfer(live))
    assert [await refunder.status(one) for one in (given_up, live)] == ["cancelled", "seen"]
    # And the other one as well, if the merchant really sent both.
    await refunder.hear("seen", log=refunder.transfer(live, 2))
    assert [await refunder.status(one) for one in (given_up, live)] == ["seen", "seen"]


async def read_block(refunder: Refunder, number: int, at: datetime) -> None:
    """The oldest block that is kept of the refunds' network is this one."""
    async with refunder.world.db.begin() as tx:
        await tx.execute("DELETE FROM chain_blocks")
        await tx.execute(
            "INSERT INTO chain_blocks (network, number, hash, parent_hash, block_time)"
            " SELECT DISTINCT network, $1::bigint, $2::bytea, $2::bytea, $3::timestamptz"
            " FROM refunds",
            number,
            bytes(32),
            at,
        )


async def test_a_week_after_the_expiry_nobody_looks_any_more(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    expired = await refunder.prepare(view, amount=1_000_000)
    cancelled = await refunder.prepare(view, amount=2_000_000)
    await refunder.caller.data(CANCEL, {"refundId": cancelled["refundId"]})
    assert await refunder.watches() == 2
    clock.advance(8 * 24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    # Whoever could not read the chain for that week may still find them there.
    await read_block(refunder, 1, clock.now() - timedelta(days=2))
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    await read_block(refunder, 2, clock.now())
    # A transfer that was read and not heard yet may be one of theirs.
    async with refunder.world.db.begin() as tx:
        tx.tell(Event("chain.transfer_final", "a log", {}))
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    async with refunder.world.db.begin() as tx:
        await tx.execute("DELETE FROM outbox")
    assert await refunder.world.db.run(operations.unwatch_due) == 2
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    assert await refunder.watches() == 0
    for refund in (expired, cancelled):
        await refunder.hear("seen", log=refunder.transfer(refund))
    assert [await refunder.status(one) for one in (expired, cancelled)] == ["expired", "cancelled"]


async def test_a_reorganised_transfer_is_looked_for_as_long_as_a_new_one(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    clock.advance(24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    clock.advance(7 * 24 * 3600 - 1)
    log = refunder.transfer(made)
    await refunder.hear("seen", "reorged", log=log)
    clock.advance(2)
    await refunder.world.db.run(operations.expire_due)
    assert await refunder.status(made) == "expired"
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    await refunder.hear("seen", "final", log=log)
    assert await refunder.status(made) == "completed"


async def test_a_cancelled_refund_frees_its_part_and_offers_no_transaction(
    refunder: Refunder,
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    answer = await refunder.caller.data(CANCEL, {"refundId": made["refundId"]})
    assert answer == {"success": True}
    found = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert found == {**{k: v for k, v in made.items() if k != "transaction"}, "status": "cancelled"}
    assert (await refunder.prepare(view))["amount"] == RECEIVED


async def test_what_is_on_the_chain_or_given_up_cannot_be_cancelled(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = [await refunder.prepare(view, amount=number) for number in (1, 2, 3, 4)]
    seen, completed, cancelled, expired = made
    await refunder.hear("seen", log=refunder.transfer(seen, 1))
    await refunder.hear("seen", "final", log=refunder.transfer(completed, 2))
    await refunder.caller.data(CANCEL, {"refundId": cancelled["refundId"]})
    clock.advance(24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    before = await refunder.rows()
    for refund, words in (
        (seen, "whose transfer is on the chain"),
        (completed, "that is completed"),
        (cancelled, "that is cancelled"),
        (expired, "that is expired"),
    ):
        answer = await refunder.caller.refusal(CANCEL, {"refundId": refund["refundId"]})
        assert answer == (100502, f"Refund is not possible: refundId names a refund {words}")
    assert await refunder.rows() == before


# --- at once -----------------------------------------------------------------------------------


async def test_api_24_refunds_prepared_at_once_cannot_exceed_what_remains(
    refunder: Refunder,
) -> None:
    view = await refunder.paid()
    body = {"sessionId": view.session.session_id, "amount": 4_000_000}
    answers = await refunder.at_once(*[body] * 6)
    assert sorted(answer["code"] for answer in answers) == [0, 0, *[100502] * 4]
    assert await refunder.watches() == 2


async def test_a_transfer_of_a_refund_given_up_and_a_new_refund_at_once(
    refunder: Refunder,
) -> None:
    """Whichever is first, the other one knows of it."""
    view = await refunder.paid()
    made = await refunder.prepare(view)
    await refunder.caller.data(CANCEL, {"refundId": made["refundId"]})
    log = refunder.transfer(made)
    body = {"sessionId": view.session.session_id, "to": text(OTHER)}
    answers, _ = await asyncio.gather(refunder.at_once(body), refunder.hear("seen", log=log))
    assert await refunder.status(made) == "seen"
    if answers[0]["code"] == 0:
        # It was prepared first; from now on nothing more is.
        assert (await refunder.refused(view, amount=1))[0] == 100502
    else:
        assert answers[0]["code"] == 100502
