"""Reading the counts of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from gstable_server.kernel.ids import LinkId, ProductId, SessionId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.statistics import store
from gstable_server.sessions.statistics.model import StateCount


async def by_day(tx: Tx, tenant: Tenant, since: date, until: date) -> list[StateCount]:
    """How many sessions a merchant's customers and shop opened on each day (UTC, both included),
    by the state that they are in now."""
    return await store.by_day(tx, tenant, since, until)


async def of_link(tx: Tx, link_id: LinkId, since: date, until: date) -> list[StateCount]:
    """The same of one link, whose tenant the caller has checked."""
    return await store.of_link(tx, link_id, since, until)


async def latest_with(
    tx: Tx, tenant: Tenant, product_id: ProductId, most: int
) -> list[SessionView]:
    """The newest ``most`` sessions that sell a product, newest first."""
    return await _views(tx, await store.latest_with(tx, tenant, product_id, most))


async def latest(tx: Tx, tenant: Tenant, most: int) -> list[SessionView]:
    """A merchant's newest ``most`` sessions, newest first, without counting the others."""
    return await _views(tx, await store.latest(tx, tenant, most))


async def _views(tx: Tx, names: Sequence[SessionId]) -> list[SessionView]:
    found = await sessions.views(tx, names)
    return [found[name] for name in names if name in found]
