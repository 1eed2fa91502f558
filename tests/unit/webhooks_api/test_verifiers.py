"""What we sign is accepted by others' verifiers, and nothing else is."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest

from gstable_server.kernel.clock import UnixSeconds, unix_seconds
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.plumbing.system import SystemClock
from gstable_server.webhooks import wire
from gstable_server.webhooks.letters import letter
from gstable_server.webhooks.model import EVENT_TYPES
from gstable_server.webhooks.signing import signature_headers
from tests.verifiers import BOTH, STANDARD_ONLY, Sample, Verdict, by_javascript, by_python

KEY = "wkk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
OLD_KEY = "wkk_dcbaZYXWVUTSRQPONMLKJIHGFEDCBA9876543210"
NEITHER = Verdict(standard=False, gstable=False)
TEXTS = [
    "plain",
    "Käse ☕ \U0001f375",
    'quoted " and \\ and </script>',
    "a.b.c:d",
    "\u2028\u2029\u00a0\ufeff",
    "x" * 100_000,
]


def now() -> UnixSeconds:
    return unix_seconds(SystemClock().now())


def sealed(event_type: str = "session.paid", text: str = "tea") -> tuple[EventId, bytes]:
    event_id = EventId("evt_" + sha256(f"{event_type} {text}".encode()).hexdigest()[:16])
    event = Event(event_type, "sess_1", {"sessionData": {"name": text, "amount": 2**53 + 1}})
    return event_id, wire.seal(letter(StoredEvent(event_id, 1, SystemClock().now(), event)))


def signed(keys: tuple[str, ...], receiver: str, text: str = "tea", kind: str = "x.y") -> Sample:
    event_id, body = sealed(kind, text)
    return Sample(body, signature_headers(keys, event_id, now(), body), receiver)


def test_whk_15_every_event_and_text_verifies_also_while_a_key_is_changed() -> None:
    both = [signed((KEY,), KEY, kind=kind) for kind in EVENT_TYPES]
    both += [signed((KEY,), KEY, text) for text in TEXTS]
    both += [signed((KEY, OLD_KEY), KEY, text) for text in TEXTS]
    standard_only = [signed((KEY, OLD_KEY), OLD_KEY, text) for text in TEXTS]
    expected = [BOTH] * len(both) + [STANDARD_ONLY] * len(standard_only)
    assert by_python(both + standard_only) == expected
    assert by_javascript(both + standard_only) == expected


def _replayed() -> Sample:
    event_id, body = sealed()
    then = unix_seconds(SystemClock().now() - timedelta(minutes=6))
    return Sample(body, signature_headers((KEY,), event_id, then, body), KEY)


def _changed(part: str) -> Sample:
    good = signed((KEY,), KEY)
    if part == "body":
        return Sample(good.body.replace(b"tea", b"ten"), good.headers, KEY)
    if part == "key":
        return Sample(good.body, good.headers, OLD_KEY)
    later = str(now() + 1)
    return Sample(
        good.body,
        {**good.headers, "webhook-timestamp": later, "x-gstable-timestamp": later},
        KEY,
    )


def test_whk_20_a_letter_replayed_after_six_minutes_is_refused_by_both_packages() -> None:
    """The signature itself is still right: it is the time that gives the replay away."""
    [in_python], [in_javascript] = by_python([_replayed()]), by_javascript([_replayed()])
    assert in_python == in_javascript == Verdict(standard=False, gstable=True)


def test_whatever_is_changed_is_refused_by_both_packages() -> None:
    samples = [_changed(part) for part in ("body", "key", "timestamp")]
    assert by_python(samples) == by_javascript(samples) == [NEITHER] * 3


@pytest.mark.parametrize("text", ["session.paid\r\nx-evil: 1", "session.paid\nSet-Cookie: a=b"])
def test_whk_22_nothing_of_an_event_but_its_identifier_stands_in_a_header(text: str) -> None:
    """An event type cannot be chosen by a merchant; if it could, it would not become a header."""
    event_id, body = sealed(text, text)
    headers = signature_headers((KEY,), event_id, now(), body)
    assert not [value for value in headers.values() if "\r" in value or "\n" in value]
    with pytest.raises(ValueError, match="EventId"):
        EventId(f"evt_{text}")
