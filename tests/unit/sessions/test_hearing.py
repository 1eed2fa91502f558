"""What the chain says of a payment, and what becomes of the session and the books."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import hearing, store_payments
from gstable_server.sessions.model import Flag, PaymentState, SessionState
from tests.unit.sessions.world import USDT, World, new_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database: Database) -> World:
    return await new_world(database)


async def test_an_exact_payment_pays_and_completes(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    log = world.log(view)
    await world.hear("seen", log)
    paid = await world.view(view.session.session_id)
    assert paid.session.state is SessionState.PAID
    assert await world.balances() == {
        "payers": -10_000_000,
        "merchant:pending": 9_980_000,
        "fees:pending": 20_000,
    }
    await world.hear("final", log)
    completed = await world.view(view.session.session_id)
    assert completed.session.state is SessionState.COMPLETED
    assert await world.balances() == {
        "payers": -10_000_000,
        "merchant": 9_980_000,
        "fees": 20_000,
    }
    assert await world.told(view) == ["created", "paid", "completed"]


async def test_chn_05_the_same_log_seen_many_times_counts_once(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    log = world.log(view)
    for _ in range(5):
        await world.hear("seen", log)
    for _ in range(5):
        await world.hear("final", log)
    assert (await world.balances())["merchant"] == 9_980_000
    assert await world.told(view) == ["created", "paid", "completed"]


@pytest.mark.parametrize(
    ("received", "flag", "told"),
    [
        (9_979_999, Flag.UNDER, "underpaid"),
        (1, Flag.UNDER, "underpaid"),
    ],
)
async def test_chn_06_short_money_is_recorded_and_pays_nothing(
    world: World, received: int, flag: Flag, told: str
) -> None:
    view = await world.open()
    await world.prepare(view)
    await world.hear("seen", world.log(view, merchant_received=received))
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.INITIALIZED
    assert [payment.flags for payment in after.payments] == [{flag}]
    assert (await world.balances())["merchant:exceptional"] == received
    assert await world.told(view) == ["created", told]


@pytest.mark.parametrize("received", [9_980_001, 2 * 9_980_000, 10**6 * 9_980_000])
async def test_chn_06_surplus_money_pays_and_is_told(world: World, received: int) -> None:
    view = await world.open()
    await world.prepare(view)
    await world.hear("seen", world.log(view, merchant_received=received))
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.PAID
    assert after.payments[0].flags == {Flag.OVER}
    assert await world.told(view) == ["created", "paid", "overpaid"]


async def test_chn_07_money_after_the_expiry_is_late_and_revives_nothing(
    world: World, clock: FakeClock
) -> None:
    view = await world.open()
    await world.prepare(view)
    clock.advance(1801)
    assert await world.db.run(hearing.expire_due, world.desk) == 1
    late = world.log(view, at=view.session.expires_at + timedelta(seconds=1))
    await world.hear("seen", late)
    await world.hear("final", late)
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.EXPIRED
    assert after.payments[0].flags == {Flag.LATE}
    assert after.payments[0].state is PaymentState.FINAL
    assert (await world.balances())["merchant:exceptional"] == 9_980_000
    assert await world.told(view) == ["created", "expired", "paid_late"]


async def test_money_mined_in_time_and_heard_late_pays(world: World, clock: FakeClock) -> None:
    view = await world.open()
    await world.prepare(view)
    clock.advance(1801)
    await world.db.run(hearing.expire_due, world.desk)
    await world.hear("seen", world.log(view, at=view.session.expires_at))
    assert await world.told(view) == ["created", "expired", "paid"]


async def test_chn_07_a_second_payment_is_a_duplicate(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    first, second = world.log(view, tx=1), world.log(view, tx=2, block=101)
    await world.hear("seen", first)
    await world.hear("seen", second)
    await world.hear("final", first)
    await world.hear("final", second)
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.COMPLETED
    assert [payment.flags for payment in after.payments] == [set(), {Flag.DUPLICATE}]
    balances = await world.balances()
    assert (balances["merchant"], balances["merchant:exceptional"]) == (9_980_000, 9_980_000)
    assert await world.told(view) == ["created", "paid", "overpaid", "completed"]


async def test_money_to_another_wallet_or_in_another_token_pays_nothing(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    await world.hear("seen", world.log(view, tx=1, merchant=Address(b"\x66" * 20)))
    await world.hear("seen", world.log(view, tx=2, token=USDT))
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.INITIALIZED
    assert [set(payment.flags) for payment in after.payments] == [
        {Flag.WRONG_RECIPIENT},
        {Flag.WRONG_TOKEN},
    ]


async def test_money_for_no_session_is_kept(world: World) -> None:
    view = await world.open()
    stray = world.log(view, session_key=b"\x99" * 32)
    await world.hear("seen", stray)
    await world.hear("final", stray)
    async with world.db.begin() as tx:
        [found] = await store_payments.lock(tx, [], [(stray.network, stray.tx_hash, 0)])
    assert (found.flags, found.session_id) == ({Flag.UNMATCHED}, None)
    assert (await world.balances())["unmatched"] == 9_980_000


async def test_chn_16_a_reorganised_payment_comes_back_and_counts_once(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    before, after = world.log(view, block=100), world.log(view, block=102)
    await world.hear("seen", before)
    await world.hear("reorged", before)
    pending = await world.view(view.session.session_id)
    assert pending.session.state is SessionState.SETTLEMENT_PENDING
    assert await world.balances() == {}
    await world.hear("seen", after)
    await world.hear("final", after)
    assert (await world.view(view.session.session_id)).session.state is SessionState.COMPLETED
    assert (await world.balances())["merchant"] == 9_980_000
    assert await world.told(view) == [
        "created",
        "paid",
        "settlement_pending",
        "settling",
        "completed",
    ]


async def test_chn_16_a_lost_payment_reopens_the_session(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    log = world.log(view)
    for kind in ("seen", "reorged", "lost"):
        await world.hear(kind, log)
    reopened = await world.view(view.session.session_id)
    assert reopened.session.state is SessionState.INITIALIZED
    assert reopened.session.paid_at is None
    assert await world.balances() == {}
    again = world.log(view, tx=2, block=120)
    await world.hear("seen", again)
    await world.hear("final", again)
    assert (await world.balances())["merchant"] == 9_980_000


async def test_chn_16_another_payment_while_the_first_is_off_the_chain(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    first, second = world.log(view, tx=1), world.log(view, tx=2, block=101)
    await world.hear("seen", first)
    await world.hear("reorged", first)
    await world.hear("seen", second)
    await world.hear("seen", world.log(view, tx=1, block=103))
    await world.hear("final", second)
    await world.hear("final", world.log(view, tx=1, block=103))
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.COMPLETED
    assert [set(payment.flags) for payment in after.payments] == [{Flag.DUPLICATE}, set()]
    balances = await world.balances()
    assert (balances["merchant"], balances["merchant:exceptional"]) == (9_980_000, 9_980_000)


async def test_the_first_payment_is_lost_after_another_paid(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    first, second = world.log(view, tx=1), world.log(view, tx=2, block=101)
    for kind, log in (("seen", first), ("reorged", first), ("seen", second), ("lost", first)):
        await world.hear(kind, log)
    assert (await world.view(view.session.session_id)).session.state is SessionState.SETTLING


async def test_the_database_refuses_a_second_credit(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    await world.hear("seen", world.log(view, tx=1))
    await world.hear("seen", world.log(view, tx=2))
    with pytest.raises(asyncpg.UniqueViolationError):
        async with world.db.begin() as tx:
            await tx.execute("UPDATE payments SET pays = true")


async def test_the_database_refuses_an_unbalanced_transfer(world: World) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        async with world.db.begin() as tx:
            await tx.execute(
                "INSERT INTO ledger_transfers (transfer_id, cause, kind, token_id, posted_at) "
                "VALUES ('trf_x', 'x', 'payment', 'polygon::usdc', now())"
            )
            await tx.execute(
                "INSERT INTO ledger_entries (transfer_id, account, token_id, amount) "
                "VALUES ('trf_x', 'payers', 'polygon::usdc', -5)"
            )


async def test_chn_16_a_chain_that_turns_back_to_the_same_block_is_booked_each_time(
    world: World,
) -> None:
    view = await world.open()
    await world.prepare(view)
    log = world.log(view)
    for kind in ("seen", "reorged", "seen", "reorged", "seen", "final"):
        await world.hear(kind, log)
    assert (await world.view(view.session.session_id)).session.state is SessionState.COMPLETED
    assert await world.balances() == {
        "payers": -10_000_000,
        "merchant": 9_980_000,
        "fees": 20_000,
    }


async def test_chn_16_a_session_reopens_when_the_last_of_its_payments_is_lost(
    world: World,
) -> None:
    view = await world.open()
    await world.prepare(view)
    first, second = world.log(view, tx=1), world.log(view, tx=2, block=101)
    for kind, log in (
        ("seen", first),
        ("reorged", first),
        ("seen", second),
        ("reorged", second),
        ("lost", second),
    ):
        await world.hear(kind, log)
    waiting = await world.view(view.session.session_id)
    assert waiting.session.state is SessionState.SETTLEMENT_PENDING
    await world.hear("lost", first)
    reopened = await world.view(view.session.session_id)
    assert reopened.session.state is SessionState.INITIALIZED


async def test_chn_16_a_payment_that_returns_as_the_second_one_is_told(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    first, second = world.log(view, tx=1), world.log(view, tx=2, block=101)
    for kind, log in (("seen", first), ("reorged", first), ("seen", second), ("seen", first)):
        await world.hear(kind, log)
    assert (await world.told(view))[-1] == "overpaid"
