"""A merchant with endpoints, a real receiver of letters, and a way to take the next try."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web

from gstable_server.kernel.ids import WebhookId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.http_client import HttpClient
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations
from gstable_server.webhooks.dispatch import Dispatcher, Pace
from gstable_server.webhooks.model import Endpoint, Target

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Letter:
    """One request that arrived."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A merchant's server: answers with ``answers`` one after the other, the last one for ever."""

    answers: list[Answer]
    letters: list[Letter] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.letters.append(Letter(headers, await request.read()))
        self.arrived.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


def status(code: int, headers: dict[str, str] | None = None, text: str = "") -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers, text=text)

    return answer


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    """A body without end; the client has to hang up."""
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        for _ in range(10_000):
            await response.write(b"x" * 65_536)
    return response


@asynccontextmanager
async def receiving(*answers: Answer) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(answers) or [status(200)])
    application = web.Application()
    application.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def new_tenant(db: Database, mode: Mode = Mode.TEST) -> Tenant:
    tenant = Tenant(db.ids.merchant_id(), mode)
    async with db.begin() as tx:
        await tx.execute(
            "INSERT INTO merchants (merchant_id, name, created_at) VALUES ($1, 'Shop', $2)",
            tenant.merchant_id,
            tx.now,
        )
    return tenant


async def new_endpoint(db: Database, tenant: Tenant, url: str, *events: str) -> Endpoint:
    target = Target("Orders", url, None, events or ("session.paid",))
    return await db.run(operations.create, tenant, target)


async def tell(
    db: Database, tenant: Tenant, kind: str = "session.paid", payload: Any = None
) -> None:
    """One event, told and relayed to the endpoints as in a running server."""
    body = payload if payload is not None else {"sessionData": {"amount": 20_000}}
    async with db.begin() as tx:
        tx.tell(Event(kind, "sess_1", body, tenant=tenant, business_type="session"))
    assert await relay_once(db, operations.post_all) >= 1


@dataclass(frozen=True)
class Message:
    """A message as the database has it."""

    number: int
    webhook_id: str
    state: str
    attempts: int
    wait: timedelta | None


async def messages(db: Database) -> list[Message]:
    async with db.read() as tx:
        rows = await tx.fetch("SELECT * FROM webhook_messages ORDER BY message_number")
        return [
            Message(
                row["message_number"],
                row["webhook_id"],
                row["state"],
                row["attempts"],
                row["next_attempt_at"] - tx.now if row["next_attempt_at"] else None,
            )
            for row in rows
        ]


async def attempts(db: Database) -> list[Any]:
    async with db.read() as tx:
        return await tx.fetch("SELECT * FROM webhook_attempts ORDER BY attempt_number")


async def deliver_due(
    db: Database, http: HttpClient, *, timeout_seconds: float = 60.0, **pace: Any
) -> int:
    """Send what is due, once; the number of tries."""
    dispatcher = Dispatcher(db, http, Pace(timeout_seconds=timeout_seconds, **pace))
    return await dispatcher.deliver_due()


async def next_try(
    db: Database, http: HttpClient, clock: FakeClock, *, timeout_seconds: float = 60.0
) -> None:
    """Let time pass until the next scheduled try, and make it."""
    waits = [one.wait for one in await messages(db) if one.wait is not None]
    clock.set(clock.now() + max(min(waits), timedelta(0)))
    assert await deliver_due(db, http, timeout_seconds=timeout_seconds) > 0


async def lapse_leases(db: Database) -> None:
    """Let every lease have passed, as when its holder died a while ago."""
    async with db.begin() as tx:
        await tx.execute("UPDATE webhook_messages SET leased_until = now() - interval '1 second'")


async def endpoint_status(db: Database, tenant: Tenant, webhook_id: WebhookId) -> str:
    endpoint = await db.run(operations.detail, tenant, webhook_id)
    return endpoint.status.value
