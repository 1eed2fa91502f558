"""What somebody with the rights of the database's owner can do to the book: the triggers that
refuse it do not fire for a replica."""

from __future__ import annotations

from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Database, Tx
from tests.unit.ledger.test_posting import seen

NAMED = "(SELECT transfer_id FROM ledger_seals WHERE seal_number = $1::bigint)"
BEHIND = "(SELECT transfer_id FROM ledger_seals WHERE seal_number = $1::bigint + 1)"

AT_A_SEAL = {
    "amounts changed": (
        f"UPDATE ledger_entries SET amount = amount * 2 WHERE transfer_id = {NAMED}",
    ),
    "one amount changed": (
        "UPDATE ledger_entries SET amount = amount + 1 WHERE entry_number ="
        f" (SELECT max(entry_number) FROM ledger_entries WHERE transfer_id = {NAMED})",
    ),
    "account changed": (
        "UPDATE ledger_entries SET account = 'merchant:other:pending'"
        f" WHERE account LIKE 'merchant:%' AND transfer_id = {NAMED}",
    ),
    "token changed": (
        f"UPDATE ledger_entries SET token_id = 'base::usdt' WHERE transfer_id = {NAMED}",
    ),
    "entry removed": (
        "DELETE FROM ledger_entries WHERE entry_number ="
        f" (SELECT min(entry_number) FROM ledger_entries WHERE transfer_id = {NAMED})",
    ),
    "entries added": (
        "INSERT INTO ledger_entries (transfer_id, account, token_id, amount)"
        f" SELECT {NAMED}, account, 'base::usdc', amount"
        " FROM (VALUES ('payers', -5), ('fees', 5)) AS leg (account, amount)",
    ),
    "entries exchanged": (
        "UPDATE ledger_entries SET transfer_id ="
        f" CASE transfer_id WHEN {NAMED} THEN {BEHIND} ELSE {NAMED} END"
        f" WHERE transfer_id IN ({NAMED}, {BEHIND})",
    ),
    "seals exchanged": (
        "UPDATE ledger_seals SET transfer_id = transfer_id || '?'"
        " WHERE seal_number IN ($1::bigint, $1::bigint + 1)",
        "UPDATE ledger_seals SET transfer_id = rtrim((SELECT transfer_id FROM ledger_seals other"
        " WHERE other.seal_number = 2 * $1::bigint + 1 - ledger_seals.seal_number), '?')"
        " WHERE seal_number IN ($1::bigint, $1::bigint + 1)",
    ),
    "cause changed": (f"UPDATE ledger_transfers SET cause = 'x' WHERE transfer_id = {NAMED}",),
    "session changed": (
        f"UPDATE ledger_transfers SET session_id = NULL WHERE transfer_id = {NAMED}",
    ),
    "time changed": (
        "UPDATE ledger_transfers SET posted_at = posted_at + interval '1 microsecond'"
        f" WHERE transfer_id = {NAMED}",
    ),
    "transfer removed": (f"DELETE FROM ledger_transfers WHERE transfer_id = {NAMED}",),
    "transfer and entries removed": (
        f"DELETE FROM ledger_entries WHERE transfer_id = {NAMED}",
        f"DELETE FROM ledger_transfers WHERE transfer_id = {NAMED}",
    ),
    "seal changed": ("UPDATE ledger_seals SET hash = sha256(hash) WHERE seal_number = $1::bigint",),
    "seal removed": ("DELETE FROM ledger_seals WHERE seal_number = $1::bigint",),
}
"""Each changes what seal number $1 vouches for, or the seal itself; those that exchange also what
is behind it. All leave the rest as it was."""


async def as_owner(tx: Tx) -> None:
    await tx.execute("SET LOCAL session_replication_role = replica")


async def tamper(db: Database, how: str, number: int) -> None:
    async with db.begin() as tx:
        await as_owner(tx)
        for statement in AT_A_SEAL[how]:
            done = await tx.execute(statement, number)
            assert not done.endswith(" 0"), "a test that changes nothing proves nothing"


async def new_book(db: Database, transfers: int) -> None:
    """Throw the book away and begin another, all of it sealed."""
    async with db.begin() as tx:
        await as_owner(tx)
        for table in ("seals", "unsealed", "entries", "transfers"):
            await tx.execute(f"DELETE FROM ledger_{table}")
    batch = [seen(str(one), one) for one in range(1, transfers + 1)]
    await db.run(ledger.post_all, batch)
    assert await db.run(ledger.seal) == transfers
