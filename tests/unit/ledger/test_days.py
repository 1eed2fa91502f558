"""Days and pockets: what a page shows as a merchant's money is what the book says, to the unit."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.ledger.days import Pocket, TokenTotal, by_token
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.ledger.test_posting import MERCHANT, PENDING, SESSION, TENANT, USDC, seen

pytestmark = pytest.mark.anyio

SETTLED = book.merchant_settled(MERCHANT)


def final(name: str, amount: int = 100) -> book.Transfer:
    return book.settled(
        f"final:{name}",
        USDC,
        pending=PENDING,
        final=SETTLED,
        amount=amount,
        tenant=TENANT,
        session_id=SESSION,
    )


def given_back(name: str, amount: int) -> book.Transfer:
    return book.moved(
        f"refund:{name}",
        book.Kind.REFUND,
        USDC,
        book.Entry(SETTLED, -amount),
        book.Entry(book.PAYERS, amount),
        tenant=TENANT,
        session_id=SESSION,
    )


async def pockets_by_hand(db: Database, tenant: Tenant) -> dict[tuple[str, str], int]:
    """The raw entries, added up by nobody's help."""
    async with db.read() as tx:
        rows = await tx.fetch(
            "SELECT e.token_id, e.account, sum(e.amount) AS amount FROM ledger_entries e"
            " JOIN ledger_transfers t USING (transfer_id)"
            " WHERE t.merchant_id = $1 AND t.mode = $2 GROUP BY 1, 2",
            tenant.merchant_id,
            tenant.mode,
        )
    return {(row["token_id"], row["account"]): int(row["amount"]) for row in rows}


async def test_dsh_07_totals_are_the_book_to_the_unit_whether_it_is_sealed_or_not(
    database: Database, clock: FakeClock
) -> None:
    async def check(settled: int, refunded: int, pending: int) -> None:
        async with database.snapshot() as tx:
            total = by_token(await ledger.totals(tx, TENANT))[USDC]
            assert await ledger.holdings(tx, TENANT) == {USDC: total}
        assert total == TokenTotal(USDC, settled, refunded, pending, 0, 0, total.fees_pending)
        by_hand = await pockets_by_hand(database, TENANT)
        assert total.kept == by_hand.get((USDC, SETTLED), 0)
        assert total.pending == by_hand.get((USDC, PENDING), 0)
        assert total.fees_pending == by_hand[USDC, book.FEES_PENDING]

    await database.run(ledger.post_all, [seen("1"), seen("2", 50)])
    await check(0, 0, 150)
    await database.run(ledger.post, final("1"))
    await check(100, 0, 50)
    assert await database.run(ledger.seal) == 3
    await check(100, 0, 50)
    clock.advance(86_400)
    reverted = seen("2", 50).reversed_by("reverted:2")
    await database.run(ledger.post_all, [given_back("1", 30), reverted])
    await check(100, 30, 0)
    assert await database.run(ledger.seal) == 2
    await check(100, 30, 0)


async def test_totals_are_by_day_and_of_one_tenant(database: Database, clock: FakeClock) -> None:
    first = clock.now().date()
    await database.run(ledger.post_all, [seen("1"), final("1")])
    await database.run(ledger.seal)
    clock.advance(2 * 86_400)
    await database.run(ledger.post_all, [seen("2", 7), final("2", 7)])
    others = Tenant(MerchantId("cd" * 32), Mode.TEST)
    async with database.snapshot() as tx:
        totals = await ledger.totals(tx, TENANT, first, first + timedelta(days=2))
        assert await ledger.totals(tx, others) == []
        assert await ledger.totals(tx, Tenant(MERCHANT, Mode.LIVE)) == []
        [second_day] = [
            one
            for one in await ledger.totals(tx, TENANT, first + timedelta(days=1))
            if one.pocket is Pocket.SETTLED
        ]
    settled = [(one.day, one.amount) for one in totals if one.pocket is Pocket.SETTLED]
    assert settled == [(first, 100), (first + timedelta(days=2), 7)]
    assert (second_day.amount, second_day.entries) == (7, 1)


async def test_a_snapshot_sees_one_state_and_writes_nothing(database: Database) -> None:
    await database.run(ledger.post, seen("1"))
    async with database.snapshot() as tx:
        before = await ledger.totals(tx, TENANT, date(2000, 1, 1))
        await database.run(ledger.post_all, [seen("2"), final("1")])
        await database.run(ledger.seal)
        assert await ledger.totals(tx, TENANT, date(2000, 1, 1)) == before
    async with database.snapshot() as tx:
        assert await ledger.totals(tx, TENANT, date(2000, 1, 1)) != before
