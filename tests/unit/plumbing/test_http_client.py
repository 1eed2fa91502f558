"""The guarded client against real sockets, and one suite for it and its fake."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gstable_server.plumbing.http_client import (
    FailureReason,
    FetchFailed,
    GuardedClient,
    HttpClient,
)
from gstable_server.plumbing.testing import FakeAnswer, FakeHttp

pytestmark = pytest.mark.anyio


class Site:
    """A real server on loopback that says exactly the bytes it is given, path by path."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[bytes, float]] = {}
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, path: str, answer: bytes, *, seconds_per_byte: float = 0) -> str:
        self.answers[path] = (answer, seconds_per_byte)
        return self.url + path

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            self.requests.append(head + await reader.readexactly(length))
            answer, pace = self.answers[head.split(b" ")[1].decode()]
            if pace:
                for position in range(len(answer)):
                    writer.write(answer[position : position + 1])
                    await writer.drain()
                    await asyncio.sleep(pace)
            else:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running() as one:
        yield one


def raw(status: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def failure_of(client: HttpClient, url: str, *, timeout: float = 60) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await client.fetch("POST", url, {}, b"{}", timeout=timeout)
    return caught.value


# --- one suite for the port: the real client and the fake -------------------------------------

HELLO = FakeAnswer(200, (("Content-Type", "text/plain"), ("X-Two", "a"), ("X-Two", "b")), b"hello")
MOVED = FakeAnswer(302, (("Location", "http://127.0.0.1:1/elsewhere"),))
LONG = FakeAnswer(200, (), b"x" * 1000)
SLOW = FakeAnswer(200, (), b"late", seconds=30)
BROKEN = FakeAnswer(503, (("Retry-After", "7"),), b"busy")
PAGES = {"/hello": HELLO, "/moved": MOVED, "/long": LONG, "/slow": SLOW, "/broken": BROKEN}


@pytest.fixture(params=["real", "fake"])
async def web(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[tuple[HttpClient, str]]:
    """A client of each kind, before the same pages; and where they begin."""
    if request.param == "fake":
        answers = {site.url + path: page for path, page in PAGES.items()}
        yield FakeHttp(answers, allow_loopback=True), site.url
        return
    for path, page in PAGES.items():
        answer = raw(f"{page.status} Said", list(page.headers), page.body)
        site.say(path, answer, seconds_per_byte=page.seconds)
    async with GuardedClient(allow_loopback=True) as client:
        yield client, site.url


async def test_port_answers_of_any_status_come_back_whole(web: tuple[HttpClient, str]) -> None:
    client, base = web
    hello = await client.fetch("GET", f"{base}/hello", {})
    assert (hello.status, hello.body, hello.truncated) == (200, b"hello", False)
    assert hello.headers["content-type"] == "text/plain"
    assert hello.headers["x-two"] == "a, b"
    busy = await client.fetch("POST", f"{base}/broken", {}, b"{}")
    assert (busy.status, busy.body, busy.headers["retry-after"]) == (503, b"busy", "7")


async def test_port_whk_04_redirects_are_answers(web: tuple[HttpClient, str]) -> None:
    client, base = web
    moved = await client.fetch("POST", f"{base}/moved", {}, b"{}")
    assert moved.status == 302


async def test_port_bodies_are_cut_at_the_cap(web: tuple[HttpClient, str]) -> None:
    client, base = web
    exact = await client.fetch("GET", f"{base}/long", {}, max_bytes=1000)
    assert (len(exact.body), exact.truncated) == (1000, False)
    cut = await client.fetch("GET", f"{base}/long", {}, max_bytes=999)
    assert (len(cut.body), cut.truncated) == (999, True)


async def test_port_slow_answers_end_at_the_timeout(web: tuple[HttpClient, str]) -> None:
    client, base = web
    assert (await failure_of(client, f"{base}/slow", timeout=0.3)).reason is FailureReason.TIMEOUT


async def test_port_refused_urls_are_not_called(web: tuple[HttpClient, str]) -> None:
    client, _ = web
    for url in ("https://10.0.0.1/", "https://shop.example:22/", "ftp://shop.example/"):
        assert (await failure_of(client, url)).reason is FailureReason.URL_REFUSED


async def test_port_names_that_do_not_exist(web: tuple[HttpClient, str]) -> None:
    client, _ = web
    failure = await failure_of(client, "https://nobody.invalid/")
    assert failure.reason is FailureReason.NAME_NOT_FOUND


# --- the guard, at the socket ------------------------------------------------------------------


class Names(AbstractResolver):
    """Name resolution as an attacker would set it up."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fe80::1",
        "fd00::1",
        "0.0.0.0",
    ],
)
async def test_whk_01_the_socket_refuses_whatever_the_name_resolved_to(address: str) -> None:
    """A resolver without any check of its own: the guard at the socket stands alone."""
    async with GuardedClient(resolver=Names(address)) as client:
        failure = await failure_of(client, "https://shop.example/")
    assert failure.reason is FailureReason.ADDRESS_REFUSED


async def test_whk_02_no_connection_reaches_a_listening_neighbour() -> None:
    """8443 is an allowed port; the listener proves that not even a connection was opened."""
    reached: list[object] = []
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)

    class Rebinding(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            return [{**one, "port": listener.getsockname()[1]} for one in found]

    try:
        async with GuardedClient(resolver=Rebinding("127.0.0.1")) as client:
            failure = await failure_of(client, "https://shop.example:8443/")
        with pytest.raises(BlockingIOError):
            reached.append(listener.accept())
    finally:
        listener.close()
    assert failure.reason is FailureReason.ADDRESS_REFUSED
    assert reached == []


async def test_whk_02_a_name_with_one_inward_address_is_refused_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system's resolution answers a public and an inward address: nothing is tried."""

    def mixed(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", mixed)
    async with GuardedClient() as client:
        failure = await failure_of(client, "https://shop.example/")
    assert failure.reason is FailureReason.ADDRESS_REFUSED
    assert "10.0.0.7" in str(failure)


async def test_loopback_is_refused_unless_it_is_allowed(site: Site) -> None:
    url = site.say("/", raw("200 OK", [], b"inside"))
    async with GuardedClient() as client:
        assert (await failure_of(client, url)).reason is FailureReason.URL_REFUSED
    assert site.connections == 0
    async with GuardedClient(allow_loopback=True) as client:
        assert (await client.fetch("GET", url, {})).body == b"inside"


# --- hostile answers ---------------------------------------------------------------------------


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(allow_loopback=True) as one:
        yield one


async def test_whk_06_one_byte_at_a_time_ends_at_the_timeout(
    site: Site, client: GuardedClient
) -> None:
    url = site.say("/drip", raw("200 OK", [], b"x" * 1000), seconds_per_byte=0.02)
    # All of it would take 20 s, and no byte is long in coming.
    assert (await failure_of(client, url, timeout=0.5)).reason is FailureReason.TIMEOUT


async def test_whk_06_an_endless_body_is_left_at_the_cap(site: Site, client: GuardedClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    answer = await client.fetch("GET", site.say("/endless", head + b"y" * 200_000), {})
    assert (len(answer.body), answer.truncated) == (64 * 1024, True)


async def test_whk_06_compressed_bodies_are_not_inflated(site: Site, client: GuardedClient) -> None:
    url = site.say("/zip", raw("200 OK", [("Content-Encoding", "gzip")], b"\x1f\x8b not really"))
    assert (await client.fetch("GET", url, {})).body == b"\x1f\x8b not really"


@pytest.mark.parametrize(
    "answer",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(10_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"z" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
async def test_whk_06_what_is_no_http_is_an_invalid_answer(
    site: Site, client: GuardedClient, answer: bytes
) -> None:
    failure = await failure_of(client, site.say("/odd", answer))
    assert failure.reason is FailureReason.INVALID_ANSWER


async def test_whk_06_a_closed_door_and_a_silent_hang_up(site: Site, client: GuardedClient) -> None:
    assert (await failure_of(client, site.say("/", b""))).reason is FailureReason.CONNECTION
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        failure = await failure_of(client, f"http://127.0.0.1:{port}/")
    assert failure.reason is FailureReason.CONNECTION


async def test_whk_06_no_tls_where_tls_was_expected(client: GuardedClient) -> None:
    async def blurt(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(blurt, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        failure = await failure_of(client, f"https://127.0.0.1:{port}/")
    assert failure.reason is FailureReason.TLS


# --- what leaves us ----------------------------------------------------------------------------


async def test_the_request_is_what_was_asked_for(
    site: Site, client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies of the environment, cookies and stored passwords play no part."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    url = site.say("/hook?a=1&b=%2F", raw("200 OK", [("Set-Cookie", "a=b")], b""))
    for _ in range(2):
        await client.fetch("POST", url, {"x-mark": "1", "content-type": "application/json"}, b"{}")
    first, second = site.requests
    assert first.startswith(b"POST /hook?a=1&b=%2F HTTP/1.1\r\n")
    assert first.endswith(b"\r\n\r\n{}")
    for line in (b"x-mark: 1", b"content-type: application/json", b"accept-encoding: identity"):
        assert line in first
    assert b"cookie" not in second.lower()
    assert b"authorization" not in second.lower()
    assert site.connections == 2


async def test_whk_22_headers_cannot_be_injected(site: Site, client: GuardedClient) -> None:
    url = site.say("/", raw("200 OK", [], b""))
    with pytest.raises(ValueError, match=r"(?i)newline|control|header"):
        await client.fetch("GET", url, {"x": "1\r\nx-evil: 2"})
    assert site.requests == []


async def test_a_closed_client_can_be_used_again(site: Site, client: GuardedClient) -> None:
    url = site.say("/", raw("200 OK", [], b"again"))
    await client.fetch("GET", url, {})
    await client.close()
    assert (await client.fetch("GET", url, {})).body == b"again"
