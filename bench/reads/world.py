"""A database of its own with a shop's history, and the console in this process, signed in."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import asyncpg
from starlette.applications import Starlette

from bench.reads.seed import NETWORKS, seed
from gstable_server import migrations
from gstable_server.accounts import operations as accounts
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import OrderSigner
from gstable_server.chain.testing import FEE_RECEIVER, MERCHANT, fake_network
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.embedded_postgres import temporary_postgres
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.routing.model import Schedule
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import Pages
from gstable_server.web.dashboard import routes as dashboard

HOST = "console.example"
BASE = "/dashboard/test"
ENDPOINT = "wkid_measured"
_PUT_ENDPOINT = """
INSERT INTO webhook_endpoints (webhook_id, merchant_id, mode, name, url, events, key, status,
    created_at, updated_at)
VALUES ($1, $2, 'test', 'Shop', 'https://shop.example/hook',
    '{session.paid,session.completed}', 'measured', 'active', now(), now())
"""


@dataclass
class Answer:
    """An answer with the seconds that the server took until its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Visitor:
    """Somebody at the console, without a network between."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._cookie = ""
        self._form_token = ""

    async def sign_up(self) -> None:
        """Be the owner of a new installation."""
        password = "correct horse battery"
        fields = {
            "name": "Measured shop",
            "email": "owner@example.com",
            "password": password,
            "passwordAgain": password,
        }
        answer = await self.ask("POST", "/dashboard/setup", fields)
        self._cookie = answer.headers["set-cookie"].partition(";")[0]
        page = (await self.ask("GET", BASE + "/security")).body.decode()
        self._form_token = page.split('name="formToken" value="', 1)[1].partition('"')[0]

    async def ask(
        self, method: str, path: str, fields: dict[str, str] | None = None, *, keep: bool = True
    ) -> Answer:
        """One request; without ``keep`` the body is thrown away as it comes."""
        body = urlencode({"formToken": self._form_token, **(fields or {})}).encode()
        asked, answer = iter([{"type": "http.request", "body": body}]), Answer(0, {}, b"", 0.0)

        async def receive() -> dict[str, Any]:
            for message in asked:
                return message
            await asyncio.Event().wait()
            raise AssertionError("it waits until it is cancelled")

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            elif keep:
                answer.body += message.get("body", b"")

        address, _, query = path.partition("?")
        headers = {
            "host": HOST,
            "cookie": self._cookie,
            "content-type": "application/x-www-form-urlencoded",
            "sec-fetch-site": "same-origin",
            "origin": f"https://{HOST}",
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": address,
            "raw_path": address.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": (HOST, 443),
        }
        began = time.perf_counter()
        await self._app(scope, receive, send)
        answer.seconds = time.perf_counter() - began
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}")
        return answer


@dataclass(frozen=True, slots=True)
class World:
    """``line`` asks the database for the bare rows."""

    visitor: Visitor
    line: asyncpg.Connection[Any]
    merchant_id: str
    count: int
    seeded_seconds: float

    def session_id(self, number: int) -> str:
        """The identifier of one of the sessions, from 1 for the oldest."""
        return "sess_" + hashlib.md5(f"s{number}".encode(), usedforsecurity=False).hexdigest()


@asynccontextmanager
async def open_world(count: int) -> AsyncIterator[World]:
    """All of it, with ``count`` sessions; everything is ended and removed at the end."""
    with temporary_postgres() as postgres:
        await asyncio.to_thread(migrations.upgrade, postgres.url)
        db = await Database.connect(postgres.url, clock=SystemClock(), ids=SystemIdMint(), size=4)
        line = await asyncpg.connect(postgres.url)
        try:
            yield await _open(db, line, count)
        finally:
            await line.close()
            await db.close()


async def _open(db: Database, line: asyncpg.Connection[Any], count: int) -> World:
    desk = Desk(
        networks=Networks(tuple(fake_network(name=name) for name in NETWORKS)),
        signer=OrderSigner(bytes(31) + b"\x01"),
        fee_receiver=FEE_RECEIVER,
        public_url=f"https://{HOST}",
        schedule=Schedule(),
        lifetime=timedelta(minutes=30),
        order_grace=timedelta(minutes=10),
    )
    pages = Pages.load()
    visitor = Visitor(Starlette(routes=dashboard.routes(db, desk, pages)))
    await visitor.sign_up()
    merchant_id = await line.fetchval("SELECT merchant_id FROM memberships")
    tenant = Tenant(MerchantId(merchant_id), Mode.TEST)
    async with db.begin() as tx:
        wallet = to_checksum(MERCHANT)
        account = await accounts.create_account(tx, tenant, desk.networks, "Wallet", wallet)
    await line.execute(_PUT_ENDPOINT, ENDPOINT, merchant_id)
    began = time.perf_counter()
    await seed(line, tenant, (account.account_id, account.address), count, ENDPOINT)
    return World(visitor, line, merchant_id, count, time.perf_counter() - began)
