"""The routes of events and webhooks called as ``api`` does, without HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gstable_server.kernel.ids import ApiKeyId
from gstable_server.kernel.tenant import Access, Caller, Tenant
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.route import Call, Json, PathValues, Route
from gstable_server.webhooks import routes as webhooks
from gstable_server.webhooks.events import routes as events

ROUTES = [*webhooks.routes(), *events.routes()]


class Api:
    """One key of one merchant."""

    def __init__(self, db: Database, tenant: Tenant, access: Access = Access.WRITE) -> None:
        self.db = db
        self.caller = Caller(tenant, db.ids.mint(ApiKeyId), access)

    async def __call__(self, path: str, body: Json = None) -> Any:
        """GET without ``body``, else POST of it; the value of the envelope's ``data``."""
        route, values = _found("GET" if body is None else "POST", path)
        assert route.access is Access.READ or self.caller.access is Access.WRITE
        parsed = route.body.model_validate(body) if route.body else None
        async with self.db.read() if body is None else self.db.begin() as tx:
            return await route.handler(Call(tx, self.caller, values, parsed))


def _found(method: str, path: str) -> tuple[Route, PathValues]:
    for route in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", route.path)
        match = re.fullmatch(pattern, path)
        if match and route.method == method:
            return route, match.groupdict()
    raise AssertionError(f"no route {method} {path}")


def tell(tx: Tx, tenant: Tenant, name: str, payload: Mapping[str, Any] | None = None) -> None:
    """Something happened to a product of the tenant."""
    shown = payload if payload is not None else {"productData": {"name": name}}
    tx.tell(Event("product.updated", f"prd_{name}", shown, tenant, "product"))


async def told(db: Database, tenant: Tenant, *names: str) -> None:
    """Likewise, one transaction for each name."""
    for name in names:
        async with db.begin() as tx:
            tell(tx, tenant, name)


def named(answer: Any) -> list[str]:
    """What the events of an answer are about."""
    return [event["payload"]["productData"]["name"] for event in answer["events"]]
