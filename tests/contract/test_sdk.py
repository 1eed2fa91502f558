"""Every method of the SDK against the running server and against the fake: what it gives, and how
it is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gstable import (
    AsyncClient,
    Client,
    GStableCommonError,
    GStableError,
    GStableProductError,
)
from tests.contract import sdk_calls, sdk_events, sdk_log  # noqa: F401 - their rows
from tests.contract.sdk_counter import (
    HAPPY,
    Arguments,
    Caller,
    Counter,
    Row,
    args,
    line,
    one_time,
    webhook_fields,
)
from tests.contract.sdk_holds import CAPTURE, VOID
from tests.contract.sdk_places import FakePlace, Place, RealPlace
from tests.contract.sdk_refunds import PREPARE, given_up
from tests.contract.support import Merchant
from tests.running import Running

BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@pytest.fixture(scope="module", params=["real", "fake"])
def place(request: pytest.FixtureRequest) -> Place:
    """A running installation, or the fake: only the first needs one to be started."""
    if request.param == "fake":
        return FakePlace()
    running, merchant = (request.getfixturevalue(name) for name in ("running", "merchant"))
    return RealPlace(running, merchant)


@pytest.fixture(scope="module")
def call(place: Place) -> Iterator[Caller]:
    opened = Caller(place, place.shop.secret)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def reports(place: Place) -> Iterator[Caller]:
    """The same merchant with a restricted key."""
    opened = Caller(place, place.shop.restricted)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def kept(place: Place) -> dict[str, str]:
    """What is made once for all calls at a place."""
    return {}


@pytest.fixture
def counter(place: Place, call: Caller, kept: dict[str, str]) -> Iterator[Counter]:
    yield Counter(place, call.client, kept)
    for endpoint in call.client.webhook.list():
        call.client.webhook.remove(endpoint.webhook_id)


def methods_of(client: Client | AsyncClient) -> set[str]:
    """``namespace.method`` for everything public that the client offers."""
    return {
        f"{name}.{method}"
        for name, namespace in vars(client).items()
        if not name.startswith("_")
        for method, _ in inspect.getmembers(namespace, inspect.ismethod)
        if not method.startswith("_")
    }


def test_every_method_has_its_row() -> None:
    named = [row.name for row in HAPPY]
    assert len(named) == len(set(named))
    assert set(named) == methods_of(Client("sk_1")) == methods_of(AsyncClient("sk_1"))


@BOTH
@pytest.mark.parametrize("row", HAPPY, ids=lambda row: row.name)
def test_a_method_does_what_it_says(
    call: Caller, counter: Counter, row: Row, asynchronous: bool
) -> None:
    given = row.prepare(counter)
    result = call(row.name, given, asynchronous=asynchronous)
    row.check(counter, given, result)


@dataclass(frozen=True)
class Refusal:
    """A call that must be refused with ``code``, naming ``words``, as an error of ``kind``."""

    name: str
    code: int
    kind: type[GStableError]
    words: str
    prepare: Callable[[Counter], Arguments]


UNKNOWN_PRODUCT = "prd_000000000000000000000000"
UNKNOWN_ACCOUNT = "acc_000000000000000000000000"
UNKNOWN_LINK = "lnk_00000000000000000000000000000000"
UNKNOWN_SESSION = "sess_00000000000000000000000000000000"
UNKNOWN_REFUND = "rfd_000000000000000000000000"
UNKNOWN_EVENT = "evt_0000000000000000"
UNKNOWN_WEBHOOK = "wkid_000000000000000000000000"


def sells(*product_ids: str) -> Callable[[Counter], Arguments]:
    return lambda counter: args(**counter.session_fields(line_items=[*map(line, product_ids)]))


def session_with(**changes: Any) -> Callable[[Counter], Arguments]:
    return lambda counter: args(**counter.session_fields(**changes))


def _used(counter: Counter) -> Arguments:
    product_id = counter.product()
    counter.client.payment_link.create(**counter.link_fields(product_id))
    return args(product_id)


def _ten(counter: Counter) -> Arguments:
    for _ in range(10):
        counter.webhook()
    return args(**webhook_fields())


def _cancelled(counter: Counter) -> Arguments:
    session_id = counter.session()
    counter.client.checkout_session.cancel(session_id)
    return args(session_id)


def _another_body(counter: Counter) -> Arguments:
    counter.session(idempotency_key="ORD_1")
    return args(**counter.session_fields(line_items=[one_time(2)], idempotency_key="ORD_1"))


def _nothing_to_advance(counter: Counter) -> Arguments:
    return args(UNKNOWN_SESSION, seconds=1)


def _fields(name: str, words: str, prepare: Callable[[Counter], Arguments]) -> Refusal:
    return Refusal(name, 400101, GStableCommonError, f"Invalid field format: {words}", prepare)


CREATE = "checkout_session.create"
LINK = "payment_link.create"
LATEST = 7 * 24 * 3600

REFUSALS = [
    Refusal("payment_link.detail", 100101, GStableError, "", lambda c: args(UNKNOWN_LINK)),
    Refusal("payment_link.detail", 100101, GStableError, "", lambda c: args("a/b?c")),
    Refusal("payment_link.disable", 100101, GStableError, "", lambda c: args(UNKNOWN_LINK)),
    Refusal("payment_link.enable", 100101, GStableError, "", lambda c: args("")),
    Refusal(
        "payment_link.update",
        100101,
        GStableError,
        "",
        lambda c: args(UNKNOWN_LINK, **c.link_fields()),
    ),
    Refusal("checkout_session.detail", 100201, GStableError, "", lambda c: args(UNKNOWN_SESSION)),
    Refusal("checkout_session.cancel", 100201, GStableError, "", lambda c: args("sess")),
    Refusal("checkout_session.cancel", 100205, GStableError, "cancelled", _cancelled),
    Refusal(PREPARE, 100201, GStableError, "", lambda c: args(UNKNOWN_SESSION)),
    Refusal(PREPARE, 100502, GStableError, "without a payment", lambda c: args(c.session())),
    Refusal(
        PREPARE, 100502, GStableError, "amount is more", lambda c: args(c.paid(), amount=10**8)
    ),
    Refusal(CAPTURE, 100201, GStableError, "", lambda c: args(UNKNOWN_SESSION)),
    Refusal(CAPTURE, 100601, GStableError, "with its payment", lambda c: args(c.session())),
    Refusal(
        CAPTURE, 100601, GStableError, "amount is more", lambda c: args(c.held(), amount=10**8)
    ),
    Refusal(VOID, 100201, GStableError, "", lambda c: args(UNKNOWN_SESSION)),
    Refusal(VOID, 100602, GStableError, "with its payment", lambda c: args(c.session())),
    Refusal("checkout_session.refund_cancel", 100501, GStableError, "", lambda c: args("rfd")),
    Refusal("checkout_session.refund_cancel", 100502, GStableError, "that is cancelled", given_up),
    Refusal(
        "checkout_session.refund_detail", 100501, GStableError, "", lambda c: args(UNKNOWN_REFUND)
    ),
    Refusal(
        "checkout_session.refund_list", 100201, GStableError, "", lambda c: args(UNKNOWN_SESSION)
    ),
    Refusal("product.archive", 100301, GStableProductError, "", lambda c: args(UNKNOWN_PRODUCT)),
    Refusal(CREATE, 100301, GStableProductError, "", sells(UNKNOWN_PRODUCT)),
    Refusal(
        CREATE,
        100302,
        GStableProductError,
        "partial missing",
        lambda c: sells(c.product(), UNKNOWN_PRODUCT)(c),
    ),
    Refusal(
        CREATE,
        100303,
        GStableProductError,
        "partially unavailable",
        lambda c: sells(c.product(), c.archived())(c),
    ),
    Refusal(CREATE, 100304, GStableProductError, "", lambda c: sells(c.archived())(c)),
    Refusal("product.remove", 100305, GStableProductError, "has been used", _used),
    Refusal(CREATE, 100306, GStableProductError, "removed", lambda c: sells(c.removed())(c)),
    Refusal(LINK, 100304, GStableProductError, "", lambda c: args(**c.link_fields(c.archived()))),
    Refusal("account.detail", 100401, GStableError, "", lambda c: args(UNKNOWN_ACCOUNT)),
    Refusal(CREATE, 100401, GStableError, "", session_with(account_id=UNKNOWN_ACCOUNT)),
    Refusal(LINK, 100401, GStableError, "", lambda c: args(**c.link_fields(account_id="x"))),
    Refusal(
        "account.detail", 100403, GStableError, "", lambda c: args(c.merchant.removed_account_id)
    ),
    Refusal("webhook.detail", 300101, GStableError, "", lambda c: args(UNKNOWN_WEBHOOK)),
    Refusal("webhook.remove", 300101, GStableError, "", lambda c: args("wkid_")),
    Refusal("webhook.create", 300102, GStableError, "", _ten),
    Refusal(CREATE, 400102, GStableCommonError, "", _another_body),
    Refusal(
        CREATE, 400201, GStableCommonError, "", session_with(settlement_token="dogechain::doge")
    ),
    Refusal(CREATE, 400204, GStableCommonError, "10000", session_with(line_items=[one_time(9999)])),
    _fields("product.create", "name", lambda c: args(name="", common_prices=[1])),
    _fields("product.create", "commonPrices", lambda c: args(name="Tea", common_prices=[])),
    _fields(
        "product.create", "imageUrl", lambda c: args(name="T", common_prices=[1], image_url="x")
    ),
    _fields("product.list", "size", lambda c: args(1, 101)),
    _fields("product.list_by_ids", "productIds", lambda c: args(["prd_x"] * 101)),
    _fields(LINK, "linkType", lambda c: args(**c.link_fields(link_type="free"))),
    _fields(LINK, "feeModel", lambda c: args(**c.link_fields(fee_model=3))),
    _fields("payment_link.list", "page", lambda c: args(0, 1)),
    _fields(CREATE, "lineItems", session_with(line_items=[])),
    _fields(CREATE, "lineItems[1].unitPrice", session_with(line_items=[one_time(), one_time(0)])),
    _fields(CREATE, "successUrl", session_with(success_url="javascript:alert(1)")),
    _fields(CREATE, "expirationTime", session_with(expiration_time=1)),
    _fields(CREATE, "metadata", session_with(metadata={str(n): n for n in range(51)})),
    _fields("checkout_session.list_all", "size", lambda c: args(1, 0)),
    _fields(
        "webhook.create", "webhookUrl", lambda c: args(**webhook_fields(webhook_url="ftp://x"))
    ),
    _fields(
        "webhook.create",
        "subscribedEvents[0]",
        lambda c: args(**webhook_fields(subscribed_events=["payment.completed"])),
    ),
    _fields(PREPARE, "amount", lambda c: args(c.paid(), amount=0)),
    _fields(PREPARE, "to", lambda c: args(c.paid(), to="0x12")),
    _fields(PREPARE, "reason", lambda c: args(c.paid(), reason="x" * 501)),
    Refusal("event.detail", 300201, GStableError, "", lambda c: args(UNKNOWN_EVENT)),
    Refusal("event.deliveries", 300201, GStableError, "", lambda c: args("evt")),
    Refusal("event.resend", 300201, GStableError, "", lambda c: args(UNKNOWN_EVENT)),
    Refusal("webhook.test", 300101, GStableError, "", lambda c: args(UNKNOWN_WEBHOOK)),
    Refusal("webhook.attempts", 300101, GStableError, "", lambda c: args(UNKNOWN_WEBHOOK)),
    Refusal("checkout_session.advance", 100201, GStableError, "", _nothing_to_advance),
    _fields("event.feed", "cursor", lambda c: args("yesterday")),
    _fields("event.resend_range", "until", lambda c: args(c.webhook(), since=2, until=2)),
    _fields("log.feed", "cursor", lambda c: args("yesterday")),
    _fields("webhook.refresh_key", "graceSeconds", lambda c: args(c.webhook(), grace_seconds=-1)),
]


@BOTH
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: f"{one.name}-{one.code}-{one.words}")
def test_a_refusal_has_its_code_and_class(
    call: Caller, counter: Counter, refusal: Refusal, asynchronous: bool
) -> None:
    given = refusal.prepare(counter)
    with pytest.raises(GStableError) as caught:
        call(refusal.name, given, asynchronous=asynchronous)
    assert (caught.value.code, type(caught.value)) == (refusal.code, refusal.kind)
    assert refusal.words in caught.value.message
    assert caught.value.http_status == 200
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")


@BOTH
def test_a_key_that_is_none_is_401(place: Place, asynchronous: bool) -> None:
    stranger = Caller(place, f"sk_test_{'0' * 40}")
    with pytest.raises(GStableError) as caught:
        stranger("product.list", args(), asynchronous=asynchronous)
    assert (caught.value.code, caught.value.http_status) == (200101, 401)
    stranger.close()


@BOTH
def test_a_restricted_key_reads_and_does_not_write(reports: Caller, asynchronous: bool) -> None:
    assert reports("account.list", args(), asynchronous=asynchronous)
    assert reports("product.list_by_ids", args([]), asynchronous=asynchronous) == ()
    with pytest.raises(GStableError) as caught:
        given = args(name="x", common_prices=[1])
        reports("product.create", given, asynchronous=asynchronous)
    assert (caught.value.code, caught.value.http_status) == (200102, 403)


def test_the_same_key_again_gives_the_same_session(counter: Counter) -> None:
    first, again = (counter.session(idempotency_key="ORD_2") for _ in range(2))
    assert first == again


def test_what_was_read_can_be_sent_back(counter: Counter) -> None:
    link = counter.client.payment_link.detail(counter.link())
    assert counter.client.payment_link.update(
        link.link_id,
        link_type=link.link_type,
        link_name=link.link_name,
        account_id=link.account_id,
        settlement_token=link.settlement_token,
        fee_model=link.fee_model,
        line_items=link.line_items,
        payer_email_required=link.payer_email_required,
        success_url=link.success_url,
        custom_success_text=link.custom_success_text,
        custom_disabled_text=link.custom_disabled_text,
    ).success
    after = counter.client.payment_link.detail(link.link_id)
    assert after.version_code != link.version_code
    assert after.amount == link.amount


def test_the_expiry_bounds_are_inclusive(counter: Counter) -> None:
    # A margin of some seconds at the near end, because the server's clock runs on.
    now = counter.place.now()
    for ahead in (1805, LATEST):
        counter.session(expiration_time=now + ahead)
    for ahead in (1790, LATEST + 60):
        with pytest.raises(GStableCommonError, match="expirationTime"):
            counter.session(expiration_time=now + ahead)


@pytest.mark.parametrize("place", ["real"], indirect=True)
def test_aut_02_no_client_reaches_the_objects_of_another_merchant(
    running: Running, counter: Counter, other: Merchant
) -> None:
    """The fake has one merchant only."""
    stranger = Caller(RealPlace(running, other), other.secret)
    product_id, link_id, refund_id = counter.product(), counter.link(), counter.refund()
    session_id, webhook_id = counter.session(), counter.webhook()
    for name, object_id, code in (
        ("payment_link.detail", link_id, 100101),
        ("payment_link.disable", link_id, 100101),
        ("checkout_session.detail", session_id, 100201),
        ("checkout_session.cancel", session_id, 100201),
        ("checkout_session.refund_prepare", counter.paid(), 100201),
        (CAPTURE, counter.held(), 100201),
        (VOID, counter.held(), 100201),
        ("checkout_session.refund_list", counter.paid(), 100201),
        ("checkout_session.refund_cancel", refund_id, 100501),
        ("checkout_session.refund_detail", refund_id, 100501),
        ("product.archive", product_id, 100301),
        ("product.remove", product_id, 100301),
        ("webhook.detail", webhook_id, 300101),
        ("webhook.refresh_key", webhook_id, 300101),
        ("webhook.remove", webhook_id, 300101),
        ("account.detail", counter.merchant.account_id, 100401),
    ):
        with pytest.raises(GStableError) as caught:
            stranger(name, args(object_id))
        assert caught.value.code == code, name
    assert stranger("product.list_by_ids", args([product_id])) == ()
    stranger.close()
    assert counter.client.checkout_session.detail(session_id).session.status == "initialized"


def test_the_demo_merchants_own_endpoint_is_untouched(running: Running) -> None:
    with running.client() as client:
        assert [endpoint.webhook_name for endpoint in client.webhook.list()][-1] == (
            "Development inbox"
        )
