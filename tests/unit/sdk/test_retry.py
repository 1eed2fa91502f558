"""Trying again: what is, what is not, how long between, against real HTTP."""

import asyncio
import inspect
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from gstable import (
    AsyncClient,
    AsyncHTTPTransport,
    Client,
    GStableCommonError,
    GStableConnectionError,
    GStableError,
    GStablePlatformError,
    GStableProductError,
    HTTPTransport,
    MockTransport,
    Request,
    Response,
    Timeout,
    _retry,
)
from tests.unit.sdk import samples
from tests.unit.sdk.support import (
    API_KEY,
    ASKS,
    NOW,
    LittleServer,
    Step,
    World,
    envelope,
    little_server,
)

CERTIFICATES = ssl.create_default_context()
TRANSPORTS: dict[str, Any] = {"sync": HTTPTransport, "async": AsyncHTTPTransport}


@pytest.fixture
def server() -> Iterator[LittleServer]:
    with little_server() as server:
        yield server


@pytest.fixture(params=ASKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def archive(client: Any) -> Any:
    return client.product.archive("prd_1")


def account_list(client: Any) -> Any:
    return client.account.list()


def real_transport(kind: str) -> Any:
    """The shipped one; loading the system's certificates once, not for every test."""
    return TRANSPORTS[kind](ssl_context=CERTIFICATES)


def ask(server: LittleServer, kind: str, call: Any, world: World, **settings: Any) -> Any:
    settings = {"base_url": server.url + "/api/v1/", **settings}
    return ASKS[kind](call, world, real_transport(kind), **settings)


FAILURES = {
    "reset": Step(reset=True),
    "429": envelope(code=900101, status=429),
    "429 without an envelope": Step(429, b"slow down"),
    "500": envelope(code=999999, status=500),
    "502": Step(502, b"<html>bad gateway</html>"),
    "503": Step(503),
    "504": Step(504),
    "in progress": envelope(code=400103),
    "rate limit in a 200": envelope(code=900101),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("call", [archive, account_list])
def test_passing_failures_are_tried_again(
    server: LittleServer, kind: str, failure: str, call: Any
) -> None:
    good = envelope(samples.SUCCESS if call is archive else [])
    server.plan = [FAILURES[failure], FAILURES[failure], good]
    world = World()
    ask(server, kind, call, world)
    assert len(server.seen) == 3
    assert world.slept == [0.5, 1.0]
    first, second, third = server.seen
    assert first.path == second.path == third.path
    assert first.body == second.body == third.body
    keys = {seen.headers.get("idempotency-key") for seen in server.seen}
    assert keys == {"key-1" if call is archive else None}


@pytest.mark.parametrize("failure", FAILURES)
def test_the_last_failure_is_raised(server: LittleServer, kind: str, failure: str) -> None:
    server.plan = [FAILURES[failure]]
    with pytest.raises(GStableError):
        ask(server, kind, archive, World())
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (envelope(code=100301), GStableProductError),
        (envelope(code=400101), GStableCommonError),
        (envelope(code=400102), GStableCommonError),
        (envelope(code=900201), GStablePlatformError),
        (envelope(code=200101, status=401), GStableError),
        (Step(404, b"no such page"), GStableError),
        (Step(302, headers={"location": "/elsewhere"}), GStableError),
        (Step(200, b"not json"), GStableError),
    ],
)
def test_other_failures_are_not(
    server: LittleServer, kind: str, step: Step, error: type[GStableError]
) -> None:
    server.plan = [step]
    world = World()
    with pytest.raises(error):
        ask(server, kind, archive, world)
    assert len(server.seen) == 1
    assert world.slept == []


def test_no_retries_when_none_are_wanted(server: LittleServer, kind: str) -> None:
    server.plan = [Step(503)]
    with pytest.raises(GStableError, match="503"):
        ask(server, kind, archive, World(), max_retries=0)
    assert len(server.seen) == 1


def test_a_hanging_server_times_out(server: LittleServer, kind: str) -> None:
    server.plan = [Step(hang=True), envelope(samples.SUCCESS)]
    began = time.monotonic()
    # A busy machine may be late with the good answer too: as often as this it is not.
    result = ask(server, kind, archive, World(), timeout=Timeout(read=0.2), max_retries=10)
    assert result.success
    assert time.monotonic() - began >= 0.2
    assert len({seen.headers["idempotency-key"] for seen in server.seen}) == 1
    assert len(server.seen) >= 2


def test_only_hanging_ends_as_a_connection_error(server: LittleServer, kind: str) -> None:
    server.plan = [Step(hang=True)]
    world = World()
    with pytest.raises(GStableConnectionError, match="timed out") as caught:
        ask(server, kind, archive, world, timeout=0.1, max_retries=1)
    assert caught.value.code == -1
    assert caught.value.http_status is None
    assert len(world.slept) == 1


def test_nobody_listening_is_a_connection_error(kind: str) -> None:
    with little_server() as gone:
        url = gone.url
    world = World()
    with pytest.raises(GStableConnectionError, match="Network error"):
        ASKS[kind](archive, world, real_transport(kind), base_url=url)
    assert len(world.slept) == 2


def test_retry_after_seconds_is_a_lower_bound(server: LittleServer, kind: str) -> None:
    limited = envelope(code=900101, status=429, retry_after="7")
    soon = envelope(code=900101, status=429, retry_after="0")
    server.plan = [limited, soon, envelope(samples.SUCCESS)]
    world = World()
    ask(server, kind, archive, world)
    assert world.slept == [7, 1.0]


def test_retry_after_date_and_cap(server: LittleServer, kind: str) -> None:
    due = format_datetime(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=9), usegmt=True)
    far = Step(503, headers={"retry-after": "86400"})
    server.plan = [Step(503, headers={"retry-after": due}), far, envelope(samples.SUCCESS)]
    world = World()
    ask(server, kind, archive, world)
    assert world.slept == [9, 60]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("5", 5),
        (" 5 ", 5),
        ("99999999999999999999", 60),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٥", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60),
        ("Fri, 99 Dec 9999 23:59:59 GMT", 0),
    ],
)
def test_retry_after_forms(header: str | None, seconds: int) -> None:
    assert _retry.hint(header, float(NOW)) == seconds


def test_backoff_doubles_within_jitter_up_to_a_cap() -> None:
    least = [_retry.delay(attempt, 0.0, None, 0.0) for attempt in range(1, 9)]
    most = [_retry.delay(attempt, 1.0, None, 0.0) for attempt in range(1, 9)]
    assert least == [0.25, 0.5, 1, 2, 4, 4, 4, 4]
    assert most == [0.5, 1, 2, 4, 8, 8, 8, 8]


def test_a_key_is_kept_for_all_attempts_but_not_for_the_next_call(kind: str) -> None:
    answers = [503, 200, 503, 200]

    def handler(request: Request) -> Response:
        return Response.envelope(samples.SUCCESS, status=answers.pop(0))

    transport = MockTransport(handler)
    world = World()

    def twice(client: Any) -> Any:
        if kind == "sync":
            archive(client)
            return archive(client)

        async def both() -> Any:
            await archive(client)
            return await archive(client)

        return both()

    ASKS[kind](twice, world, transport)
    keys = [request.headers["Idempotency-Key"] for request in transport.requests]
    assert keys == ["key-1", "key-1", "key-2", "key-2"]


def test_a_bug_in_a_handler_is_not_hidden(kind: str) -> None:
    def handler(request: Request) -> Response:
        raise KeyError("bug")

    world = World()
    with pytest.raises(KeyError):
        ASKS[kind](archive, world, MockTransport(handler))
    assert world.slept == []


def test_the_shipped_sleep_really_sleeps(server: LittleServer, kind: str) -> None:
    server.plan = [Step(503), envelope(samples.SUCCESS)]
    began = time.monotonic()
    if kind == "sync":
        with Client(API_KEY, base_url=server.url) as client:
            assert not inspect.isawaitable(archive(client))
    else:

        async def run() -> None:
            async with AsyncClient(API_KEY, base_url=server.url) as client:
                assert (await archive(client)).success

        asyncio.run(run())
    assert time.monotonic() - began >= 0.25
    assert len({seen.headers["idempotency-key"] for seen in server.seen}) == 1
