"""SQL of a comparison under way: temporary tables of one connection, which go when it does.

Everything that grows with the book is in them and never in the process. Each function reads or
writes ``ROWS_AT_ONCE`` rows at most; the database adds up and compares.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence

import asyncpg

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.reconciliation import model
from gstable_server.reconciliation.model import Claim, Difference, RawLog, Sum

_WORD = 32
WITHIN = "15min"

_TABLES = """
CREATE TEMP TABLE work_logs (
    network      text NOT NULL,
    block_number bigint NOT NULL,
    log_index    bigint NOT NULL,
    tx_hash      bytea NOT NULL,
    address      bytea NOT NULL,
    topics       bytea NOT NULL,
    data         bytea NOT NULL,
    -- Null for a transfer, and for what is about no session.
    session_key  bytea,
    is_transfer  boolean NOT NULL,
    -- Read just now, and not kept yet.
    is_new       boolean NOT NULL,
    PRIMARY KEY (network, block_number, log_index)
);
CREATE INDEX ON work_logs (network, tx_hash);
CREATE TEMP TABLE work_claims (
    sequence   bigint GENERATED ALWAYS AS IDENTITY,
    session_id text NOT NULL,
    network    text NOT NULL,
    tx_hash    bytea NOT NULL,
    token      bytea NOT NULL,
    sender     bytea NOT NULL,
    receiver   bytea NOT NULL,
    amount     numeric NOT NULL
);
CREATE INDEX ON work_claims (network, tx_hash);
CREATE TEMP TABLE work_sums (
    session_key bytea,
    session_id  text,
    network     text,
    tx_hash     bytea,
    token_id    text NOT NULL,
    account     text NOT NULL,
    expected    numeric NOT NULL,
    booked      numeric NOT NULL
);
CREATE TEMP TABLE work_left_out (session_key bytea PRIMARY KEY);
"""

_ARRANGE = """
CREATE INDEX ON work_logs (session_key, network, block_number, log_index)
    WHERE session_key IS NOT NULL;
ANALYZE work_logs;
ANALYZE work_claims;
"""


async def lay_out(tx: Tx) -> None:
    """Make the tables, in a connection that has none of them."""
    await tx.execute(f"SET statement_timeout = '{WITHIN}'")
    # Plans for tables as large as they are now, not as they were when a statement was first seen.
    await tx.execute("SET plan_cache_mode = force_custom_plan")
    # And in the order of the disk: what is good for a few rows would read the whole book by an
    # index, from one random page to the next, and take hours where it does not fit the memory.
    await tx.execute("SET random_page_cost = 1.1")
    await tx.execute(_TABLES)


async def arrange(tx: Tx) -> None:
    """Call it when all logs and claims are there, before any is looked for."""
    await tx.execute(_ARRANGE)


async def begin_snapshot(tx: Tx) -> None:
    """From here on, every query of the transaction sees the same instant; call it first.

    It may take as long as a large book needs: nobody waits for it, because it locks nothing.
    """
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    await tx.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{WITHIN}'")


# --- logs -----------------------------------------------------------------------------------------

_ADD_LOGS = """
INSERT INTO work_logs (network, block_number, log_index, tx_hash, address, topics, data,
    session_key, is_transfer, is_new)
SELECT $1, *, $9 FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[],
    $7::bytea[], $8::bytea[], $10::boolean[])
ON CONFLICT DO NOTHING
"""


async def add_logs(
    tx: Tx,
    network: str,
    logs: Sequence[RawLog],
    session_keys: Sequence[bytes | None],
    are_transfers: Sequence[bool],
    *,
    are_new: bool,
) -> None:
    """``logs`` with the session that each is about; one that is there already stays as it is."""
    await tx.execute(
        _ADD_LOGS,
        network,
        [log.block_number for log in logs],
        [log.log_index for log in logs],
        [log.tx_hash for log in logs],
        [log.address for log in logs],
        [b"".join(log.topics) for log in logs],
        [log.data for log in logs],
        session_keys,
        are_new,
        are_transfers,
    )


async def drop_logs(tx: Tx, network: str) -> None:
    """Forget what was read of a network that was not read to its end."""
    await tx.execute("DELETE FROM work_logs WHERE network = $1", network)


_HAPPENED = """
SELECT * FROM work_logs WHERE session_key IS NOT NULL
AND (session_key, network, block_number, log_index) > ($1, $2, $3, $4)
ORDER BY session_key, network, block_number, log_index LIMIT $5
"""


async def logs_of_sessions(tx: Tx) -> AsyncIterator[list[RawLog]]:
    """The logs about sessions, one session after the other, in parts."""
    place: tuple[bytes, str, int, int] = b"", "", 0, 0
    while rows := await tx.fetch(_HAPPENED, *place, model.ROWS_AT_ONCE):
        yield [raw_log(row) for row in rows]
        last = rows[-1]
        place = last["session_key"], last["network"], last["block_number"], last["log_index"]


def raw_log(row: asyncpg.Record) -> RawLog:
    """A row of logs as the log that it is."""
    topics = row["topics"]
    return RawLog(
        network=row["network"],
        block_number=row["block_number"],
        log_index=row["log_index"],
        tx_hash=row["tx_hash"],
        address=Address(row["address"]),
        topics=tuple(topics[at : at + _WORD] for at in range(0, len(topics), _WORD)),
        data=row["data"],
    )


# --- refunds --------------------------------------------------------------------------------------

_ADD_CLAIMS = """
INSERT INTO work_claims (session_id, network, tx_hash, token, sender, receiver, amount)
SELECT session_id, network, tx_hash, token, sender, receiver, amount
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[],
    $7::numeric[]) WITH ORDINALITY
    AS one (session_id, network, tx_hash, token, sender, receiver, amount, turn)
ORDER BY turn
"""


async def add_claims(tx: Tx, claims: Sequence[Claim]) -> None:
    await tx.execute(
        _ADD_CLAIMS,
        [one.session_id for one in claims],
        [one.network for one in claims],
        [one.tx_hash for one in claims],
        [one.token for one in claims],
        [one.sender for one in claims],
        [one.receiver for one in claims],
        [one.amount for one in claims],
    )


_UNPROVEN = """
SELECT DISTINCT tx_hash FROM work_claims c WHERE network = $1 AND tx_hash > $2 AND NOT EXISTS
    (SELECT FROM work_logs l WHERE l.network = $1 AND l.tx_hash = c.tx_hash AND is_transfer)
ORDER BY tx_hash LIMIT $3
"""


async def unproven(tx: Tx, network: str) -> AsyncIterator[list[bytes]]:
    """The transactions of which a refund is claimed and no transfer is there, in parts."""
    last = b""
    while rows := await tx.fetch(_UNPROVEN, network, last, model.ROWS_AT_ONCE):
        yield [row["tx_hash"] for row in rows]
        last = rows[-1]["tx_hash"]


_CLAIMED = """
SELECT DISTINCT network, tx_hash FROM work_claims WHERE (network, tx_hash) > ($1, $2)
ORDER BY network, tx_hash LIMIT $3
"""
_THEIRS = """
SELECT one.* FROM unnest($1::text[], $2::bytea[]) AS asked (network, tx_hash)
JOIN {} one USING (network, tx_hash)
"""


async def claims_and_transfers(tx: Tx) -> AsyncIterator[tuple[list[Claim], list[RawLog]]]:
    """Refunds that are said to be done, in the order of the claims, with the transfers of their
    transactions; all of a transaction at once."""
    network, tx_hash = "", b""
    while found := await tx.fetch(_CLAIMED, network, tx_hash, model.ROWS_AT_ONCE):
        network, tx_hash = found[-1]
        asked = [row["network"] for row in found], [row["tx_hash"] for row in found]
        claims = await tx.fetch(_THEIRS.format("work_claims") + " ORDER BY one.sequence", *asked)
        logs = await tx.fetch(_THEIRS.format("work_logs") + " WHERE is_transfer", *asked)
        yield [_claim(row) for row in claims], [raw_log(row) for row in logs]


def _claim(row: asyncpg.Record) -> Claim:
    return Claim(
        session_id=SessionId(row["session_id"]),
        network=row["network"],
        tx_hash=row["tx_hash"],
        token=Address(row["token"]),
        sender=Address(row["sender"]),
        receiver=Address(row["receiver"]),
        amount=int(row["amount"]),
    )


# --- sums -----------------------------------------------------------------------------------------

_ADD_SUMS = """
INSERT INTO work_sums (session_key, session_id, network, tx_hash, token_id, account, expected,
    booked)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[],
    $7::numeric[], $8::numeric[])
"""


async def add_sums(tx: Tx, sums: Sequence[Sum]) -> None:
    for start in range(0, len(sums), model.ROWS_AT_ONCE):
        part = sums[start : start + model.ROWS_AT_ONCE]
        await tx.execute(
            _ADD_SUMS,
            [one.session_key for one in part],
            [one.session_id for one in part],
            [one.network for one in part],
            [one.tx_hash for one in part],
            [one.token_id for one in part],
            [one.account for one in part],
            [one.expected for one in part],
            [one.booked for one in part],
        )


async def booked_networks(tx: Tx) -> set[str]:
    """The networks that the book has money on: token ids begin with their network's name."""
    rows = await tx.fetch("SELECT DISTINCT split_part(token_id, '::', 1) AS name FROM work_sums")
    return {row["name"] for row in rows}


async def leave_out(tx: Tx, session_keys: Sequence[bytes]) -> None:
    """Compare none of these sessions."""
    await tx.execute(
        "INSERT INTO work_left_out SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING",
        session_keys,
    )


_TOGETHER = """
WITH RECURSIVE together (session_key) AS (
    SELECT session_key FROM work_left_out
    UNION
    SELECT beside.session_key FROM together
    JOIN work_logs own USING (session_key)
    JOIN work_logs beside USING (network, tx_hash)
    WHERE beside.session_key IS NOT NULL
)
INSERT INTO work_left_out SELECT session_key FROM together ON CONFLICT DO NOTHING
"""


async def leave_out_together(tx: Tx) -> None:
    """Leave out, too, what shares a transaction with what is left out, and so on."""
    await tx.execute(_TOGETHER)
    await tx.execute("ANALYZE work_left_out")
    await tx.execute("ANALYZE work_sums")


async def count_sessions(tx: Tx) -> tuple[int, int]:
    """How many of those that were found on the chains are compared, and how many left out."""
    row = await tx.fetchrow(
        "SELECT count(DISTINCT l.session_key) AS found,"
        " count(DISTINCT o.session_key) AS left_out"
        " FROM work_logs l LEFT JOIN work_left_out o USING (session_key)"
    )
    assert row is not None
    return row["found"] - row["left_out"], row["left_out"]


# Those of whole accounts first.
_DIFFERENCES = """
SELECT count(*) OVER () AS number, session_id, token_id, account,
    sum(expected) AS expected, sum(booked) AS booked
FROM work_sums s
WHERE NOT split_part(token_id, '::', 1) = ANY($1) AND (network = ANY($1)) IS NOT TRUE
AND NOT EXISTS (SELECT FROM work_left_out o WHERE o.session_key = s.session_key)
AND NOT EXISTS (SELECT FROM work_logs l JOIN work_left_out o USING (session_key)
    WHERE l.network = s.network AND l.tx_hash = s.tx_hash)
GROUP BY GROUPING SETS ((token_id, account), (session_id, token_id, account))
HAVING sum(expected) <> sum(booked) AND (grouping(session_id) = 1 OR session_id IS NOT NULL)
ORDER BY session_id COLLATE "C" NULLS FIRST, token_id COLLATE "C", account COLLATE "C"
LIMIT $2
"""


async def differences(
    tx: Tx, unread: Collection[str], limit: int
) -> tuple[int, tuple[Difference, ...]]:
    """How many sums differ, of every account and of every session by itself, and the first of
    them; without what is left out and what is of ``unread`` networks."""
    rows = await tx.fetch(_DIFFERENCES, list(unread), limit)
    found = tuple(
        Difference(
            session_id=row["session_id"],
            token_id=row["token_id"],
            account=row["account"],
            expected=int(row["expected"]),
            booked=int(row["booked"]),
        )
        for row in rows
    )
    return (rows[0]["number"] if rows else 0), found
