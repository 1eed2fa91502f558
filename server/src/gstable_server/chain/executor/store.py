"""Intents, nonces and attempts in SQL.

Locks are taken in one order, account before intent, so that no two transactions wait for each
other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gstable_server.chain.executor.machine import IN_FLIGHT, UNMINED
from gstable_server.chain.executor.model import (
    Attempt,
    Flight,
    Funds,
    Inclusion,
    Intent,
    IntentView,
    Queued,
    Reservation,
    Sender,
    State,
)
from gstable_server.chain.orders import ContractCall
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Tx

# --- wanting and looking -------------------------------------------------------------------


async def insert(tx: Tx, intent: Intent) -> bool:
    """Store a queued intent, due at once; False when its cause has one already."""
    done = await tx.execute(
        "INSERT INTO executor_intents (cause, network, sender, call_to, call_data, call_value,"
        " purpose, subject, deadline, state, due_at, created_at, moved_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $10, $10)"
        " ON CONFLICT (cause) DO NOTHING",
        intent.cause,
        intent.network,
        intent.sender,
        intent.call.to,
        intent.call.data,
        intent.call.value,
        intent.purpose,
        intent.subject,
        intent.deadline,
        tx.now,
    )
    return done == "INSERT 0 1"


async def find(tx: Tx, cause: str) -> IntentView | None:
    row = await tx.fetchrow("SELECT * FROM executor_intents WHERE cause = $1", cause)
    return _view(row) if row else None


async def find_all(tx: Tx, causes: Sequence[str]) -> list[IntentView]:
    """The intents with these causes, those that are unknown left out."""
    rows = await tx.fetch("SELECT * FROM executor_intents WHERE cause = ANY($1)", list(causes))
    return [_view(row) for row in rows]


async def lock(tx: Tx, cause: str) -> IntentView | None:
    """The intent, not to be moved by anybody else until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM executor_intents WHERE cause = $1 FOR UPDATE", cause)
    return _view(row) if row else None


async def lock_all(tx: Tx, causes: Sequence[str]) -> list[IntentView]:
    """The same of several, those that are unknown left out."""
    rows = await tx.fetch(
        "SELECT * FROM executor_intents WHERE cause = ANY($1) ORDER BY cause FOR UPDATE",
        list(causes),
    )
    return [_view(row) for row in rows]


async def list_open(tx: Tx, limit: int) -> list[IntentView]:
    """Intents without an outcome, the oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM executor_intents WHERE state = ANY($1) ORDER BY sequence LIMIT $2",
        [State.QUEUED, *IN_FLIGHT],
        limit,
    )
    return [_view(row) for row in rows]


async def due(tx: Tx, network: str, sender: Sender, limit: int) -> list[Queued]:
    """Queued intents that are to be looked at now, in the order in which they became due."""
    rows = await tx.fetch(
        "SELECT * FROM executor_intents"
        " WHERE network = $1 AND sender = $2 AND state = 'queued' AND due_at <= $3"
        " ORDER BY due_at, sequence LIMIT $4",
        network,
        sender,
        tx.now,
        limit,
    )
    return [Queued(_intent(row), row["problem"], row["tries"]) for row in rows]


async def senders_due(tx: Tx) -> set[tuple[str, str]]:
    """The (network, sender) pairs that have intents to be looked at now."""
    rows = await tx.fetch(
        "SELECT DISTINCT network, sender FROM executor_intents"
        " WHERE state = 'queued' AND due_at <= $1",
        tx.now,
    )
    return {(row["network"], row["sender"]) for row in rows}


async def in_flight(tx: Tx, network: str, sender: Sender) -> list[Flight]:
    """Everything signed without an outcome, by its nonce, with all attempts of that nonce."""
    rows = await tx.fetch(
        "SELECT * FROM executor_intents"
        " WHERE network = $1 AND sender = $2 AND state IN ('signed', 'sent', 'repriced', 'mined')"
        " ORDER BY nonce",
        network,
        sender,
    )
    attempts = await _attempts(tx, [row["cause"] for row in rows]) if rows else {}
    return [_flight(row, attempts[row["cause"], row["nonce"]]) for row in rows]


async def _attempts(tx: Tx, causes: list[str]) -> dict[tuple[str, int], list[Attempt]]:
    rows = await tx.fetch(
        "SELECT * FROM executor_attempts WHERE cause = ANY($1) ORDER BY attempt_number", causes
    )
    found: dict[tuple[str, int], list[Attempt]] = defaultdict(list)
    for row in rows:
        found[row["cause"], row["nonce"]].append(
            Attempt(
                tx_hash=row["tx_hash"],
                raw=row["raw"],
                gas=row["gas"],
                fee=int(row["fee"]),
                tip=int(row["tip"]),
                head=row["head"],
                signed_at=row["signed_at"],
            )
        )
    return found


async def backlog(tx: Tx) -> list[tuple[str, str, int, datetime]]:
    """By network and sender: how many intents are without an outcome, and since when the oldest
    has been wanted."""
    rows = await tx.fetch(
        "SELECT network, sender, count(*) AS open, min(created_at) AS since FROM ("
        "SELECT network, sender, created_at FROM executor_intents WHERE state = 'queued'"
        " UNION ALL SELECT network, sender, created_at FROM executor_intents"
        " WHERE state IN ('signed', 'sent', 'repriced', 'mined')) each"
        " GROUP BY network, sender ORDER BY network, sender"
    )
    return [(row["network"], row["sender"], row["open"], row["since"]) for row in rows]


# --- nonces and attempts -------------------------------------------------------------------


async def lock_account(tx: Tx, network: str, account: Address) -> None:
    """Let one transaction at a time take nonces of this account."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        f"executor:{network}:{account.hex()}",
    )


async def reserved(tx: Tx, network: str, account: Address, least: int) -> set[int]:
    """The nonces from ``least`` on that were ever reserved for an intent of ours."""
    rows = await tx.fetch(
        "SELECT nonce FROM executor_nonces WHERE network = $1 AND account = $2 AND nonce >= $3",
        network,
        account,
        least,
    )
    return {row["nonce"] for row in rows}


async def lacks_final(tx: Tx, network: str, account: Address, mined: int) -> bool:
    """Whether a transaction that was final has a nonce of ``mined`` or above."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT 1 FROM executor_nonces n"
            # By its cause, because there is no index of intents by their nonces.
            " JOIN executor_intents i USING (cause, network, account, nonce)"
            " WHERE n.network = $1 AND n.account = $2 AND n.nonce >= $3"
            " AND i.state IN ('final', 'failed'))",
            network,
            account,
            mined,
        )
    )


async def committed(tx: Tx, network: str, account: Address) -> int:
    """What the transactions that may wait in pools could cost, in the smallest native unit."""
    cost = await tx.fetchval(
        "SELECT coalesce(sum(a.gas * a.fee + i.call_value), 0) FROM executor_intents i"
        " JOIN executor_attempts a USING (network, tx_hash)"
        # UNMINED, by name: a kept plan finds no part of an index by what it is only told later.
        " WHERE i.network = $1 AND i.account = $2 AND i.state IN ('signed', 'sent', 'repriced')",
        network,
        account,
    )
    return int(cost)


async def reserve(tx: Tx, intent: Intent, reservation: Reservation) -> None:
    """Give the nonce to the intent for good. The caller holds the account's lock."""
    await tx.execute(
        "INSERT INTO executor_nonces (network, account, nonce, cause, reserved_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        intent.network,
        reservation.account,
        reservation.nonce,
        intent.cause,
        tx.now,
    )


async def add_attempt(
    tx: Tx, intent: Intent, reservation: Reservation, attempt: Attempt, state: State
) -> None:
    """Keep what was signed, and move the locked intent to ``state`` with it."""
    await tx.execute(
        "INSERT INTO executor_attempts"
        " (cause, network, account, nonce, tx_hash, raw, gas, fee, tip, head, signed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        intent.cause,
        intent.network,
        reservation.account,
        reservation.nonce,
        attempt.tx_hash,
        attempt.raw,
        attempt.gas,
        attempt.fee,
        attempt.tip,
        attempt.head,
        attempt.signed_at,
    )
    await tx.execute(
        "UPDATE executor_intents SET state = $2, account = $3, nonce = $4, tx_hash = $5,"
        " problem = NULL, tries = 0, moved_at = $6 WHERE cause = $1",
        intent.cause,
        state,
        reservation.account,
        reservation.nonce,
        attempt.tx_hash,
        tx.now,
    )


async def add_replacement(
    tx: Tx, intent: Intent, reservation: Reservation, spent: tuple[bytes, int, bytes]
) -> None:
    """Keep the proof that a foreign transaction used the nonce: its hash, block number and hash."""
    await tx.execute(
        "INSERT INTO executor_replacements"
        " (network, account, nonce, cause, tx_hash, block_number, block_hash, found_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        intent.network,
        reservation.account,
        reservation.nonce,
        intent.cause,
        *spent,
        tx.now,
    )


# --- moving a locked intent ----------------------------------------------------------------


async def move(tx: Tx, cause: str, state: State, problem: str | None) -> None:
    """Within the same reservation, in no block."""
    await tx.execute(
        "UPDATE executor_intents SET state = $2, problem = $3, moved_at = $4, mined_hash = NULL,"
        " block_number = NULL, block_hash = NULL, succeeded = NULL WHERE cause = $1",
        cause,
        state,
        problem,
        tx.now,
    )


async def include(
    tx: Tx, cause: str, state: State, included: Inclusion, problem: str | None
) -> None:
    """To a state with a block."""
    await tx.execute(
        "UPDATE executor_intents SET state = $2, problem = $3, moved_at = $4, mined_hash = $5,"
        " block_number = $6, block_hash = $7, succeeded = $8 WHERE cause = $1",
        cause,
        state,
        problem,
        tx.now,
        included.tx_hash,
        included.block_number,
        included.block_hash,
        included.succeeded,
    )


async def postpone(tx: Tx, cause: str, problem: str, tries: int, due_at: datetime) -> None:
    """Back to the queue without a reservation, or still there, until ``due_at``."""
    await tx.execute(
        "UPDATE executor_intents SET state = 'queued', problem = $2, due_at = $3,"
        " tries = $4, account = NULL, nonce = NULL, tx_hash = NULL, moved_at = $5"
        " WHERE cause = $1",
        cause,
        problem,
        due_at,
        tries,
        tx.now,
    )


async def note(tx: Tx, cause: str, problem: str) -> None:
    """Say why an intent in flight waits; its state stays."""
    await tx.execute(
        "UPDATE executor_intents SET problem = $2"
        " WHERE cause = $1 AND problem IS DISTINCT FROM $2 AND state = ANY($3)",
        cause,
        problem,
        list(UNMINED),
    )


async def look_again(tx: Tx, network: str, sender: str) -> None:
    """Make every postponed intent of a sender due now: the chain's state has changed."""
    await tx.execute(
        "UPDATE executor_intents SET due_at = $3 WHERE network = $1 AND sender = $2"
        " AND state = 'queued' AND due_at > $3",
        network,
        sender,
        tx.now,
    )


# --- funds ---------------------------------------------------------------------------------


async def save_funds(tx: Tx, funds: Funds) -> None:
    await tx.execute(
        "INSERT INTO executor_funds (network, sender, account, balance, enough, seen_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (network, sender)"
        " DO UPDATE SET account = $3, balance = $4, enough = $5, seen_at = $6",
        funds.network,
        funds.sender,
        funds.account,
        funds.balance,
        funds.enough,
        funds.seen_at,
    )


async def list_funds(tx: Tx) -> list[Funds]:
    rows = await tx.fetch("SELECT * FROM executor_funds ORDER BY network, sender")
    return [
        Funds(
            network=row["network"],
            sender=Sender(row["sender"]),
            account=Address(row["account"]),
            balance=int(row["balance"]),
            enough=row["enough"],
            seen_at=row["seen_at"],
        )
        for row in rows
    ]


# --- rows ----------------------------------------------------------------------------------


def _intent(row: Any) -> Intent:
    return Intent(
        cause=row["cause"],
        network=row["network"],
        sender=Sender(row["sender"]),
        call=_call(row),
        purpose=row["purpose"],
        subject=row["subject"],
        deadline=row["deadline"],
    )


def _call(row: Any) -> ContractCall:
    return ContractCall(Address(row["call_to"]), row["call_data"], int(row["call_value"]))


def _reservation(row: Any) -> Reservation | None:
    return Reservation(Address(row["account"]), row["nonce"]) if row["account"] else None


def _included(row: Any) -> Inclusion | None:
    if row["block_hash"] is None:
        return None
    return Inclusion(row["mined_hash"], row["block_number"], row["block_hash"], row["succeeded"])


def _view(row: Any) -> IntentView:
    return IntentView(
        intent=_intent(row),
        state=State(row["state"]),
        reservation=_reservation(row),
        tx_hash=row["mined_hash"] or row["tx_hash"],
        included=_included(row),
        problem=row["problem"],
        tries=row["tries"],
        created_at=row["created_at"],
        moved_at=row["moved_at"],
    )


def _flight(row: Any, attempts: Sequence[Attempt]) -> Flight:
    reservation = _reservation(row)
    assert reservation is not None, "the table's own check: what is signed has a nonce"
    return Flight(
        cause=row["cause"],
        state=State(row["state"]),
        call=_call(row),
        reservation=reservation,
        included=_included(row),
        problem=row["problem"],
        attempts=tuple(attempts),
    )
