"""What a client accepts, what it never tells, and what cannot be sent at all."""

import enum
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from gstable import (
    AsyncClient,
    Client,
    GStableError,
    GStableUsageError,
    MockTransport,
    Request,
    Response,
    Timeout,
)
from tests.unit.sdk import samples
from tests.unit.sdk.support import ASKS, World, answering

SECRET_KEY = "sk_live_do_not_tell"
CLIENTS: dict[str, Any] = {"sync": Client, "async": AsyncClient}


@pytest.fixture(params=ASKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("key", ["", "  ", "\n", None, 5, "Bearer ", "Bearer"])
def test_a_blank_key_is_refused(kind: str, key: Any) -> None:
    with pytest.raises(GStableError, match="api_key is required") as caught:
        CLIENTS[kind](key, transport=answering(None))
    assert isinstance(caught.value, ValueError)
    assert caught.value.code == -1


@pytest.mark.parametrize("key", ["sk live", "sk_\u0661", "sk_\r\nX: y", "Basic abc", "sk_\x00"])
def test_a_key_that_is_no_header_is_refused_and_not_repeated(kind: str, key: str) -> None:
    with pytest.raises(GStableUsageError, match="api_key must be printable") as caught:
        CLIENTS[kind](key, transport=answering(None))
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("sk_live_1", "Bearer sk_live_1"),
        ("  sk_live_1\n", "Bearer sk_live_1"),
        ("Bearer sk_live_1", "Bearer sk_live_1"),
        ("bearer  sk_live_1", "Bearer sk_live_1"),
    ],
)
def test_the_key_is_trimmed_and_bearer_added(key: str, sent: str) -> None:
    transport = answering([])
    Client(key, transport=transport).account.list()
    assert transport.requests[0].headers["Authorization"] == sent


@pytest.mark.parametrize(
    "base", ["https://pay.example.com/api/v1", "https://pay.example.com/api/v1/"]
)
def test_trailing_slashes_are_trimmed(base: str) -> None:
    transport = MockTransport(
        lambda request: Response.envelope(
            samples.CAPABILITIES if "capabilities" in request.url else []
        )
    )
    client = Client("sk_1", base_url=base, public_base_url=base, transport=transport)
    client.account.list()
    client.capability.all()
    assert [request.url for request in transport.requests] == [
        "https://pay.example.com/api/v1/account/list",
        "https://pay.example.com/api/v1/capabilities/all",
    ]


@pytest.mark.parametrize("name", ["base_url", "public_base_url"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "pay.example.com",
        "ftp://pay.example.com",
        "https://",
        "https://user:secret@pay.example.com",
        "https://pay.example.com?x=1",
        "https://pay.example.com#x",
        "https://pay.example.com:99999",
        "https://pay.example.com/a b",
        "https://pay.example.com/\u00e9",
        "https://[::1",
        None,
    ],
)
def test_addresses_that_cannot_be_are_refused(kind: str, name: str, url: Any) -> None:
    with pytest.raises(GStableUsageError, match=f"^.-1. {name} must"):
        CLIENTS[kind]("sk_1", transport=answering(None), **{name: url})


@pytest.mark.parametrize("retries", [-1, 11, 1.5, True, "2", None])
def test_a_wrong_number_of_retries_is_refused(kind: str, retries: Any) -> None:
    with pytest.raises(GStableUsageError, match="max_retries must be"):
        CLIENTS[kind]("sk_1", transport=answering(None), max_retries=retries)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), None, "5", True])
def test_a_wrong_timeout_is_refused(kind: str, timeout: Any) -> None:
    with pytest.raises(GStableUsageError, match=r"timeout\.connect must be"):
        CLIENTS[kind]("sk_1", transport=answering(None), timeout=timeout)


def test_the_timeout_reaches_the_transport(kind: str) -> None:
    for given, expected in (
        ({}, Timeout(5, 30, 30, 10)),
        ({"timeout": 2}, Timeout(2, 2, 2, 2)),
        ({"timeout": Timeout(read=1)}, Timeout(5, 1, 30, 10)),
    ):
        transport = answering([])
        ASKS[kind](lambda c: c.account.list(), World(), transport, **given)
        assert transport.requests[0].timeout == expected


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 256, "\u00e9", " a", "a ", 5, True])
def test_an_idempotency_key_that_cannot_travel_is_refused(kind: str, key: Any) -> None:
    transport = answering(samples.SUCCESS)
    with pytest.raises(GStableUsageError, match="idempotency_key must be"):
        ASKS[kind](lambda c: c.product.archive("p", idempotency_key=key), World(), transport)
    assert transport.requests == []


@pytest.mark.parametrize("identifier", ["", "  ", ".", "..", None, 1.5, True, b"acc_1"])
def test_an_id_that_is_no_path_segment_is_refused(kind: str, identifier: Any) -> None:
    transport = answering(samples.ACCOUNT)
    with pytest.raises(GStableUsageError, match="account_id"):
        ASKS[kind](lambda c: c.account.detail(identifier), World(), transport)
    assert transport.requests == []


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal("1.5"), "metadata.x cannot be a Decimal"),
        (float("nan"), "metadata.x must be a finite number"),
        (float("-inf"), "metadata.x must be a finite number"),
        (10**400, "metadata.x is too large"),
        (10**5000, "metadata.x is too large"),
        (b"bytes", "metadata.x cannot be a bytes"),
        ({1, 2}, "metadata.x cannot be a set"),
        ([0, {"y": object()}], r"metadata.x\[1\].y cannot be a object"),
        ({1: 2}, "metadata.x has a key that is no text"),
        (nested(100_000), "nested too deeply"),
    ],
    ids=range(10),
)
def test_what_json_cannot_carry_is_named_and_not_sent(kind: str, value: Any, words: str) -> None:
    transport = answering(samples.SESSION)
    arguments = {"account_id": "acc_1", "settlement_token": "x", "line_items": []}
    with pytest.raises(GStableUsageError, match=words):
        ASKS[kind](
            lambda c: c.checkout_session.create(metadata={"x": value}, **arguments),
            World(),
            transport,
        )
    assert transport.requests == []


class Currency(enum.StrEnum):
    USDC = "polygon::usdc"


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"line_items": "x"}, {"lineItems": "x"}),
        ({"line_items": [5, None]}, {"lineItems": [5, None]}),
        (
            {"line_items": [{"item_type": "one_time", "product_data": 5}]},
            {"lineItems": [{"itemType": "one_time", "productData": 5}]},
        ),
        (
            {"line_items": [{"item_type": "product", "unit_price": 0.1}]},
            {"lineItems": [{"itemType": "product", "unitPrice": 0.1}]},
        ),
        ({"payer_email_required": 2}, {"payerEmailRequired": 2}),
        ({"fee_model": "1"}, {"feeModel": "1"}),
        ({"settlement_token": Currency.USDC}, {"settlementToken": "polygon::usdc"}),
        ({"account_id": "\ud800\x00\u202e"}, {"accountId": "\ud800\x00\u202e"}),
    ],
)
def test_the_platform_is_the_judge_of_everything_else(
    kind: str, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Nothing is rounded, completed or dropped on the way: the refusal can name the field."""
    transport = answering(samples.SESSION)
    given = {"account_id": "acc_1", "settlement_token": "x", "line_items": [], **arguments}
    ASKS[kind](lambda c: c.checkout_session.create(**given), World(), transport)
    body: Any = transport.requests[0].json()
    assert {name: body[name] for name in sent} == sent


def test_a_closed_client_refuses(kind: str) -> None:
    transport = answering([])
    if kind == "sync":
        client = Client("sk_1", transport=transport)
        client.close()
        with pytest.raises(GStableUsageError, match="closed"):
            client.account.list()
    else:

        async def use_after_close(client: Any) -> None:
            await client.close()
            await client.account.list()

        with pytest.raises(GStableUsageError, match="closed"):
            ASKS[kind](use_after_close, World(), transport)
    assert transport.requests == []


@pytest.fixture
def fresh_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("gstable")
    before = (logger.level, list(logger.handlers))
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(before[0])
    logger.handlers[:] = before[1]


@pytest.mark.parametrize("value", ["1", "true", "TRUE"])
def test_the_debug_log_tells_the_exchange_and_no_secret(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    fresh_logger: logging.Logger,
    value: str,
) -> None:
    monkeypatch.setenv("GSTABLE_DEBUG", value)
    answers = [503, 200]

    def handler(request: Request) -> Response:
        data = samples.WEBHOOK
        headers = {"x-request-id": "req_7"}
        return Response.envelope(data, status=answers.pop(0), headers=headers)

    world = World()
    client = Client(SECRET_KEY, transport=MockTransport(handler))
    Client(SECRET_KEY, transport=MockTransport(handler))
    assert len(fresh_logger.handlers) == 1
    object.__setattr__(client._requester._seam, "sleep", world.sleep)
    hook = client.webhook.detail("wkid_1")
    told = capfd.readouterr().err
    assert "GET https://api.gstable.io/api/v1/webhook/detail/wkid_1: 503, req_7" in told
    assert "next in" in told
    for secret in (SECRET_KEY, hook.key, "Bearer"):
        assert secret not in told
        assert secret not in repr(client) + repr(hook) + repr(client._requester._config)


def test_without_the_setting_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    fresh_logger: logging.Logger,
) -> None:
    monkeypatch.delenv("GSTABLE_DEBUG", raising=False)
    Client("sk_1", transport=answering([])).account.list()
    assert capfd.readouterr() == ("", "")
    assert fresh_logger.handlers == []


def test_a_request_does_not_show_its_headers() -> None:
    transport = answering([])
    Client(SECRET_KEY, transport=transport).account.list()
    assert SECRET_KEY not in repr(transport.requests)


def test_proxies_of_the_environment_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.sdk.support import envelope, little_server

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with little_server() as server:
        server.plan = [envelope([])]
        with Client("sk_1", base_url=server.url, max_retries=0) as client:
            assert client.account.list() == ()
