"""The two ways a webhook is signed, over the same key. Pure. Source: section 15, Webhooks.

`x-gstable-signature`: lowercase hex of HMAC-SHA256 over `timestamp:body`.
`webhook-signature` (Standard Webhooks): `v1,` + base64 of HMAC-SHA256 over `id.timestamp.body`,
several of them separated by spaces while a key is being changed.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256

from gstable._errors import GStableUsageError, SignatureError

GSTABLE_TIMESTAMP = "x-gstable-timestamp"
GSTABLE_SIGNATURE = "x-gstable-signature"
STANDARD_ID = "webhook-id"
STANDARD_TIMESTAMP = "webhook-timestamp"
STANDARD_SIGNATURE = "webhook-signature"
SIGNING_HEADERS = (
    GSTABLE_TIMESTAMP,
    GSTABLE_SIGNATURE,
    STANDARD_ID,
    STANDARD_TIMESTAMP,
    STANDARD_SIGNATURE,
)
MOST_SIGNATURES = 16
MOST_TIMESTAMP_DIGITS = 12

HeaderText = str | bytes
HeaderMap = Mapping[str, str] | Mapping[bytes, bytes]
HeaderPairs = Iterable[tuple[HeaderText, HeaderText]]


def signing_key(secret: str) -> bytes:
    """The HMAC key of a `wkk_…` secret, or of the same one written as `whsec_…`.

    Raises `GStableUsageError` for anything else; the message never repeats the secret.
    """
    if isinstance(secret, str):
        secret = secret.strip()
        if secret.startswith("wkk_") and len(secret) > len("wkk_"):
            return secret.encode()
        if secret.startswith("whsec_") and len(secret) > len("whsec_"):
            try:
                return b64decode(secret.removeprefix("whsec_"), validate=True)
            except ValueError as broken:
                raise GStableUsageError("secret is not base64 after whsec_") from broken
    raise GStableUsageError("secret must start with wkk_ or whsec_")


def gstable_signature(key: bytes, timestamp: int, body: bytes) -> str:
    return hmac.new(key, f"{timestamp}:".encode() + body, sha256).hexdigest()


def standard_signature(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()


def signing_headers(headers: HeaderMap | HeaderPairs) -> dict[str, str]:
    """The headers that matter, under lower-case names. Refuses one that stands twice."""
    items = headers.items() if hasattr(headers, "items") else headers
    found: dict[str, str] = {}
    for name_text, value_text in items:
        name = _text(name_text).lower()
        if name not in SIGNING_HEADERS:
            continue
        if name in found:
            raise SignatureError(f"header {name} stands twice")
        found[name] = _text(value_text).strip()
    return found


def check(key: bytes, headers: Mapping[str, str], body: bytes, now: int, tolerance: int) -> None:
    """Raise `SignatureError` unless one of the two schemes proves the body.

    One is enough: while a key is being changed, only `webhook-signature` carries both keys.
    """
    reasons: list[str] = []
    for proof in (_gstable_reason, _standard_reason):
        reason = proof(key, headers, body, now, tolerance)
        if reason is None:
            return
        reasons.append(reason)
    raise SignatureError("; ".join(reasons))


def _gstable_reason(
    key: bytes, headers: Mapping[str, str], body: bytes, now: int, tolerance: int
) -> str | None:
    given = headers.get(GSTABLE_SIGNATURE)
    if given is None:
        return f"no {GSTABLE_SIGNATURE}"
    timestamp = _timestamp(headers.get(GSTABLE_TIMESTAMP), now, tolerance)
    if isinstance(timestamp, str):
        return f"{GSTABLE_TIMESTAMP} {timestamp}"
    if not _equal(gstable_signature(key, timestamp, body), given):
        return f"{GSTABLE_SIGNATURE} does not match"
    return None


def _standard_reason(
    key: bytes, headers: Mapping[str, str], body: bytes, now: int, tolerance: int
) -> str | None:
    given = headers.get(STANDARD_SIGNATURE)
    event_id = headers.get(STANDARD_ID)
    if given is None or not event_id:
        return f"no {STANDARD_SIGNATURE}" if given is None else f"no {STANDARD_ID}"
    timestamp = _timestamp(headers.get(STANDARD_TIMESTAMP), now, tolerance)
    if isinstance(timestamp, str):
        return f"{STANDARD_TIMESTAMP} {timestamp}"
    candidates = given.split(" ")
    if len(candidates) > MOST_SIGNATURES:
        return f"{STANDARD_SIGNATURE} holds too many signatures"
    # Two headers that something on the way joined by commas count as a header that stands twice.
    if any(candidate.count(",") > 1 for candidate in candidates):
        return f"{STANDARD_SIGNATURE} is not a list of signatures"
    if not any(candidate.startswith("v1,") for candidate in candidates):
        return f"{STANDARD_SIGNATURE} holds no v1 signature"
    expected = standard_signature(key, event_id, timestamp, body)
    # Every candidate is compared, so that the time taken tells nothing.
    matches = [_equal(expected, candidate) for candidate in candidates]
    return None if any(matches) else f"{STANDARD_SIGNATURE} does not match"


def _timestamp(text: str | None, now: int, tolerance: int) -> int | str:
    """Unix seconds, or what is wrong with them."""
    if not text:
        return "is missing"
    if not text.isascii() or not text.isdigit() or len(text) > MOST_TIMESTAMP_DIGITS:
        return "is not Unix seconds"
    # A number written in another form would be signed as that other text.
    if str(int(text)) != text:
        return "is not Unix seconds"
    if abs(now - int(text)) > tolerance:
        return f"is more than {tolerance} s away"
    return int(text)


def _equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _text(value: HeaderText) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
