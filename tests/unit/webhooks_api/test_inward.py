"""Where a merchant may not point us: refused when it is registered, and again when it is called.

What a refused call does is watched where Python connects its sockets, and by a neighbour who
listens: not one attempt leaves.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import ValidationError

from gstable_server.kernel.errors import Refused
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import FailureReason, FetchFailed, GuardedClient
from tests.unit.plumbing.test_destinations import INWARD
from tests.unit.webhooks_api.support import Api

pytestmark = pytest.mark.anyio

LITERALS = [
    *(address for address in INWARD if ":" not in address),
    *(f"[{address}]" for address in INWARD if ":" in address and "%" not in address),
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "127.1",
    "127.0.0.1.",
    "①②⑦.0.0.1",
]
"""Hosts of URLs: addresses, and other spellings that some resolver takes for one."""

_watched: list[list[object]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        for seen in _watched:
            seen.append(arguments[1])


sys.addaudithook(_hook)


@contextmanager
def no_connection() -> Iterator[None]:
    """Fails if anything in this process connects a socket meanwhile."""
    seen: list[object] = []
    _watched.append(seen)
    try:
        yield
    finally:
        _watched.remove(seen)
    assert seen == []


@contextmanager
def neighbour(address: str = "127.0.0.1") -> Iterator[int]:
    """A service of our own network, which must not be reached; its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        listener.setblocking(False)
        yield listener.getsockname()[1]
        with pytest.raises(BlockingIOError):
            listener.accept()


class Names(AbstractResolver):
    """Every name means these addresses; checks nothing, so that the guard at the socket is alone
    to judge them."""

    def __init__(self, *addresses: str, port: int | None = None) -> None:
        self._addresses = addresses
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=self._port or port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        return


async def reason_of(client: GuardedClient, url: str) -> FailureReason:
    with pytest.raises(FetchFailed) as caught:
        await client.fetch("POST", url, {}, b"{}", timeout=2)
    return caught.value.reason


def test_the_watch_sees_connections() -> None:
    with neighbour_that_answers() as port, pytest.raises(AssertionError), no_connection():
        socket.create_connection(("127.0.0.1", port)).close()


@contextmanager
def neighbour_that_answers() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_whk_01_inward_hosts_are_refused_at_registration_and_at_connect(
    database: Database, tenant: Tenant
) -> None:
    api = Api(database, Tenant(tenant.merchant_id, Mode.LIVE))
    async with GuardedClient() as client:
        with no_connection():
            for host in LITERALS:
                url = f"https://{host}/hook"
                body = {
                    "webhookName": "In",
                    "webhookUrl": url,
                    "subscribedEvents": ["session.paid"],
                }
                with pytest.raises((Refused, ValidationError), match="webhookUrl"):
                    await api("/webhook/create", body)
                assert await reason_of(client, url) is FailureReason.URL_REFUSED, host
    assert await api("/webhook/list") == {"webhooks": []}


@pytest.mark.parametrize("address", [one for one in INWARD if "%" not in one])
async def test_whk_02_a_name_that_resolves_inward_is_not_connected_to(address: str) -> None:
    """Registered while it resolved outward, and resolved again at the call."""
    async with GuardedClient(resolver=Names(address)) as client:
        with no_connection():
            reason = await reason_of(client, "https://shop.example/hook")
    assert reason is FailureReason.ADDRESS_REFUSED


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_whk_01_a_listening_neighbour_hears_nothing(address: str) -> None:
    with neighbour(address) as port, no_connection():
        async with GuardedClient(resolver=Names(address, port=port)) as client:
            reason = await reason_of(client, "https://shop.example:8443/hook")
    assert reason is FailureReason.ADDRESS_REFUSED


def test_the_list_has_every_kind_of_range() -> None:
    """Of each address that Python knows as special, one at least."""
    kinds = {
        kind
        for text in INWARD
        for kind in ("is_private", "is_loopback", "is_link_local", "is_multicast", "is_unspecified")
        if getattr(ip_address(text), kind)
    }
    assert len(kinds) == 5
    assert len(INWARD) >= 40
