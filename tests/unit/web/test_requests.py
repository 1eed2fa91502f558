"""Who may send a form, and what a form may be."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.types import Message

from gstable_server.kernel.errors import Code, Refused
from gstable_server.web.requests import (
    BODY_BYTES_MAX,
    FIELDS_MAX,
    FORM,
    has_type,
    is_same_origin,
    read_form,
)

pytestmark = pytest.mark.anyio
HERE = "https://pay.example.com"


def asked(headers: dict[str, str], body: bytes = b"") -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site", "origin": HERE}, False),
        ({"sec-fetch-site": "cross-site", "origin": HERE}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": HERE}, True),
        ({"origin": "https://localhost:8000", "host": "localhost:8000"}, True),
        ({"origin": "https://evil.example.com", "host": "pay.example.com"}, False),
        ({"origin": "http://pay.example.com", "host": "other.example.com"}, False),
        ({"origin": "null", "host": "pay.example.com"}, False),
        ({"origin": "null"}, False),
        ({"host": "pay.example.com"}, False),
    ],
)
def test_only_our_own_pages_may_post(headers: dict[str, str], expected: bool) -> None:
    assert is_same_origin(asked(headers), HERE) is expected


def test_content_types_are_compared_without_their_parameters() -> None:
    assert has_type(asked({"content-type": "Application/X-WWW-form-urlencoded; charset=x"}), FORM)
    assert not has_type(asked({"content-type": "text/plain"}), FORM)
    assert not has_type(asked({}), FORM)


async def test_a_form_is_read_as_text() -> None:
    form = await read_form(asked({}, b"email=a%2Bb%40example.com&amount=5.00&empty="))
    assert form == {"email": "a+b@example.com", "amount": "5.00", "empty": ""}


@pytest.mark.parametrize("body", [b"email=%ff", b"email=\xff", b"a=1&" * FIELDS_MAX + b"a=1"])
async def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        await read_form(asked({}, body))
    assert refusal.value.code is Code.FIELD_INVALID


async def test_a_huge_body_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        await read_form(asked({}, b"a" * (BODY_BYTES_MAX + 1)))
    assert refusal.value.code is Code.BODY_TOO_LARGE
