from __future__ import annotations

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from gstable_server.kernel.ids import MerchantId, SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint

USDC = "base::usdc"
MERCHANT = MerchantId("ab" * 32)
PENDING = book.merchant_pending(MERCHANT)
SESSION = SystemIdMint().mint(SessionId)
pytestmark = pytest.mark.anyio

TENANT = Tenant(MERCHANT, Mode.TEST)


def seen(name: str, amount: int = 100) -> book.Transfer:
    return book.payment(
        f"seen:{name}",
        USDC,
        receiver=PENDING,
        amount=amount,
        fee_amount=3,
        tenant=TENANT,
        session_id=SESSION,
    )


async def rows(db: Database) -> list[dict[str, Any]]:
    """Every transfer with its entries, in the order of the entries."""
    async with db.read() as tx:
        found = await tx.fetch(
            "SELECT t.*, undone.cause AS undoes, array_agg(account ORDER BY entry_number) accounts,"
            " array_agg(amount::bigint ORDER BY entry_number) amounts"
            " FROM ledger_transfers t JOIN ledger_entries e USING (transfer_id)"
            " LEFT JOIN ledger_transfers undone ON undone.transfer_id = t.reverses"
            " GROUP BY t.transfer_id, undone.cause ORDER BY min(entry_number)"
        )
    return [dict(row) for row in found]


async def test_many_transfers_are_booked_as_if_one_after_the_other(database: Database) -> None:
    first, second = seen("1"), seen("2", 50)
    batch = [first, second, replace(second, kind=book.Kind.REFUND), seen("3", 7)]
    assert await database.run(ledger.post_all, batch) == {"seen:1", "seen:2", "seen:3"}
    found = await rows(database)
    assert [row["cause"] for row in found] == ["seen:1", "seen:2", "seen:3"]
    assert [row["kind"] for row in found] == ["payment"] * 3
    assert found[1]["accounts"] == ["payers", PENDING, "fees:pending"]
    assert found[1]["amounts"] == [-53, 50, 3]
    assert (found[0]["merchant_id"], found[0]["mode"], found[0]["session_id"]) == (
        MERCHANT,
        "test",
        SESSION,
    )


async def test_a_cause_that_is_booked_is_left_as_it_is(database: Database) -> None:
    assert await database.run(ledger.post, seen("1"))
    assert not await database.run(ledger.post, seen("1", 999))
    assert await database.run(ledger.post_all, [seen("1", 999), seen("2")]) == {"seen:2"}
    assert [row["amounts"] for row in await rows(database)] == [[-103, 100, 3]] * 2


async def test_what_is_taken_back_may_stand_in_the_same_batch(database: Database) -> None:
    await database.run(ledger.post, seen("0"))
    back = seen("1").reversed_by("reverted:1")
    again = back.reversed_by("again:1")
    batch = [seen("1"), back, again, seen("0"), seen("0").reversed_by("reverted:0"), seen("2")]
    assert len(await database.run(ledger.post_all, batch)) == 5
    found = {row["cause"]: row for row in await rows(database)}
    assert {cause: row["undoes"] for cause, row in found.items()} == {
        "seen:0": None,
        "seen:1": None,
        "reverted:1": "seen:1",
        "again:1": "reverted:1",
        "reverted:0": "seen:0",
        "seen:2": None,
    }
    assert found["reverted:1"]["amounts"] == [103, -100, -3]
    assert list(found) == ["seen:0", "seen:1", "reverted:1", "again:1", "reverted:0", "seen:2"]


async def test_an_unknown_cause_to_take_back_is_no_row(database: Database) -> None:
    await database.run(ledger.post, seen("1").reversed_by("reverted:1"))
    assert [row["reverses"] for row in await rows(database)] == [None]


async def test_what_moves_nothing_is_not_booked(database: Database) -> None:
    nothing = book.moved("nothing", book.Kind.SETTLEMENT, USDC)
    assert await database.run(ledger.post_all, [nothing]) == frozenset()
    assert await database.run(ledger.post_all, []) == frozenset()
    assert not await database.run(ledger.post, nothing)
    assert await rows(database) == []


async def test_statements_do_not_grow_with_the_transfers(database: Database) -> None:
    asked: list[str] = []

    def listen(query: asyncpg.connection.LoggedQuery) -> None:
        asked.append(query.query)

    counts = []
    async with database.begin() as tx:
        for count in (1, 2, 500):
            asked.clear()
            with tx.connection.query_logger(listen):
                await ledger.post_all(tx, [seen(f"{count}:{one}") for one in range(count)])
            counts.append(len(asked))
    # The first time, the driver asks for types too.
    assert counts[1:] == [2, 2]


async def test_the_database_refuses_entries_that_do_not_cancel_out(database: Database) -> None:
    await database.run(ledger.post, seen("1"))
    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        async with database.begin() as tx:
            await tx.execute(
                "INSERT INTO ledger_entries (transfer_id, account, token_id, amount)"
                " SELECT transfer_id, 'fees', token_id, 1 FROM ledger_transfers"
            )


async def test_balances_are_sums_by_token_and_account(database: Database) -> None:
    await database.run(ledger.post_all, [seen("1"), seen("2", 10**60)])
    async with database.read() as tx:
        found = await ledger.balances(tx)
    assert found == {
        (USDC, "payers"): -(10**60 + 106),
        (USDC, PENDING): 10**60 + 100,
        (USDC, "fees:pending"): 6,
    }


async def test_the_database_refuses_entries_of_no_transfer(database: Database) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="not there"):
        async with database.begin() as tx:
            await tx.execute(
                "INSERT INTO ledger_entries (transfer_id, account, token_id, amount)"
                " VALUES ('none', 'a', 't', 1), ('none', 'b', 't', -1)"
            )
