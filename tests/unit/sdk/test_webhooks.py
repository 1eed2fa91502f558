"""Webhook vectors: what is believed, and every way to be refused."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from gstable import GStableError, GStableUsageError, SignatureError, webhooks
from tests.unit.sdk import samples

SECRET = "wkk_0123456789abcdefABCDEF"
STANDARD_SECRET = "whsec_" + base64.b64encode(SECRET.encode()).decode()
NOW = 1_800_000_000
BODY = json.dumps(
    {
        "eventId": "evt_i4NWz4J3QkWugyq1",
        "eventType": "session.completed",
        "businessType": "session",
        "occurrence": "2027-01-15 08:00:00",
        "isSubscribable": True,
        "sequence": 4,
        "apiVersion": "v1",
        "payload": {"sessionData": samples.SESSION, "transaction": samples.TRANSACTION},
        "later": "ignored",
    }
).encode()


def native(body: bytes = BODY, secret: str = SECRET, at: int = NOW) -> dict[str, str]:
    """Signed here by the words of section 15, not by the code under test."""
    mac = hmac.new(secret.encode(), str(at).encode() + b":" + body, hashlib.sha256)
    return {"x-gstable-timestamp": str(at), "x-gstable-signature": mac.hexdigest()}


def standard(body: bytes = BODY, secret: str = SECRET, at: int = NOW) -> dict[str, str]:
    signed = b"evt_i4NWz4J3QkWugyq1." + str(at).encode() + b"." + body
    mac = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": "evt_i4NWz4J3QkWugyq1",
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{mac}",
    }


SCHEMES = {"native": native, "standard": standard}


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> Any:
    return SCHEMES[request.param]


def refused(body: bytes, headers: Any, reason: str, secret: str = SECRET) -> None:
    with pytest.raises(SignatureError, match=reason) as caught:
        webhooks.verify(body, headers, secret, now=NOW)
    assert caught.value.code == 400104
    assert "0123456789" not in str(caught.value)


def test_a_fixed_vector() -> None:
    """Computed with openssl, not with Python: both schemes over the same small body."""
    body = (
        b'{"eventId":"evt_1","eventType":"x","businessType":"session",'
        b'"occurrence":"2027-01-15 08:00:00","payload":{}}'
    )
    headers = {
        "x-gstable-timestamp": "1800000000",
        "x-gstable-signature": "be316de7d53529ac36abc28f58106c2ce4137a5fbd8a98a0546b337413f678c3",
    }
    assert webhooks.verify(body, headers, "wkk_test", now=NOW).event_id == "evt_1"
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1800000000",
        "webhook-signature": "v1,66sWV+OXJ+7ub6j3CAjQ8LxiGD+0A/hzw/q2pIUcW5M=",
    }
    assert webhooks.verify(body, headers, "whsec_d2trX3Rlc3Q=", now=NOW).event_id == "evt_1"


@pytest.mark.parametrize("secret", [SECRET, STANDARD_SECRET, f"  {SECRET}\n"])
def test_a_signed_event_is_believed(scheme: Any, secret: str) -> None:
    event = webhooks.verify(BODY, scheme(), secret, now=NOW)
    assert event.event_id == "evt_i4NWz4J3QkWugyq1"
    assert event.event_type == "session.completed"
    assert event.business_type == "session"
    assert event.is_subscribable
    assert (event.sequence, event.api_version) == (4, "v1")
    assert event.session.session_id == "sess_1"
    assert event.transaction is not None
    assert event.transaction.net_value == 8_982_000


def test_header_names_in_any_case_and_any_container(scheme: Any) -> None:
    headers = scheme()
    webhooks.verify(BODY, {n.upper(): v for n, v in headers.items()}, SECRET, now=NOW)
    webhooks.verify(BODY, list(headers.items()), SECRET, now=NOW)
    pairs = [(n.encode(), v.encode()) for n, v in headers.items()]
    webhooks.verify(BODY, pairs, SECRET, now=NOW)
    webhooks.verify(BODY, dict(pairs), SECRET, now=NOW)
    buffer: Any = bytearray(BODY)
    webhooks.verify(buffer, headers, SECRET, now=NOW)
    webhooks.verify(BODY, {**headers, "accept": "a", "Accept": "b"}, SECRET, now=NOW)


@pytest.mark.parametrize("index", [0, 1, len(BODY) // 2, len(BODY) - 1])
def test_a_tampered_byte_is_refused(scheme: Any, index: int) -> None:
    changed = bytearray(BODY)
    changed[index] ^= 1
    refused(bytes(changed), scheme(), "does not match")


def test_an_added_space_is_refused(scheme: Any) -> None:
    refused(BODY + b" ", scheme(), "does not match")
    refused(b"", scheme(), "does not match")


@pytest.mark.parametrize("away", [-301, 301, -86_400])
def test_a_timestamp_too_far_away_is_refused(scheme: Any, away: int) -> None:
    refused(BODY, scheme(at=NOW + away), "more than 300 s away")


@pytest.mark.parametrize("away", [-300, 0, 300])
def test_a_timestamp_at_the_edge_is_believed(scheme: Any, away: int) -> None:
    webhooks.verify(BODY, scheme(at=NOW + away), SECRET, now=NOW)


def test_own_tolerance(scheme: Any) -> None:
    webhooks.verify(BODY, scheme(at=NOW - 900), SECRET, tolerance=900, now=NOW)
    with pytest.raises(SignatureError, match="more than 10 s away"):
        webhooks.verify(BODY, scheme(at=NOW - 11), SECRET, tolerance=10, now=NOW)


def test_another_secret_is_refused(scheme: Any) -> None:
    refused(BODY, scheme(secret="wkk_other"), "does not match")
    refused(BODY, scheme(), "does not match", secret="wkk_0123456789abcdefABCDEf")


def test_a_timestamp_of_another_moment_is_refused(scheme: Any) -> None:
    later = {n: str(NOW + 1) if n.endswith("timestamp") else v for n, v in scheme().items()}
    refused(BODY, later, "does not match")


@pytest.mark.parametrize(
    "text", ["", "soon", "-1800000000", "+1800000000", "1800000000.0", "01800000000", "1e9", "٣"]
)
def test_a_timestamp_in_another_form_is_refused(scheme: Any, text: str) -> None:
    headers = {n: text if n.endswith("timestamp") else v for n, v in scheme().items()}
    refused(BODY, headers, "is not Unix seconds|is missing")


def test_milliseconds_are_refused(scheme: Any) -> None:
    refused(BODY, scheme(at=NOW * 1000), "is not Unix seconds")


def test_aut_06_a_duplicated_signing_header_is_refused(scheme: Any) -> None:
    for name, value in scheme().items():
        pairs = [*scheme().items(), (name.title(), value)]
        refused(BODY, pairs, f"{name} stands twice")
        joined = {**scheme(), name: f"{value}, {value}"}
        refused(BODY, joined, "does not match|is not Unix seconds|not a list")


def test_aut_06_a_duplicate_of_the_other_scheme_is_refused_too() -> None:
    pairs = [*native().items(), *standard().items(), ("Webhook-Id", "evt_2")]
    refused(BODY, pairs, "webhook-id stands twice")


@pytest.mark.parametrize("text", ["v0,{mac}", "v1a,{mac}", "V1,{mac}", "{mac}", "", "v1", "v1,"])
def test_aut_06_an_unknown_version_only_is_refused(text: str) -> None:
    headers = standard()
    mac = headers["webhook-signature"].removeprefix("v1,")
    headers["webhook-signature"] = text.format(mac=mac)
    refused(BODY, headers, "holds no v1 signature|does not match")


def test_one_of_several_standard_signatures_is_enough() -> None:
    headers = standard()
    mine, other = headers["webhook-signature"], standard(secret="wkk_old")["webhook-signature"]
    headers["webhook-signature"] = f"v1a,xyz {other} {mine}"
    webhooks.verify(BODY, headers, SECRET, now=NOW)
    headers["webhook-signature"] = " ".join([other] * 20 + [mine])
    refused(BODY, headers, "too many")


def test_while_a_key_is_changed_one_scheme_is_enough() -> None:
    """The single-valued header is signed with the new key; the list carries the old one too."""
    webhooks.verify(BODY, {**native(secret="wkk_new"), **standard()}, SECRET, now=NOW)


def test_upper_case_hex_is_refused() -> None:
    headers = native()
    headers["x-gstable-signature"] = headers["x-gstable-signature"].upper()
    refused(BODY, headers, "does not match")


@pytest.mark.parametrize("cut", [0, 1, 32, -1])
def test_a_truncated_signature_is_refused(scheme: Any, cut: int) -> None:
    headers = scheme()
    for name in ("x-gstable-signature", "webhook-signature"):
        if name in headers:
            headers[name] = headers[name][:cut]
    refused(BODY, headers, "does not match|holds no v1|no x-gstable|no webhook")


def test_text_that_is_not_ascii_is_refused_not_crashed(scheme: Any) -> None:
    headers = {n: "é\udcff" if n.endswith("signature") else v for n, v in scheme().items()}
    refused(BODY, headers, "does not match|holds no v1")


def test_missing_headers_are_refused() -> None:
    refused(BODY, {}, "no x-gstable-signature; no webhook-signature")
    for scheme in SCHEMES.values():
        for name in scheme():
            refused(BODY, {n: v for n, v in scheme().items() if n != name}, "no |is missing")


@pytest.mark.parametrize("secret", ["", "  ", "wkk_", "whsec_", "sk_live_1", "whsec_@@", None])
def test_a_secret_of_another_form_is_a_usage_error(secret: Any) -> None:
    with pytest.raises(GStableUsageError, match="secret"):
        webhooks.verify(BODY, native(), secret, now=NOW)


def test_a_parsed_body_is_a_usage_error() -> None:
    body: Any = BODY.decode()
    with pytest.raises(GStableUsageError, match="raw bytes"):
        webhooks.verify(body, native(), SECRET, now=NOW)


def test_an_event_about_no_business_object_is_believed(scheme: Any) -> None:
    body = json.dumps({**json.loads(BODY), "businessType": None, "payload": {}}).encode()
    event = webhooks.verify(body, scheme(body), SECRET, now=NOW)
    assert event.business_type == ""
    assert event.transaction is None


NO_EVENTS = [b"", b"[]", b"{}", b"\xff", b'{"eventId":"evt_1"}', b"[" * 99_999]


@pytest.mark.parametrize("body", NO_EVENTS, ids=range(len(NO_EVENTS)))
def test_a_signed_body_that_is_no_event(scheme: Any, body: bytes) -> None:
    with pytest.raises(GStableError, match="Unexpected event") as caught:
        webhooks.verify(body, scheme(body), SECRET, now=NOW)
    assert not isinstance(caught.value, SignatureError)


EVENTS = {
    "account.created": "account",
    "payment.link.created": "link",
    "payment.link.disabled": "link",
    "product.archived": "product",
    "session.created": "session",
    "session.paid": "session",
    "session.settling": "session",
    "session.settlement_pending": "session",
    "session.completed": "session",
    "session.expired": "session",
    "session.cancelled": "session",
    "session.underpaid": "session",
    "session.refunded": "session",
    "session.captured": "session",
    "session.voided": "session",
}


@pytest.mark.parametrize("event_type", EVENTS)
def test_examples_verify_and_read(event_type: str) -> None:
    body, headers = webhooks.example(event_type, STANDARD_SECRET, now=NOW)
    event = webhooks.verify(body, headers, SECRET, now=NOW)
    assert event.event_type == event_type
    for name in ("account", "link", "product", "session"):
        if name == EVENTS[event_type]:
            assert getattr(event, name).create_at == "2027-01-15 08:00:00"
        else:
            with pytest.raises(GStableError, match=f"{event_type}.*{name}Data"):
                getattr(event, name)


@pytest.mark.parametrize(
    ("event_type", "status", "has_money"),
    [
        ("session.created", "initialized", False),
        ("session.paid", "paid", True),
        ("session.completed", "completed", True),
        ("session.expired", "expired", False),
        ("session.cancelled", "cancelled", False),
    ],
)
def test_example_sessions_are_in_the_state_of_their_event(
    event_type: str, status: str, has_money: bool
) -> None:
    body, headers = webhooks.example(event_type, SECRET)
    event = webhooks.verify(body, headers, SECRET)
    assert event.session.status == status
    assert (event.transaction is not None) == has_money
    assert (event.session.payer != "") == has_money


def test_what_left_a_hold_is_read_from_its_event() -> None:
    event = webhooks.verify(*webhooks.example("session.captured", SECRET), SECRET)
    move = event.hold_move
    assert (move.what, move.amount, move.amount_in_token) == ("captured", 20_000_000, 20_000_000)
    assert (move.merchant_received, move.fee) == (19_960_000, 40_000)
    event = webhooks.verify(*webhooks.example("session.voided", SECRET), SECRET)
    assert (event.hold_move.what, event.hold_move.merchant_received) == ("voided", 0)
    assert event.session.status == "cancelled"


def test_a_refund_is_read_from_its_event_and_from_no_other() -> None:
    event = webhooks.verify(*webhooks.example("session.refunded", SECRET), SECRET)
    assert (event.refund.status, event.refund.amount) == ("completed", 5_000_000)
    assert event.refund.session_id == event.session.session_id
    assert event.refund.transaction is None
    paid = webhooks.verify(*webhooks.example("session.paid", SECRET), SECRET)
    with pytest.raises(GStableError, match=r"session\.paid.*refundData"):
        paid.refund  # noqa: B018


def test_an_example_with_own_payload_and_each_scheme_alone() -> None:
    payload = {"sessionData": {**samples.SESSION, "sessionId": "sess_mine"}, "transaction": None}
    body, headers = webhooks.example("session.paid", SECRET, payload=payload, now=NOW)
    for scheme in SCHEMES.values():
        own = {name: headers[name] for name in scheme()}
        event = webhooks.verify(body, own, SECRET, now=NOW)
        assert event.session.session_id == "sess_mine"
        assert event.transaction is None


@pytest.mark.parametrize("event_type", ["", "session", "session.", "invoice.paid", "Session.paid"])
def test_an_example_of_no_known_object_is_a_usage_error(event_type: str) -> None:
    with pytest.raises(GStableUsageError, match="event_type"):
        webhooks.example(event_type, SECRET)
