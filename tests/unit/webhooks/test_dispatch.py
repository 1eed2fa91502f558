"""The sender among many endpoints: what one of them does is no other one's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from gstable_server.kernel.ids import WebhookId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient, Response
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations
from gstable_server.webhooks.dispatch import Dispatcher, Pace, deliver_messages
from gstable_server.webhooks.store_queue import AT_ONCE, Claim, claim
from tests.unit.webhooks.support import (
    attempts,
    deliver_due,
    hang,
    messages,
    new_endpoint,
    new_tenant,
    receiving,
    status,
    tell,
)

pytestmark = pytest.mark.anyio
LEASE = timedelta(seconds=30)


@asynccontextmanager
async def sending(db: Database, http: GuardedClient, pace: Pace) -> AsyncIterator[None]:
    """A worker's loop, stopped as a worker is."""
    stop = asyncio.Event()
    running = asyncio.create_task(deliver_messages(db, http, pace, stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def queue(db: Database, webhook_id: WebhookId, tenant: Tenant, count: int) -> None:
    """Many messages to one endpoint, due now."""
    async with db.begin() as tx:
        await tx.execute(
            "WITH told AS (INSERT INTO events (event_id, type, object_id, merchant_id, mode,"
            " business_type, payload, occurred_at) SELECT 'evt_' || left(md5($1 || n), 24),"
            " 'session.paid', 'sess_' || n, $2, 'test', 'session', '{}', $3"
            " FROM generate_series(1, $4::integer) n RETURNING event_id)"
            " INSERT INTO webhook_messages"
            " (webhook_id, event_id, state, next_attempt_at, created_at)"
            " SELECT $1, event_id, 'pending', $3, $3 FROM told",
            webhook_id,
            tenant.merchant_id,
            tx.now,
            count,
        )


async def test_whk_17_endpoints_that_hang_keep_no_others_waiting(
    database: Database, http: GuardedClient
) -> None:
    """More letters to hanging endpoints than there are places, queued before all others."""
    pace = Pace(concurrency=4, patience_seconds=0.05, timeout_seconds=600, drain_seconds=0)
    async with receiving(hang) as hanging, receiving() as healthy:
        for _ in range(4):
            tenant = await new_tenant(database)
            endpoint = await new_endpoint(database, tenant, hanging.url)
            await queue(database, endpoint.webhook_id, tenant, 10)
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, healthy.url)
        await queue(database, endpoint.webhook_id, tenant, 40)
        async with sending(database, http, pace):
            await until(lambda: len(healthy.letters) == 40)
        assert 4 <= len(hanging.letters) <= 4 * 2


async def test_whk_17_endpoints_that_answer_slowly_cannot_fill_the_places_aside(
    database: Database, http: GuardedClient
) -> None:
    """Each answers its first letter at once, and so may have several under way."""
    pace = Pace(concurrency=4, patience_seconds=0.05, timeout_seconds=600, drain_seconds=0)
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(receiving(status(200), hang)) for _ in range(6)]
        healthy = await stack.enter_async_context(receiving())
        tenant = await new_tenant(database)
        for receiver in slow:
            endpoint = await new_endpoint(database, tenant, receiver.url)
            await queue(database, endpoint.webhook_id, tenant, 20)
        endpoint = await new_endpoint(database, tenant, healthy.url)
        async with sending(database, http, pace):
            await until(lambda: sum(len(one.letters) for one in slow) >= 25)
            await asyncio.sleep(0.3)
            await queue(database, endpoint.webhook_id, tenant, 10)
            await until(lambda: len(healthy.letters) == 10)


async def test_whk_17_a_backlog_of_one_endpoint_lets_others_through(database: Database) -> None:
    tenant = await new_tenant(database)
    busy = await new_endpoint(database, tenant, "https://busy.example.com/")
    quiet = await new_endpoint(database, tenant, "https://quiet.example.com/")
    await queue(database, busy.webhook_id, tenant, 10_000)
    await queue(database, quiet.webhook_id, tenant, 1)
    async with database.begin() as tx:
        claimed = await claim(tx, "", Claim(limit=100, share=2, per_endpoint=10, lease=LEASE))
    assert sorted(each.webhook_id for each in claimed) == sorted(
        [busy.webhook_id, busy.webhook_id, quiet.webhook_id]
    )


async def test_whk_17_no_more_than_so_many_at_once_go_to_an_endpoint_from_all_workers(
    database: Database, http: GuardedClient
) -> None:
    under_way: list[int] = []

    async def slowly(request: web.Request) -> web.StreamResponse:
        under_way.append(0)
        most.append(len(under_way))
        if len(under_way) > 1:
            two.set()
        await asyncio.wait_for(two.wait(), 60)
        await asyncio.sleep(0.02)
        under_way.pop()
        return await status(200)(request)

    most: list[int] = []
    two = asyncio.Event()
    pace = Pace(per_endpoint=3, poll_seconds=0.05)
    async with receiving(slowly) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await queue(database, endpoint.webhook_id, tenant, 30)
        async with sending(database, http, pace), sending(database, http, pace):
            await until(lambda: len(receiver.letters) == 30)
    assert 2 <= max(most) <= 3


async def test_what_was_delivered_makes_room_for_the_next_at_once(
    database: Database, http: GuardedClient
) -> None:
    """An endpoint with more letters than may be under way gets them without a look at the clock."""
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await queue(database, endpoint.webhook_id, tenant, 30)
        async with sending(database, http, Pace(per_endpoint=3, poll_seconds=600)):
            await until(lambda: len(receiver.letters) == 30)


async def test_whk_17_an_endpoint_that_did_not_answer_gets_one_letter_at_a_time(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    async with receiving(hang) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await queue(database, endpoint.webhook_id, tenant, 12)
        assert await deliver_due(database, http, timeout_seconds=0.2) == 2
        receiver.answers = [status(200)]
        assert await deliver_due(database, http) == 1
        # It has answered: others may go beside each other again.
        assert await deliver_due(database, http) == 2


async def test_a_notification_wakes_a_worker_long_before_its_clock(
    database: Database, http: GuardedClient
) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        async with sending(database, http, Pace(poll_seconds=60)):
            await until_listening(database)
            await tell(database, tenant)
            await asyncio.wait_for(receiver.arrived.wait(), 60)
    assert [message.state for message in await messages(database)] == ["delivered"]


async def until_listening(db: Database) -> None:
    async with asyncio.timeout(60):
        listening = False
        while not listening:
            await asyncio.sleep(0.01)
            async with db.read() as tx:
                listening = await tx.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
                    " AND state = 'idle' AND datname = current_database())"
                )


async def until_delivered(db: Database) -> None:
    async with asyncio.timeout(60):
        while "delivered" not in {message.state for message in await messages(db)}:
            await asyncio.sleep(0.01)


async def test_a_worker_that_stops_records_what_it_sent_and_gives_back_the_rest(
    database: Database, http: GuardedClient
) -> None:
    async with receiving(hang) as hanging, receiving() as healthy:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, hanging.url)
        await new_endpoint(database, tenant, healthy.url)
        async with sending(database, http, Pace(drain_seconds=0.1, timeout_seconds=600)):
            await tell(database, tenant)
            await asyncio.gather(hanging.arrived.wait(), healthy.arrived.wait())
            await until_delivered(database)
        assert [message.state for message in await messages(database)] == ["pending", "delivered"]
        assert await deliver_due(database, http, timeout_seconds=0.1) == 1
    errors = [row["error"] for row in await attempts(database)]
    assert errors == [None, "timeout: after 0.1 s"]


class Broken:
    """An HTTP client with a fault of its own."""

    async def fetch(self, *_: object, **__: object) -> Response:
        raise ZeroDivisionError("failed on purpose")


async def test_a_fault_of_ours_is_a_failed_try_and_not_the_end(database: Database) -> None:
    tenant = await new_tenant(database)
    await new_endpoint(database, tenant, "https://shop.example.com/")
    await tell(database, tenant)
    assert await Dispatcher(database, Broken(), Pace()).deliver_due() == 1
    [message] = await messages(database)
    assert (message.state, message.attempts) == ("pending", 1)
    assert [row["error"] for row in await attempts(database)] == ["internal"]


async def test_whk_17_results_of_an_endpoint_that_somebody_changes_keep_no_others_waiting(
    database: Database, http: GuardedClient
) -> None:
    async with receiving(status(500)) as failing, receiving() as healthy:
        tenant = await new_tenant(database)
        changed = await new_endpoint(database, tenant, failing.url)
        await new_endpoint(database, tenant, healthy.url)
        dispatcher = Dispatcher(database, http, Pace())
        await tell(database, tenant)
        async with database.begin() as tx:
            await tx.execute(
                "SELECT FROM webhook_endpoints WHERE webhook_id = $1 FOR NO KEY UPDATE",
                changed.webhook_id,
            )
            assert await dispatcher.deliver_due() == 2
            assert [one.attempts for one in await messages(database)] == [0, 1]
        assert await dispatcher.deliver_due() == 0
    assert [one.attempts for one in await messages(database)] == [1, 1]


async def test_a_backlog_that_is_too_long_to_be_held_at_once_is_not_sent(
    database: Database, http: GuardedClient
) -> None:
    tenant = await new_tenant(database)
    endpoint = await new_endpoint(database, tenant, "https://shop.example.com/")
    await queue(database, endpoint.webhook_id, tenant, AT_ONCE + 5)
    await database.run(operations.disable, tenant, endpoint.webhook_id)
    scheduled = sum(one.wait is not None for one in await messages(database))
    assert scheduled == 5
    assert await deliver_due(database, http) == 0
    await database.run(operations.settle_stranded)
    assert {one.wait for one in await messages(database)} == {None}
    await database.run(operations.remove, tenant, endpoint.webhook_id)
    await database.run(operations.settle_stranded)
    assert {one.state for one in await messages(database)} == {"stopped"}
