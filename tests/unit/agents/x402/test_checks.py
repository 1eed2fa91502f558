"""What a client repeats and signs against what it was asked for: every difference has its word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.agents.x402 import model, wire
from gstable_server.agents.x402.model import Reason, Rejected, Requirement, check
from gstable_server.chain.signed_transfers import Method, SignedTransfer, method_of
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds
from tests.unit.agents.x402.payments import (
    AMOUNT,
    NOW,
    PAY_TO,
    PAYER,
    changed,
    eip3009,
    header,
    network,
    permit2,
    text,
)
from tests.unit.sessions.world import USDT

USDC_THERE, USDT_THERE = network().tokens
OFFERED = (
    Requirement(Method.EIP3009, network(), USDC_THERE, AMOUNT, PAY_TO, 300, None),
    Requirement(Method.PERMIT2, network(), USDT_THERE, AMOUNT, PAY_TO, 300, None),
)


def checked(payment: dict[str, Any]) -> Requirement:
    return check(wire.read_payment(header(payment)), OFFERED, from_unix_seconds(NOW))


def refused(payment: dict[str, Any]) -> str:
    with pytest.raises(Rejected) as caught:
        checked(payment)
    return caught.value.reason.value


def test_what_was_asked_for_is_taken() -> None:
    assert checked(eip3009()) == OFFERED[0]
    assert checked(permit2()) == OFFERED[1]
    # What our answer does not depend on may differ: time has passed.
    assert checked(changed(eip3009(), "accepted.maxTimeoutSeconds", 299)) == OFFERED[0]
    assert checked(changed(eip3009(), "accepted.extra", {})) == OFFERED[0]


OTHER = "0x" + "99" * 20


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("accepted.scheme", "upto", "unsupported_scheme"),
        ("accepted.network", "eip155:1", "network_mismatch"),
        ("accepted.network", "base", "network_mismatch"),
        ("accepted.asset", OTHER, "invalid_payment_requirements"),
        ("accepted.asset", text(USDT.address), "invalid_payment_requirements"),
        ("accepted.extra.assetTransferMethod", "permit2", "invalid_payment_requirements"),
        ("accepted.payTo", OTHER, "invalid_exact_evm_payload_recipient_mismatch"),
        ("payload.authorization.to", OTHER, "invalid_exact_evm_payload_recipient_mismatch"),
        (
            "accepted.amount",
            str(AMOUNT - 1),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            "payload.authorization.value",
            str(AMOUNT + 1),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            "payload.authorization.validBefore",
            str(NOW + model.SENDING_SECONDS - 1),
            "invalid_exact_evm_payload_authorization_valid_before",
        ),
        (
            "payload.authorization.validAfter",
            str(NOW + 1),
            "invalid_exact_evm_payload_authorization_valid_after",
        ),
    ],
)
def test_every_difference_has_its_word(path: str, value: Any, reason: str) -> None:
    assert refused(changed(eip3009(), path, value)) == reason


PERMIT = "payload.permit2Authorization"


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (f"{PERMIT}.witness.to", OTHER, "invalid_permit2_recipient_mismatch"),
        (f"{PERMIT}.permitted.amount", str(AMOUNT - 1), "permit2_amount_mismatch"),
        (f"{PERMIT}.permitted.token", OTHER, "permit2_token_mismatch"),
        (f"{PERMIT}.spender", OTHER, "invalid_permit2_spender"),
        (f"{PERMIT}.deadline", str(NOW), "permit2_deadline_expired"),
        (f"{PERMIT}.witness.validAfter", str(NOW + 1), "permit2_not_yet_valid"),
    ],
)
def test_every_difference_of_permit2_has_its_word(path: str, value: Any, reason: str) -> None:
    assert refused(changed(permit2(), path, value)) == reason


def test_a_token_is_moved_in_one_way() -> None:
    there = network()
    assert [method_of(there, token) for token in there.tokens] == [Method.EIP3009, Method.PERMIT2]
    bare = replace(there, permit2=None)
    assert [method_of(bare, token) for token in bare.tokens] == [Method.EIP3009, None]


def test_what_is_signed_names_everything() -> None:
    signed = SignedTransfer(
        Method.EIP3009, network(), USDC_THERE, PAYER, PAY_TO, 7, 1, 2, b"\x05" * 32, b""
    )
    seen = {signed.digest}
    others: list[dict[str, Any]] = [
        {"payer": PAY_TO},
        {"receiver": PAYER},
        {"value": 8},
        {"valid_after": 2},
        {"valid_before": 3},
        {"nonce": b"\x06" * 32},
        {"method": Method.PERMIT2},
    ]
    for other in others:
        seen.add(replace(signed, **other).digest)
    # The signature is no part of what is signed: another one is the same payment.
    seen.add(replace(signed, signature=b"\x01").digest)
    assert len(seen) == 1 + len(others)


def test_it_is_sent_while_it_is_valid_and_can_be_collected() -> None:
    class Session:
        expires_at = from_unix_seconds(NOW + 1800)

    transfer = SignedTransfer(
        Method.EIP3009, network(), USDC_THERE, PAYER, PAY_TO, 7, 0, NOW + 300, b"\x05" * 32, b""
    )
    session: Any = Session()
    assert unix_seconds(model.send_until(transfer, session)) == NOW + 299
    endless = replace(transfer, valid_before=2**256 - 1)
    until = model.send_until(endless, session)
    assert until < session.expires_at - timedelta(seconds=10)
    now = from_unix_seconds(NOW)
    assert model.timeout_seconds(session, now) == model.TIMEOUT_SECONDS_MAX
    late = session.expires_at - timedelta(seconds=40)
    assert model.timeout_seconds(session, late) == 10 < model.TIMEOUT_SECONDS_MIN


def test_the_reasons_are_those_of_the_package() -> None:
    from x402.mechanisms.evm import constants

    known = {value for name, value in vars(constants).items() if name.startswith("ERR_")} | {
        "permit2_invalid_nonce",
        "duplicate_settlement",
    }
    ours = {
        Reason.INVALID_VERSION,
        Reason.INVALID_PAYLOAD,
        Reason.REQUIREMENTS,
        Reason.IDENTIFIER,
    }
    assert {reason.value for reason in Reason} - known == {reason.value for reason in ours}
