"""Both signatures of a delivery (spec 15, Webhooks): pure functions of key, id, time and bytes."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence

from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.ids import EventId


def gstable_signature(key: str, at: UnixSeconds, body: bytes) -> str:
    """``x-gstable-signature``: lowercase hex of HMAC-SHA256 over ``<timestamp>:<body>``.

    ``key`` is the whole ``wkk_…`` text.
    """
    return hmac.digest(key.encode(), f"{at}:".encode() + body, "sha256").hex()


def standard_signature(key: str, event_id: EventId, at: UnixSeconds, body: bytes) -> str:
    """One entry of ``webhook-signature`` (Standard Webhooks 1.0): ``v1,`` + base64 of
    HMAC-SHA256 over ``<id>.<timestamp>.<body>``, keyed with the bytes of the ``wkk_…`` text."""
    message = f"{event_id}.{at}.".encode() + body
    return "v1," + b64encode(hmac.digest(key.encode(), message, "sha256")).decode()


def signature_headers(
    keys: Sequence[str], event_id: EventId, at: UnixSeconds, body: bytes
) -> dict[str, str]:
    """All signature headers of one try. ``keys``: the current key, then the one in its grace
    time, if any; ``x-gstable-signature`` has room for the current one only."""
    return {
        "x-gstable-timestamp": str(at),
        "x-gstable-signature": gstable_signature(keys[0], at, body),
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(standard_signature(key, event_id, at, body) for key in keys),
    }
