"""Circle's attestation service ("Iris"), version 2 of its REST interface: the port and the client.

``rails.testing.FakeAttestations`` is the fake; tests/ports/test_attestation.py judges both. The
local one, ``chain.devnet_attester``, speaks the same paths.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from gstable_server.chain.networks import Cctp
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.http_client import HttpClient, Response

MESSAGES_PATH = "/v2/messages/{domain}?transactionHash=0x{tx_hash}"
REATTEST_PATH = "/v2/reattest/0x{nonce}"
ANSWER_BYTES_MAX = 512 * 1024
RETRY_AFTER_MAX = 600
LOCKOUT_SECONDS = 300
"""How long the service shuts out a caller with too many requests, unless it says otherwise."""
_DATA = re.compile(r"0x([0-9a-fA-F]{2})+")


class AttestationFailed(Passing):
    """No usable answer of the attestation service."""


@dataclass(frozen=True, slots=True)
class Attested:
    """A burn's message, complete as it is to be minted, with the service's signatures."""

    message: bytes
    attestation: bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """The service knows the burn and has not signed yet; ``delay_reason`` is its word, or empty:
    ``insufficient_fee``, ``amount_above_max``, ``insufficient_allowance_available``."""

    delay_reason: str = ""


class AttestationService(Protocol):
    """Whoever attests burns on one network so that they are minted on another."""

    async def messages(self, source: Cctp, tx_hash: bytes) -> tuple[Attested | Pending, ...]:
        """The messages of the transaction on ``source``'s network, in order; none while unknown.

        Raises ``AttestationFailed``, with ``retry_after`` seconds when the service asks to wait.
        """

    async def reattest(self, source: Cctp, nonce: bytes) -> None:
        """Ask for a new signature of a fast message, which has expired; asking again is harmless.

        ``messages`` tells the old one until the new one is there. Raises ``AttestationFailed``.
        """


class _Entry(msgspec.Struct, rename="camel"):
    status: str
    message: str | None = None
    attestation: str | None = None
    cctp_version: int | str = 2
    delay_reason: str | None = None


class _Messages(msgspec.Struct):
    messages: list[_Entry]


class HttpAttestationService:
    """The port over HTTP, at each network's ``attestation_url``."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def messages(self, source: Cctp, tx_hash: bytes) -> tuple[Attested | Pending, ...]:
        """See ``AttestationService.messages``."""
        path = MESSAGES_PATH.format(domain=source.domain, tx_hash=tx_hash.hex())
        response = await self._asked("GET", source, path)
        if response.status == 404:
            return ()
        _require_success(response)
        answer: _Messages = _decode(response.body, _Messages)
        return tuple(_entry(each) for each in answer.messages)

    async def reattest(self, source: Cctp, nonce: bytes) -> None:
        """See ``AttestationService.reattest``."""
        path = REATTEST_PATH.format(nonce=nonce.hex())
        _require_success(await self._asked("POST", source, path))

    async def _asked(self, method: str, source: Cctp, path: str) -> Response:
        return await self._http.fetch(
            method,
            source.attestation_url.rstrip("/") + path,
            {"accept": "application/json"},
            max_bytes=ANSWER_BYTES_MAX,
        )


def _require_success(response: Response) -> None:
    if response.status == 429:
        wait = _seconds(response.headers.get("retry-after", ""))
        raise AttestationFailed("too many requests", retry_after=wait)
    if response.status != 200:
        raise AttestationFailed(f"HTTP status {response.status}")
    if response.truncated:
        raise AttestationFailed(f"an answer of more than {ANSWER_BYTES_MAX} bytes")


def _seconds(text: str) -> int:
    if text.isascii() and text.isdigit():
        return min(int(text), RETRY_AFTER_MAX)
    return LOCKOUT_SECONDS


def _decode(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise AttestationFailed(f"not the JSON that was asked for: {failure}") from failure


def _entry(entry: _Entry) -> Attested | Pending:
    """While it is pending, the service writes ``0x`` and ``PENDING`` where the bytes come later."""
    if entry.status == "pending_confirmations":
        return Pending(entry.delay_reason or "")
    if entry.status != "complete" or str(entry.cctp_version) != "2":
        raise AttestationFailed(
            f"status {entry.status[:40]!r} of protocol version {str(entry.cctp_version)[:10]!r}"
        )
    return Attested(_bytes(entry.message), _bytes(entry.attestation))


def _bytes(text: str | None) -> bytes:
    if text is None or not _DATA.fullmatch(text):
        raise AttestationFailed("a complete message without its bytes")
    return bytes.fromhex(text[2:])
