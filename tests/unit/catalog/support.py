"""Merchants who speak HTTP to the real API over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from gstable_server.accounts import operations as accounts
from gstable_server.api.app import ApiLimits, create_app
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.route import Route

PUBLIC_URL = "https://pay.shop.example"
_WIDE = ApiLimits(key_rate=10_000, key_burst=10_000, address_rate=10_000, address_burst=10_000)


class Caller:
    """One merchant in one mode, with its key."""

    def __init__(
        self, client: httpx2.AsyncClient, db: Database, tenant: Tenant, secret: str
    ) -> None:
        self.client = client
        self.db = db
        self.tenant = tenant
        self.secret = secret

    async def answer(self, path: str, body: Any = None) -> dict[str, Any]:
        """The envelope: a GET without ``body``, else a POST of it (bytes as they are)."""
        headers = {"authorization": f"Bearer {self.secret}", "content-type": "application/json"}
        url = f"/api/v1{path}"
        if body is None:
            response = await self.client.get(url, headers=headers)
        elif isinstance(body, bytes):
            response = await self.client.post(url, content=body, headers=headers)
        else:
            response = await self.client.post(url, json=body, headers=headers)
        assert response.status_code == 200, response.text
        envelope: dict[str, Any] = response.json()
        return envelope

    async def data(self, path: str, body: Any = None) -> Any:
        """The data of an answer that must be a success."""
        envelope = await self.answer(path, body)
        assert (envelope["code"], envelope["message"]) == (0, "success"), envelope
        return envelope["data"]

    async def refusal(self, path: str, body: Any = None) -> tuple[int, str]:
        """The code and message of an answer that must be none, and must have told nothing."""
        before = await self.events()
        envelope = await self.answer(path, body)
        assert envelope["data"] is None
        assert await self.events() == before
        return envelope["code"], envelope["message"]

    async def events(self, object_id: str | None = None) -> list[tuple[str, Any]]:
        """Type and payload of the events told so far, oldest first."""
        async with self.db.read() as tx:
            rows = await tx.fetch("SELECT * FROM events ORDER BY sequence")
        return [
            (row["type"], row["payload"])
            for row in rows
            if object_id is None or row["object_id"] == object_id
        ]


class Server:
    """The API with the routes under test."""

    def __init__(self, client: httpx2.AsyncClient, db: Database) -> None:
        self._client = client
        self._db = db

    async def merchant(self, mode: Mode = Mode.TEST) -> Caller:
        """A new merchant with a key that may write."""
        async with self._db.begin() as tx:
            merchant = await accounts.create_merchant(tx, "Example Ltd")
        return await self.caller(Tenant(merchant.merchant_id, mode))

    async def caller(self, tenant: Tenant) -> Caller:
        async with self._db.begin() as tx:
            _, secret = await accounts.issue_key(tx, tenant, Access.WRITE, "test")
        return Caller(self._client, self._db, tenant, secret)


@asynccontextmanager
async def serving(db: Database, *route_lists: Sequence[Route]) -> AsyncIterator[Server]:
    app = create_app(db, route_lists, capabilities=dict, limits=_WIDE, public_url=PUBLIC_URL)
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 40000))
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield Server(client, db)
