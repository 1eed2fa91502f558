"""SQL of what happened around a session besides its payments and events, so many of each."""

from __future__ import annotations

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.lists.model import Asking, Step, StepKind

MANY = 50
_STEPS = f"""
(SELECT 'signed' AS kind, signed_at AS at, network, token_id AS what, way AS how, payer AS wallet,
    NULL::numeric AS amount FROM session_orders WHERE session_id = $1
    ORDER BY order_number LIMIT {MANY})
UNION ALL (SELECT 'relayed', authorized_at, NULL, cause, NULL, NULL, NULL
    FROM session_authorizations WHERE session_id = $1 LIMIT {MANY})
UNION ALL (SELECT 'address', created_at, NULL, NULL, NULL, address, NULL
    FROM deposits WHERE session_id = $1)
UNION ALL (SELECT 'balance', seen_at, network, NULL, NULL, token, balance
    FROM deposit_sightings WHERE session_id = $1 ORDER BY sequence DESC LIMIT {MANY})
UNION ALL (SELECT 'collecting', staged_at, network, NULL, NULL, token, amount
    FROM deposit_sweeps WHERE session_id = $1 ORDER BY sequence DESC LIMIT {MANY})
UNION ALL (SELECT 'returning', staged_at, network, NULL, NULL, token, NULL
    FROM deposit_recoveries WHERE session_id = $1 LIMIT {MANY})
UNION ALL (SELECT 'instructed', created_at, network, kind, state, NULL, amount
    FROM hold_instructions WHERE session_id = $1 ORDER BY sequence DESC LIMIT {MANY})
ORDER BY at
"""  # noqa: S608 - a number


async def steps(tx: Tx, session_id: SessionId) -> list[Step]:
    """What was asked for and done, oldest first."""
    rows = await tx.fetch(_STEPS, session_id)
    return [
        Step(
            kind=StepKind(row["kind"]),
            at=row["at"],
            network=row["network"] or "",
            asking=Asking(row["what"] or "", row["how"] or ""),
            wallet=Address(row["wallet"]) if row["wallet"] else None,
            amount=int(row["amount"]) if row["amount"] is not None else None,
        )
        for row in rows
    ]
