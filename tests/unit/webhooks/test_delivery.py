"""Real letters to a real receiver: what it answers, and what becomes of the message."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from gstable_server.kernel.clock import UnixSeconds
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import USER_AGENT, GuardedClient
from gstable_server.plumbing.metrics import REGISTRY
from gstable_server.plumbing.system import SystemClock
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations
from gstable_server.webhooks.delivery import SNIPPET_CHARACTERS
from gstable_server.webhooks.machine import WAITS_SECONDS
from gstable_server.webhooks.model import Target
from gstable_server.webhooks.signing import gstable_signature
from tests.unit.webhooks.support import (
    Answer,
    Letter,
    attempts,
    deliver_due,
    endless,
    endpoint_status,
    hang,
    lapse_leases,
    messages,
    new_endpoint,
    new_tenant,
    next_try,
    receiving,
    status,
    tell,
)

pytestmark = pytest.mark.anyio


def verify_standard(letter: Letter, key: str) -> None:
    Webhook("whsec_" + b64encode(key.encode()).decode()).verify(letter.body, letter.headers)


async def test_a_delivered_letter_carries_both_signatures(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    clock.set(SystemClock().now())
    async with receiving(status(204)) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant, payload={"sessionData": {"name": "Käse.☕", "n": 2**60}})
        await next_try(database, http, clock)
        [letter] = receiver.letters
        headers = letter.headers
        verify_standard(letter, endpoint.keys.current)
        at = UnixSeconds(int(headers["x-gstable-timestamp"]))
        assert at == int(clock.now().timestamp())
        assert headers["x-gstable-signature"] == gstable_signature(
            endpoint.keys.current, at, letter.body
        )
        assert headers["webhook-id"] == json.loads(letter.body)["eventId"]
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"] == USER_AGENT
    [message] = await messages(database)
    assert (message.state, message.attempts, message.wait) == ("delivered", 1, None)
    [attempt] = await attempts(database)
    assert (attempt["status_code"], attempt["error"]) == (204, None)


async def test_500_then_200(database: Database, http: GuardedClient, clock: FakeClock) -> None:
    async with receiving(status(500, text="broken"), status(200)) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        [message] = await messages(database)
        assert (message.state, message.attempts) == ("pending", 1)
        assert message.wait is not None
        assert timedelta(seconds=0.9) <= message.wait <= timedelta(seconds=1.1)
        clock.advance(2)
        await next_try(database, http, clock)
        first, second = receiver.letters
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.headers["x-gstable-timestamp"] != second.headers["x-gstable-timestamp"]
    [message] = await messages(database)
    assert (message.state, message.attempts) == ("delivered", 2)
    assert [row["status_code"] for row in await attempts(database)] == [500, 200]
    assert (await attempts(database))[0]["response"] == "broken"


FAILURES = [
    (status(302, {"location": "http://127.0.0.1:1/metadata"}), 302),
    (status(301, {"location": "file:///etc/passwd"}), 301),
    (status(307, {"location": "/hook"}), 307),
    (status(308, {"location": "/hook"}), 308),
    (status(404), 404),
    (status(503), 503),
]


@pytest.mark.parametrize(("answer", "code"), FAILURES, ids=[str(code) for _, code in FAILURES])
async def test_whk_04_redirects_and_errors_are_failures_and_not_followed(
    database: Database, clock: FakeClock, http: GuardedClient, answer: Answer, code: int
) -> None:
    async with receiving(answer) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        assert len(receiver.letters) == 1
    [message] = await messages(database)
    assert (message.state, message.attempts) == ("pending", 1)
    assert [row["status_code"] for row in await attempts(database)] == [code]


async def test_whk_06_a_hanging_receiver_is_left_in_time(
    database: Database, clock: FakeClock, http: GuardedClient
) -> None:
    async with receiving(hang) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock, timeout_seconds=0.3)
    [attempt] = await attempts(database)
    assert attempt["status_code"] is None
    assert attempt["error"].startswith("timeout")
    assert [message.state for message in await messages(database)] == ["pending"]


async def test_whk_06_an_endless_answer_is_cut(
    database: Database, clock: FakeClock, http: GuardedClient
) -> None:
    async with receiving(endless) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
    [attempt] = await attempts(database)
    assert attempt["status_code"] == 200
    assert attempt["response"] == "x" * SNIPPET_CHARACTERS
    assert [message.state for message in await messages(database)] == ["delivered"]


async def test_an_answer_that_is_no_text_is_kept_as_far_as_it_can_be(
    database: Database, clock: FakeClock, http: GuardedClient
) -> None:
    async with receiving(status(200, text="a\x00b\ud7ff")) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
    assert [row["response"] for row in await attempts(database)] == ["a\ufffdb\ud7ff"]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens and nobody else can: bound, but not listening."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


async def test_a_refused_connection_is_recorded_and_tried_again(
    database: Database, clock: FakeClock, http: GuardedClient, closed_port: int
) -> None:
    tenant = await new_tenant(database)
    await new_endpoint(database, tenant, f"http://127.0.0.1:{closed_port}/hook")
    await tell(database, tenant)
    await next_try(database, http, clock)
    [attempt] = await attempts(database)
    assert attempt["status_code"] is None
    assert attempt["error"].startswith("connection")
    assert [message.attempts for message in await messages(database)] == [1]


async def test_whk_01_a_client_without_leave_does_not_connect_to_loopback(
    database: Database,
    clock: FakeClock,
) -> None:
    async with receiving() as receiver, GuardedClient() as guarded:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, guarded, clock)
        assert receiver.letters == []
    assert [message.state for message in await messages(database)] == ["pending"]


@pytest.mark.parametrize("code", [429, 503])
async def test_whk_07_retry_after_moves_the_next_try(
    database: Database, clock: FakeClock, http: GuardedClient, code: int
) -> None:
    async with receiving(status(code, {"Retry-After": "90"})) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
    assert [message.wait for message in await messages(database)] == [timedelta(seconds=90)]


async def test_whk_07_gone_disables_the_endpoint_and_enable_goes_on(
    database: Database, clock: FakeClock, http: GuardedClient
) -> None:
    async with receiving(status(410), status(200)) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "inactive"
        assert await deliver_due(database, http) == 0
        assert len(receiver.letters) == 1
        assert [message.wait for message in await messages(database)] == [None]
        await database.run(operations.enable, tenant, endpoint.webhook_id)
        await next_try(database, http, clock)
        assert len(receiver.letters) == 2
    assert [message.state for message in await messages(database)] == ["delivered"]


async def test_gone_from_an_address_that_was_changed_meanwhile_disables_nothing(
    database: Database, clock: FakeClock, http: GuardedClient
) -> None:
    async with receiving(hang) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)

        async def gone_after_update(_request: object) -> object:
            target = Target("Orders", receiver.url + "?new", None, ("session.paid",))
            await database.run(operations.update, tenant, endpoint.webhook_id, target)
            return await status(410)(_request)  # type: ignore[arg-type]

        receiver.answers[:] = [gone_after_update]  # type: ignore[list-item]
        await tell(database, tenant)
        await next_try(database, http, clock)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "active"
    assert [message.attempts for message in await messages(database)] == [1]


async def test_whk_14_disabled_holds_and_enabled_goes_on(
    database: Database, clock: FakeClock, http: GuardedClient
) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await database.run(operations.disable, tenant, endpoint.webhook_id)
        assert await deliver_due(database, http) == 0
        assert receiver.letters == []
        [message] = await messages(database)
        assert (message.state, message.attempts, message.wait) == ("pending", 0, None)
        await database.run(operations.enable, tenant, endpoint.webhook_id)
        await next_try(database, http, clock)
        assert len(receiver.letters) == 1


async def test_whk_14_removed_stops_for_ever(database: Database, http: GuardedClient) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await database.run(operations.remove, tenant, endpoint.webhook_id)
        assert await deliver_due(database, http) == 0
        assert receiver.letters == []
    assert [message.state for message in await messages(database)] == ["stopped"]


@pytest.mark.parametrize(
    ("change", "state"),
    [("removed_at = now()", "stopped"), ("status = 'inactive'", "pending")],
)
async def test_whk_14_a_letter_posted_while_its_endpoint_was_closed_is_settled(
    database: Database, http: GuardedClient, change: str, state: str
) -> None:
    tenant = await new_tenant(database)
    await new_endpoint(database, tenant, "https://shop.example.com/")
    await tell(database, tenant)
    async with database.begin() as tx:
        await tx.execute(f"UPDATE webhook_endpoints SET {change}")
    assert await deliver_due(database, http) == 0
    await database.run(operations.settle_stranded)
    assert [(one.state, one.wait) for one in await messages(database)] == [(state, None)]


async def test_whk_14_a_changed_url_counts_from_the_next_try(
    database: Database, clock: FakeClock, http: GuardedClient
) -> None:
    async with receiving(status(500)) as old, receiving() as new:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, old.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        target = Target("Orders", new.url, None, ("session.paid",))
        await database.run(operations.update, tenant, endpoint.webhook_id, target)
        await next_try(database, http, clock)
        assert (len(old.letters), len(new.letters)) == (1, 1)
        assert old.letters[0].body == new.letters[0].body


async def test_whk_15_a_key_refreshed_between_tries(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    clock.set(SystemClock().now())
    async with receiving(status(500)) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        graced = await database.run(
            operations.refresh_key, tenant, endpoint.webhook_id, grace_seconds=60
        )
        await next_try(database, http, clock)
        final = await database.run(operations.refresh_key, tenant, endpoint.webhook_id)
        await next_try(database, http, clock)
        first, second, third = receiver.letters
    verify_standard(first, endpoint.keys.current)
    verify_standard(second, endpoint.keys.current)
    verify_standard(second, graced)
    verify_standard(third, final)
    with pytest.raises(WebhookVerificationError):
        verify_standard(third, graced)
    at = UnixSeconds(int(second.headers["x-gstable-timestamp"]))
    assert second.headers["x-gstable-signature"] == gstable_signature(graced, at, second.body)


async def test_the_schedule_ends(
    database: Database, http: GuardedClient, closed_port: int, clock: FakeClock
) -> None:
    tenant = await new_tenant(database)
    await new_endpoint(database, tenant, f"http://127.0.0.1:{closed_port}/hook")
    await tell(database, tenant)
    given_up = "gstable_webhook_letters_given_up_total"
    before = REGISTRY.get_sample_value(given_up)
    assert before is not None
    for wait in WAITS_SECONDS:
        assert REGISTRY.get_sample_value(given_up) == before
        clock.advance(wait)
        await next_try(database, http, clock)
    assert REGISTRY.get_sample_value(given_up) == before + 1
    [message] = await messages(database)
    assert (message.state, message.attempts) == ("exhausted", len(WAITS_SECONDS))
    assert len(await attempts(database)) == 13


async def test_whk_09_five_days_of_failures_pause_and_enable_goes_on(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    async with receiving(status(500), status(500), status(200)) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "active"
        clock.advance(5 * 86_400)
        await next_try(database, http, clock)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "paused"
        await tell(database, tenant)
        assert await deliver_due(database, http) == 0
        assert len(receiver.letters) == 2
        assert [message.wait for message in await messages(database)] == [None, None]
        await database.run(operations.enable, tenant, endpoint.webhook_id)
        await next_try(database, http, clock)
        await next_try(database, http, clock)
    assert [message.state for message in await messages(database)] == ["delivered"] * 2


async def test_whk_09_a_success_in_between_starts_the_count_again(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    async with receiving(status(500), status(200), status(500)) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
        clock.advance(4 * 86_400)
        await next_try(database, http, clock)
        clock.advance(4 * 86_400)
        await tell(database, tenant)
        await next_try(database, http, clock)
        assert await endpoint_status(database, tenant, endpoint.webhook_id) == "active"


async def test_whk_12_two_workers_send_a_message_once(
    database: Database, http: GuardedClient
) -> None:
    async with receiving(status(200)) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        for _ in range(20):
            await tell(database, tenant)
        tries = await asyncio.gather(*(deliver_due(database, http) for _ in range(4)))
        while more := await deliver_due(database, http):
            tries.append(more)
        sent = [letter.headers["webhook-id"] for letter in receiver.letters]
    assert len(sent) == len(set(sent)) == sum(tries) == 20
    assert {message.state for message in await messages(database)} == {"delivered"}


async def test_whk_12_a_lease_that_passes_while_sending_is_the_only_way_to_a_second_sender(
    database: Database, http: GuardedClient
) -> None:
    async def answer_late(request: web.Request) -> web.StreamResponse:
        if len(receiver.letters) == 1:
            # The first sender's request is under way: nobody else sends before the lease ends.
            assert await deliver_due(database, http) == 0
            await lapse_leases(database)
            assert await deliver_due(database, http) == 1
            return await status(500)(request)
        return await status(503)(request)

    async with receiving(answer_late) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        assert await deliver_due(database, http) == 1
        assert len(receiver.letters) == 2
    assert [message.attempts for message in await messages(database)] == [1]
    assert [row["status_code"] for row in await attempts(database)] == [503, 500]


async def test_whk_12_the_late_success_of_a_sender_whose_lease_passed_counts(
    database: Database, http: GuardedClient
) -> None:
    async def answer_late(request: web.Request) -> web.StreamResponse:
        if len(receiver.letters) == 1:
            await lapse_leases(database)
            assert await deliver_due(database, http) == 1
            return await status(200)(request)
        return await status(503)(request)

    async with receiving(answer_late) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        assert await deliver_due(database, http) == 1
    assert [message.state for message in await messages(database)] == ["delivered"]
    assert len(await attempts(database)) == 2


async def test_whk_21_attempts_carry_no_secret(
    database: Database, clock: FakeClock, http: GuardedClient, capfd: pytest.CaptureFixture[str]
) -> None:
    async with receiving(status(500, text="no")) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await next_try(database, http, clock)
    recorded = str([dict(row) for row in await attempts(database)])
    written = capfd.readouterr()
    assert endpoint.keys.current not in recorded + written.out + written.err
