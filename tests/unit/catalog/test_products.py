"""Products over HTTP: every endpoint of spec 3."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from gstable_server.catalog import operations
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.catalog.support import Caller, Server

pytestmark = pytest.mark.anyio

TEA: dict[str, Any] = {"name": "Green tea", "commonPrices": [4_500_000]}
FULL: dict[str, Any] = {
    "name": "Black tea",
    "commonPrices": [1, 2_000_000, 3_000_000, 4_000_000, 1_000_000_000_000],
    "description": "Loose leaves",
    "imageUrl": "https://img.example.com/tea.png",
    "attributes": [{"name": "Origin", "value": "Assam"}, {"name": "Note", "value": ""}],
}
UNKNOWN = "prd_000000000000000000000000"


async def create(shop: Caller, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = await shop.data("/product/create", {**TEA, **changes})
    return made


async def listed(shop: Caller) -> list[str]:
    page = await shop.data("/product/list/1/100")
    return [one["productId"] for one in page["products"]]


# --- create ------------------------------------------------------------------------------------


async def test_create_answers_the_product_and_tells_of_it(shop: Caller) -> None:
    made = await shop.data("/product/create", TEA)
    product_id = made.pop("productId")
    assert ProductId(product_id)
    assert made == {
        "name": "Green tea",
        "status": "active",
        "commonPrices": [4_500_000],
        "attributes": [],
        "createAt": "2026-01-01 12:00:00",
    }
    told = {"productData": {**made, "productId": product_id}}
    assert await shop.events() == [("product.created", told)]


async def test_create_keeps_every_field(shop: Caller) -> None:
    made = await shop.data("/product/create", FULL)
    assert "imageUrl" not in made  # shown once it is re-hosted
    assert {**made, "imageUrl": FULL["imageUrl"]} == {
        **FULL,
        "productId": made["productId"],
        "status": "active",
        "createAt": "2026-01-01 12:00:00",
    }


async def test_create_takes_null_and_empty_for_absent(shop: Caller) -> None:
    nothing = {"description": None, "imageUrl": "", "attributes": None}
    made = await create(shop, **nothing)
    assert set(made) == {
        "productId",
        "name",
        "status",
        "commonPrices",
        "attributes",
        "createAt",
    }


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "   "}, "name"),
    ({"name": "a" * 101}, "name"),
    ({"name": None}, "name"),
    ({"commonPrices": []}, "commonPrices"),
    ({"commonPrices": [1] * 6}, "commonPrices"),
    ({"commonPrices": 5}, "commonPrices"),
    ({"commonPrices": [5, 1_000_000_000_001]}, "commonPrices[1]"),
    ({"description": "a" * 1001}, "description"),
    ({"imageUrl": "https://img.example.com/" + "a" * 500}, "imageUrl"),
    ({"imageUrl": "http://img.example.com/a.png"}, "imageUrl"),
    ({"attributes": [{"name": "n", "value": "v"}] * 11}, "attributes"),
    ({"attributes": [{"name": "", "value": "v"}]}, "attributes[0].name"),
    ({"attributes": [{"name": "n" * 51, "value": "v"}]}, "attributes[0].name"),
    ({"attributes": [{"name": "n", "value": "v" * 201}]}, "attributes[0].value"),
    ({"attributes": [{"name": "n"}]}, "attributes[0].value"),
    ({"attributes": [{"name": "n", "value": "v", "x": 1}]}, "attributes[0].x"),
]


async def test_create_refuses_a_field_by_its_name(shop: Caller) -> None:
    for changes, problem in BAD_FIELDS:
        code, message = await shop.refusal("/product/create", {**TEA, **changes})
        assert code == 400101
        assert message.startswith(f"Invalid field format: {problem} ")
        assert await listed(shop) == []


@pytest.mark.parametrize("field", ["name", "commonPrices"])
async def test_create_names_the_missing_field(shop: Caller, field: str) -> None:
    body = {name: value for name, value in TEA.items() if name != field}
    refusal = await shop.refusal("/product/create", body)
    assert refusal == (400101, f"Invalid field format: {field} is required")


TOO_SMALL = ["0", "-1", "-0"]


async def test_api_01_no_price_below_one(shop: Caller) -> None:
    for price in TOO_SMALL:
        body = f'{{"name":"x","commonPrices":[{price}]}}'.encode()
        refusal = await shop.refusal("/product/create", body)
        assert refusal == (
            400101,
            "Invalid field format: commonPrices[0] must be between 1 and 1000000000000",
        )


NO_INTEGERS = [
    *("0.1", "1.0", "1e2", "1E400", "NaN", "Infinity", "true", "null", "[]", "{}"),
    *('"5"', '"１２"', '" 1"', '"+1"', '"1_000"', '"0x10"'),
]


async def test_api_02_only_integers_are_prices(shop: Caller) -> None:
    for price in NO_INTEGERS:
        body = f'{{"name":"x","commonPrices":[{price}]}}'.encode()
        code, message = await shop.refusal("/product/create", body)
        assert code == 400101
        assert message.startswith("Invalid field format: ")
        assert await listed(shop) == []


TOO_LARGE = [str(2**256), "1" + "0" * 78, "9" * 10_000]


async def test_api_04_no_price_beyond_the_limit(shop: Caller) -> None:
    for price in TOO_LARGE:
        body = f'{{"name":"x","commonPrices":[{price}]}}'.encode()
        code, message = await shop.refusal("/product/create", body)
        assert code == 400101
        assert "commonPrices[0]" in message


UNKNOWN_FIELDS: list[dict[str, Any]] = [
    {"status": "archived"},
    {"merchantId": "0" * 64},
    {"productId": UNKNOWN},
    {"usedAt": 1},
]


async def test_api_10_unknown_fields_are_refused(shop: Caller) -> None:
    for extra in UNKNOWN_FIELDS:
        code, message = await shop.refusal("/product/create", {**TEA, **extra})
        assert (code, message) == (
            400101,
            f"Invalid field format: {next(iter(extra))} is not a known field",
        )


UNSTORABLE = [b'"a\\u0000b"', b'"\\ud800"', b'"\xff"', b'"\\u001b[2J"']


async def test_api_12_text_that_cannot_be_stored_is_refused(shop: Caller) -> None:
    for name in UNSTORABLE:
        body = b'{"name":' + name + b',"commonPrices":[1]}'
        code, _ = await shop.refusal("/product/create", body)
        assert code == 400101


async def test_api_12_odd_but_honest_text_comes_back_as_it_was(shop: Caller) -> None:
    name = "قهوة \u202e 茶 e" + "\u0301" * 50
    made = await create(shop, name=name, description="line\n\ttab")
    [read] = await shop.data("/product/list/by/ids", {"productIds": [made["productId"]]})
    assert (read["name"], read["description"]) == (name, "line\n\ttab")


UNSAFE = [
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "//img.example.com/a.png",
    "https://good@evil.example/a.png",
    "https://img.example.com/\r\nx",
    "https://bücher.example/a.png",
    "ftp://img.example.com/a.png",
]


async def test_api_15_no_picture_from_an_unsafe_address(shop: Caller) -> None:
    for url in UNSAFE:
        code, message = await shop.refusal("/product/create", {**TEA, "imageUrl": url})
        assert code == 400101
        assert message.startswith("Invalid field format: imageUrl ")


# --- update ------------------------------------------------------------------------------------


async def test_update_replaces_everything(shop: Caller, clock: FakeClock) -> None:
    made = await shop.data("/product/create", FULL)
    clock.advance(60)
    done = await shop.data("/product/update", {**TEA, "productId": made["productId"]})
    assert done == {"success": True}
    [read] = await shop.data("/product/list/by/ids", {"productIds": [made["productId"]]})
    assert read == {
        "productId": made["productId"],
        "name": "Green tea",
        "status": "active",
        "commonPrices": [4_500_000],
        "attributes": [],
        "createAt": "2026-01-01 12:00:00",
    }
    assert (await shop.events())[1:] == [("product.updated", {"productData": read})]


async def test_update_needs_every_required_field(shop: Caller) -> None:
    made = await create(shop)
    refusal = await shop.refusal("/product/update", {"productId": made["productId"], "name": "New"})
    assert refusal == (400101, "Invalid field format: commonPrices is required")


async def test_concurrent_updates_tell_in_the_order_of_the_changes(shop: Caller) -> None:
    product_id = (await create(shop))["productId"]
    names = [f"Name {number}" for number in range(20)]
    await asyncio.gather(
        *(
            shop.data("/product/update", {**TEA, "name": name, "productId": product_id})
            for name in names
        )
    )
    told = [payload["productData"]["name"] for _, payload in await shop.events(product_id)]
    [read] = await shop.data("/product/list/by/ids", {"productIds": [product_id]})
    assert sorted(told[1:]) == sorted(names)
    assert read["name"] == told[-1]


# --- archive, unarchive, remove ----------------------------------------------------------------


async def test_archive_and_back(shop: Caller) -> None:
    product_id = (await create(shop))["productId"]
    for verb, status in (("archive", "archived"), ("unarchive", "active")):
        for _ in range(2):  # the second time changes and tells nothing
            assert await shop.data(f"/product/{verb}", {"productId": product_id}) == {
                "success": True
            }
        [read] = await shop.data("/product/list/by/ids", {"productIds": [product_id]})
        assert read["status"] == status
    told = [(kind, payload["productData"]["status"]) for kind, payload in await shop.events()]
    assert told == [
        ("product.created", "active"),
        ("product.archived", "archived"),
        ("product.unarchived", "active"),
    ]


async def test_remove_is_for_good(shop: Caller) -> None:
    product_id = (await create(shop))["productId"]
    assert await shop.data("/product/remove", {"productId": product_id}) == {"success": True}
    assert await listed(shop) == []
    assert await shop.data("/product/list/by/ids", {"productIds": [product_id]}) == []
    for verb in ("archive", "unarchive", "remove"):
        refusal = await shop.refusal(f"/product/{verb}", {"productId": product_id})
        assert refusal == (100306, "Product has been removed")
    refusal = await shop.refusal("/product/update", {**TEA, "productId": product_id})
    assert refusal == (100306, "Product has been removed")
    assert [kind for kind, _ in await shop.events()] == ["product.created", "product.removed"]


NO_IDS = [UNKNOWN, "lnk_1", "", "prd_' OR 1=1--", "%", "prd_\u0660"]


async def test_api_26_what_names_no_product_is_not_found(shop: Caller) -> None:
    await create(shop)
    for verb, product_id in product(("update", "archive", "unarchive", "remove"), NO_IDS):
        body = {"productId": product_id, **(TEA if verb == "update" else {})}
        refusal = await shop.refusal(f"/product/{verb}", body)
        assert refusal == (100301, "Product not found")


# --- whose it is -------------------------------------------------------------------------------


async def test_other_tenants_products_do_not_exist(server: Server, shop: Caller) -> None:
    product_id = (await create(shop))["productId"]
    strangers = [
        await server.merchant(),
        await server.caller(Tenant(shop.tenant.merchant_id, Mode.LIVE)),
    ]
    for stranger in strangers:
        assert await listed(stranger) == []
        assert await stranger.data("/product/list/by/ids", {"productIds": [product_id]}) == []
        for verb in ("update", "archive", "unarchive", "remove"):
            body = {"productId": product_id, **(TEA if verb == "update" else {})}
            assert (await stranger.refusal(f"/product/{verb}", body))[0] == 100301
    assert await listed(shop) == [product_id]


# --- lists -------------------------------------------------------------------------------------


async def test_list_is_newest_first_with_page_and_size_as_strings(shop: Caller) -> None:
    made = [(await create(shop, name=f"Tea {number}"))["productId"] for number in range(5)]
    page = await shop.data("/product/list/2/2")
    assert (page["total"], page["page"], page["size"]) == (5, "2", "2")
    assert [one["productId"] for one in page["products"]] == [made[2], made[1]]
    assert set(page) == {"total", "page", "size", "products"}


NO_PAGES = [
    ("0/10", "page"),
    ("-1/10", "page"),
    ("1/0", "size"),
    ("1/101", "size"),
    ("1/1000000000", "size"),
    ("99999999999999999999/1", "page"),
    ("1.5/10", "page"),
    ("one/10", "page"),
    ("1/%D9%A1", "size"),
    ("1%27/10", "page"),
]


async def test_api_25_pages_out_of_range_are_refused(shop: Caller) -> None:
    for path, field in NO_PAGES:
        code, message = await shop.refusal(f"/product/list/{path}")
        assert code == 400101
        assert message.startswith(
            f"Invalid field format: {field} must be a whole number between 1 "
        )


async def test_api_25_a_page_past_the_end_is_empty(shop: Caller) -> None:
    await create(shop)
    page = await shop.data("/product/list/1000000000/100")
    assert page == {"total": 1, "page": "1000000000", "size": "100", "products": []}


async def test_list_by_ids_drops_unknown_ids_and_repeats(shop: Caller) -> None:
    first, second = [(await create(shop))["productId"] for _ in range(2)]
    asked = [second, UNKNOWN, "prod_x", "'; DROP TABLE products--", first, second]
    found = await shop.data("/product/list/by/ids", {"productIds": asked})
    assert [one["productId"] for one in found] == [second, first]
    assert await shop.data("/product/list/by/ids", {"productIds": []}) == []


async def test_list_by_ids_takes_at_most_100(shop: Caller) -> None:
    assert await shop.data("/product/list/by/ids", {"productIds": [UNKNOWN] * 100}) == []
    code, message = await shop.refusal("/product/list/by/ids", {"productIds": [UNKNOWN] * 101})
    assert code == 400101
    assert message.startswith("Invalid field format: productIds ")


# --- what links and sessions ask ---------------------------------------------------------------


async def code_of(db: Database, tenant: Tenant, ids: list[str]) -> int:
    with pytest.raises(Refused) as caught:
        await db.run(operations.require_sellable, tenant, ids)
    return caught.value.code.number


async def test_require_sellable_says_what_is_wrong(shop: Caller, database: Database) -> None:
    sold, archived, removed = [(await create(shop))["productId"] for _ in range(3)]
    await shop.data("/product/archive", {"productId": archived})
    await shop.data("/product/remove", {"productId": removed})
    found = await database.run(operations.require_sellable, shop.tenant, [sold, sold])
    assert set(found) == {sold}
    other = Tenant(shop.tenant.merchant_id, Mode.LIVE)
    assert await code_of(database, shop.tenant, [UNKNOWN]) == 100301
    assert await code_of(database, shop.tenant, ["no id", UNKNOWN]) == 100301
    assert await code_of(database, other, [sold]) == 100301
    assert await code_of(database, shop.tenant, [sold, UNKNOWN]) == 100302
    assert await code_of(database, shop.tenant, [sold, removed]) == 100306
    assert await code_of(database, shop.tenant, [archived]) == 100304
    assert await code_of(database, shop.tenant, [sold, archived]) == 100303


async def test_a_used_product_cannot_be_removed(shop: Caller, database: Database) -> None:
    product_id = (await create(shop))["productId"]
    await database.run(operations.use_in_link, shop.tenant, [product_id])
    refusal = await shop.refusal("/product/remove", {"productId": product_id})
    assert refusal == (100305, "Product has been used: a payment link references it")
    await shop.data("/product/archive", {"productId": product_id})


async def test_use_and_removal_at_once_have_one_winner(shop: Caller, database: Database) -> None:
    for _ in range(10):
        product_id = (await create(shop))["productId"]
        used, removed = await asyncio.gather(
            database.run(operations.use_in_link, shop.tenant, [product_id]),
            shop.answer("/product/remove", {"productId": product_id}),
            return_exceptions=True,
        )
        assert isinstance(removed, dict)
        if removed["code"] == 0:
            assert isinstance(used, Refused)
            assert used.code.number == 100306
        else:
            assert removed["code"] == 100305
            assert not isinstance(used, BaseException)
