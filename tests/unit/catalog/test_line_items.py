"""Line items: their total, their stored form, and what is shown of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gstable_server.catalog.model import (
    Attribute,
    ItemType,
    LineItem,
    Product,
    ProductSnapshot,
    ProductStatus,
    snapshot,
    total,
)
from gstable_server.catalog.wire import (
    line_items_from_json,
    line_items_to_json,
    render_line_items,
)
from gstable_server.kernel.fields import QUANTITY_MAX, UNIT_PRICE_MAX
from gstable_server.kernel.ids import ImageId, LineItemId, MerchantId, ProductId
from gstable_server.kernel.tenant import Mode, Tenant

URL = "https://pay.shop.example"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
snapshots = st.builds(
    ProductSnapshot,
    name=texts,
    description=st.none() | texts,
    image_url=st.none() | st.sampled_from(["/images/img_1", "https://img.example.com/1.png"]),
    attributes=st.lists(st.builds(Attribute, texts, texts), max_size=3).map(tuple),
    status=st.none(),
)
line_items = st.builds(
    LineItem,
    line_item_id=st.just(LineItemId("li_1")),
    item_type=st.sampled_from(ItemType),
    product_id=st.none() | st.just(ProductId("prd_1")),
    quantity=st.integers(1, QUANTITY_MAX),
    unit_price=st.none() | st.integers(1, UNIT_PRICE_MAX),
    product=st.none() | snapshots,
)


@given(st.lists(line_items, max_size=100))
def test_api_30_the_total_is_what_adding_one_by_one_gives(items: list[LineItem]) -> None:
    """An oracle that never multiplies: every binary digit of the quantity adds its doubling."""
    expected = 0
    for item in items:
        doubling, rest = item.unit_price or 0, item.quantity
        while rest:
            if rest % 2:
                expected += doubling
            doubling, rest = doubling + doubling, rest // 2
    assert total(items) == expected
    assert isinstance(total(items), int)


@given(st.lists(line_items, max_size=10), st.randoms())
def test_api_30_the_total_knows_no_order_and_no_grouping(
    items: list[LineItem], chance: Random
) -> None:
    mixed = items.copy()
    chance.shuffle(mixed)
    cut = len(items) // 2
    assert total(mixed) == total(items) == total(items[:cut]) + total(items[cut:])


@given(st.lists(line_items, max_size=5))
def test_what_is_stored_comes_back(items: list[LineItem]) -> None:
    stored = json.loads(json.dumps(line_items_to_json(items)))
    assert line_items_from_json(stored) == tuple(items)


def a_product(name: str) -> Product:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return Product(
        product_id=ProductId("prd_1"),
        tenant=Tenant(MerchantId("0" * 64), Mode.TEST),
        name=name,
        description=None,
        image_id=ImageId("img_1"),
        image_source="https://img.example.com/1.png",
        status=ProductStatus.ACTIVE,
        common_prices=(1,),
        attributes=(Attribute("Origin", "Assam"),),
        created_at=noon,
        updated_at=noon,
        used_at=None,
        removed_at=None,
    )


def test_api_29_a_snapshot_outlives_changes_of_its_product() -> None:
    product = a_product("Tea")
    item = LineItem(
        LineItemId("li_1"), ItemType.PRODUCT, product.product_id, 2, 5, snapshot(product)
    )
    stored = line_items_to_json([item])
    coffee = snapshot(replace(product, name="Coffee", image_id=None))
    [kept] = line_items_from_json(stored)
    assert kept.product != coffee
    assert render_line_items([kept], URL, with_product=True) == {
        "items": [
            {
                "lineItemId": "li_1",
                "itemType": "product",
                "productId": "prd_1",
                "quantity": 2,
                "unitPrice": 5,
                "productData": {
                    "productName": "Tea",
                    "imageUrl": f"{URL}/images/img_1",
                    "attributes": [{"name": "Origin", "value": "Assam"}],
                },
            }
        ]
    }


def test_one_time_items_show_the_merchants_own_picture_address() -> None:
    shown = ProductSnapshot("Wrapping", "Red", "https://img.example.com/1.png", ())
    item = LineItem(LineItemId("li_1"), ItemType.ONE_TIME, None, 1, 5, shown)
    [rendered] = render_line_items([item], URL, with_product=True)["items"]
    assert "productId" not in rendered
    assert rendered["productData"]["imageUrl"] == "https://img.example.com/1.png"
    assert rendered["productData"]["productDescription"] == "Red"
    [short] = render_line_items([item], URL, with_product=False)["items"]
    assert "productData" not in short
