"""The client of the attestation service believes only complete answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gstable_server.chain.networks import Cctp
from gstable_server.chain.rails.attestation import (
    LOCKOUT_SECONDS,
    RETRY_AFTER_MAX,
    AttestationFailed,
    Attested,
    HttpAttestationService,
    Pending,
)
from gstable_server.kernel.address import Address
from gstable_server.plumbing.http_client import FailureReason, FetchFailed
from gstable_server.plumbing.testing import FakeAnswer, FakeHttp

pytestmark = pytest.mark.anyio

CCTP = Cctp(7, Address(b"\x01" * 20), Address(b"\x02" * 20), "https://iris.example/")
TX_HASH = b"\xab" * 32
URL = f"https://iris.example/v2/messages/7?transactionHash=0x{TX_HASH.hex()}"
COMPLETE: dict[str, Any] = {
    "status": "complete",
    "message": "0x0102",
    "attestation": "0x0304",
    "eventNonce": "0x" + "05" * 32,
    "cctpVersion": 2,
    "decodedMessage": {"sourceDomain": "7"},
    "delayReason": None,
}
PENDING = {
    "status": "pending_confirmations",
    "message": "0x",
    "attestation": "PENDING",
    "cctpVersion": 2,
}


async def asked(answer: FakeAnswer | FailureReason) -> tuple[Attested | Pending, ...]:
    return await HttpAttestationService(FakeHttp({URL: answer})).messages(CCTP, TX_HASH)


def told(*messages: dict[str, Any]) -> FakeAnswer:
    return FakeAnswer(body=json.dumps({"messages": messages}).encode())


async def test_messages_of_a_transaction_come_in_order() -> None:
    found = await asked(told(COMPLETE, PENDING))
    assert found == (Attested(b"\x01\x02", b"\x03\x04"), Pending())


async def test_reason_of_a_delay_is_told() -> None:
    found = await asked(told({**PENDING, "delayReason": "insufficient_fee"}))
    assert found == (Pending("insufficient_fee"),)


async def test_unknown_transaction_has_no_messages() -> None:
    assert await asked(FakeAnswer(404, body=b'{"code":404,"error":"not found"}')) == ()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("Retry-After", "17"),), 17),
        ((("Retry-After", "99999999"),), RETRY_AFTER_MAX),
        ((("Retry-After", "soon"),), LOCKOUT_SECONDS),
        ((), LOCKOUT_SECONDS),
    ],
)
async def test_limited_caller_waits(headers: tuple[tuple[str, str], ...], seconds: int) -> None:
    with pytest.raises(AttestationFailed) as failure:
        await asked(FakeAnswer(429, headers))
    assert failure.value.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [
        FakeAnswer(500),
        FakeAnswer(301, (("location", "https://elsewhere.example"),)),
        FakeAnswer(body=b"<html>"),
        FakeAnswer(body=b'{"messages": null}'),
        FakeAnswer(body=b"\xff"),
        FakeAnswer(body=b" " * 600_000),
        told({**COMPLETE, "message": "0x"}),
        told({**COMPLETE, "message": None}),
        told({**COMPLETE, "attestation": "PENDING"}),
        told({**COMPLETE, "attestation": "0x123"}),
        told({**COMPLETE, "status": "done"}),
        told({**COMPLETE, "cctpVersion": 1}),
    ],
)
async def test_anything_else_is_a_passing_failure(answer: FakeAnswer) -> None:
    with pytest.raises(AttestationFailed):
        await asked(answer)


async def test_new_signature_is_asked_for_by_nonce() -> None:
    url = f"https://iris.example/v2/reattest/0x{'05' * 32}"
    http = FakeHttp({url: FakeAnswer()})
    await HttpAttestationService(http).reattest(CCTP, b"\x05" * 32)
    assert [(sent.method, sent.url) for sent in http.sent] == [("POST", url)]
    for status in (400, 404, 429, 500):
        http.answers[url] = FakeAnswer(status)
        with pytest.raises(AttestationFailed):
            await HttpAttestationService(http).reattest(CCTP, b"\x05" * 32)


async def test_silence_is_a_passing_failure() -> None:
    with pytest.raises(FetchFailed):
        await asked(FailureReason.TIMEOUT)
