"""Outgoing HTTP on behalf of merchants: webhooks and pictures, and nothing of our own network.

The guard stands where the socket is made, so it judges the address that is connected to: DNS
answers cannot change between check and use, and literals are covered too. Redirects are answers,
not followed. Every request has a cap on time and on the bytes read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any, Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.destinations import address_problem, destination_problem

TIMEOUT_SECONDS = 15.0
BYTES_MAX = 64 * 1024
_CHUNK = 16 * 1024
_HEADERS_MAX = 128
_KEEP_ALIVE_SECONDS = 1.5
_KEPT_CONNECTIONS_TRIED = 3
_NAMES_KEPT_SECONDS = 10
_LOOKUPS = 64
USER_AGENT = "GStable/1.0"


class FailureReason(StrEnum):
    """Why no answer came; stored with attempts, so the words are stable."""

    URL_REFUSED = "url_refused"
    ADDRESS_REFUSED = "address_refused"
    NAME_NOT_FOUND = "name_not_found"
    TIMEOUT = "timeout"
    TLS = "tls"
    CONNECTION = "connection"
    INVALID_ANSWER = "invalid_answer"


class FetchFailed(Passing):
    """No answer came; ``reason`` says which kind of trouble, the message the detail."""

    def __init__(self, reason: FailureReason, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of any status. Header names are in lower case, repeated ones joined by ``, ``.

    ``body`` is as it was sent (never decompressed); ``truncated`` if there was more of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool


class HttpClient(Protocol):
    """The port; ``plumbing.testing.FakeHttp`` is its fake."""

    async def fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        max_bytes: int = BYTES_MAX,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Response:
        """Send one request and read at most ``max_bytes`` of the answer within ``timeout`` seconds.

        Raises ``FetchFailed`` when no complete answer came (a truncated one counts as complete).
        """


class AddressRefused(OSError):
    """The guard's veto; an OSError, because the connector only lets those through."""


def _require_public(address: str, *, allow_loopback: bool) -> None:
    problem = address_problem(address, allow_loopback=allow_loopback)
    if problem:
        raise AddressRefused(problem)


class _GuardedResolver(AbstractResolver):
    """Refuses a name as a whole when one of its addresses is inward: such a name has no
    honest use, and the outcome would depend on which address is tried first.

    Names are looked up in threads of its own: whoever owns a name decides how long that takes,
    and the event loop's few threads would soon all wait for such names.
    """

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = partial(
            socket.getaddrinfo,
            host,
            port,
            family,
            socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            self._checked(host, port, kind, protocol, str(address[0]))
            for kind, _, protocol, _, address in found
        ]

    def _checked(
        self, host: str, port: int, family: int, protocol: int, address: str
    ) -> ResolveResult:
        _require_public(address, allow_loopback=self._allow_loopback)
        return ResolveResult(
            hostname=host,
            host=address,
            port=port,
            family=family,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class _Sending:
    """What is noted of one request on its way."""

    reused: bool = False


def _noting_reuse() -> aiohttp.TraceConfig:
    async def note(_session: object, context: Any, _parameters: object) -> None:
        context.trace_request_ctx.reused = True

    traced = aiohttp.TraceConfig()
    traced.on_connection_reuseconn.append(note)
    return traced


class GuardedClient:
    """The real client. A connection is kept for the next request to the same destination, but not
    for as long as servers usually keep theirs: one that is closed under a request fails it.

    ``allow_loopback`` permits this machine, for local development only. ``resolver`` replaces the
    system's name resolution; the guard at the socket stays. ``tls`` replaces the system's list of
    certificate authorities.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolver = resolver
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what is open; the client may be used again afterwards."""
        session, self._session = self._session, None
        if session:
            await session.close()

    async def fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        max_bytes: int = BYTES_MAX,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Response:
        """See ``HttpClient.fetch``."""
        problem = _url_problem(url, self._allow_loopback)
        if problem:
            raise FetchFailed(FailureReason.URL_REFUSED, problem)
        try:
            async with asyncio.timeout(timeout):
                return await self._send_again(method, url, headers, body, max_bytes)
        except TimeoutError as failure:
            raise FetchFailed(FailureReason.TIMEOUT, f"after {timeout:g} s") from failure
        except (aiohttp.ClientError, OSError) as failure:
            raise _explained(failure) from failure

    async def _send_again(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, max_bytes: int
    ) -> Response:
        """Send; and once more when a kept connection ends without a word: most likely the server
        closed it before it saw the request. A new connection's end is the server's answer."""
        for _ in range(_KEPT_CONNECTIONS_TRIED):
            about = _Sending()
            try:
                return await self._send(method, url, headers, body, max_bytes, about)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not about.reused:
                    raise
        return await self._send(method, url, headers, body, max_bytes, _Sending())

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        max_bytes: int,
        about: _Sending,
    ) -> Response:
        async with self._open().request(
            method,
            URL(url, encoded=True),  # as written: signed URLs do not survive another quoting
            headers={"user-agent": USER_AGENT, "accept-encoding": "identity", **headers},
            data=body or None,
            allow_redirects=False,
            trace_request_ctx=about,
        ) as answer:
            content, truncated = await _read(answer.content, max_bytes)
            return Response(answer.status, _joined(answer), content, truncated)

    def _open(self) -> aiohttp.ClientSession:
        """The session is made inside the running loop, on first use."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                socket_factory=self._socket,
                ssl=self._tls or True,
                resolver=self._resolver or _GuardedResolver(allow_loopback=self._allow_loopback),
                # The cache spares nobody the guard, which stands at the socket; it also lets all
                # that wait for one name wait for one look-up.
                use_dns_cache=True,
                ttl_dns_cache=_NAMES_KEPT_SECONDS,
                keepalive_timeout=_KEEP_ALIVE_SECONDS,
                limit=0,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_CHUNK,
                trace_configs=[_noting_reuse()],
                max_headers=_HEADERS_MAX,
            )
        return self._session

    def _socket(self, address: Any) -> socket.socket:
        """The guard: called with the address that is about to be connected to."""
        family, kind, protocol, _, destination = address
        _require_public(destination[0], allow_loopback=self._allow_loopback)
        made = socket.socket(family=family, type=kind, proto=protocol)
        # Unread bytes of an answer that is too long stay with whoever sends them.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BYTES_MAX)
        return made


@lru_cache(maxsize=4096)
def _url_problem(url: str, allow_loopback: bool) -> str | None:
    return destination_problem(url, allow_loopback=allow_loopback)


async def _read(stream: aiohttp.StreamReader, max_bytes: int) -> tuple[bytes, bool]:
    """At most ``max_bytes`` of the stream, and whether there was more."""
    content = bytearray()
    while chunk := await stream.read(_CHUNK):
        content += chunk
        if len(content) > max_bytes:
            return bytes(content[:max_bytes]), True
    return bytes(content), False


def _joined(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}


def _explained(failure: aiohttp.ClientError | OSError) -> FetchFailed:
    """Which of our reasons the driver's error is."""
    cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    if isinstance(cause, AddressRefused):
        return FetchFailed(FailureReason.ADDRESS_REFUSED, str(cause))
    if isinstance(failure, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return FetchFailed(FailureReason.TLS, str(cause))
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return FetchFailed(FailureReason.NAME_NOT_FOUND, str(cause))
    if isinstance(failure, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return FetchFailed(FailureReason.INVALID_ANSWER, str(failure))
    return FetchFailed(FailureReason.CONNECTION, str(cause))
