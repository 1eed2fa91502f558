"""Check a delivered webhook, and make one for your own tests.

    event = webhooks.verify(request.body, request.headers, secret)
    body, headers = webhooks.example("session.completed", secret)

Source: specification sections 9 and 15, Webhooks; the Standard Webhooks specification.
"""

from collections.abc import Mapping
from json import dumps
from time import gmtime, strftime, time

from gstable._errors import GStableUsageError, SignatureError
from gstable._event import Event, parse_event
from gstable._signature import (
    GSTABLE_SIGNATURE,
    GSTABLE_TIMESTAMP,
    STANDARD_ID,
    STANDARD_SIGNATURE,
    STANDARD_TIMESTAMP,
    HeaderMap,
    HeaderPairs,
    check,
    gstable_signature,
    signing_headers,
    signing_key,
    standard_signature,
)

__all__ = ["Event", "SignatureError", "example", "verify"]

DEFAULT_TOLERANCE_SECONDS = 300
EXAMPLE_API_VERSION = "v1"


def verify(
    body: bytes,
    headers: HeaderMap | HeaderPairs,
    secret: str,
    *,
    tolerance: int = DEFAULT_TOLERANCE_SECONDS,
    now: int | None = None,
) -> Event:
    """The event, if it was signed with `secret` and sent just now.

    `body`: the raw bytes as they arrived, before any JSON parser. `headers`: a mapping or pairs,
    names in any case; a signing header that stands twice is refused. `secret`: the endpoint's
    `wkk_…` key, or the same as `whsec_…`. `tolerance`: seconds the timestamp may be away.
    `now`: Unix seconds, the clock's unless given.

    Raises `SignatureError` (answer 400 and do nothing), `GStableUsageError` for a body that is
    not bytes or a secret of another form, `GStableError` for a signed body that is no event.
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise GStableUsageError("body must be the raw bytes of the request")
    raw = bytes(body)
    at = int(time()) if now is None else now
    check(signing_key(secret), signing_headers(headers), raw, at, tolerance)
    return parse_event(raw)


def example(
    event_type: str,
    secret: str,
    *,
    payload: Mapping[str, object] | None = None,
    now: int | None = None,
) -> tuple[bytes, dict[str, str]]:
    """A delivery as the platform would send it: the body, and the headers of both schemes.

    `event_type`: such as `session.paid` or `payment.link.created`. `payload`: a sample of the
    right kind unless given. `now`: Unix seconds of sending, the clock's unless given.
    Raises `GStableUsageError` for an event type of no known object.
    """
    # For tests only, and slow to import.
    from gstable._samples import business_type_of, mint_event_id, sample_payload

    key = signing_key(secret)
    at = int(time()) if now is None else now
    event_id = mint_event_id()
    event = {
        "eventId": event_id,
        "eventType": event_type,
        "businessType": business_type_of(event_type),
        "occurrence": strftime("%Y-%m-%d %H:%M:%S", gmtime(at)),
        "isSubscribable": True,
        "sequence": 1,
        "apiVersion": EXAMPLE_API_VERSION,
        "payload": dict(sample_payload(event_type, at) if payload is None else payload),
    }
    body = dumps(event, separators=(",", ":")).encode()
    return body, {
        "content-type": "application/json",
        GSTABLE_TIMESTAMP: str(at),
        GSTABLE_SIGNATURE: gstable_signature(key, at, body),
        STANDARD_ID: event_id,
        STANDARD_TIMESTAMP: str(at),
        STANDARD_SIGNATURE: standard_signature(key, event_id, at, body),
    }
