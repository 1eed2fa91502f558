"""Webhook signatures that were computed elsewhere, through the server and the SDK alike.

The expected values come from ``openssl dgst -sha256 -hmac <key>`` over ``<timestamp>:<body>`` and
over ``<id>.<timestamp>.<body>``. The vectors of EIP-712 are in ``tests/unit/chain``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gstable import SignatureError, webhooks
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.ids import EventId
from gstable_server.webhooks.signing import signature_headers

KEY = "wkk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
AT = UnixSeconds(1_767_268_800)
EVENT = EventId("evt_i4NWz4J3QkWugyq1")
BODY = (
    '{"eventId":"evt_i4NWz4J3QkWugyq1","eventType":"product.created","businessType":"product",'
    '"occurrence":"2026-01-01 12:00:00","isSubscribable":true,'
    '"payload":{"productData":{"name":"Käse."}},"sequence":1,"apiVersion":"v1"}'
).encode()
OURS = {
    "x-gstable-timestamp": "1767268800",
    "x-gstable-signature": "df5eaff7699b48e8a165d56c5aaeeb5a40ddf7121b10474a363b48c88c40555d",
}
STANDARD = {
    "webhook-id": "evt_i4NWz4J3QkWugyq1",
    "webhook-timestamp": "1767268800",
    "webhook-signature": "v1,aTVTzgImG/466B9f9Caa2WsH7wLKscNAD0Kv0kHqBJk=",
}


def test_the_server_signs_as_computed_elsewhere() -> None:
    assert signature_headers((KEY,), EVENT, AT, BODY) == {**OURS, **STANDARD}


@pytest.mark.parametrize("headers", [OURS, STANDARD, {**OURS, **STANDARD}])
def test_the_sdk_believes_what_was_signed_elsewhere(headers: dict[str, str]) -> None:
    event = webhooks.verify(BODY, headers, KEY, now=AT)
    assert (event.event_id, event.event_type, event.sequence) == (EVENT, "product.created", 1)


def _changed(name: str, change: Callable[[str], str]) -> dict[str, str]:
    whole = {**OURS, **STANDARD}
    return {**whole, name: change(whole[name])}


SPOILED: list[tuple[str, dict[str, str]]] = [
    (name, _changed(name, change))
    for name, change in (
        ("x-gstable-signature", str.upper),
        ("x-gstable-signature", lambda value: value[:-1]),
        ("x-gstable-signature", lambda value: "0" + value[1:]),
        ("x-gstable-timestamp", lambda value: str(int(value) + 1)),
        ("webhook-timestamp", lambda value: str(int(value) + 1)),
        ("webhook-signature", lambda value: value.replace("v1,", "v0,")),
        ("webhook-signature", lambda value: value.lower()),
        ("webhook-id", lambda value: value + "x"),
    )
]


@pytest.mark.parametrize(("name", "headers"), SPOILED)
def test_aut_05_a_changed_header_is_not_believed(name: str, headers: dict[str, str]) -> None:
    scheme = OURS if name in OURS else STANDARD
    alone = {header: headers[header] for header in scheme}
    with pytest.raises(SignatureError):
        webhooks.verify(BODY, alone, KEY, now=AT)


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize("headers", [OURS, STANDARD])
def test_aut_05_a_letter_out_of_its_time_is_not_believed(
    direction: int, headers: dict[str, str]
) -> None:
    webhooks.verify(BODY, headers, KEY, now=AT + direction * 300)
    with pytest.raises(SignatureError):
        webhooks.verify(BODY, headers, KEY, now=AT + direction * 301)


def test_aut_05_a_body_with_one_more_space_is_not_believed() -> None:
    for headers in (OURS, STANDARD):
        with pytest.raises(SignatureError):
            webhooks.verify(BODY + b" ", headers, KEY, now=AT)
