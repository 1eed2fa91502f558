"""SQL of lists. Every page costs as much as a page, however many sessions there are: rows are taken
from one index in the list's order, so many at most, and only those are asked whether they pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.lists.model import Filter, Kind, Way

WINDOW = 5_000
"""Sessions that a page looks through at most, and fewer where each has to be asked about its
payments."""
WINDOW_OF_PAYMENTS = 1_500
MANY = 1_000
"""Of one wallet so many payments are looked up, the newest."""

REFERENCE = """coalesce(metadata ->> 'orderId', metadata ->> 'order_id',
    metadata ->> 'orderNumber', metadata ->> 'reference', metadata ->> 'invoice')"""
_COLUMNS = "s.session_id, s.sequence, s.created_at, s.merchant_id, s.mode, s.state, s.amount"
_COLUMNS += ", s.settlement_token"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where in the list's order a page may look: sequences, both ends excluded."""

    above: int = 0
    below: int = 2**62


@dataclass(frozen=True, slots=True)
class Row:
    session_id: SessionId
    created_at: datetime


class Statement:
    """Conditions with their values, numbered as they come."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def value(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


async def page(
    tx: Tx,
    tenant: Tenant,
    wanted: Filter,
    among: Sequence[SessionId] | None,
    bounds: Bounds,
    way: Way,
    size: int,
) -> tuple[list[Row], Row | None]:
    """At most ``size`` sessions that pass, from ``bounds`` on in the direction of ``way``, those
    ``among`` these only. And where the look ended, if that was before the end of the list."""
    statement = Statement()
    window = window_of(wanted)
    chosen = candidates(statement, tenant, wanted, among, bounds, way)
    passing = conditions(statement, tenant, wanted)
    order = "DESC" if way is Way.OLDER else "ASC"
    rows = await tx.fetch(
        f"SELECT session_id, created_at FROM ({chosen} LIMIT {window}) c WHERE {passing}"  # noqa: S608
        f" ORDER BY sequence {order} LIMIT {size}",
        *statement.values,
    )
    found = [Row(SessionId(row["session_id"]), row["created_at"]) for row in rows]
    is_whole = among is not None and len(among) < window
    if len(found) == size or passing == "true" or is_whole:
        return found, None
    return found, await _last(tx, tenant, wanted, among, bounds, way, window)


async def _last(
    tx: Tx,
    tenant: Tenant,
    wanted: Filter,
    among: Sequence[SessionId] | None,
    bounds: Bounds,
    way: Way,
    window: int,
) -> Row | None:
    """The last session that was looked at, None where the list itself ends."""
    statement = Statement()
    chosen = candidates(statement, tenant, wanted, among, bounds, way)
    back = "ASC" if way is Way.OLDER else "DESC"
    row = await tx.fetchrow(
        "SELECT session_id, created_at, count(*) OVER () AS many"  # noqa: S608
        f" FROM ({chosen} LIMIT {window}) c ORDER BY sequence {back} LIMIT 1",
        *statement.values,
    )
    if row is None or row["many"] < window:
        return None
    return Row(SessionId(row["session_id"]), row["created_at"])


def window_of(wanted: Filter) -> int:
    """How many sessions a page looks through."""
    return WINDOW if wanted.network is None else WINDOW_OF_PAYMENTS


def candidates(
    to: Statement,
    tenant: Tenant,
    wanted: Filter,
    among: Sequence[SessionId] | None,
    bounds: Bounds,
    way: Way,
) -> str:
    """The rows of the one index that leaves the fewest, in the list's order. Whoever limits them
    writes the number into the text: a kept plan must know that it is small."""
    order = "DESC" if way is Way.OLDER else "ASC"
    table, row = "sessions s", "s"
    if among is not None:
        where = f"s.session_id = ANY({to.value(list(among))})"
    elif wanted.product_id is not None:
        row = "x"
        table = (
            "session_products x CROSS JOIN LATERAL"
            " (SELECT * FROM sessions WHERE session_id = x.session_id OFFSET 0) s"
        )
        where = f"x.product_id = {to.value(wanted.product_id)}"
    elif wanted.link_id is not None:
        where = f"s.business_type = 'payment_link' AND s.business_id = {to.value(wanted.link_id)}"
    elif wanted.asked is not None and wanted.asked.kind is Kind.EMAIL:
        text = to.value(wanted.asked.text)
        where = f"lower(s.payer_email) = {text} AND s.payer_email IS NOT NULL"
    elif wanted.asked is not None and wanted.asked.kind is Kind.REFERENCE:
        where = f"left({REFERENCE}, 100) = left({to.value(wanted.asked.text)}, 100)"
        where += f" AND {REFERENCE} IS NOT NULL"
    else:
        merchant, mode = to.value(tenant.merchant_id), to.value(tenant.mode)
        where = f"s.merchant_id = {merchant} AND s.mode = {mode}"
        if wanted.state is not None:
            where += f" AND s.state = {to.value(wanted.state)}"
    above, below = to.value(bounds.above), to.value(bounds.below)
    where += f" AND {row}.sequence > {above} AND {row}.sequence < {below}"
    return f"SELECT {_COLUMNS} FROM {table} WHERE {where} ORDER BY {row}.sequence {order}"  # noqa: S608


def conditions(to: Statement, tenant: Tenant, wanted: Filter, of: str = "") -> str:
    """What each candidate is asked; ``of`` stands before its columns."""
    asked = []
    if (wanted.product_id or wanted.link_id or wanted.asked) is not None:
        # Their indexes know no tenant.
        merchant, mode = to.value(tenant.merchant_id), to.value(tenant.mode)
        asked.append(f"{of}merchant_id = {merchant} AND {of}mode = {mode}")
        if wanted.state is not None:
            asked.append(f"{of}state = {to.value(wanted.state)}")
    if wanted.token_id is not None:
        asked.append(f"{of}settlement_token = {to.value(wanted.token_id)}")
    if wanted.amount_min is not None:
        asked.append(f"{of}amount >= {to.value(wanted.amount_min)}")
    if wanted.amount_max is not None:
        asked.append(f"{of}amount <= {to.value(wanted.amount_max)}")
    if wanted.since is not None:
        asked.append(f"{of}created_at >= {to.value(wanted.since)}")
    if wanted.until is not None:
        asked.append(f"{of}created_at < {to.value(wanted.until)}")
    # As the value of a subquery: joined, all payments would be read.
    of_session = "(SELECT true FROM payments p WHERE p.session_id = c.session_id AND {} LIMIT 1)"
    if wanted.network is not None:
        asked.append(of_session.format(f"p.network = {to.value(wanted.network)}"))
    if wanted.flag is not None:
        flag = to.value(wanted.flag)
        asked.append(of_session.format(f"p.flags <> '{{}}' AND {flag} = ANY(p.flags)"))
    elif wanted.is_unusual:
        asked.append(of_session.format("p.flags <> '{}'"))
    return " AND ".join(asked) or "true"


async def sequence_of(tx: Tx, tenant: Tenant, session_id: SessionId) -> int | None:
    """A session's place in the list's order, if it is the tenant's."""
    found: int | None = await tx.fetchval(
        "SELECT sequence FROM sessions WHERE session_id = $1 AND merchant_id = $2 AND mode = $3",
        session_id,
        tenant.merchant_id,
        tenant.mode,
    )
    return found


# Sessions are numbered in the order of their times, but for the moments that transactions take, so
# a time is found in the order of the numbers by halving, without an index of times.
_FIRST_SINCE = """
WITH RECURSIVE steps AS (
    SELECT (SELECT sequence FROM sessions WHERE merchant_id = $1 AND mode = $2
            ORDER BY sequence LIMIT 1) AS low,
        1 + (SELECT sequence FROM sessions WHERE merchant_id = $1 AND mode = $2
            ORDER BY sequence DESC LIMIT 1) AS high,
        0 AS step
    UNION ALL
    SELECT CASE WHEN probe.sequence < high AND probe.created_at < $3
            THEN probe.sequence + 1 ELSE low END,
        CASE WHEN probe.sequence < high AND probe.created_at < $3 THEN high ELSE middle END,
        step + 1
    FROM steps CROSS JOIN LATERAL (SELECT (low + high) / 2 AS middle OFFSET 0) half
    CROSS JOIN LATERAL (
        SELECT sequence, created_at FROM sessions
        WHERE merchant_id = $1 AND mode = $2 AND sequence >= half.middle
        ORDER BY sequence LIMIT 1
    ) probe
    WHERE low < high AND step < 64
)
SELECT low FROM steps ORDER BY step DESC LIMIT 1
"""


async def first_since(tx: Tx, tenant: Tenant, at: datetime) -> int | None:
    """The sequence from which on the tenant's sessions were opened at ``at`` or later, as far as
    their order is that of their times; None if there is no session."""
    found: int | None = await tx.fetchval(_FIRST_SINCE, tenant.merchant_id, tenant.mode, at)
    return found


_OF_WALLET = f"""
SELECT session_id FROM (
    SELECT session_id FROM payments WHERE payer = $1 ORDER BY sequence DESC LIMIT {MANY}) paid
UNION SELECT session_id FROM deposits WHERE address = $1
UNION (SELECT session_id FROM refunds WHERE receiver = $1 LIMIT {MANY})
UNION (SELECT session_id FROM inflows WHERE sender = $1 LIMIT {MANY})
"""  # noqa: S608 - a number

# The networks are named, because the indexes begin with them.
_OF_TRANSACTION = """
SELECT session_id FROM unnest($2::text[]) AS read (network) CROSS JOIN LATERAL (
    SELECT session_id FROM payments WHERE network = read.network AND tx_hash = $1
    UNION ALL
    SELECT session_id FROM refunds WHERE network = read.network AND tx_hash = $1
    UNION ALL
    SELECT session_id FROM inflows WHERE network = read.network AND tx_hash = $1
) named
UNION SELECT session_id FROM payments WHERE delivery_tx = $1 AND delivery_tx IS NOT NULL
UNION SELECT session_id FROM payments WHERE hold_capture_tx = $1 AND hold_capture_tx IS NOT NULL
UNION SELECT session_id FROM sessions WHERE session_key = $1
"""


async def of_wallet(tx: Tx, address: bytes) -> list[SessionId]:
    """Sessions that this wallet paid, or was given money back from, and the one whose deposit
    address it is; of every merchant."""
    rows = await tx.fetch(_OF_WALLET, address)
    return [SessionId(row["session_id"]) for row in rows if row["session_id"]]


async def of_transaction(tx: Tx, tx_hash: bytes, networks: Sequence[str]) -> list[SessionId]:
    """Sessions that this transaction of one of ``networks`` moved money of, or the one that the
    chain knows by these bytes; of every merchant."""
    rows = await tx.fetch(_OF_TRANSACTION, tx_hash, list(networks))
    return [SessionId(row["session_id"]) for row in rows if row["session_id"]]


async def of_payment(tx: Tx, payment_id: str) -> SessionId | None:
    """The session of a payment, whoever's it is."""
    found: str | None = await tx.fetchval(
        "SELECT session_id FROM payments WHERE payment_id = $1", payment_id
    )
    return SessionId(found) if found else None
