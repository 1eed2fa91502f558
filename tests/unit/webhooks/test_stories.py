"""Days and weeks of deliveries, on a clock that is set by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO

import pytest
import structlog
from aiohttp import web

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.log import configure_logging
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations
from gstable_server.webhooks.dispatch import Dispatcher, Pace
from tests.unit.webhooks.support import (
    attempts,
    deliver_due,
    endpoint_status,
    hang,
    messages,
    new_endpoint,
    new_tenant,
    next_try,
    receiving,
    status,
    tell,
)
from tests.unit.webhooks.test_dispatch import Broken

pytestmark = pytest.mark.anyio


async def test_an_endpoint_that_is_down_for_a_day_gets_everything_once(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    """Three letters at its beginning, three in its course; tried on the schedule until they are
    through, and in the order of the events where one try is enough."""
    down = True

    async def answer(request: web.Request) -> web.StreamResponse:
        if not down:
            taken.append(request.headers["webhook-id"])
        return await status(503 if down else 200)(request)

    taken: list[str] = []
    async with receiving(answer) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        began = clock.now()
        for hour in (0, 0, 0, 4, 8, 12):
            while clock.now() < began + timedelta(hours=hour):
                await until_next(database, http, clock, began + timedelta(hours=hour))
            await tell(database, tenant)
        back = began + timedelta(hours=23.9)
        while clock.now() < back:
            await until_next(database, http, clock, back)
        assert taken == []
        down = False
        await tell(database, tenant)
        while any(message.state == "pending" for message in await messages(database)):
            await next_try(database, http, clock)
        tried = len(receiver.letters)
    async with database.read() as tx:
        told = [row["event_id"] for row in await tx.fetch("SELECT event_id FROM events")]
    assert sorted(taken) == sorted(told)
    assert len(taken) == 7
    assert tried == len(await attempts(database))
    assert clock.now() - back < timedelta(hours=16)
    assert await endpoint_status(database, tenant, endpoint.webhook_id) == "active"


async def until_next(
    database: Database, http: GuardedClient, clock: FakeClock, latest: datetime
) -> None:
    """The next try, or the instant ``latest``, whichever comes first."""
    waits = [one.wait for one in await messages(database) if one.wait is not None]
    following = clock.now() + max(min(waits, default=timedelta(days=9)), timedelta(0))
    if following >= latest:
        clock.set(latest)
        return
    clock.set(following)
    await deliver_due(database, http)


async def test_whk_09_a_paused_endpoint_gets_all_it_missed_paced_after_enable(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    """Others of the merchant are told of the pause; a repeat of it needs five days again."""
    async with receiving(status(500)) as broken, receiving() as other:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, broken.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        clock.advance(5 * 86_400)
        await deliver_due(database, http)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "paused"
        await new_endpoint(database, tenant, other.url, "product.created")
        assert await relay_once(database, operations.post_all) == 1
        assert await deliver_due(database, http) == 1
        for _ in range(5):
            await tell(database, tenant)
        clock.advance(3_600)
        assert await deliver_due(database, http) == 0
        broken.answers[:] = [status(200)]
        seen = len(broken.letters)
        await database.run(operations.enable, tenant, endpoint.webhook_id)
        waits = [one.wait for one in await messages(database) if one.state == "pending"]
        assert waits == [place * operations.SPACING for place in range(6)]
        clock.advance(1)
        while await deliver_due(database, http):
            pass
        assert len(broken.letters) == seen + 6
        [notice] = other.letters
    assert {message.state for message in await messages(database)} == {"delivered"}
    told = json.loads(notice.body)
    assert told["eventType"] == "webhook.paused"
    assert told["businessType"] == "webhook"
    assert told["payload"]["webhookData"]["status"] == "paused"
    assert told["payload"]["webhookData"]["webhookId"] == endpoint.webhook_id
    assert endpoint.keys.current not in notice.body.decode()


async def test_whk_09_a_hundred_failures_in_a_row_pause_only_after_a_day(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    async with receiving(status(500)) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        async with database.begin() as tx:
            await tx.execute("UPDATE webhook_endpoints SET failures = 150")
        await next_try(database, http, clock)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "active"
        clock.advance(86_400)
        await deliver_due(database, http)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "paused"


async def test_whk_07_others_are_told_that_an_endpoint_is_gone(
    database: Database, http: GuardedClient
) -> None:
    async with receiving(status(410)) as gone, receiving() as other:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, gone.url)
        await tell(database, tenant)
        await tell(database, tenant)
        await new_endpoint(database, tenant, other.url, "product.created")
        assert await deliver_due(database, http) == 2
        assert await relay_once(database, operations.post_all) == 1
        assert await deliver_due(database, http) == 1
        assert json.loads(other.letters[0].body)["eventType"] == "webhook.disabled"
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "inactive"
    states = [(one.state, one.wait) for one in await messages(database)]
    assert states == [("pending", None), ("pending", None), ("delivered", None)]


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What a server would log, at its most talkative."""
    lines = StringIO()
    configure_logging("debug")
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(lines), cache_logger_on_first_use=False
    )
    yield lines
    structlog.reset_defaults()


async def test_whk_21_no_log_and_no_record_has_a_key(
    database: Database, http: GuardedClient, written: StringIO
) -> None:
    """Canaries in both signing keys, while every kind of trouble is logged and recorded."""
    canaries = ("wkk_CanaryCurrentCurrentCurrentCurrentCurrent", "wkk_CanaryPreviousPrevious")
    async with receiving(status(500)) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        async with database.begin() as tx:
            await tx.execute(
                "UPDATE webhook_endpoints SET key = $1, previous_key = $2, previous_key_until = $3",
                *canaries,
                tx.now + timedelta(days=9),
            )
        for _ in range(4):
            await tell(database, tenant)
        await Dispatcher(database, Broken(), Pace(concurrency=1)).deliver_due()
        await deliver_due(database, http, concurrency=1)
        receiver.answers = [hang]
        await deliver_due(database, http, concurrency=1, timeout_seconds=0.2)
        receiver.answers = [status(410)]
        await deliver_due(database, http)
        signed = receiver.letters[0].headers
        assert signed["webhook-signature"].count("v1,") == 2
    assert "failed on purpose" in written.getvalue()
    assert "webhook endpoint closed" in written.getvalue()
    recorded = str([dict(row) for row in await attempts(database)])
    async with database.read() as tx:
        recorded += str([dict(row) for row in await tx.fetch("SELECT * FROM events")])
    for secret in (*canaries, signed["x-gstable-signature"]):
        assert secret not in recorded + written.getvalue()
