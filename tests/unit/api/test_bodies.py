from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gstable_server.api.strict_json import parse_object
from gstable_server.kernel.errors import Refused
from tests.unit.api.notes import Api

pytestmark = pytest.mark.anyio

CREATE = "/api/v1/note/create"


async def _message(api: Api, body: Any) -> str:
    """The refusal's text; checks that nothing was stored."""
    answer = await api.post(CREATE, body)
    assert answer.status_code == 200
    assert answer.json()["code"] == 400101, answer.text
    assert answer.json()["data"] is None
    assert await api.events() == 0
    message: str = answer.json()["message"]
    return message.removeprefix("Invalid field format: ")


def _priced(written: str) -> bytes:
    return f'{{"noteName":"x","lineItems":[{{"quantity":1,"unitPrice":{written}}}]}}'.encode()


FIELD_PROBLEMS: list[tuple[Any, str]] = [
    (None, "noteName is required"),
    ({}, "noteName is required"),
    ({"noteName": 1}, "noteName must be a string"),
    ({"noteName": ""}, "noteName must have 1 to 100 characters"),
    ({"noteName": "x" * 101}, "noteName must have 1 to 100 characters"),
    ({"noteName": "  "}, "noteName must not be blank"),
    ({"noteName": "a\u0007"}, "noteName contains characters that cannot be stored"),
    ({"note_name": "x"}, "noteName is required"),
    ({"noteName": "x", "customText": "x" * 501}, "customText must have at most 500 characters"),
    ({"noteName": "x", "metadata": []}, "metadata must be an object"),
    ({"noteName": "x", "lineItems": {}}, "lineItems must be an array"),
    ({"noteName": "x", "lineItems": []}, "lineItems must have 1 to 100 items"),
    ({"noteName": "x", "lineItems": [1]}, "lineItems[0] must be an object"),
    ({"noteName": "x", "lineItems": [{"quantity": 1}]}, "lineItems[0].unitPrice is required"),
    (
        {"noteName": "x", "lineItems": [{"quantity": 0, "unitPrice": 1}]},
        "lineItems[0].quantity must be between 1 and 1000000",
    ),
    (_priced("0"), "lineItems[0].unitPrice must be at least 1"),
    (
        {"noteName": "x", "attributes": [{"name": "n", "value": "v"}] * 11},
        "attributes must have at most 10 items",
    ),
    (
        {"noteName": "x", "attributes": [{"name": "n", "value": "v", "more": 1}]},
        "attributes[0].more is not a known field",
    ),
    (
        {"noteName": "x", "kind": {"itemType": "new"}},
        "kind.itemType must be one of 'free', 'priced'",
    ),
    ({"noteName": "x", "kind": {}}, "kind.itemType is required"),
    ({"noteName": "x", "kind": {"itemType": "priced"}}, "kind.unitPrice is required"),
    (
        {"noteName": "x", "kind": {"itemType": "priced", "unitPrice": 0}},
        "kind.unitPrice must be between 1 and 1000000000000",
    ),
    (
        {"noteName": "x", "kind": {"itemType": "free", "unitPrice": 1}},
        "kind.unitPrice is not a known field",
    ),
    ({"noteName": "x", "colour": "red"}, "colour must be 'blue' or 'green'"),
    ({"noteName": "x", "colour": 1}, "colour must be 'blue' or 'green'"),
    (b'{"noteName":"x","metadata":' + json.dumps({f"k{n}": n for n in range(1001)}).encode() + b"}",
     "metadata must have at most 1000 keys"),
]  # fmt: skip


async def test_a_problem_names_the_field_as_the_caller_wrote_it(
    api: Api, subtests: pytest.Subtests
) -> None:
    for body, message in FIELD_PROBLEMS:
        with subtests.test(message):
            assert await _message(api, body) == message


async def test_api_02_an_amount_is_an_integer_and_never_rounded(
    api: Api, subtests: pytest.Subtests
) -> None:
    for written in ("1.0", "0.1", "1e2", '"1"', "true", "null", '"１２"', "[1]"):
        with subtests.test(written):
            message = await _message(api, _priced(written))
            assert message == "lineItems[0].unitPrice must be an integer"


TOO_LARGE = "is an integer that is too large"
NUMBERS = [
    ("1E400", "is a number that is too large"),
    ("NaN", "must not be NaN"),
    ("Infinity", "must not be Infinity"),
    ("-Infinity", "must not be -Infinity"),
    (str(2**256), TOO_LARGE),
    ("9" * 10_000, TOO_LARGE),
    (str(2**63), TOO_LARGE),
    ("-" + "9" * 400, TOO_LARGE),
]


def _cheapest(body: bytes) -> float:
    """Processor time of this thread to refuse ``body``, in seconds: the least of many, because a
    busy machine makes some of them dear and none of them cheap."""
    taken = []
    for _ in range(20):
        started = time.thread_time()
        with pytest.raises(Refused):
            parse_object(body)
        taken.append(time.thread_time() - started)
    return min(taken)


async def test_api_04_numbers_outside_64_bits_are_refused_cheaply(
    api: Api, subtests: pytest.Subtests
) -> None:
    for written, problem in NUMBERS:
        with subtests.test(written[:20]):
            assert await _message(api, _priced(written)) == f"lineItems[0].unitPrice {problem}"
            assert _cheapest(_priced(written)) < 0.05


def test_numbers_inside_64_bits_pass() -> None:
    for written in (str(2**63 - 1), str(-(2**63) + 1), "0", "-0", "1.5", "1e2"):
        parsed = parse_object(f'{{"n":{written}}}'.encode())
        assert parsed == {"n": json.loads(written)}


async def test_api_09_duplicate_keys_are_refused(api: Api, subtests: pytest.Subtests) -> None:
    for body, field in (
        (b'{"noteName":"a","noteName":"b"}', "noteName"),
        (b'{"noteName":"a","note\\u004eame":"b"}', "noteName"),
        (_priced('1,"unitPrice":9'), "lineItems[0].unitPrice"),
        (b'{"noteName":"a","metadata":{"k":{"d":1,"d":1}}}', "metadata.k.d"),
    ):
        with subtests.test(field):
            assert await _message(api, body) == f"{field} appears twice"


async def test_api_10_unknown_fields_are_refused(api: Api) -> None:
    for field, value in {"status": "paid", "merchantId": "0" * 64, "feeBps": 0, "id": 1}.items():
        message = await _message(api, {"noteName": "x", field: value})
        assert message == f"{field} is not a known field"
    answer = await api.post("/api/v1/note/touch", {"anything": 1})
    assert answer.json()["message"] == "Invalid field format: anything is not a known field"
    for empty in (b"", b"{}"):
        assert (await api.post("/api/v1/note/touch", empty)).json()["data"] == {"success": True}


async def test_api_10_a_hostile_field_name_is_not_repeated(api: Api) -> None:
    message = await _message(api, {"noteName": "x", "<script>\n" + "a" * 5000: 1})
    assert message == "(unprintable or overlong name) is not a known field"


NOT_OBJECTS = [
    (b"{", "body is not valid JSON at line 1 column 2"),
    (b'{"noteName":"x"}}', "body is not valid JSON at line 1 column 17"),
    (b'{"noteName":"x",}', "body is not valid JSON at line 1 column 17"),
    (b"{'noteName':'x'}", "body is not valid JSON at line 1 column 2"),
    (b"\xef\xbb\xbf{}", "body is not valid JSON at line 1 column 1"),
    (b"[]", "body must be a JSON object"),
    (b'"x"', "body must be a JSON object"),
    (b"null", "body must be a JSON object"),
    (b"NaN", "body must not be NaN"),
    (b" ", "body is not valid JSON at line 1 column 2"),
    ('{"noteName":"x"}'.encode("utf-16"), "body is not UTF-8 at byte 0"),
    (b'{"noteName":"\x01"}', "body is not valid JSON at line 1 column 14"),
]


async def test_the_body_is_one_json_object_in_utf_8(api: Api, subtests: pytest.Subtests) -> None:
    for body, message in NOT_OBJECTS:
        with subtests.test(repr(body)):
            assert await _message(api, body) == message


UNSTORABLE = "contains characters that cannot be stored"
NOT_UNICODE = [
    (b'{"noteName":"\xff"}', "body is not UTF-8 at byte 13"),
    (b'{"noteName":"\\ud800"}', f"noteName {UNSTORABLE}"),
    (b'{"noteName":"\\u0000"}', f"noteName {UNSTORABLE}"),
    (b'{"noteName":"x","metadata":{"a":["\\uDFFF"]}}', f"metadata.a[0] {UNSTORABLE}"),
    (
        b'{"noteName":"x","metadata":{"\\u0000":1}}',
        f"metadata.(unprintable or overlong name) {UNSTORABLE}",
    ),
]


async def test_api_12_text_that_is_not_unicode_is_refused(
    api: Api, subtests: pytest.Subtests
) -> None:
    for body, message in NOT_UNICODE:
        with subtests.test(repr(body)):
            assert await _message(api, body) == message


async def test_api_12_odd_but_legal_text_is_kept_as_it_is(api: Api) -> None:
    for name in ("\u202eevil", "e\u0301" * 50, "😀", "a\nb", "<b>&amp;"):
        for ascii_only in (True, False):
            body = json.dumps({"noteName": name}, ensure_ascii=ascii_only).encode()
            answer = await api.post(CREATE, body)
            assert answer.json()["data"]["noteName"] == name


async def _chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 65536):
        yield b" " * 65536


async def test_api_11_a_body_too_large_is_413(api: Api) -> None:
    big = b'{"noteName":"' + b"x" * 1_000_000 + b'"}'
    answer = await api.post(CREATE, big)
    assert answer.status_code == 413
    assert answer.json()["code"] == 400101
    assert answer.headers["connection"] == "close"
    headers = {"authorization": f"Bearer {api.secret}", "content-type": "application/json"}
    answer = await api.client.post(CREATE, content=_chunks(2_000_000), headers=headers)
    assert answer.status_code == 413
    assert await api.events() == 0


def _hostile() -> Iterator[bytes]:
    depth = 200_000
    yield b'{"metadata":' + b"[" * depth + b"]" * depth + b"}"
    yield b'{"a":' * 80_000 + b"1" + b"}" * 80_000
    yield b"[" * 500_000
    yield json.dumps({f"k{n}": 1 for n in range(40_000)}).encode()
    yield b'{"noteName":"x","metadata":{' + b'"a":1,' * 80_000 + b'"b":1}}'
    yield b'{"noteName":"' + b"\\u0000" * 80_000 + b'"}'
    yield b'{"lineItems":[' + b"1," * 200_000 + b"1]}"


async def test_api_11_hostile_bodies_are_refused_fast_and_small(
    api: Api, subtests: pytest.Subtests
) -> None:
    for body in _hostile():
        with subtests.test(repr(body[:30])):
            assert len(body) < 512 * 1024
            started = time.thread_time()
            assert await _message(api, body)
            # What grows with the square of the size takes minutes.
            assert time.thread_time() - started < 5
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            await api.post(CREATE, body)
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert grown < 5_000_000


def test_nesting_is_bounded_at_32_levels() -> None:
    def nested(depth: int) -> bytes:
        # The body itself is the first level.
        return f'{{"a":{"[" * (depth - 1)}{"]" * (depth - 1)}}}'.encode()

    assert parse_object(nested(32))
    with pytest.raises(Refused, match="nested more than 32 levels"):
        parse_object(nested(33))
    # Brackets inside text are no levels.
    assert parse_object(b'{"a":"' + b"[" * 100 + b'"}')


async def test_api_11_an_encoded_body_is_not_unpacked(api: Api) -> None:
    answer = await api.post(CREATE, b"\x1f\x8b", **{"content-encoding": "gzip"})
    assert answer.json()["message"] == "Invalid field format: Content-Encoding must not be used"


async def test_the_content_type_may_say_utf_8_only(api: Api) -> None:
    body = b'{"noteName":"x"}'
    for kind in ("application/json", 'Application/JSON; charset="UTF-8"'):
        answer = await api.post(CREATE, body, **{"content-type": kind})
        assert answer.json()["code"] == 0
    answer = await api.post(CREATE, body, **{"content-type": "application/json; charset=latin-1"})
    assert "charset" in answer.json()["message"]
