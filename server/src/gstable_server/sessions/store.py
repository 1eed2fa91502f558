"""SQL of sessions and their orders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from gstable_server.catalog.wire import line_items_from_json, line_items_to_json
from gstable_server.chain.facts import RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import (
    AccountId,
    ClientCode,
    MerchantId,
    ReceiptId,
    SessionId,
)
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.routing.model import FeeModel, Way
from gstable_server.sessions.attested import AttestedAmounts, AttestedFor, AttestedOrder
from gstable_server.sessions.model import (
    BusinessType,
    CaptureMethod,
    Preset,
    Session,
    SessionState,
    SessionType,
)

_INSERT = """
INSERT INTO sessions (session_id, session_key, merchant_id, mode, session_type, business_type,
    business_id, client_code, account_id, recipient, settlement_token, fee_model, amount,
    line_items, payer_email_required, payer_email, success_url, metadata, capture_method,
    expires_at, state, created_at, preset_payer, preset_token, networks)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
    $20, $21, $22, $23, $24, $25)
"""


async def insert(tx: Tx, session: Session) -> None:
    await tx.write(
        _INSERT,
        session.session_id,
        session.session_key,
        session.tenant.merchant_id,
        session.tenant.mode,
        session.session_type,
        session.business_type,
        session.business_id,
        session.client_code,
        session.account_id,
        session.recipient,
        session.settlement_token,
        session.fee_model,
        session.amount,
        line_items_to_json(session.line_items),
        session.payer_email_required,
        session.payer_email,
        session.success_url,
        session.metadata,
        session.capture_method,
        session.expires_at,
        session.state,
        session.created_at,
        session.preset.payer if session.preset else None,
        session.preset.token_id if session.preset else None,
        sorted(session.networks) if session.networks is not None else None,
    )


def _session(row: asyncpg.Record) -> Session:
    return Session(
        session_id=SessionId(row["session_id"]),
        session_key=row["session_key"],
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        session_type=SessionType(row["session_type"]),
        business_type=BusinessType(row["business_type"]),
        business_id=row["business_id"],
        client_code=ClientCode(row["client_code"]),
        account_id=AccountId(row["account_id"]),
        recipient=Address(row["recipient"]),
        settlement_token=row["settlement_token"],
        fee_model=FeeModel(row["fee_model"]),
        amount=MicroUsd(row["amount"]),
        line_items=line_items_from_json(row["line_items"]),
        payer_email_required=row["payer_email_required"],
        payer_email=row["payer_email"],
        success_url=row["success_url"],
        metadata=row["metadata"],
        capture_method=CaptureMethod(row["capture_method"]),
        preset=_preset(row),
        networks=frozenset(row["networks"]) if row["networks"] is not None else None,
        expires_at=row["expires_at"],
        state=SessionState(row["state"]),
        signed_once=row["signed_once"],
        receipt_id=ReceiptId(row["receipt_id"]) if row["receipt_id"] else None,
        created_at=row["created_at"],
        paid_at=row["paid_at"],
        completed_at=row["completed_at"],
    )


def _preset(row: asyncpg.Record) -> Preset | None:
    if row["preset_payer"] is None:
        return None
    return Preset(Address(row["preset_payer"]), row["preset_token"])


async def find(tx: Tx, session_id: str) -> Session | None:
    row = await tx.fetchrow("SELECT * FROM sessions WHERE session_id = $1", session_id)
    return _session(row) if row else None


async def find_all(tx: Tx, session_ids: Sequence[SessionId]) -> list[Session]:
    """Those of these sessions that exist, in no order."""
    rows = await tx.fetch("SELECT * FROM sessions WHERE session_id = ANY($1)", list(session_ids))
    return [_session(row) for row in rows]


async def lock(tx: Tx, session_id: str) -> Session | None:
    """The session, held until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM sessions WHERE session_id = $1 FOR UPDATE", session_id)
    return _session(row) if row else None


async def lock_by_keys(tx: Tx, session_keys: Sequence[bytes]) -> list[Session]:
    """The sessions that the chain knows by ``session_keys``, held until the transaction ends.
    Locked in one order, so that no two transactions wait for each other."""
    rows = await tx.fetch(
        "SELECT * FROM sessions WHERE session_key = ANY($1) ORDER BY session_id FOR UPDATE",
        list(session_keys),
    )
    return [_session(row) for row in rows]


async def lock_all(tx: Tx, session_ids: Sequence[SessionId]) -> list[Session]:
    """Sessions by their ids, held until the transaction ends, locked in one order."""
    rows = await tx.fetch(
        "SELECT * FROM sessions WHERE session_id = ANY($1) ORDER BY session_id FOR UPDATE",
        list(session_ids),
    )
    return [_session(row) for row in rows]


async def lock_due(tx: Tx, limit: int) -> list[Session]:
    """Open sessions whose time is over; those that another worker holds are left to it."""
    rows = await tx.fetch(
        "SELECT * FROM sessions WHERE state = 'initialized' AND expires_at <= $1 "
        "ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        tx.now,
        limit,
    )
    return [_session(row) for row in rows]


async def page(
    tx: Tx, tenant: Tenant, state: SessionState | None, limit: int, offset: int
) -> tuple[int, list[Session]]:
    """How many sessions there are, and one page of them, newest first."""
    # A kept plan of one statement for both would read the sessions of all states.
    where = "merchant_id = $1 AND mode = $2"
    values: list[Any] = [tenant.merchant_id, tenant.mode]
    if state is not None:
        where += " AND state = $3"
        values.append(state)
    total = await tx.fetchval(f"SELECT count(*) FROM sessions WHERE {where}", *values)  # noqa: S608
    rows = await tx.fetch(
        f"SELECT * FROM sessions WHERE {where} ORDER BY sequence DESC"  # noqa: S608
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        offset,
    )
    return total, [_session(row) for row in rows]


async def count_by_state(tx: Tx, tenant: Tenant) -> dict[SessionState, int]:
    """How many sessions there are in each state that has any."""
    rows = await tx.fetch(
        "SELECT state, count(*) AS many FROM sessions"
        " WHERE merchant_id = $1 AND mode = $2 GROUP BY state",
        tenant.merchant_id,
        tenant.mode,
    )
    return {SessionState(row["state"]): row["many"] for row in rows}


_MOVE = """
UPDATE sessions SET state = moved.state, signed_once = moved.signed_once,
    payer_email = moved.payer_email, receipt_id = moved.receipt_id, paid_at = moved.paid_at,
    completed_at = moved.completed_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[],
    $7::timestamptz[], $8::timestamptz[])
    AS moved (session_id, before, state, signed_once, payer_email, receipt_id, paid_at,
        completed_at)
WHERE sessions.session_id = moved.session_id AND sessions.state = moved.before
"""


async def owners(
    tx: Tx, session_keys: Sequence[bytes], session_ids: Sequence[str]
) -> list[tuple[SessionId, bytes, MerchantId]]:
    """Identifier, key and merchant of these sessions."""
    rows = await tx.fetch(
        "SELECT session_id, session_key, merchant_id FROM sessions"
        " WHERE session_key = ANY($1) OR session_id = ANY($2)",
        session_keys,
        session_ids,
    )
    return [
        (SessionId(row["session_id"]), row["session_key"], MerchantId(row["merchant_id"]))
        for row in rows
    ]


async def unsettled(tx: Tx) -> list[tuple[SessionState, int, datetime | None]]:
    """Of every merchant: how many sessions are paid and not settled, by state, and since when the
    oldest has been paid."""
    rows = await tx.fetch(
        "SELECT state, count(*) AS number, min(paid_at) AS since FROM sessions"
        " WHERE state IN ('paid', 'settling', 'settlement_pending') GROUP BY state"
    )
    return [(SessionState(row["state"]), row["number"], row["since"]) for row in rows]


async def move(tx: Tx, old: Session, new: Session) -> None:
    """Write what may change of a session, if it still is in the state that was decided on."""
    await move_all(tx, [(old, new)])


async def move_all(tx: Tx, moves: Sequence[tuple[Session, Session]]) -> None:
    """The same of several, each as it was and as it is to be."""
    # In one statement with an order that was signed: a request waits for each of them.
    done = await tx.execute_beside(
        _MOVE,
        [old.session_id for old, _ in moves],
        [old.state for old, _ in moves],
        [new.state for _, new in moves],
        [new.signed_once for _, new in moves],
        [new.payer_email for _, new in moves],
        [new.receipt_id for _, new in moves],
        [new.paid_at for _, new in moves],
        [new.completed_at for _, new in moves],
    )
    assert done == f"UPDATE {len(moves)}", "a session moved under its lock"


async def reschedule(tx: Tx, session: Session) -> None:
    """Write another expiry; for a session whose lock is held."""
    await tx.execute(
        "UPDATE sessions SET expires_at = $2 WHERE session_id = $1",
        session.session_id,
        session.expires_at,
    )


async def insert_order(tx: Tx, order: AttestedOrder) -> None:
    await tx.write(
        "INSERT INTO session_orders (session_id, network, token_id, way, rail, digest, body, "
        "merchant_amount, fee_amount, fee_ppm, deadline, payer, signed_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        order.session_id,
        order.network,
        order.token_id,
        order.way,
        order.rail,
        order.digest,
        order.body,
        order.merchant_amount,
        order.fee_amount,
        order.fee_ppm,
        order.deadline,
        order.payer,
        tx.now,
    )


async def latest_order(
    tx: Tx, session_id: SessionId, token_id: str, way: Way, payer: Address
) -> AttestedOrder | None:
    """What was last attested for that payer to pay that way."""
    row = await tx.fetchrow(
        "SELECT * FROM session_orders WHERE session_id = $1 AND token_id = $2 AND way = $3 "
        "AND payer = $4 ORDER BY order_number DESC LIMIT 1",
        session_id,
        token_id,
        way,
        payer,
    )
    return _order(row) if row else None


async def find_order(
    tx: Tx, session_id: SessionId, digest: bytes, way: Way, payer: Address
) -> AttestedOrder | None:
    """The order of that digest as it was attested for that payer to pay that way."""
    row = await tx.fetchrow(
        "SELECT * FROM session_orders WHERE session_id = $1 AND digest = $2 AND way = $3 "
        "AND payer = $4 ORDER BY order_number DESC LIMIT 1",
        session_id,
        digest,
        way,
        payer,
    )
    return _order(row) if row else None


def _order(row: asyncpg.Record) -> AttestedOrder:
    return AttestedOrder(
        session_id=SessionId(row["session_id"]),
        network=row["network"],
        token_id=row["token_id"],
        way=Way(row["way"]),
        rail=RailName(row["rail"]) if row["rail"] else None,
        digest=row["digest"],
        body=row["body"],
        merchant_amount=int(row["merchant_amount"]),
        fee_amount=int(row["fee_amount"]),
        fee_ppm=row["fee_ppm"],
        deadline=row["deadline"],
        payer=Address(row["payer"]),
    )


async def insert_authorization(tx: Tx, session_id: SessionId, cause: str) -> None:
    """Remember that a payment of that session is sent for its payer, by the executor's name."""
    await tx.execute(
        "INSERT INTO session_authorizations (cause, session_id, authorized_at) VALUES ($1, $2, $3)",
        cause,
        session_id,
        tx.now,
    )


async def authorizations(tx: Tx, session_ids: Sequence[SessionId]) -> frozenset[str]:
    """The names of the payments that are sent for payers of those sessions."""
    rows = await tx.fetch(
        "SELECT cause FROM session_authorizations WHERE session_id = ANY($1)", list(session_ids)
    )
    return frozenset(row["cause"] for row in rows)


async def authorized(
    tx: Tx, session_ids: Collection[SessionId]
) -> frozenset[tuple[SessionId, str]]:
    """The same, each with its session."""
    rows = await tx.fetch(
        "SELECT session_id, cause FROM session_authorizations WHERE session_id = ANY($1)",
        list(session_ids),
    )
    return frozenset((SessionId(row["session_id"]), row["cause"]) for row in rows)


async def attested_amounts(
    tx: Tx, session_ids: Sequence[SessionId]
) -> dict[SessionId, AttestedAmounts]:
    """What was attested for each of those sessions, if anything was."""
    rows = await tx.fetch(
        "SELECT DISTINCT session_id, network, token_id, rail, merchant_amount"
        " FROM session_orders WHERE session_id = ANY($1)",
        list(session_ids),
    )
    found: dict[SessionId, dict[AttestedFor, set[int]]] = {}
    for row in rows:
        rail = RailName(row["rail"]) if row["rail"] else None
        amounts = found.setdefault(SessionId(row["session_id"]), {})
        of_them = amounts.setdefault((row["network"], row["token_id"], rail), set())
        of_them.add(int(row["merchant_amount"]))
    return {
        session_id: {which: frozenset(values) for which, values in amounts.items()}
        for session_id, amounts in found.items()
    }


async def open_of_account(
    tx: Tx, tenant: Tenant, account_id: AccountId, limit: int
) -> list[tuple[SessionId, datetime]]:
    """Sessions that may still be paid to that account, and until when; the last one first."""
    rows = await tx.fetch(
        "SELECT session_id, expires_at FROM sessions WHERE state = 'initialized'"
        " AND expires_at > $4 AND merchant_id = $1 AND mode = $2 AND account_id = $3"
        " ORDER BY expires_at DESC, session_id LIMIT $5",
        tenant.merchant_id,
        tenant.mode,
        account_id,
        tx.now,
        limit,
    )
    return [(SessionId(row["session_id"]), row["expires_at"]) for row in rows]
