"""Looking through sessions. Nothing here costs more where there are more of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta

from gstable_server.chain.networks import Networks
from gstable_server.kernel.ids import PaymentId, SessionId, id_or_none
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.lists import store, store_exports, store_facts
from gstable_server.sessions.lists.model import Asked, Filter, Found, Kind, Place, Step, Way
from gstable_server.sessions.lists.store import Bounds, Row
from gstable_server.sessions.lists.store_exports import Exported
from gstable_server.sessions.model import SessionView

DISORDER = timedelta(minutes=1)
"""How far the order of sessions may be from that of their times: no transaction takes longer."""


async def browse(
    tx: Tx, networks: Networks, tenant: Tenant, wanted: Filter, place: Place | None, size: int
) -> Found:
    """One page of the sessions that pass ``wanted``, newest first: the newest, or those beside
    ``place``. A place that is not the tenant's is as none. What is opened meanwhile moves no page.
    """
    among = await _among(tx, networks, tenant, wanted.asked)
    bounds = await _bounds(tx, tenant, wanted)
    at = await store.sequence_of(tx, tenant, place.session_id) if place else None
    way = place.way if place and at is not None else Way.OLDER
    if at is not None:
        # Never outside the times that are asked for.
        if way is Way.OLDER:
            bounds = Bounds(bounds.above, min(bounds.below, at))
        else:
            bounds = Bounds(max(bounds.above, at), bounds.below)
    rows, last = await store.page(tx, tenant, wanted, among, bounds, way, size + 1)
    has_more, shown = len(rows) > size, rows[:size]
    views = await sessions.views(tx, [row.session_id for row in shown])
    found = [views[row.session_id] for row in shown]
    if way is Way.NEWER:
        found.reverse()
    return _page(found, way, has_more=has_more, is_first=at is None, last=last)


def _page(
    views: list[SessionView], way: Way, *, has_more: bool, is_first: bool, last: Row | None
) -> Found:
    """``views`` newest first, with the places behind both ends."""
    back = Place(Way.NEWER, views[0].session.session_id) if views else None
    onward = Place(Way.OLDER, views[-1].session.session_id) if views else None
    looked_to = last.session_id if last else None
    if way is Way.OLDER:
        older = onward if has_more else None
        if looked_to is not None:
            older = Place(Way.OLDER, looked_to)
        return Found(
            tuple(views), None if is_first else back, older, last.created_at if last else None
        )
    newer = back if has_more else None
    if looked_to is not None:
        newer = Place(Way.NEWER, looked_to)
    return Found(tuple(views), newer, onward, last.created_at if last else None)


async def _bounds(tx: Tx, tenant: Tenant, wanted: Filter) -> Bounds:
    """Where the times that are asked for are in the list's order, and a little more."""
    above, below = Bounds().above, Bounds().below
    if wanted.since is not None:
        first = await store.first_since(tx, tenant, wanted.since - DISORDER)
        above = first - 1 if first is not None else above
    if wanted.until is not None:
        first = await store.first_since(tx, tenant, wanted.until + DISORDER)
        below = first if first is not None else below
    return Bounds(above, below)


async def _among(
    tx: Tx, networks: Networks, tenant: Tenant, asked: Asked | None
) -> Sequence[SessionId] | None:
    """The sessions that what was asked names, of whichever merchant; None where an index finds
    them in the list's own order."""
    if asked is None or asked.kind in {Kind.EMAIL, Kind.REFERENCE}:
        return None
    if asked.kind is Kind.WALLET:
        return await store.of_wallet(tx, asked.key)
    if asked.kind is Kind.TRANSACTION:
        names = [network.name for network in networks.of(tenant.mode)]
        return await store.of_transaction(tx, asked.key, names)
    if asked.kind is Kind.PAYMENT:
        found = await session_of_payment(tx, tenant, asked.text)
        return [found] if found else []
    session_id = id_or_none(SessionId, asked.text)
    return [session_id] if session_id else []


async def export(
    tx: Tx, networks: Networks, tenant: Tenant, wanted: Filter
) -> AsyncGenerator[Exported, None]:
    """Every session that passes, newest first, as they are in the transaction's one snapshot. Rows
    are fetched as they are taken: a slow reader makes the database wait, not this process grow."""
    among = await _among(tx, networks, tenant, wanted.asked)
    bounds = await _bounds(tx, tenant, wanted)
    async for row in store_exports.sessions(tx, tenant, wanted, among, bounds):
        yield row


async def export_refunds(
    tx: Tx, tenant: Tenant, since: datetime | None, until: datetime | None
) -> AsyncGenerator[Exported, None]:
    """Every refund that was prepared in that time, in the order of their preparation."""
    async for row in store_exports.refunds(tx, tenant, since, until):
        yield row


async def session_of_payment(tx: Tx, tenant: Tenant, text: str) -> SessionId | None:
    """The tenant's session that a payment belongs to."""
    payment_id = id_or_none(PaymentId, text)
    found = await store.of_payment(tx, payment_id) if payment_id else None
    if found is None or await store.sequence_of(tx, tenant, found) is None:
        return None
    return found


async def own_session(tx: Tx, tenant: Tenant, text: str) -> SessionId | None:
    """The identifier in ``text`` if there is such a session of the tenant's."""
    session_id = id_or_none(SessionId, text)
    if session_id is None or await store.sequence_of(tx, tenant, session_id) is None:
        return None
    return session_id


async def steps(tx: Tx, session_id: SessionId) -> list[Step]:
    """What happened around a session besides its payments, refunds and events, oldest first."""
    return await store_facts.steps(tx, session_id)
