"""Plans are kept for any values, so what only few rows are is named in the statement."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gstable_server.chain.executor import store as executor
from gstable_server.kernel.address import ZERO_ADDRESS
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.ledger import store as ledger
from gstable_server.plumbing import outbox
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from gstable_server.reconciliation import store_work
from gstable_server.sessions import store as sessions
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.unmatched import store as unmatched
from gstable_server.sessions.unmatched.model import WAITING
from tests.conftest import Databases

pytestmark = pytest.mark.anyio

TENANT = Tenant(MerchantId("00" * 32), Mode.LIVE)


@pytest.fixture
async def unwritten(unwritten_url: str, clock: FakeClock) -> AsyncIterator[Database]:
    """Where nobody has counted the rows: of none at all, every index costs the same."""
    db = await Database.connect(unwritten_url, clock=clock, ids=SystemIdMint())
    yield db
    await db.close()


def sessions_of_a_state(tx: Tx) -> Awaitable[object]:
    return sessions.page(tx, TENANT, SessionState.SETTLEMENT_PENDING, 10, 0)


def money_that_waits(tx: Tx) -> Awaitable[object]:
    return unmatched.page(
        tx, states=WAITING, flag=None, tenant=None, nobodys=True, limit=10, before=None
    )


def gas_of_what_is_sent(tx: Tx) -> Awaitable[object]:
    return executor.committed(tx, "polygon", ZERO_ADDRESS)


def nonces_that_were_final(tx: Tx) -> Awaitable[object]:
    return executor.lacks_final(tx, "polygon", ZERO_ADDRESS, 1)


@pytest.mark.parametrize(
    ("ask", "indexes"),
    [
        # Counting may take the other one, which an empty table makes as cheap.
        (sessions_of_a_state, ("sessions_newest_by_state", "sessions_by_day")),
        (money_that_waits, ("inflows_waiting",)),
        (gas_of_what_is_sent, ("executor_intents_in_flight",)),
        (nonces_that_were_final, ("executor_intents_pkey",)),
    ],
)
async def test_kept_plans_find_the_few_in_their_index(
    unwritten: Database, ask: Callable[[Tx], Awaitable[object]], indexes: tuple[str, ...]
) -> None:
    asked: list[str] = []
    async with unwritten.begin() as tx:
        with tx.connection.query_logger(lambda query: asked.append(query.query)):
            await ask(tx)
            # The driver tells of a statement in the loop's next turn.
            await asyncio.sleep(0)
        # Whatever an empty table would make cheap, only what can be done by an index counts.
        await tx.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        statements = [one for one in asked if indexes[0].split("_")[0] in one]
        assert statements
        plans = [await _plan(tx, statement) for statement in statements]
        assert all(any(index in plan for index in indexes) for plan in plans)
        assert any(indexes[0] in plan for plan in plans)


@pytest.mark.parametrize("statement", [outbox._TAKE_NEXT, outbox._TAKE_THESE])
async def test_events_that_wait_are_found_at_once_by_a_plan_that_was_made_when_there_were_none(
    database: Database, statement: str
) -> None:
    async with database.pool.acquire() as connection:
        await connection.execute("VACUUM ANALYZE events")
    async with database.begin() as tx:
        await tx.execute(outbox._BY_INDEX)
        plan = await _plan(tx, statement)
    [looked_up] = [part for part in plan.split("->") if " on events " in part]
    assert "_pkey" in looked_up or (
        "Index Cond: ((object_id = looked.object_id) AND (sequence = looked.sequence))" in looked_up
    )


@pytest.fixture
async def book(databases: Databases, clock: FakeClock) -> AsyncIterator[Database]:
    """A database whose ledger has no page of what other tests wrote to theirs."""
    db = await Database.connect(databases.unwritten(), clock=clock, ids=SystemIdMint())
    yield db
    await db.close()


async def test_a_comparison_reads_the_book_in_the_order_of_the_disk(book: Database) -> None:
    async with book.begin() as tx:
        await tx.execute(
            "INSERT INTO ledger_transfers (transfer_id, cause, kind, token_id, posted_at)"
            " SELECT md5(one::text), one, 'payment', 'polygon::usdc', now()"
            " FROM generate_series(1, 2000) one"
        )
        await tx.execute(
            "INSERT INTO ledger_entries (transfer_id, account, token_id, amount)"
            " SELECT transfer_id, 'payers', token_id, side"
            " FROM ledger_transfers, (VALUES (1), (-1)) sides (side)"
        )
        await tx.execute("ANALYZE ledger_transfers; ANALYZE ledger_entries")
    async with book.apart("comparison") as work, work.read() as tx:
        await store_work.lay_out(tx)
        rows = await tx.fetch(f"EXPLAIN {ledger._STANDING}")
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan on ledger_entries" in plan
    assert "Seq Scan on ledger_transfers" in plan


async def _plan(tx: Tx, statement: str) -> str:
    values = ["NULL"] * max(int(number) for number in re.findall(r"\$(\d+)", statement))
    await tx.execute(f"PREPARE asked AS {statement}")
    rows = await tx.fetch(f"EXPLAIN EXECUTE asked({', '.join(values)})")
    await tx.execute("DEALLOCATE asked")
    return "\n".join(row[0] for row in rows)
