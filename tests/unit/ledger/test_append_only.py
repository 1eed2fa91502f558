"""The database itself refuses to change what is written once."""

from __future__ import annotations

import asyncpg
import pytest

from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Database
from tests.unit.ledger.test_posting import seen

pytestmark = pytest.mark.anyio

_GUARDED = """
SELECT tgrelid::regclass::text AS guarded FROM pg_trigger
WHERE tgfoid = 'refuse_change'::regproc AND tgenabled <> 'D'
"""


async def guarded(db: Database) -> set[str]:
    async with db.read() as tx:
        return {row["guarded"] for row in await tx.fetch(_GUARDED)}


async def test_books_facts_events_and_seals_are_guarded(database: Database) -> None:
    assert await guarded(database) >= {
        "chain_facts",
        "events",
        "ledger_entries",
        "ledger_seals",
        "ledger_transfers",
    }


async def test_no_guarded_table_is_changed_or_emptied(database: Database) -> None:
    for table in sorted(await guarded(database)):
        async with database.read() as tx:
            [column] = await tx.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass"
                " AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1",
                table,
            )
        name = column["attname"]
        for statement in (
            f"UPDATE {table} SET {name} = {name}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
        ):
            with pytest.raises(asyncpg.RestrictViolationError, match="append only"):
                async with database.begin() as tx:
                    await tx.execute(statement)


async def test_rows_are_there_after_the_refusal(database: Database) -> None:
    await database.run(ledger.post, seen("1"))
    for statement in ("DELETE FROM ledger_entries", "TRUNCATE ledger_transfers CASCADE"):
        with pytest.raises(asyncpg.RestrictViolationError):
            async with database.begin() as tx:
                await tx.execute(statement)
    async with database.read() as tx:
        assert len(await ledger.balances(tx)) == 3
