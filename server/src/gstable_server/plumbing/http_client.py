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
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.destinations import address_problem, destination_problem

TIMEOUT_SECONDS = 15.0
BYTES_MAX = 64 * 1024
_CHUNK = 16 * 1024
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
    honest use, and the outcome would depend on which address is tried first."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        for one in found:
            _require_public(one["host"], allow_loopback=self._allow_loopback)
        return found

    async def close(self) -> None:
        await self._system.close()


class GuardedClient:
    """The real client. One connection per request: nothing is shared between destinations.

    ``allow_loopback`` permits this machine, for local development only. ``resolver`` replaces the
    system's name resolution; the guard at the socket stays.
    """

    def __init__(
        self, *, allow_loopback: bool = False, resolver: AbstractResolver | None = None
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolver = resolver
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
        problem = destination_problem(url, allow_loopback=self._allow_loopback)
        if problem:
            raise FetchFailed(FailureReason.URL_REFUSED, problem)
        try:
            async with asyncio.timeout(timeout):
                return await self._send(method, url, headers, body, max_bytes)
        except TimeoutError as failure:
            raise FetchFailed(FailureReason.TIMEOUT, f"after {timeout:g} s") from failure
        except (aiohttp.ClientError, OSError) as failure:
            raise _explained(failure) from failure

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, max_bytes: int
    ) -> Response:
        async with self._open().request(
            method,
            URL(url, encoded=True),  # as written: signed URLs do not survive another quoting
            headers={"user-agent": USER_AGENT, "accept-encoding": "identity", **headers},
            data=body or None,
            allow_redirects=False,
        ) as answer:
            content, truncated = await _read(answer.content, max_bytes)
            return Response(answer.status, _joined(answer), content, truncated)

    def _open(self) -> aiohttp.ClientSession:
        """The session is made inside the running loop, on first use."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                socket_factory=self._socket,
                resolver=self._resolver or _GuardedResolver(allow_loopback=self._allow_loopback),
                use_dns_cache=False,
                force_close=True,
                limit=0,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, address: Any) -> socket.socket:
        """The guard: called with the address that is about to be connected to."""
        family, kind, protocol, _, destination = address
        _require_public(destination[0], allow_loopback=self._allow_loopback)
        return socket.socket(family=family, type=kind, proto=protocol)


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
