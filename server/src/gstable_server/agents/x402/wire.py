"""The headers of x402 version 2: base64 of JSON, read strictly and within bounds."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from gstable_server.agents.x402.model import (
    Accepted,
    Offer,
    Payment,
    Progress,
    Reason,
    Rejected,
    Requirement,
    Signed,
    Standing,
    network_name,
)
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Network
from gstable_server.chain.signed_transfers import Method
from gstable_server.chain.typed_data import SIGNATURE_BYTES_MAX
from gstable_server.kernel.address import Address, address_from_hex
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds
from gstable_server.kernel.ids import SessionId, id_or_none
from gstable_server.sessions.model import Announced, SessionView
from gstable_server.sessions.wire import render

VERSION = 2
HEADER_CHARACTERS_MAX = 32 * 1024
"""A signature that brings an account's deployment along has some kilobytes, written as
hexadecimal digits in base64."""
SERVICE_NAME_CHARACTERS_MAX = 32
IDENTIFIER = "payment-identifier"
_IDENTIFIER_TEXT = re.compile(r"[A-Za-z0-9_-]{16,128}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,77}")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_UINT256_END = 2**256
_LAST_SECOND = 253_402_300_799  # 9999-12-31 23:59:59 UTC: clocks and databases go no further
_QUOTED_LENGTH = SessionId.random_length

_RECEIPT = (
    "sessionId", "status", "amount", "settlementToken", "feeModel", "lineItems", "recipient",
    "paidToken", "payer", "receiptId", "initiateTx", "completeTx", "paymentSucceededTime",
    "settlementSucceededTime", "expirationTime", "paymentUrl",
)  # fmt: skip


class _Requirement(msgspec.Struct, rename="camel"):
    scheme: str
    network: str
    asset: str
    amount: str
    pay_to: str
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class _Authorization(msgspec.Struct, rename="camel"):
    sender: str = msgspec.field(name="from")
    to: str
    value: str
    valid_after: str
    valid_before: str
    nonce: str


class _Permitted(msgspec.Struct):
    token: str
    amount: str


class _Witness(msgspec.Struct, rename="camel"):
    to: str
    valid_after: str


class _Permit2(msgspec.Struct, rename="camel"):
    sender: str = msgspec.field(name="from")
    permitted: _Permitted
    spender: str
    nonce: str
    deadline: str
    witness: _Witness


class _Inner(msgspec.Struct):
    signature: str
    authorization: _Authorization | None = None
    permit2: _Permit2 | None = msgspec.field(name="permit2Authorization", default=None)


class _Versioned(msgspec.Struct):
    version: int = msgspec.field(name="x402Version")


class _Payload(_Versioned):
    payload: _Inner
    accepted: _Requirement
    extensions: dict[str, Any] | None = None


# --- what a client sends --------------------------------------------------------------------------


def read_payment(header: str) -> Payment:
    """The payment in a ``PAYMENT-SIGNATURE`` header. Raises ``Rejected`` for anything else."""
    content = _content(header)
    try:
        if msgspec.json.decode(content, type=_Versioned).version != VERSION:
            raise Rejected(Reason.INVALID_VERSION)
        sent = msgspec.json.decode(content, type=_Payload)
        return Payment(_accepted(sent.accepted), _signed(sent.payload), _identifier(sent))
    except (msgspec.DecodeError, ValueError, RecursionError) as failure:
        raise Rejected(Reason.INVALID_PAYLOAD) from failure


def _content(header: str) -> bytes:
    if len(header) > HEADER_CHARACTERS_MAX:
        raise Rejected(Reason.INVALID_PAYLOAD)
    try:
        return base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError) as failure:
        raise Rejected(Reason.INVALID_PAYLOAD) from failure


def _accepted(sent: _Requirement) -> Accepted:
    method = sent.extra.get("assetTransferMethod")
    return Accepted(
        scheme=sent.scheme,
        network=sent.network,
        asset=address_from_hex(sent.asset),
        amount=_number(sent.amount),
        pay_to=address_from_hex(sent.pay_to),
        method=None if method is None else str(method),
        announced=_announced(sent.extra.get("session")),
    )


def _announced(value: Any) -> Announced | None:
    if value is None:
        return None
    sent = msgspec.convert(value, type=_Announced)
    session_id = id_or_none(SessionId, sent.id)
    # As long as ours are, so that nobody names a session in a way that others would guess.
    if session_id is None or len(session_id) != len(SessionId.prefix) + _QUOTED_LENGTH:
        raise ValueError("session.id is none of ours")
    if not 0 <= sent.expiration_time <= _LAST_SECOND:
        raise ValueError("session.expirationTime is no time")
    return Announced(session_id, from_unix_seconds(sent.expiration_time))


class _Announced(msgspec.Struct, rename="camel"):
    id: str
    expiration_time: int


def _signed(sent: _Inner) -> Signed:
    signature = _bytes(sent.signature)
    if not 0 < len(signature) <= SIGNATURE_BYTES_MAX:
        raise ValueError("signature has a length that no account takes")
    if (sent.authorization is None) == (sent.permit2 is None):
        raise ValueError("payload must have authorization or permit2Authorization")
    if sent.authorization is not None:
        return _authorization(sent.authorization, signature)
    assert sent.permit2 is not None
    return _permit(sent.permit2, signature)


def _authorization(sent: _Authorization, signature: bytes) -> Signed:
    nonce = _bytes(sent.nonce)
    if len(nonce) != 32:
        raise ValueError("nonce must have 32 bytes")
    return Signed(
        method=Method.EIP3009,
        payer=address_from_hex(sent.sender),
        receiver=address_from_hex(sent.to),
        value=_number(sent.value),
        valid_after=_number(sent.valid_after),
        valid_before=_number(sent.valid_before),
        nonce=nonce,
        signature=signature,
    )


def _permit(sent: _Permit2, signature: bytes) -> Signed:
    return Signed(
        method=Method.PERMIT2,
        payer=address_from_hex(sent.sender),
        receiver=address_from_hex(sent.witness.to),
        value=_number(sent.permitted.amount),
        valid_after=_number(sent.witness.valid_after),
        valid_before=_number(sent.deadline),
        nonce=_number(sent.nonce).to_bytes(32, "big"),
        signature=signature,
        token=address_from_hex(sent.permitted.token),
        spender=address_from_hex(sent.spender),
    )


def _identifier(sent: _Payload) -> str | None:
    """A client that does not want one repeats our own declaration, without an id."""
    extension = (sent.extensions or {}).get(IDENTIFIER)
    info = extension.get("info") if isinstance(extension, dict) else None
    found = info.get("id") if isinstance(info, dict) else None
    if found is None:
        return None
    if not isinstance(found, str) or not _IDENTIFIER_TEXT.fullmatch(found):
        raise ValueError("the payment's identifier has another form than the extension says")
    return found


def _number(text: str) -> int:
    """A ``uint256`` as decimal digits, in the one way to write it."""
    if not _NUMBER.fullmatch(text) or int(text) >= _UINT256_END:
        raise ValueError(f"{text[:80]!r} is no uint256")
    return int(text)


def _bytes(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError("not hexadecimal digits")
    return bytes.fromhex(text[2:])


# --- what we answer -------------------------------------------------------------------------------


def header_of(value: dict[str, Any]) -> str:
    """``value`` as the text of a header."""
    return base64.b64encode(msgspec.json.encode(value)).decode("ascii")


def render_required(
    offer: Offer, error: str, *, url: str, description: str, merchant: str
) -> dict[str, Any]:
    """What is asked for: the content of ``PAYMENT-REQUIRED``."""
    return {
        "x402Version": VERSION,
        "error": error,
        "resource": {
            "url": url,
            "description": description,
            "mimeType": "application/json",
            "serviceName": merchant[:SERVICE_NAME_CHARACTERS_MAX],
        },
        "accepts": [_requirement(each) for each in offer.requirements],
        "extensions": {IDENTIFIER: {"info": {"required": False}, "schema": _IDENTIFIER_SCHEMA}},
    }


_IDENTIFIER_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "required": {"type": "boolean"},
        "id": {
            "type": "string",
            "minLength": 16,
            "maxLength": 128,
            "pattern": "^[a-zA-Z0-9_-]+$",
        },
    },
    "required": ["required"],
}


def _requirement(each: Requirement) -> dict[str, Any]:
    extra: dict[str, Any] = {"assetTransferMethod": each.method.value}
    if each.token.signing is not None:
        extra |= {"name": each.token.signing.name, "version": each.token.signing.version}
    if each.announced is not None:
        extra["session"] = {
            "id": str(each.announced.session_id),
            "expirationTime": unix_seconds(each.announced.expires_at),
        }
    return {
        "scheme": "exact",
        "network": network_name(each.network),
        "asset": to_checksum(each.token.address),
        "amount": str(each.amount),
        "payTo": to_checksum(each.pay_to),
        "maxTimeoutSeconds": each.timeout_seconds,
        "extra": extra,
    }


def render_response(progress: Progress, network: Network) -> dict[str, Any]:
    """What became of a payment: the content of ``PAYMENT-RESPONSE``."""
    settled = progress.standing is Standing.SETTLED
    rendered: dict[str, Any] = {
        "success": settled,
        "transaction": f"0x{progress.tx_hash.hex()}" if progress.tx_hash else "",
        "network": network_name(network),
        "payer": to_checksum(Address(progress.taken.payer)),
        "amount": str(progress.taken.amount),
    }
    if not settled:
        pending = progress.standing is Standing.PENDING
        rendered["errorReason"] = (Reason.PENDING if pending else Reason.FAILED).value
    return rendered


def render_receipt(view: SessionView, public_url: str) -> dict[str, Any]:
    """The session as its buyer may see it: nothing that only the merchant or the payer's page
    knows."""
    rendered = render(view, public_url)
    return {name: rendered[name] for name in _RECEIPT}
