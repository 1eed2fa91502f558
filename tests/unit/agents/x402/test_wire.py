"""The headers: what the unchanged package writes is read, what it reads is written, and nothing
that is not exactly so is taken for a payment."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from x402.http.utils import decode_payment_required_header, decode_payment_response_header
from x402.schemas import PaymentPayload

from gstable_server.agents.x402 import wire
from gstable_server.agents.x402.model import (
    Offer,
    Payment,
    Progress,
    Reason,
    Rejected,
    Requirement,
    Standing,
    Taken,
)
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.signed_transfers import Method
from gstable_server.chain.typed_data import SIGNATURE_BYTES_MAX
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.ids import SessionId
from gstable_server.sessions.model import Announced
from tests.unit.agents.x402.payments import (
    AMOUNT,
    NOW,
    PAY_TO,
    PAYER,
    PROXY,
    SESSION,
    changed,
    eip3009,
    header,
    network,
    permit2,
)
from tests.unit.sessions.world import USDC, USDT

ANNOUNCED = Announced(SessionId(str(SESSION["id"])), from_unix_seconds(NOW + 1800))


def refused(text: str) -> Reason:
    with pytest.raises(Rejected) as caught:
        wire.read_payment(text)
    return caught.value.reason


def test_an_authorization_is_read() -> None:
    payment = wire.read_payment(header(eip3009()))
    assert payment.accepted.asset == USDC.address
    assert payment.accepted.announced is None
    signed = payment.signed
    assert (signed.method, signed.payer, signed.receiver) == (Method.EIP3009, PAYER, PAY_TO)
    assert (signed.value, signed.valid_after, signed.valid_before) == (AMOUNT, 0, NOW + 300)
    assert (signed.nonce, signed.signature) == (b"\xab" * 32, b"\x12" * 65)
    assert payment.identifier is None


def test_a_permit2_transfer_is_read() -> None:
    payment = wire.read_payment(header(permit2()))
    signed = payment.signed
    assert (signed.method, signed.payer, signed.receiver) == (Method.PERMIT2, PAYER, PAY_TO)
    assert (signed.token, signed.spender, signed.nonce) == (USDT.address, PROXY, b"\xff" * 32)
    assert payment.accepted.announced == ANNOUNCED


def test_what_the_package_writes_is_read() -> None:
    for payment in (eip3009(), permit2()):
        theirs = PaymentPayload.model_validate(payment)
        text = theirs.model_dump_json(by_alias=True, exclude_none=True)
        encoded = base64.b64encode(text.encode()).decode()
        assert wire.read_payment(encoded) == wire.read_payment(header(payment))


def test_an_identifier_is_read() -> None:
    named = eip3009()
    named["extensions"]["payment-identifier"]["info"]["id"] = "order-0123456789_x"
    assert wire.read_payment(header(named)).identifier == "order-0123456789_x"
    for without in ({}, None, {"other": 1}, {"payment-identifier": "text"}):
        payment: Payment = wire.read_payment(header({**eip3009(), "extensions": without}))
        assert payment.identifier is None


MALFORMED: list[tuple[str, Any]] = [
    ("accepted", ...),
    ("accepted", []),
    ("accepted.scheme", 1),
    ("accepted.network", ...),
    ("accepted.asset", "0x12"),
    ("accepted.asset", None),
    ("accepted.amount", 10_020_000),
    ("accepted.amount", "-1"),
    ("accepted.payTo", "0x" + "zz" * 20),
    ("accepted.extra", "text"),
    ("accepted.extra.session", "sess_1"),
    ("accepted.extra.session", {"id": "sess_short", "expirationTime": NOW}),
    ("accepted.extra.session", {"id": "lnk_" + "A" * 32, "expirationTime": NOW}),
    ("accepted.extra.session", {"id": SESSION["id"], "expirationTime": 10**15}),
    ("accepted.extra.session", {"id": SESSION["id"]}),
    ("payload", ...),
    ("payload.signature", ...),
    ("payload.signature", "0x"),
    ("payload.signature", "12" * 65),
    ("payload.signature", "0x123"),
    ("payload.signature", "0x" + "12" * (SIGNATURE_BYTES_MAX + 1)),
    ("payload.authorization", ...),
    ("payload.authorization.from", "somebody"),
    ("payload.authorization.to", ...),
    ("payload.authorization.value", "1.0"),
    ("payload.authorization.value", "0010"),
    ("payload.authorization.value", "１０"),
    ("payload.authorization.value", str(2**256)),
    ("payload.authorization.validAfter", ""),
    ("payload.authorization.validBefore", "soon"),
    ("payload.authorization.nonce", "0x" + "ab" * 31),
    ("payload.authorization.nonce", 7),
    ("extensions", []),
    ("extensions.payment-identifier.info.id", "too-short"),
    ("extensions.payment-identifier.info.id", "x" * 129),
    ("extensions.payment-identifier.info.id", "with a space in it"),
    ("extensions.payment-identifier.info.id", 1234567890123456),
]


@pytest.mark.parametrize(("path", "value"), MALFORMED)
def test_every_malformed_member_is_refused(path: str, value: Any) -> None:
    assert refused(header(changed(eip3009(), path, value))) is Reason.INVALID_PAYLOAD


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("payload.permit2Authorization.permitted", ...),
        ("payload.permit2Authorization.permitted.token", "USDT"),
        ("payload.permit2Authorization.permitted.amount", 1),
        ("payload.permit2Authorization.spender", ...),
        ("payload.permit2Authorization.nonce", str(2**256)),
        ("payload.permit2Authorization.nonce", "0xab"),
        ("payload.permit2Authorization.deadline", None),
        ("payload.permit2Authorization.witness", {}),
        ("payload.permit2Authorization.witness.validAfter", "1e3"),
        ("payload.authorization", eip3009()["payload"]["authorization"]),
    ],
)
def test_every_malformed_member_of_permit2_is_refused(path: str, value: Any) -> None:
    assert refused(header(changed(permit2(), path, value))) is Reason.INVALID_PAYLOAD


@pytest.mark.parametrize("version", [1, 3, 0])
def test_another_version_is_refused(version: int) -> None:
    assert refused(header({**eip3009(), "x402Version": version})) is Reason.INVALID_VERSION


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "e30=",
        header("text"),
        header([]),
        header(eip3009())[:-8],
        header(eip3009()) + " ",
        base64.b64encode(b"\xff\xfe{}").decode(),
        base64.b64encode(b'{"x402Version":2,"extensions":' + b"[" * 20_000).decode(),
        "A" * (wire.HEADER_CHARACTERS_MAX + 4),
    ],
)
def test_what_is_no_payment_is_refused(text: str) -> None:
    assert refused(text) is Reason.INVALID_PAYLOAD


def test_the_package_reads_what_is_asked_for() -> None:
    usdc, usdt = network().tokens
    found = (
        Requirement(Method.EIP3009, network(), usdc, AMOUNT, PAY_TO, 300, None),
        Requirement(Method.PERMIT2, network(), usdt, 7, PAY_TO, 60, ANNOUNCED),
    )
    offer = Offer(None, found)  # type: ignore[arg-type]
    asked = wire.render_required(
        offer, "why", url="https://pay.example.com/x", description="Tea", merchant="M" * 40
    )
    theirs = decode_payment_required_header(wire.header_of(asked))
    assert theirs.model_dump(by_alias=True, exclude_none=True) == asked
    assert len(asked["resource"]["serviceName"]) == 32
    first, second = asked["accepts"]
    assert (first["amount"], first["payTo"]) == (str(AMOUNT), to_checksum(PAY_TO))
    assert first["extra"] == {
        "assetTransferMethod": "eip3009",
        "name": "USD Coin",
        "version": "2",
    }
    assert second["extra"] == {"assetTransferMethod": "permit2", "session": SESSION}


@pytest.mark.parametrize(
    ("standing", "tx_hash", "reason"),
    [
        (Standing.SETTLED, b"\xab" * 32, None),
        (Standing.PENDING, b"\xab" * 32, "settlement_pending"),
        (Standing.PENDING, None, "settlement_pending"),
        (Standing.FAILED, None, "transaction_failed"),
    ],
)
def test_the_package_reads_what_became_of_it(
    standing: Standing, tx_hash: bytes | None, reason: str | None
) -> None:
    taken = Taken(
        b"\x01" * 32, ANNOUNCED.session_id, "polygon", USDC.address, Method.EIP3009, PAYER, 7, None
    )
    rendered = wire.render_response(Progress(taken, standing, tx_hash), network())
    theirs = decode_payment_response_header(wire.header_of(rendered))
    assert theirs.success is (standing is Standing.SETTLED)
    assert theirs.error_reason == reason
    assert theirs.transaction == (f"0x{tx_hash.hex()}" if tx_hash else "")
    assert (theirs.network, theirs.amount) == ("eip155:1337137", "7")
    assert theirs.payer == to_checksum(PAYER)
    assert json.loads(base64.b64decode(wire.header_of(rendered))) == rendered
