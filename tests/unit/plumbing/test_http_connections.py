"""Connections of the guarded client: whose certificates it takes, and how long it keeps them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gstable_server.plumbing import http_client
from gstable_server.plumbing.http_client import FailureReason, GuardedClient
from gstable_server.plumbing.system import SystemClock
from tests.unit.plumbing.test_http_client import Site, failure_of, raw

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(allow_loopback=True) as one:
        yield one


# --- certificates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "days", "trusted"),
    [
        ("127.0.0.1", -1, True),
        ("127.0.0.1", 1, False),
        ("192.0.2.1", 1, True),
    ],
    ids=["expired", "self-signed", "of-another-name"],
)
async def test_whk_06_a_wrong_certificate_ends_before_the_letter(
    tmp_path: Path, name: str, days: int, trusted: bool
) -> None:
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    shown = certificate_of(tmp_path, name, days)
    tls = ssl.create_default_context(cafile=shown if trusted else None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    server = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context)
    async with server, GuardedClient(allow_loopback=True, tls=tls) as client:
        port = server.sockets[0].getsockname()[1]
        failure = await failure_of(client, f"https://127.0.0.1:{port}/")
    assert failure.reason is FailureReason.TLS
    assert heard == []


async def test_a_right_certificate_is_accepted(tmp_path: Path) -> None:
    site = Site()
    shown = certificate_of(tmp_path, "127.0.0.1", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=context)
    tls = ssl.create_default_context(cafile=shown)
    async with server, GuardedClient(allow_loopback=True, tls=tls) as client:
        site.say("/", raw("200 OK", [], b"safe"))
        port = server.sockets[0].getsockname()[1]
        assert (await client.fetch("GET", f"https://127.0.0.1:{port}/", {})).body == b"safe"


def certificate_of(directory: Path, address: str, days: int) -> Path:
    """A file with a certificate of ``address`` that ends in so many days, signed by itself, and
    its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "certificate.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


# --- connections that are kept -----------------------------------------------------------------


class Keeping:
    """A server that answers ``answers`` requests on each connection, then closes it unannounced:
    before the next request, or only after it has read that."""

    def __init__(self, answers: int, *, reads_before_closing: bool = False) -> None:
        self._answers = answers
        self._reads_before_closing = reads_before_closing
        self.connections = 0
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError):
            for _ in range(self._answers):
                await self._read(reader)
                writer.write(raw("200 OK", [], b""))
            if self._reads_before_closing:
                await self._read(reader)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        self.requests += 1


@asynccontextmanager
async def listening(keeping: Keeping) -> AsyncIterator[str]:
    server = await asyncio.start_server(keeping.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_connection_is_kept_for_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "_KEEP_ALIVE_SECONDS", 60)
    keeping = Keeping(3)
    async with listening(keeping) as url, GuardedClient(allow_loopback=True) as client:
        for _ in range(3):
            assert (await client.fetch("POST", url, {}, b"{}")).status == 200
    assert (keeping.connections, keeping.requests) == (1, 3)


@pytest.mark.parametrize("reads", [False, True])
async def test_a_kept_connection_that_ends_is_replaced_by_a_new_one(
    client: GuardedClient, reads: bool
) -> None:
    keeping = Keeping(1, reads_before_closing=reads)
    async with listening(keeping) as url:
        for _ in range(3):
            assert (await client.fetch("POST", url, {}, b"{}")).status == 200
    assert keeping.connections == 3


async def test_a_new_connection_that_ends_fails_at_once(client: GuardedClient) -> None:
    keeping = Keeping(0, reads_before_closing=True)
    async with listening(keeping) as url:
        assert (await failure_of(client, url)).reason is FailureReason.CONNECTION
    assert (keeping.connections, keeping.requests) == (1, 1)


async def test_whk_17_names_that_nobody_answers_for_keep_no_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More of them at once than the event loop has threads for look-ups."""
    hold = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *rest: Any, **named: Any) -> Any:
        if host.startswith("slow"):
            hold.wait(120)
        return real("127.0.0.1", *rest[:1], **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    async with GuardedClient() as client:
        waiting = [
            asyncio.create_task(failure_of(client, f"https://slow{number}.example/", timeout=120))
            for number in range(40)
        ]
        await asyncio.sleep(0.05)
        quick = await failure_of(client, "https://shop.example/")
        assert not any(one.done() for one in waiting)
        hold.set()
        others = await asyncio.gather(*waiting)
    assert quick.reason is FailureReason.ADDRESS_REFUSED
    assert {each.reason for each in others} == {FailureReason.ADDRESS_REFUSED}
