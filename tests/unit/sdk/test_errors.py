"""The error tree, and the rules by which an answer becomes a result or an error."""

import pickle
from typing import Any

import pytest

import gstable
from gstable import (
    GStableCommonError,
    GStableConnectionError,
    GStableError,
    GStablePlatformError,
    GStableProductError,
    GStableUsageError,
    MockTransport,
    Response,
    SignatureError,
    _errors,
)
from tests.unit.sdk import samples
from tests.unit.sdk.support import ASKS, World, answering


@pytest.fixture(params=ASKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asked(kind: str, response: Response, call: Any = None) -> Any:
    call = call or (lambda client: client.account.detail("acc_1"))
    return ASKS[kind](call, World(), MockTransport(lambda request: response), max_retries=0)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (100101, GStableError),
        (100201, GStableError),
        (100300, GStableError),
        (100301, GStableProductError),
        (100306, GStableProductError),
        (100307, GStableError),
        (100401, GStableError),
        (200101, GStableError),
        (300101, GStableError),
        (399999, GStableError),
        (400101, GStableCommonError),
        (400205, GStableCommonError),
        (400301, GStableCommonError),
        (401000, GStableError),
        (900101, GStablePlatformError),
        (900301, GStablePlatformError),
        (901000, GStableError),
        (999999, GStablePlatformError),
        (-7, GStableError),
    ],
)
def test_the_code_chooses_the_class(kind: str, code: int, expected: type[GStableError]) -> None:
    response = Response.envelope(code=code, message="No: why", headers={"X-Request-Id": "req_1"})
    with pytest.raises(GStableError) as caught:
        asked(kind, response)
    error = caught.value
    assert type(error) is expected
    assert (error.code, error.message) == (code, "No: why")
    assert (error.request_id, error.http_status) == ("req_1", 200)
    assert str(error) == f"[{code}] No: why (request id req_1)"


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (200, b"", 200, "empty"),
        (200, b"<html>", 200, "not JSON"),
        (200, b"\xff\xfe", 200, "not JSON"),
        (200, b"[" * 100_000, 200, "not JSON"),
        (200, b"[]", 200, "no numeric code"),
        (200, b'"text"', 200, "no numeric code"),
        (200, b"{}", 200, "no numeric code"),
        (200, b'{"code":"0","data":{}}', 200, "no numeric code"),
        (200, b'{"code":true,"data":{}}', 200, "no numeric code"),
        (200, b'{"code":null}', 200, "no numeric code"),
        (401, b"denied", 401, "check the API key"),
        (403, b"", 403, "lacks the permission"),
        (404, b"not here", 404, "not JSON"),
        (413, b'{"code":400101,"message":"Body is too large","data":null}', 400101, "too large"),
        (401, b'{"code":200101,"message":"API key is invalid"}', 200101, "API key is invalid"),
        (500, b'{"code":0,"message":"success","data":{}}', 500, "success"),
        (502, b'{"code":0}', 502, "HTTP status 502"),
        (302, b"", 302, "empty"),
    ],
)
def test_answers_that_are_no_result(
    kind: str, status: int, body: bytes, code: int, words: str
) -> None:
    with pytest.raises(GStableError, match=words) as caught:
        asked(kind, Response(status, {"x-request-id": "req_2"}, body))
    assert caught.value.code == code
    assert caught.value.http_status == status
    assert "req_2" in str(caught.value)


def test_a_connection_error_is_code_minus_one(kind: str) -> None:
    def broken(request: Any) -> Response:
        raise GStableConnectionError("Network error: reset")

    with pytest.raises(GStableConnectionError) as caught:
        ASKS[kind](lambda c: c.account.list(), World(), MockTransport(broken), max_retries=0)
    assert str(caught.value) == "[-1] Network error: reset"


REQUIRED = [
    ("accountId", None),
    ("accountId", 5),
    ("settlementCurrencies", "polygon::usdc"),
    ("settlementCurrencies", [1]),
    ("status", None),
]


@pytest.mark.parametrize(("field", "value"), REQUIRED)
def test_a_missing_or_wrong_field_is_named(kind: str, field: str, value: object) -> None:
    response = Response.envelope({**samples.ACCOUNT, field: value}, headers={"x-request-id": "r9"})
    with pytest.raises(GStableError, match=rf"data\.{field}.*r9"):
        asked(kind, response)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"amount": 1.5}, "data.amount"),
        ({"amount": "15"}, "data.amount"),
        ({"amount": True}, "data.amount"),
        ({"expirationTime": None}, "data.expirationTime"),
        ({"signedOnce": 2}, "data.signedOnce"),
        ({"metadata": [1]}, "data.metadata"),
        ({"lineItems": {}}, "lineItems"),
        ({"lineItems": {"items": [{}]}}, r"data.lineItems.items\[0\].itemType"),
        ({"lineItems": {"items": ["x"]}}, r"data.lineItems.items\[0\]"),
    ],
)
def test_a_wrong_session_is_refused(kind: str, change: dict[str, Any], place: str) -> None:
    response = Response.envelope({**samples.SESSION, **change})
    create = {"account_id": "acc_1", "settlement_token": "x", "line_items": []}
    with pytest.raises(GStableError, match=place):
        asked(kind, response, lambda c: c.checkout_session.create(**create))


def test_unknown_fields_are_ignored(kind: str) -> None:
    more = {**samples.SESSION, "currency": "polygon::usdc", "future": {"a": 1}}
    transport = answering({"session": more, "transaction": None, "refunds": []})
    found = ASKS[kind](lambda c: c.checkout_session.detail("sess_1"), World(), transport)
    assert found.session.session_id == "sess_1"
    assert found.transaction is None


def test_empty_and_absent_texts_of_a_session_are_the_same(kind: str) -> None:
    least = {**samples.SESSION, "payer": None}
    del least["paidToken"]
    transport = answering(least)
    create = {"account_id": "acc_1", "settlement_token": "x", "line_items": []}
    session = ASKS[kind](lambda c: c.checkout_session.create(**create), World(), transport)
    assert session.payer == session.paid_token == ""


@pytest.mark.parametrize(
    "error",
    [
        GStableError(100201, "Session not found", "req_1", 200),
        GStableProductError(100301, "Product not found"),
        GStableConnectionError("Network error: reset"),
        GStableUsageError("api_key is required"),
        SignatureError("no x-gstable-signature"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error: GStableError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.code, again.request_id) == (str(error), error.code, error.request_id)


def test_the_drawn_tree_is_the_tree() -> None:
    real = {name for name in dir(gstable) if is_error(getattr(gstable, name))}
    drawn = [word for line in tree_lines() for word in line.split() if word in real]
    assert sorted(drawn) == sorted(real)
    assert len(tree_lines()) == len(real)


def tree_lines() -> list[str]:
    text = _errors.__doc__ or ""
    return [line for line in text.splitlines() if line.startswith("    ")]


def is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, GStableError)
