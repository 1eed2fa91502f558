"""SQL of unmatched money. Decisions are append only; inflows and returns are never deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from gstable_server.chain.facts import RecoveryLog
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import InflowId, MerchantId, PaymentId, RefundId, SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.model import PaymentName
from gstable_server.sessions.unmatched.model import (
    Act,
    Decision,
    How,
    Inflow,
    Source,
    State,
    Total,
    Why,
)


def _inflow(row: asyncpg.Record) -> Inflow:
    return Inflow(
        inflow_id=InflowId(row["inflow_id"]),
        source=Source(row["source"]),
        network=row["network"],
        mode=Mode(row["mode"]),
        token=Address(row["token"]) if row["token"] else None,
        token_id=row["token_id"],
        decimals=row["decimals"],
        amount=int(row["amount"]),
        sender=Address(row["sender"]) if row["sender"] else None,
        receiver=Address(row["receiver"]),
        tx_hash=row["tx_hash"],
        log_position=row["log_position"],
        block_number=row["block_number"],
        arrived_at=row["arrived_at"],
        final=row["final"],
        flags=frozenset(Why(flag) for flag in row["flags"]),
        state=State(row["state"]),
        seen_at=row["seen_at"],
        session_id=SessionId(row["session_id"]) if row["session_id"] else None,
        payment_id=PaymentId(row["payment_id"]) if row["payment_id"] else None,
        merchant_id=MerchantId(row["merchant_id"]) if row["merchant_id"] else None,
        how=How(row["how"]) if row["how"] else None,
        collected=int(row["collected"]),
        returned=int(row["returned"]),
        refund_id=RefundId(row["refund_id"]) if row["refund_id"] else None,
        cause=row["cause"],
        resolved_at=row["resolved_at"],
    )


_INSERT = """
INSERT INTO inflows (inflow_id, source, network, mode, token, token_id, decimals, amount, sender,
    receiver, tx_hash, log_position, block_number, arrived_at, final, flags, state, seen_at,
    session_id, payment_id, merchant_id, how, collected, returned, resolved_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25)
"""


async def insert(tx: Tx, inflow: Inflow) -> None:
    await tx.execute(
        _INSERT,
        inflow.inflow_id,
        inflow.source,
        inflow.network,
        inflow.mode,
        inflow.token,
        inflow.token_id,
        inflow.decimals,
        inflow.amount,
        inflow.sender,
        inflow.receiver,
        inflow.tx_hash,
        inflow.log_position,
        inflow.block_number,
        inflow.arrived_at,
        inflow.final,
        sorted(inflow.flags),
        inflow.state,
        inflow.seen_at,
        inflow.session_id,
        inflow.payment_id,
        inflow.merchant_id,
        inflow.how,
        inflow.collected,
        inflow.returned,
        inflow.resolved_at,
    )


async def update(tx: Tx, inflow: Inflow) -> None:
    """Write what may change of an inflow whose lock is held."""
    await tx.execute(
        "UPDATE inflows SET amount = $2, block_number = $3, arrived_at = $4, final = $5, "
        "flags = $6, state = $7, how = $8, collected = $9, returned = $10, refund_id = $11, "
        "cause = $12, resolved_at = $13, merchant_id = $14 WHERE inflow_id = $1",
        inflow.inflow_id,
        inflow.amount,
        inflow.block_number,
        inflow.arrived_at,
        inflow.final,
        sorted(inflow.flags),
        inflow.state,
        inflow.how,
        inflow.collected,
        inflow.returned,
        inflow.refund_id,
        inflow.cause,
        inflow.resolved_at,
        inflow.merchant_id,
    )


async def find(tx: Tx, inflow_id: InflowId) -> Inflow | None:
    row = await tx.fetchrow("SELECT * FROM inflows WHERE inflow_id = $1", inflow_id)
    return _inflow(row) if row else None


async def of_session(tx: Tx, session_id: SessionId) -> list[Inflow]:
    """What came for a session, oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM inflows WHERE session_id = $1 ORDER BY sequence", session_id
    )
    return [_inflow(row) for row in rows]


async def lock(tx: Tx, inflow_id: InflowId) -> Inflow:
    """The inflow, held until the transaction ends; for ids that were read from the table."""
    row = await tx.fetchrow("SELECT * FROM inflows WHERE inflow_id = $1 FOR UPDATE", inflow_id)
    assert row is not None, "inflows are never deleted"
    return _inflow(row)


async def lock_named(tx: Tx, name: PaymentName) -> Inflow | None:
    """The inflow of one log."""
    row = await tx.fetchrow(
        "SELECT * FROM inflows WHERE network = $1 AND tx_hash = $2 AND log_position = $3 "
        "FOR UPDATE",
        *name,
    )
    return _inflow(row) if row else None


async def lock_of_sessions(
    tx: Tx, session_ids: Sequence[SessionId]
) -> dict[SessionId, list[Inflow]]:
    """What came for each session, in the order of the chain; coins, which have no block, last."""
    rows = await tx.fetch(
        "SELECT * FROM inflows WHERE session_id = ANY($1) "
        "ORDER BY network, block_number, tx_hash, log_position, sequence FOR UPDATE",
        list(session_ids),
    )
    found: dict[SessionId, list[Inflow]] = {session_id: [] for session_id in session_ids}
    for row in rows:
        inflow = _inflow(row)
        assert inflow.session_id is not None
        found[inflow.session_id].append(inflow)
    return found


_LOOK_AT = """
UPDATE inflows SET looked_at = $2 WHERE inflow_id IN (
    SELECT inflow_id FROM inflows WHERE state = 'resolving'
    ORDER BY looked_at NULLS FIRST, sequence LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING *
"""


async def lock_resolving(tx: Tx, limit: int) -> list[Inflow]:
    """What is being refunded or returned, those first that were not looked at for the longest
    time, so that all have their turn; what another worker holds is left to it."""
    rows = await tx.fetch(_LOOK_AT, limit, tx.now)
    return [_inflow(row) for row in sorted(rows, key=lambda row: row["sequence"])]


_UNJUDGED = """
SELECT inflow_id, session_id FROM inflows
WHERE state = 'open' AND final AND NOT judged AND source = 'payment' AND session_id IS NOT NULL
ORDER BY sequence LIMIT $1
"""


async def lock_unjudged(tx: Tx, limit: int) -> list[InflowId]:
    """Final payments that pay nothing as asked and that no policy was asked about yet; their
    sessions are locked, in one order for all."""
    rows = await tx.fetch(_UNJUDGED, limit)
    await tx.fetch(
        "SELECT 1 FROM sessions WHERE session_id = ANY($1) ORDER BY session_id FOR UPDATE",
        [row["session_id"] for row in rows],
    )
    # Another worker may have judged them while these locks were waited for.
    still = await tx.fetch(
        "SELECT inflow_id FROM inflows WHERE inflow_id = ANY($1) AND state = 'open'"
        " AND final AND NOT judged ORDER BY sequence",
        [row["inflow_id"] for row in rows],
    )
    return [InflowId(row["inflow_id"]) for row in still]


async def set_judged(tx: Tx, inflow_id: InflowId) -> None:
    await tx.execute("UPDATE inflows SET judged = true WHERE inflow_id = $1", inflow_id)


_PAGE = """
SELECT * FROM inflows WHERE {}
AND ($1::text IS NULL OR $1 = ANY(flags)) AND ($2::text IS NULL OR mode = $2)
AND ($3::text IS NULL OR merchant_id = $3 OR ($6 AND merchant_id IS NULL))
AND ($5::text IS NULL OR sequence < (SELECT sequence FROM inflows WHERE inflow_id = $5))
ORDER BY sequence DESC LIMIT $4
"""


async def page(
    tx: Tx,
    *,
    states: Sequence[State] | None,
    flag: Why | None,
    tenant: Tenant | None,
    nobodys: bool,
    limit: int,
    before: InflowId | None,
) -> list[Inflow]:
    """One page, newest first, of what came before ``before``. ``tenant``: only theirs, and with
    ``nobodys`` what is nobody's."""
    # By name, because a kept plan finds what waits in its index only if it says what that is.
    names = ", ".join(f"'{state.value}'" for state in states or State)
    rows = await tx.fetch(
        _PAGE.format(f"state IN ({names})"),
        flag,
        tenant.mode if tenant else None,
        tenant.merchant_id if tenant else None,
        limit,
        before,
        nobodys,
    )
    return [_inflow(row) for row in rows]


async def totals(tx: Tx) -> list[Total]:
    """What waits, by network and token."""
    rows = await tx.fetch(
        "SELECT network, token_id, max(decimals) AS decimals, count(*) AS many, "
        "sum(amount - collected - returned) AS amount FROM inflows "
        "WHERE state IN ('open', 'resolving') GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [
        Total(row["network"], row["token_id"], row["decimals"], row["many"], int(row["amount"]))
        for row in rows
    ]


# --- decisions ------------------------------------------------------------------------------------


async def insert_decision(tx: Tx, decision: Decision) -> None:
    await tx.execute(
        "INSERT INTO inflow_decisions (inflow_id, act, actor, reason, before, after, at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        decision.inflow_id,
        decision.act,
        decision.actor,
        decision.reason,
        decision.before,
        decision.after,
        decision.at,
    )


async def decisions(tx: Tx, inflow_id: InflowId) -> list[Decision]:
    """What was done about an inflow, oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM inflow_decisions WHERE inflow_id = $1 ORDER BY sequence", inflow_id
    )
    return [
        Decision(
            inflow_id=inflow_id,
            act=Act(row["act"]) if row["act"] else None,
            actor=row["actor"],
            reason=row["reason"],
            before=State(row["before"]),
            after=State(row["after"]),
            at=row["at"],
        )
        for row in rows
    ]


# --- what left ------------------------------------------------------------------------------------


async def put_return(tx: Tx, log: RecoveryLog, session_id: SessionId, *, stands: bool) -> None:
    """Remember that the log stands in a block, or does not any more."""
    await tx.execute(
        "INSERT INTO inflow_returns (network, tx_hash, log_position, session_id, token, amount, "
        "stands) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (network, tx_hash, log_position) DO UPDATE SET amount = $6, stands = $7",
        log.network,
        log.tx_hash,
        log.log_position,
        session_id,
        log.token,
        log.amount,
        stands,
    )


async def returned(
    tx: Tx, session_ids: Sequence[SessionId]
) -> dict[tuple[SessionId, str, Address], int]:
    """What went back from sessions' addresses, by session, network and token."""
    rows = await tx.fetch(
        "SELECT session_id, network, token, sum(amount) AS amount FROM inflow_returns "
        "WHERE session_id = ANY($1) AND stands GROUP BY 1, 2, 3",
        list(session_ids),
    )
    return {
        (SessionId(row["session_id"]), row["network"], Address(row["token"])): int(row["amount"])
        for row in rows
    }


# --- what has to be judged ------------------------------------------------------------------------

_CONCERNED = """
SELECT s.session_id FROM sessions s WHERE s.session_key = ANY($1) AND (
    EXISTS (SELECT 1 FROM payments p WHERE p.session_id = s.session_id AND p.flags <> '{}')
    OR EXISTS (SELECT 1 FROM inflows i WHERE i.session_id = s.session_id))
"""


async def concerned(tx: Tx, session_keys: Sequence[bytes]) -> list[SessionId]:
    """The sessions, among those that the chain knows by these keys, that have anything unusual."""
    rows = await tx.fetch(f"{_CONCERNED} ORDER BY 1", list(session_keys))
    return [SessionId(row["session_id"]) for row in rows]


_STRAYS = """
SELECT network, tx_hash, log_position FROM payments
JOIN unnest($1::text[], $2::bytea[], $3::integer[]) AS asked (network, tx_hash, log_position)
    USING (network, tx_hash, log_position) WHERE session_id IS NULL
"""


async def strays(tx: Tx, names: Sequence[PaymentName]) -> list[PaymentName]:
    """The payments among these that belong to no session."""
    columns: list[list[Any]] = [list(column) for column in zip(*names, strict=True)] or [[], [], []]
    rows = await tx.fetch(_STRAYS, *columns)
    return [(row["network"], row["tx_hash"], row["log_position"]) for row in rows]


async def known_sessions(tx: Tx, session_ids: Sequence[str]) -> list[SessionId]:
    """Those of these sessions that have an inflow."""
    rows = await tx.fetch(
        "SELECT DISTINCT session_id FROM inflows WHERE session_id = ANY($1) ORDER BY 1",
        list(session_ids),
    )
    return [SessionId(row["session_id"]) for row in rows]
