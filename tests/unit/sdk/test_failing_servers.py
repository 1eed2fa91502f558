"""Servers that cut answers short, drip them, or ask for more time than there is: real sockets."""

import gzip
import inspect
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gstable import (
    AsyncClient,
    Client,
    GStableConnectionError,
    GStableError,
    GStablePlatformError,
    GStableUsageError,
    HTTPTransport,
    Timeout,
)
from tests.unit.sdk import samples
from tests.unit.sdk.support import (
    API_KEY,
    ASKS,
    LittleServer,
    Step,
    World,
    answering,
    envelope,
    little_server,
)
from tests.unit.sdk.test_retry import account_list, archive, ask

BODY = json.dumps({"code": 0, "message": "success", "data": samples.SUCCESS}).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CUTS = {
    "no answer at all": b" ",
    "half a head": HEAD[:30],
    "a head without a body": HEAD + b"content-length: 60\r\n\r\n",
    "half a body": HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY[:20],
    "half a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\nff\r\n" + BODY,
    "no last chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a body that is not packed": HEAD + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
}


@pytest.fixture
def server() -> Iterator[LittleServer]:
    with little_server() as server:
        yield server


@pytest.fixture(params=ASKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("call", [archive, account_list])
def test_an_answer_that_is_cut_short_is_asked_for_again(
    server: LittleServer, kind: str, cut: str, call: Any
) -> None:
    good = envelope(samples.SUCCESS if call is archive else [])
    server.plan = [Step(raw=CUTS[cut]), good]
    ask(server, kind, call, World())
    assert len(server.seen) == 2
    keys = {seen.headers.get("idempotency-key") for seen in server.seen}
    assert keys == {"key-1" if call is archive else None}


@pytest.mark.parametrize("cut", CUTS)
def test_only_cut_answers_end_as_a_connection_error(
    server: LittleServer, kind: str, cut: str
) -> None:
    server.plan = [Step(raw=CUTS[cut])]
    with pytest.raises(GStableConnectionError, match="Network error"):
        ask(server, kind, archive, World())
    assert len(server.seen) == 3


def test_a_packed_answer_is_read(server: LittleServer, kind: str) -> None:
    server.plan = [Step(200, gzip.compress(BODY), {"content-encoding": "gzip"})]
    assert ask(server, kind, archive, World()).success
    assert "gzip" in server.seen[0].headers["accept-encoding"]


# --- the time of a whole call ---------------------------------------------------------------------


def test_an_answer_that_drips_is_cut_off(server: LittleServer, kind: str) -> None:
    raw = HEAD + b"content-length: 999\r\n\r\n"
    server.plan = [Step(raw=raw + b" " * 999, drip=0.01)]
    # The whole answer would come, in 10 s, and no byte is long in coming.
    with pytest.raises(GStableConnectionError, match="timed out"):
        ask(server, kind, archive, World(), timeout=Timeout(total=0.4), max_retries=0)


def test_attempts_and_waits_share_the_time_of_the_call(server: LittleServer, kind: str) -> None:
    server.plan = [Step(503)]
    world = World()
    with pytest.raises(GStableError, match="503"):
        ask(server, kind, archive, world, timeout=Timeout(total=4), max_retries=10)
    assert world.slept == [0.5, 1.0, 2.0]
    assert len(server.seen) == 4


def test_who_asks_for_more_time_than_there_is_is_not_waited_for(
    server: LittleServer, kind: str
) -> None:
    server.plan = [envelope(code=900101, status=429, retry_after="5"), envelope(samples.SUCCESS)]
    world = World()
    with pytest.raises(GStablePlatformError) as caught:
        ask(server, kind, archive, world, timeout=Timeout(total=5))
    assert caught.value.code == 900101
    assert world.slept == []
    assert len(server.seen) == 1


def test_the_last_attempt_has_only_what_is_left(server: LittleServer) -> None:
    server.plan = [Step(503), Step(hang=True)]
    began = time.monotonic()
    with (
        Client(API_KEY, base_url=server.url, timeout=Timeout(total=5, read=600)) as client,
        pytest.raises(GStableConnectionError, match="timed out"),
    ):
        archive(client)
    # A busy machine may be late, but not as late as the attempt alone.
    assert 4.9 <= time.monotonic() - began < 300
    assert len(server.seen) == 2


def test_one_number_does_not_end_a_call_before_its_attempt() -> None:
    assert Client(API_KEY, timeout=5)._requester._config.timeout.total == 120
    assert Client(API_KEY, timeout=300)._requester._config.timeout.total == 300
    with pytest.raises(GStableUsageError, match=r"timeout\.total"):
        Timeout(total=0)


def test_a_proxy_is_gone_through(server: LittleServer) -> None:
    server.plan = [envelope(samples.SUCCESS)]
    transport = HTTPTransport(proxy=server.url)
    with Client(API_KEY, base_url="http://nowhere.example", transport=transport) as client:
        assert archive(client).success
    assert server.seen[0].path == "http://nowhere.example/product/archive"


# --- both clients ---------------------------------------------------------------------------------


def described(client: Client | AsyncClient) -> dict[str, tuple[str, Any]]:
    """Documentation and signature of everything public, without what tells the two apart."""
    found: dict[str, tuple[str, Any]] = {}
    for name, namespace in vars(client).items():
        if name.startswith("_"):
            continue
        found[name] = (_plain(type(namespace).__doc__), None)
        for method_name, method in inspect.getmembers(namespace, inspect.ismethod):
            if not method_name.startswith("_"):
                parameters = inspect.signature(method).parameters.values()
                told = [
                    (each.name, each.kind, each.default, each.annotation) for each in parameters
                ]
                found[f"{name}.{method_name}"] = (_plain(method.__doc__), told)
    return found


def _plain(text: str | None) -> str:
    assert text, "everything public is documented"
    return text.replace("async for", "for").replace("Async", "")


def test_both_clients_have_the_same_names_signatures_and_documents() -> None:
    sync = Client(API_KEY, transport=answering(None))
    other = AsyncClient(API_KEY, transport=answering(None))
    assert described(sync) == described(other)
    assert len(described(sync)) > 50
    assert _plain(Client.__doc__) == _plain(AsyncClient.__doc__)
    for own, twin in ((Client, AsyncClient),):
        mine = [(each.name, each.default) for each in inspect.signature(own).parameters.values()]
        theirs = [(each.name, each.default) for each in inspect.signature(twin).parameters.values()]
        assert mine == theirs


def test_results_are_of_the_same_types() -> None:
    sync = Client(API_KEY, transport=answering(None))
    other = AsyncClient(API_KEY, transport=answering(None))
    for name, namespace in vars(sync).items():
        if name.startswith("_"):
            continue
        for method_name, method in inspect.getmembers(namespace, inspect.ismethod):
            twin = getattr(getattr(other, name), method_name)
            mine, theirs = (inspect.signature(each).return_annotation for each in (method, twin))
            assert str(mine) == str(theirs).replace("Async", ""), f"{name}.{method_name}"
