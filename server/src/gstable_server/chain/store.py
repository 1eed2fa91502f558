"""The chain as far as it was read: blocks, facts, and the logs that are still being watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gstable_server.chain.facts import (
    ChainLog,
    Fact,
    FactWhat,
    log_from_json,
    log_to_json,
    to_payload,
)
from gstable_server.chain.rpc import Header
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.plumbing import tracing
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event


@dataclass(frozen=True, slots=True)
class Block:
    """A block that was read: everything in it up to here is in ``chain_facts``."""

    number: int
    hash: bytes
    parent_hash: bytes
    time: datetime


async def lock(tx: Tx, network: str) -> bool:
    """Become the only writer of this network until the transaction ends; False if there is one."""
    return bool(
        await tx.fetchval(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('chain:' || $1, 0))", network
        )
    )


async def tip(tx: Tx, network: str) -> Block | None:
    """The newest block that was read; None before the first."""
    row = await tx.fetchrow(
        "SELECT number, hash, parent_hash, block_time FROM chain_blocks"
        " WHERE network = $1 ORDER BY number DESC LIMIT 1",
        network,
    )
    return Block(*row) if row else None


async def lowest(tx: Tx, network: str) -> int | None:
    """The number of the oldest block that is kept."""
    number: int | None = await tx.fetchval(
        "SELECT min(number) FROM chain_blocks WHERE network = $1", network
    )
    return number


async def hashes(tx: Tx, network: str, numbers: Sequence[int]) -> dict[int, bytes]:
    """The hashes of those of ``numbers`` that are kept."""
    rows = await tx.fetch(
        "SELECT number, hash FROM chain_blocks WHERE network = $1 AND number = ANY($2)",
        network,
        list(numbers),
    )
    return {row["number"]: row["hash"] for row in rows}


async def add_blocks(tx: Tx, network: str, headers: Sequence[Header], keep: int) -> None:
    """Move the frontier to the last of ``headers``; forget blocks more than ``keep`` below."""
    await tx.execute(
        "WITH forgotten AS (DELETE FROM chain_blocks WHERE network = $1 AND number < $6)"
        " INSERT INTO chain_blocks (network, number, hash, parent_hash, block_time)"
        " SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::timestamptz[])",
        network,
        [header.number for header in headers],
        [header.hash for header in headers],
        [header.parent_hash for header in headers],
        [from_unix_seconds(header.timestamp) for header in headers],
        headers[-1].number - keep,
    )


async def drop_blocks(tx: Tx, network: str, above: int) -> None:
    """Move the frontier back to block ``above``: those after it left the chain."""
    await tx.execute("DELETE FROM chain_blocks WHERE network = $1 AND number > $2", network, above)


async def known_logs(
    tx: Tx, network: str, tx_hashes: Sequence[bytes]
) -> list[tuple[FactWhat, ChainLog]]:
    """What is known of the logs in these transactions: the last fact about each."""
    # One step in the index for each: a plan that is made before there are facts reads all of them.
    rows = await tx.fetch(
        "SELECT what, body FROM unnest($2::bytea[]) AS asked (tx_hash) CROSS JOIN LATERAL ("
        "SELECT DISTINCT ON (log_position) what, body FROM chain_facts"
        " WHERE network = $1 AND chain_facts.tx_hash = asked.tx_hash"
        " ORDER BY log_position, fact_number DESC) last",
        network,
        list(tx_hashes),
    )
    return [(FactWhat(row["what"]), log_from_json(row["body"])) for row in rows]


async def has_final(tx: Tx, network: str, above: int) -> bool:
    """Whether a log of a block that was read after block ``above`` was told as final."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT 1 FROM chain_facts AS fact JOIN chain_blocks AS block"
            " ON block.network = fact.network AND block.number = fact.block_number"
            " AND block.hash = fact.block_hash"
            " WHERE fact.network = $1 AND fact.block_number > $2 AND fact.what = $3)",
            network,
            above,
            FactWhat.FINAL.value,
        )
    )


async def watched(tx: Tx, network: str, first: int, last: int) -> list[tuple[FactWhat, ChainLog]]:
    """The logs of the blocks ``first`` to ``last`` that are neither final nor lost yet."""
    rows = await tx.fetch(
        "SELECT state, body FROM chain_watched"
        " WHERE network = $1 AND block_number BETWEEN $2 AND $3"
        " ORDER BY block_number, tx_hash, log_position",
        network,
        first,
        last,
    )
    return [(FactWhat(row["state"]), log_from_json(row["body"])) for row in rows]


async def add_facts(tx: Tx, facts: Sequence[Fact]) -> None:
    """Record ``facts``, keep the watch list in step, and tell each as an event."""
    if not facts:
        return
    payloads = [to_payload(fact) for fact in facts]
    await _insert_facts(tx, facts, [payload["log"] for payload in payloads])
    newest = {_name(fact.log): fact for fact in facts}.values()
    waiting = FactWhat.SEEN, FactWhat.REORGED
    await _watch(tx, [fact for fact in newest if fact.what in waiting])
    # What is told at once was never watched.
    ends = [fact.log for fact in newest if fact.what not in waiting and not fact.at_once]
    await _unwatch(tx, ends)
    for fact, payload in zip(facts, payloads, strict=True):
        log = fact.log
        with tracing.span(f"index {fact.event_type}", network=log.network, block=log.block_number):
            tx.tell(Event(fact.event_type, log.subject, payload))


_INSERT_FACTS = """
INSERT INTO chain_facts
    (network, kind, what, tx_hash, log_position, block_number, block_hash, body, recorded_at)
SELECT network, kind, what, tx_hash, log_position, block_number, block_hash, body, $9
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::integer[], $6::bigint[],
    $7::bytea[], $8::jsonb[]) WITH ORDINALITY
    AS new (network, kind, what, tx_hash, log_position, block_number, block_hash, body, place)
ORDER BY place
"""


async def _insert_facts(tx: Tx, facts: Sequence[Fact], bodies: Sequence[Mapping[str, Any]]) -> None:
    await tx.execute(
        _INSERT_FACTS,
        [fact.log.network for fact in facts],
        [fact.log.kind.value for fact in facts],
        [fact.what.value for fact in facts],
        [fact.log.tx_hash for fact in facts],
        [fact.log.log_position for fact in facts],
        [fact.log.block_number for fact in facts],
        [fact.log.block_hash for fact in facts],
        bodies,
        tx.now,
    )


async def _watch(tx: Tx, facts: Sequence[Fact]) -> None:
    if not facts:
        return
    await tx.execute(
        "INSERT INTO chain_watched"
        " (network, tx_hash, log_position, block_number, block_hash, state, body)"
        " SELECT * FROM unnest($1::text[], $2::bytea[], $3::integer[], $4::bigint[], $5::bytea[],"
        " $6::text[], $7::jsonb[])"
        " ON CONFLICT (network, tx_hash, log_position) DO UPDATE SET block_number ="
        " excluded.block_number, block_hash = excluded.block_hash, state = excluded.state,"
        " body = excluded.body",
        *_names([fact.log for fact in facts]),
        [fact.log.block_number for fact in facts],
        [fact.log.block_hash for fact in facts],
        [fact.what.value for fact in facts],
        [log_to_json(fact.log) for fact in facts],
    )


async def _unwatch(tx: Tx, logs: Sequence[ChainLog]) -> None:
    if not logs:
        return
    await tx.execute(
        "DELETE FROM chain_watched WHERE (network, tx_hash, log_position) IN"
        " (SELECT * FROM unnest($1::text[], $2::bytea[], $3::integer[]))",
        *_names(logs),
    )


def _names(logs: Sequence[ChainLog]) -> tuple[list[Any], ...]:
    """The three columns that name ``logs``, one list each."""
    networks, tx_hashes, positions = zip(*(_name(log) for log in logs), strict=True)
    return list(networks), list(tx_hashes), list(positions)


def _name(log: ChainLog) -> tuple[Any, ...]:
    return log.network, log.tx_hash, log.log_position


async def watch_transfer(tx: Tx, network: str, sender: Address) -> None:
    """One reason more to read the token transfers of ``sender``."""
    await tx.execute(
        "INSERT INTO chain_transfer_watches AS known (network, sender, count) VALUES ($1, $2, 1)"
        " ON CONFLICT (network, sender) DO UPDATE SET count = known.count + 1",
        network,
        sender,
    )


async def unwatch_transfer(tx: Tx, network: str, sender: Address) -> None:
    """One reason less; without any, the row is gone."""
    left = await tx.fetchval(
        "UPDATE chain_transfer_watches SET count = count - 1"
        " WHERE network = $1 AND sender = $2 RETURNING count",
        network,
        sender,
    )
    assert left is not None, "what is not watched is not given up"
    await tx.execute(
        "DELETE FROM chain_transfer_watches WHERE network = $1 AND sender = $2 AND count = 0",
        network,
        sender,
    )


async def watch_receiver(tx: Tx, network: str, receiver: Address, until: datetime) -> None:
    """Read transfers to ``receiver`` at least until then."""
    await tx.execute(
        "INSERT INTO chain_receiver_watches AS known (network, receiver, until)"
        " VALUES ($1, $2, $3) ON CONFLICT (network, receiver)"
        " DO UPDATE SET until = greatest(known.until, $3)",
        network,
        receiver,
        until,
    )


async def unwatch_receivers(tx: Tx, network: str, read_until: datetime, limit: int) -> int:
    """Forget up to ``limit`` receivers whose time was over then; returns how many."""
    rows = await tx.fetch(
        "DELETE FROM chain_receiver_watches WHERE network = $1 AND receiver = ANY(ARRAY("
        "SELECT receiver FROM chain_receiver_watches WHERE network = $1 AND until <= $2"
        " ORDER BY until LIMIT $3 FOR UPDATE SKIP LOCKED)) AND until <= $2 RETURNING receiver",
        network,
        read_until,
        limit,
    )
    return len(rows)


async def read_until(tx: Tx) -> dict[str, datetime]:
    """By network the time of the oldest block that is kept: it is final, and so are those before,
    all of which were read."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (network) network, block_time FROM chain_blocks"
        " ORDER BY network, number"
    )
    return {row["network"]: row["block_time"] for row in rows}


async def count_spam(tx: Tx, network: str, receiver: Address, day: date, more: int) -> int:
    """So many transfers more to ``receiver`` that are worth nothing; returns how many there were
    on that day before."""
    count: int = await tx.fetchval(
        "INSERT INTO chain_spam AS known (network, receiver, day, count) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (network, receiver, day) DO UPDATE SET count = known.count + $4"
        " RETURNING count",
        network,
        receiver,
        day,
        more,
    )
    return count - more


async def watched_addresses(tx: Tx, network: str) -> tuple[frozenset[Address], frozenset[Address]]:
    """Whose token transfers are read, and to whom transfers are read besides those to our
    contracts; both as of the same moment."""
    row = await tx.fetchrow(
        "SELECT ARRAY(SELECT sender FROM chain_transfer_watches WHERE network = $1) AS senders,"
        " ARRAY(SELECT receiver FROM chain_receiver_watches WHERE network = $1) AS receivers",
        network,
    )
    assert row is not None, "such a SELECT always answers"
    senders, receivers = map(Address, row["senders"]), map(Address, row["receivers"])
    return frozenset(senders), frozenset(receivers)
