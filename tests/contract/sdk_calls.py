"""Every method of the SDK as data: how it is called, and what must come of it.

The same rows run through ``Client`` and ``AsyncClient``, at a server and at the fake, so that none
can fall behind.
"""

from __future__ import annotations

import time
from typing import Any

from gstable import FeeModel
from tests.contract.sdk_counter import (
    ENDPOINT,
    EVENTS,
    Arguments,
    Counter,
    args,
    happy,
    line,
    one_time,
    three,
    webhook_fields,
)
from tests.contract.support import USDC, WALLET

# --- products -------------------------------------------------------------------------------------

FULL_PRODUCT = {
    "name": "Green tea",
    "common_prices": [1, 1_000_000_000_000],
    "description": "Loose leaves",
    "attributes": [{"name": "colour", "value": "green"}],
}


@happy("product.create", lambda counter: args(**FULL_PRODUCT))
def _(counter: Counter, given: Arguments, made: Any) -> None:
    assert made.product_id.startswith("prd_")
    assert (made.name, made.description, made.image_url) == ("Green tea", "Loose leaves", None)
    assert (made.status, made.common_prices) == ("active", (1, 1_000_000_000_000))
    assert [(one.name, one.value) for one in made.attributes] == [("colour", "green")]
    assert counter.client.product.list_by_ids([made.product_id]) == (made,)


@happy("product.update", lambda counter: args(counter.product(), name="Cup", common_prices=[2]))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    [found] = counter.client.product.list_by_ids([given[0][0]])
    assert (found.name, found.common_prices, found.description) == ("Cup", (2,), None)


@happy("product.list", three(Counter.product, 1, 2))
def _(counter: Counter, given: Arguments, page: Any) -> None:
    assert (page.page, page.size, len(page.items)) == (1, 2, 2)
    assert page.total >= 3


@happy("product.iterate", three(Counter.product, size=2))
def _(counter: Counter, given: Arguments, walked: Any) -> None:
    assert walked == list(counter.client.product.list(1, 100).items)


@happy("product.list_by_ids", lambda counter: args([counter.product(), "prd_unknown", "nonsense"]))
def _(counter: Counter, given: Arguments, found: Any) -> None:
    assert [product.product_id for product in found] == given[0][0][:1]


@happy("product.archive", lambda counter: args(counter.product()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.product.list_by_ids(given[0])[0].status == "archived"


@happy("product.unarchive", lambda counter: args(counter.archived()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.product.list_by_ids(given[0])[0].status == "active"


@happy("product.remove", lambda counter: args(counter.product()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.product.list_by_ids(given[0]) == ()


# --- accounts and capabilities --------------------------------------------------------------------


@happy("account.list", lambda counter: args())
def _(counter: Counter, given: Arguments, accounts: Any) -> None:
    assert [account.account_id for account in accounts] == [counter.merchant.account_id]


@happy("account.detail", lambda counter: args(counter.merchant.account_id))
def _(counter: Counter, given: Arguments, account: Any) -> None:
    assert account.account_name == "Main"
    assert bytes.fromhex(account.account_address[2:]) == WALLET
    assert (account.account_type, account.status) == ("EVM::ADDR", "normal")
    assert USDC in account.settlement_currencies
    assert account.version.startswith("ver_")


@happy("capability.all", lambda counter: args())
def _(counter: Counter, given: Arguments, matrix: Any) -> None:
    assert USDC in [token.token_id for token in matrix.supported_tokens]
    route, *_ = matrix.payment_capabilities[USDC]["POL"]
    assert (route.token_id, route.crosschain, route.fee_rate_ppm) == (USDC, False, 2000)
    assert (route.min_payment_value, route.max_payment_value) == (10_000, 10**12)


# --- payment links --------------------------------------------------------------------------------

TEXTS = {
    "success_url": "https://shop.example.com/done?a=1",
    "custom_success_text": "Thank you",
    "custom_disabled_text": "Closed",
    "payer_email_required": True,
}


@happy("payment_link.create", lambda counter: args(**counter.link_fields(**TEXTS)))
def _(counter: Counter, given: Arguments, link: Any) -> None:
    assert (link.link_type, link.link_name, link.status) == ("fixed", "Two teas", "active")
    assert (link.amount, link.fee_model, link.payer_email_required) == (9_000_000, 1, True)
    assert (link.custom_success_text, link.custom_disabled_text) == ("Thank you", "Closed")
    assert link.link_url.endswith(f"/link/{link.link_id}")
    assert link.line_items[0].product_data.product_name == "Tea"
    assert (link.settlement_token_info.token_id, link.settlement_token_info.decimals) == (USDC, 6)
    assert counter.client.payment_link.detail(link.link_id) == link


@happy(
    "payment_link.update",
    lambda counter: args(counter.link(), **counter.link_fields(link_name="Renamed", fee_model=2)),
)
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    link = counter.client.payment_link.detail(given[0][0])
    assert (link.link_name, link.fee_model) == ("Renamed", 2)


@happy("payment_link.disable", lambda counter: args(counter.link()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.payment_link.detail(given[0][0]).status == "inactive"


def _disabled(counter: Counter) -> Arguments:
    link_id = counter.link()
    counter.client.payment_link.disable(link_id)
    return args(link_id)


@happy("payment_link.enable", _disabled)
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.payment_link.detail(given[0][0]).status == "active"


@happy("payment_link.detail", lambda counter: args(counter.link()))
def _(counter: Counter, given: Arguments, link: Any) -> None:
    assert link.link_id == given[0][0]
    assert link.account_name == "Main"


@happy("payment_link.list", three(Counter.link, 1, 2))
def _(counter: Counter, given: Arguments, page: Any) -> None:
    assert (page.page, page.size, len(page.items)) == (1, 2, 2)
    assert page.items[0].line_items[0].product_data is None


@happy("payment_link.iterate", three(Counter.link, size=2))
def _(counter: Counter, given: Arguments, walked: Any) -> None:
    assert walked == list(counter.client.payment_link.list(1, 100).items)


# --- checkout sessions ----------------------------------------------------------------------------

LISTS = ("all", "paid", "settling", "completed", "cancelled", "settlement_pending")


def _full_session(counter: Counter) -> Arguments:
    return args(
        **counter.session_fields(
            line_items=[line(counter.product()), one_time(1)],
            success_url="https://shop.example.com/success?orderId=ORD_001",
            payer_email_required=True,
            fee_model=FeeModel.PAYER_PAYS,
            expiration_time=int(time.time()) + 3600,
            metadata={"orderId": "ORD_001", "nested": {"list": [1, 2.5, None, True]}},
        )
    )


@happy("checkout_session.create", _full_session)
def _(counter: Counter, given: Arguments, session: Any) -> None:
    assert (session.session_type, session.status) == ("checkout", "initialized")
    assert (session.business_id, session.amount) == (session.session_id, 9_000_001)
    assert (session.fee_model, session.payer_email_required) == (2, True)
    assert session.expiration_time == given[1]["expiration_time"]
    assert session.metadata == given[1]["metadata"]
    assert session.payment_url.endswith(f"/pay/{session.session_id}")
    assert [item.item_type for item in session.line_items] == ["product", "one_time"]
    assert counter.client.checkout_session.detail(session.session_id).session == session


@happy("checkout_session.cancel", lambda counter: args(counter.session()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.checkout_session.detail(given[0][0]).session.status == "cancelled"
    listed = counter.client.checkout_session.list_cancelled(1, 1).items
    assert [found.session.session_id for found in listed] == [given[0][0]]


@happy("checkout_session.advance", lambda counter: args(counter.session(), seconds=60))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    moved = counter.client.checkout_session.detail(given[0][0]).session
    assert moved.status == "initialized"
    assert moved.expiration_time < time.time() + 1800 - 50


@happy("checkout_session.detail", lambda counter: args(counter.session()))
def _(counter: Counter, given: Arguments, found: Any) -> None:
    assert found.session.session_id == given[0][0]
    assert found.transaction is None


def _is_page(listed: str) -> None:
    @happy(f"checkout_session.list_{listed}", three(Counter.session, 1, 2))
    def _(counter: Counter, given: Arguments, page: Any) -> None:
        assert (page.page, page.size) == (1, 2)
        statuses = {found.session.status for found in page.items}
        if listed == "all":
            assert len(page.items) == 2
        else:
            assert statuses <= {listed}

    @happy(f"checkout_session.iterate_{listed}", lambda counter: args(size=3))
    def _(counter: Counter, given: Arguments, walked: Any) -> None:
        page = getattr(counter.client.checkout_session, f"list_{listed}")(1, 100)
        assert walked == list(page.items)
        assert len(walked) == page.total


for _listed in LISTS:
    _is_page(_listed)


# --- webhooks -------------------------------------------------------------------------------------


@happy(
    "webhook.create",
    lambda counter: args(**webhook_fields(webhook_description="Orders")),
)
def _(counter: Counter, given: Arguments, endpoint: Any) -> None:
    assert endpoint.webhook_id.startswith("wkid_")
    assert endpoint.key.startswith("wkk_")
    assert (endpoint.webhook_url, endpoint.status) == (ENDPOINT, "active")
    assert (endpoint.webhook_description, endpoint.subscribed_events) == ("Orders", tuple(EVENTS))


@happy(
    "webhook.update",
    lambda counter: args(counter.webhook(), **webhook_fields(webhook_name="Renamed")),
)
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.webhook.detail(given[0][0]).webhook_name == "Renamed"


@happy("webhook.list", three(Counter.webhook))
def _(counter: Counter, given: Arguments, endpoints: Any) -> None:
    assert [endpoint.webhook_name for endpoint in endpoints] == ["Shop"] * 3


@happy("webhook.detail", lambda counter: args(counter.webhook()))
def _(counter: Counter, given: Arguments, endpoint: Any) -> None:
    assert endpoint.webhook_id == given[0][0]
    assert endpoint.key.startswith("wkk_")


@happy("webhook.disable", lambda counter: args(counter.webhook()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.webhook.detail(given[0][0]).status == "inactive"


def _off(counter: Counter) -> Arguments:
    webhook_id = counter.webhook()
    counter.client.webhook.disable(webhook_id)
    return args(webhook_id)


@happy("webhook.enable", _off)
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.webhook.detail(given[0][0]).status == "active"


@happy("webhook.refresh_key", lambda counter: args(counter.webhook(), grace_seconds=60))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert result.key == counter.client.webhook.detail(given[0][0]).key


@happy("webhook.remove", lambda counter: args(counter.webhook()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.webhook.list() == ()
