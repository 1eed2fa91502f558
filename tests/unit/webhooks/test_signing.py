"""Both signature schemes against fixed vectors and against the public verifier."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gstable_server.kernel.clock import UnixSeconds, unix_seconds
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.system import SystemClock
from gstable_server.webhooks.signing import (
    gstable_signature,
    signature_headers,
    standard_signature,
)

KEY = "wkk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
OLD_KEY = "wkk_dcbaZYXWVUTSRQPONMLKJIHGFEDCBA9876543210"
EVENT = EventId("evt_i4NWz4J3QkWugyq1")
AT = UnixSeconds(1_767_268_800)
BODY = '{"eventId":"evt_i4NWz4J3QkWugyq1","payload":{"name":"Käse."}}'.encode()


def secret(key: str) -> str:
    return "whsec_" + b64encode(key.encode()).decode()


def test_the_gstable_signature_is_hex_over_timestamp_colon_body() -> None:
    # openssl dgst -sha256 -hmac <key> over the bytes "1767268800:" + body
    assert (
        gstable_signature(KEY, AT, BODY)
        == "3545b700b7c82074b81968f01b0263bb7bb8d3fe23f31c96d2038b069ec14174"
    )


def test_the_standard_signature_is_base64_over_id_timestamp_body() -> None:
    # openssl dgst -sha256 -hmac <key> -binary | base64, over "<id>.1767268800." + body
    assert (
        standard_signature(KEY, EVENT, AT, BODY)
        == "v1,+jooZXW+s0W3fWkIZIvZlN9wxOHbmpScWLzGD3wV5h8="
    )


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_whk_15_the_public_verifier_accepts_both_keys_of_a_grace_time(key: str) -> None:
    now = unix_seconds(SystemClock().now())
    headers = signature_headers((KEY, OLD_KEY), EVENT, now, BODY)
    assert Webhook(secret(key)).verify(BODY, headers)["eventId"] == EVENT


@pytest.mark.parametrize("part", ["body", "id", "key", "timestamp"])
def test_the_public_verifier_refuses_any_changed_part(part: str) -> None:
    now = unix_seconds(SystemClock().now())
    headers = signature_headers((KEY,), EVENT, now, BODY)
    if part == "id":
        headers["webhook-id"] = "evt_other"
    if part == "timestamp":
        headers["webhook-timestamp"] = str(now + 1)
    body = BODY.replace(b"paylo", b"Paylo") if part == "body" else BODY
    verifier = Webhook(secret(OLD_KEY if part == "key" else KEY))
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body, headers)


def test_whk_20_a_letter_replayed_after_six_minutes_is_refused() -> None:
    then = unix_seconds(SystemClock().now() - timedelta(minutes=6))
    headers = signature_headers((KEY,), EVENT, then, BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret(KEY)).verify(BODY, headers)
