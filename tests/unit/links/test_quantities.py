"""Lines whose quantity the payer chooses (decision 0027)."""

from __future__ import annotations

from typing import Any

import pytest

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LinkId
from gstable_server.links import operations as links
from gstable_server.links.model import PaymentLink, with_quantities
from gstable_server.plumbing.db import Database
from tests.unit.links.support import Shop
from tests.unit.links.test_links import CREATE, UPDATE, refused

pytestmark = pytest.mark.anyio

UP_TO_TEN = {"minimum": 1, "maximum": 10}


def tea(shop: Shop, quantity: int = 2, price: int = 4_500_000, **bounds: Any) -> dict[str, Any]:
    adjustable = {**UP_TO_TEN, **bounds}
    return {**shop.item(shop.tea, quantity, price), "adjustableQuantity": adjustable}


async def stored(shop: Shop, database: Database, *lines: dict[str, Any]) -> PaymentLink:
    link_id = LinkId(await shop.link(lineItems=list(lines)))
    async with database.read() as tx:
        return await links.require_open(tx, link_id)


async def test_the_range_is_kept_with_the_link_and_its_version(shop: Shop) -> None:
    made = await shop.caller.data(CREATE, shop.body(lineItems=[tea(shop)]))
    link_id = made["linkId"]
    [line] = (await shop.detail(link_id))["lineItems"]["items"]
    assert (line["quantity"], line["adjustableQuantity"]) == (2, UP_TO_TEN)
    assert made["amount"] == 9_000_000
    page = await shop.caller.data("/payment/link/list/1/1")
    assert page["links"][0]["lineItems"]["items"][0]["adjustableQuantity"] == UP_TO_TEN
    changed = shop.body(lineItems=[tea(shop, minimum=2)], linkId=link_id)
    await shop.caller.data(UPDATE, changed)
    shown = await shop.detail(link_id)
    [line] = shown["lineItems"]["items"]
    assert line["adjustableQuantity"] == {"minimum": 2, "maximum": 10}
    assert shown["versionCode"] != made["versionCode"]


async def test_a_link_without_it_is_as_it_always_was(shop: Shop) -> None:
    plain = shop.item(shop.tea, 2, 4_500_000)
    link_id = await shop.link(lineItems=[tea(shop)])
    # A caller who knows nothing of ranges replaces the whole link, as ever.
    for line in (plain, {**plain, "adjustableQuantity": None}):
        body = shop.body(lineItems=[line], linkId=link_id)
        await shop.caller.data(UPDATE, body)
        [shown] = (await shop.detail(link_id))["lineItems"]["items"]
        assert list(shown) == ["lineItemId", "itemType", "quantity", "productId", "unitPrice",
                               "productData"]  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "field"),
    [
        (5, "adjustableQuantity"),
        ({}, "adjustableQuantity.minimum"),
        ({"minimum": 0, "maximum": 5}, "adjustableQuantity.minimum"),
        ({"minimum": 1, "maximum": 10**6 + 1}, "adjustableQuantity.maximum"),
        ({"minimum": 1, "maximum": "5"}, "adjustableQuantity.maximum"),
        ({"minimum": 2, "maximum": 2}, "adjustableQuantity.maximum"),
        ({"minimum": 3, "maximum": 5}, "quantity"),
        ({**UP_TO_TEN, "step": 1}, "adjustableQuantity.step"),
    ],
)
async def test_api_30_ranges_are_bounded(shop: Shop, bounds: Any, field: str) -> None:
    line = {**shop.item(shop.tea, 2, 1), "adjustableQuantity": bounds}
    code, message = await refused(shop, {"lineItems": [line]})
    assert (code, message.split()[3]) == (400101, f"lineItems[0].{field}")


async def test_a_custom_link_has_no_range(shop: Shop) -> None:
    line = {"itemType": "user_priced", "productId": shop.tea, "quantity": 2}
    custom = {"linkType": "custom", "lineItems": [{**line, "adjustableQuantity": UP_TO_TEN}]}
    code, message = await refused(shop, custom)
    assert code == 400101
    assert "lineItems[0].adjustableQuantity must be left out in a custom link" in message


async def test_the_most_that_a_payer_could_choose_is_within_the_total(shop: Shop) -> None:
    most = tea(shop, 1, 10**12, maximum=1000)
    await shop.link(lineItems=[most])
    code, message = await refused(shop, {"lineItems": [most, shop.item(shop.cup, 1, 1)]})
    assert (code, message.split()[3]) == (400101, "lineItems")


async def test_the_total_is_that_of_what_was_chosen(shop: Shop, database: Database) -> None:
    link = await stored(shop, database, tea(shop), shop.item(shop.cup, 1, 1))
    first, second = (item.line_item_id for item in link.line_items)
    chosen = with_quantities(link, {first: 10})
    assert chosen.amount == 45_000_001
    assert [item.quantity for item in chosen.line_items] == [10, 1]
    assert with_quantities(link, {}) == link
    assert with_quantities(link, {first: 2, second: 1}).amount == link.amount


@pytest.mark.parametrize(
    ("line", "quantity", "detail"),
    [
        (0, 11, "lineItems[0].quantity must be between 1 and 10"),
        (0, 0, "lineItems[0].quantity must be between 1 and 10"),
        (1, 2, "lineItems[1].quantity must be 1"),
    ],
)
async def test_what_the_merchant_does_not_offer_is_refused(
    shop: Shop, database: Database, line: int, quantity: int, detail: str
) -> None:
    link = await stored(shop, database, tea(shop), shop.item(shop.cup, 1, 1))
    with pytest.raises(Refused) as caught:
        with_quantities(link, {link.line_items[line].line_item_id: quantity})
    assert (caught.value.code, caught.value.detail) == (Code.FIELD_INVALID, detail)


async def test_a_choice_among_lines_that_are_no_more_is_refused(
    shop: Shop, database: Database
) -> None:
    old = await stored(shop, database, tea(shop))
    body = shop.body(lineItems=[tea(shop, price=1)], linkId=old.link_id)
    await shop.caller.data(UPDATE, body)
    async with database.read() as tx:
        link = await links.require_open(tx, old.link_id)
    with pytest.raises(Refused, match="lineItems were changed"):
        with_quantities(link, {old.line_items[0].line_item_id: 3})
