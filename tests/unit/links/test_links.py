"""Payment links over HTTP: every endpoint of spec 5."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.ids import AccountId, LinkId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.catalog.support import PUBLIC_URL, Server
from tests.unit.links.support import NETWORKS, WALLET, Shop, open_shop

pytestmark = pytest.mark.anyio

CREATE = "/payment/link/create"
UPDATE = "/payment/link/update"
UNKNOWN = "lnk_00000000000000000000000000000000"
UNKNOWN_PRODUCT = "prd_000000000000000000000000"
OPTIONAL = {
    "payerEmailRequired": 1,
    "successUrl": "https://shop.example.com/success?orderId=1",
    "customSuccessText": "Thank you!",
    "customDisabledText": "Sold out.",
}


# --- create and detail -------------------------------------------------------------------------


async def test_create_nests_its_lines_and_detail_does_not(shop: Shop) -> None:
    made = await shop.caller.data(CREATE, shop.body(**OPTIONAL))
    link_id, version = made["linkId"], made["versionCode"]
    items = made["lineItems"]["lineItems"]["items"]
    assert made["lineItems"] == {
        "items": items,
        "lineItems": {"items": items},
        "amount": 9_000_001,
    }
    assert await shop.detail(link_id) == {**made, "lineItems": {"items": items}}
    assert LinkId(link_id)
    assert len(link_id) == 36
    assert version.startswith("ver_")
    assert {key: value for key, value in made.items() if key != "lineItems"} == {
        **OPTIONAL,
        "linkId": link_id,
        "linkType": "fixed",
        "linkName": "Tea set",
        "accountId": shop.account_id,
        "settlementToken": "polygon::usdc",
        "feeModel": 1,
        "amount": 9_000_001,
        "linkUrl": f"{PUBLIC_URL}/link/{link_id}",
        "status": "active",
        "versionCode": version,
        "createAt": "2026-01-01 12:00:00",
        "updateAt": "2026-01-01 12:00:00",
        "accountName": "Main wallet",
        "accountAddress": WALLET,
        "settlementTokenInfo": {
            "tokenId": "polygon::usdc",
            "contractAddress": "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
            "name": "USD Coin",
            "symbol": "USDC",
            "decimals": 6,
            "chainId": "1337137",
        },
    }


async def test_lines_show_their_products(shop: Shop) -> None:
    items = (await shop.detail(await shop.link()))["lineItems"]["items"]
    assert len({item.pop("lineItemId") for item in items}) == 2
    shown = {"productName": "Green tea", "attributes": [], "status": "active"}
    assert items[0] == {**shop.item(shop.tea, 2, 4_500_000), "productData": shown}


async def test_lines_show_products_as_they_are_now(shop: Shop) -> None:
    link_id = await shop.link()
    renamed = {"productId": shop.tea, "name": "White tea", "commonPrices": [7]}
    await shop.caller.data("/product/update", renamed)
    await shop.caller.data("/product/archive", {"productId": shop.tea})
    [first, _] = (await shop.detail(link_id))["lineItems"]["items"]
    assert first["productData"]["productName"] == "White tea"
    assert first["productData"]["status"] == "archived"
    assert first["unitPrice"] == 4_500_000  # the link's price is the link's own


async def test_custom_links_have_no_amount_yet(shop: Shop) -> None:
    for unit_price in ({}, {"unitPrice": 0}, {"unitPrice": None}):
        line = {"itemType": "user_priced", "productId": shop.tea, "quantity": 3, **unit_price}
        made = await shop.caller.data(CREATE, shop.custom(lineItems=[line]))
        assert (made["linkType"], made["amount"]) == ("custom", 0)
        [item] = made["lineItems"]["lineItems"]["items"]
        assert item["itemType"] == "user_priced"
        assert "unitPrice" not in item


async def test_optional_fields_take_null_and_empty_for_absent(shop: Shop) -> None:
    absent = {"successUrl", "customSuccessText", "customDisabledText"}
    for nothing in ({}, dict.fromkeys(absent), dict.fromkeys(absent, "")):
        made = await shop.caller.data(CREATE, shop.body(**nothing))
        assert absent.isdisjoint(made)
        assert made["payerEmailRequired"] == 0


async def test_events_show_what_detail_shows(shop: Shop) -> None:
    link_id = await shop.link(**OPTIONAL)
    [(kind, payload)] = await shop.caller.events(link_id)
    assert kind == "payment.link.created"
    assert payload == {"linkData": await shop.detail(link_id)}


# --- what create refuses -----------------------------------------------------------------------


async def refused(shop: Shop, changes: dict[str, Any]) -> tuple[int, str]:
    """Create and update refuse alike, and store nothing."""
    before = await shop.links()
    answer = await shop.caller.refusal(CREATE, shop.body(**changes))
    assert await shop.links() == before
    return answer


async def test_create_refuses_a_field_by_its_name(shop: Shop) -> None:
    tea = shop.item(shop.tea, 1, 1)
    for changes, field in (
        ({"linkType": "open"}, "linkType"),
        ({"linkName": ""}, "linkName"),
        ({"linkName": "x" * 101}, "linkName"),
        ({"feeModel": 0}, "feeModel"),
        ({"feeModel": 3}, "feeModel"),
        ({"feeModel": "1"}, "feeModel"),
        ({"feeModel": True}, "feeModel"),
        ({"lineItems": []}, "lineItems"),
        ({"lineItems": [tea] * 101}, "lineItems"),
        ({"lineItems": {"items": [tea]}}, "lineItems"),
        ({"lineItems": [{**tea, "itemType": "one_time"}]}, "lineItems[0].itemType"),
        ({"lineItems": [{**tea, "itemType": "user_priced"}]}, "lineItems[0].itemType"),
        ({"lineItems": [tea, {**tea, "extra": 1}]}, "lineItems[1].extra"),
        ({"linkType": "custom"}, "lineItems[0].itemType"),
        (shop.custom(lineItems=[{**tea, "itemType": "user_priced"}]), "lineItems[0].unitPrice"),
        ({"payerEmailRequired": 2}, "payerEmailRequired"),
        ({"payerEmailRequired": True}, "payerEmailRequired"),
        ({"successUrl": "https://x.example/" + "a" * 1000}, "successUrl"),
        ({"successUrl": "http://shop.example.com/"}, "successUrl"),
        ({"customSuccessText": "x" * 501}, "customSuccessText"),
        ({"customDisabledText": "x" * 501}, "customDisabledText"),
        ({"customSuccessText": "a\x00b"}, "customSuccessText"),
    ):
        code, message = await refused(shop, changes)
        assert code == 400101, changes
        assert message.startswith(f"Invalid field format: {field} "), message


async def test_create_names_the_missing_field(shop: Shop) -> None:
    whole = shop.body()
    for field in whole:
        body = {name: value for name, value in whole.items() if name != field}
        refusal = await shop.caller.refusal(CREATE, body)
        assert refusal == (400101, f"Invalid field format: {field} is required")


async def test_api_01_no_price_below_one_in_a_fixed_link(shop: Shop) -> None:
    for price in (0, -1, None):
        code, message = await refused(shop, {"lineItems": [shop.item(shop.tea, 1, price)]})
        assert code == 400101
        assert message.startswith("Invalid field format: lineItems[0].unitPrice must be ")
    priceless = {"itemType": "product", "productId": shop.tea, "quantity": 1}
    assert (await refused(shop, {"lineItems": [priceless]}))[0] == 400101


async def test_api_02_quantities_and_prices_are_integers(shop: Shop) -> None:
    values: list[Any] = [0.1, 1.0, True, "1", "１２", " 1", [], {}]
    for value in values:
        for item in (shop.item(shop.tea, value, 1), shop.item(shop.tea, 1, value)):
            code, message = await refused(shop, {"lineItems": [item]})
            assert code == 400101
            assert message.startswith("Invalid field format: lineItems[0].")


async def test_api_04_prices_beyond_the_limit(shop: Shop) -> None:
    for price in (10**12 + 1, 2**256, 10**78):
        code, message = await refused(shop, {"lineItems": [shop.item(shop.tea, 1, price)]})
        assert code == 400101
        assert "lineItems[0].unitPrice" in message


async def test_api_06_only_tokens_of_this_mode(shop: Shop, server: Server) -> None:
    for token in ("polygon::dai", "ethereum::usdc", "POLYGON::USDC", "usdc", "' OR 1=1--"):
        assert (await refused(shop, {"settlementToken": token}))[0] == 400201
    live = await open_shop(server, Mode.LIVE)
    assert (await refused(live, {}))[0] == 400201
    assert await live.link(settlementToken="ethereum::usdc")


async def test_api_10_unknown_fields_are_refused(shop: Shop) -> None:
    for extra in (
        {"status": "active"},
        {"amount": 1},
        {"merchantId": "0" * 64},
        {"versionCode": "ver_1"},
        {"feeRatePPM": 0},
    ):
        refusal = await refused(shop, extra)
        field = next(iter(extra))
        assert refusal == (400101, f"Invalid field format: {field} is not a known field")


async def test_api_12_odd_but_honest_text_comes_back_as_it_was(shop: Shop) -> None:
    text = "شكرا \u202e e" + "\u0301" * 100 + "\n<script>alert(1)</script>"
    shown = await shop.detail(await shop.link(customSuccessText=text))
    assert shown["customSuccessText"] == text


async def test_api_15_unsafe_success_urls_are_refused(shop: Shop) -> None:
    for url in (
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https://good@evil.example/",
        "https://shop.example.com/\r\nLocation: x",
        "https://bücher.example/",
        "https://shop.example.com\\@evil.example",
        "/relative",
    ):
        code, message = await refused(shop, {"successUrl": url})
        assert code == 400101
        assert message.startswith("Invalid field format: successUrl ")


async def test_plain_http_only_to_this_machine_and_only_in_test_mode(
    shop: Shop, server: Server
) -> None:
    local = {"successUrl": "http://127.0.0.1:9000/done"}
    assert (await shop.detail(await shop.link(**local)))["successUrl"] == local["successUrl"]
    live = await open_shop(server, Mode.LIVE)
    code, message = await refused(live, {"settlementToken": "ethereum::usdc", **local})
    assert (code, message) == (
        400101,
        "Invalid field format: successUrl must start with https://",
    )


async def test_api_30_quantities_and_totals_are_bounded(shop: Shop) -> None:
    for quantity in (0, -1, 1_000_001, 10**12, 2**64):
        code, message = await refused(shop, {"lineItems": [shop.item(shop.tea, quantity, 1)]})
        assert code == 400101
        assert "lineItems[0].quantity" in message
    largest = shop.item(shop.tea, 1000, 10**12)
    assert (await shop.detail(await shop.link(lineItems=[largest])))["amount"] == 10**15
    for too_much in (
        [largest, shop.item(shop.cup, 1, 1)],
        [shop.item(shop.tea, 10**6, 10**12)] * 100,
    ):
        code, message = await refused(shop, {"lineItems": too_much})
        assert (code, message) == (
            400101,
            "Invalid field format: lineItems must come to at most 1000000000000000 Micro-USD",
        )


async def test_products_must_be_sellable(shop: Shop, server: Server) -> None:
    other = await open_shop(server)

    async def code_of(*products: str) -> int:
        lines = [shop.item(product_id, 1, 1) for product_id in products]
        return (await refused(shop, {"lineItems": lines}))[0]

    assert await code_of(UNKNOWN_PRODUCT) == 100301
    assert await code_of(other.tea) == 100301
    assert await code_of("not an id") == 100301
    assert await code_of(shop.cup, UNKNOWN_PRODUCT) == 100302
    await shop.caller.data("/product/archive", {"productId": shop.tea})
    assert await code_of(shop.tea) == 100304
    assert await code_of(shop.cup, shop.tea) == 100303
    await shop.caller.data("/product/remove", {"productId": shop.tea})
    assert await code_of(shop.tea) == 100306


async def test_the_account_must_be_the_merchants_own_and_in_use(
    shop: Shop, server: Server, database: Database
) -> None:
    other = await open_shop(server)
    for account_id in (other.account_id, "acc_unknown", "no id"):
        assert (await refused(shop, {"accountId": account_id}))[0] == 100401
    link_id = await shop.link()
    await database.run(
        accounts.remove_account, shop.caller.tenant, NETWORKS, AccountId(shop.account_id)
    )
    assert (await refused(shop, {}))[0] == 100403
    shown = await shop.detail(link_id)
    assert "accountAddress" not in shown
    assert shown["accountId"] == shop.account_id


# --- update ------------------------------------------------------------------------------------


async def test_update_replaces_everything_under_a_new_version(shop: Shop, clock: FakeClock) -> None:
    link_id = await shop.link(**OPTIONAL)
    before = await shop.detail(link_id)
    clock.advance(60)
    body = shop.custom(linkId=link_id, linkName="Donation", feeModel=2)
    assert await shop.caller.data(UPDATE, body) == {"success": True}
    after = await shop.detail(link_id)
    assert set(OPTIONAL) - set(after) == set(OPTIONAL) - {"payerEmailRequired"}
    assert after["payerEmailRequired"] == 0
    assert (after["linkName"], after["feeModel"], after["amount"]) == ("Donation", 2, 0)
    assert after["versionCode"] != before["versionCode"]
    assert after["createAt"] == before["createAt"]
    assert after["updateAt"] == "2026-01-01 12:01:00"
    told = (await shop.caller.events(link_id))[1:]
    assert told == [("payment.link.updated", {"linkData": after})]


async def test_what_detail_shows_can_be_sent_back(shop: Shop) -> None:
    """As the public example does: read, change one thing, send the rest as it was."""
    shown = await shop.detail(await shop.link(**OPTIONAL))
    fields = (*shop.body(), *OPTIONAL, "linkId")
    lines = [
        {name: item[name] for name in ("itemType", "productId", "quantity", "unitPrice")}
        for item in shown["lineItems"]["items"]
    ]
    body = {name: shown.get(name) for name in fields} | {"lineItems": lines, "linkName": "New"}
    await shop.caller.data(UPDATE, body)
    after = await shop.detail(shown["linkId"])
    assert {name: after[name] for name in OPTIONAL} == OPTIONAL
    assert (after["linkName"], after["amount"]) == ("New", shown["amount"])


async def test_a_refused_update_changes_nothing(shop: Shop) -> None:
    link_id = await shop.link()
    before = await shop.detail(link_id)
    for changes, code in (
        ({"lineItems": [shop.item(UNKNOWN_PRODUCT, 1, 1)]}, 100301),
        ({"settlementToken": "x::y"}, 400201),
        ({"accountId": "acc_x"}, 100401),
        ({"feeModel": 9}, 400101),
        ({"successUrl": "http://x.example/"}, 400101),
        ({"linkId": UNKNOWN}, 100101),
        ({"linkId": UNKNOWN, "successUrl": "http://x.example/"}, 400101),
    ):
        refusal = await shop.caller.refusal(UPDATE, shop.body(**{"linkId": link_id, **changes}))
        assert refusal[0] == code, changes
    assert await shop.detail(link_id) == before


async def test_products_of_earlier_versions_stay_used(shop: Shop) -> None:
    link_id = await shop.link(lineItems=[shop.item(shop.tea, 1, 1)])
    line = shop.item(shop.cup, 1, 1)
    await shop.caller.data(UPDATE, shop.body(linkId=link_id, lineItems=[line]))
    for product_id in (shop.tea, shop.cup):
        refusal = await shop.caller.refusal("/product/remove", {"productId": product_id})
        assert refusal[0] == 100305


async def test_a_refused_link_uses_no_product(shop: Shop) -> None:
    lines = [shop.item(shop.tea, 1, 1), shop.item(UNKNOWN_PRODUCT, 1, 1)]
    assert (await refused(shop, {"lineItems": lines}))[0] == 100302
    await shop.caller.data("/product/remove", {"productId": shop.tea})


async def test_concurrent_changes_tell_in_the_order_they_happened(shop: Shop) -> None:
    link_id = await shop.link()
    names = [f"Name {number}" for number in range(10)]
    updates = (shop.caller.data(UPDATE, shop.body(linkId=link_id, linkName=name)) for name in names)
    switches = (
        shop.caller.data(f"/payment/link/{verb}", {"linkId": link_id})
        for verb in ("disable", "enable") * 5
    )
    await asyncio.gather(*updates, *switches)
    told = [payload["linkData"] for _, payload in await shop.caller.events(link_id)]
    assert told[-1] == await shop.detail(link_id)
    changed = [
        later["linkName"]
        for one, later in pairwise(told)
        if one["versionCode"] != later["versionCode"]
    ]
    assert sorted(changed) == sorted(names)


# --- disable, enable, archived -----------------------------------------------------------------


async def test_disable_and_enable(shop: Shop) -> None:
    link_id = await shop.link()
    version = (await shop.detail(link_id))["versionCode"]
    for verb, status in (("disable", "inactive"), ("enable", "active")):
        for _ in range(2):  # the second time changes and tells nothing
            done = await shop.caller.data(f"/payment/link/{verb}", {"linkId": link_id})
            assert done == {"success": True}
        shown = await shop.detail(link_id)
        assert (shown["status"], shown["versionCode"]) == (status, version)
    told = [
        (kind, payload["linkData"]["status"]) for kind, payload in await shop.caller.events(link_id)
    ]
    assert told == [
        ("payment.link.created", "active"),
        ("payment.link.disabled", "inactive"),
        ("payment.link.enabled", "active"),
    ]


async def test_update_keeps_a_disabled_link_disabled(shop: Shop) -> None:
    link_id = await shop.link()
    await shop.caller.data("/payment/link/disable", {"linkId": link_id})
    await shop.caller.data(UPDATE, shop.body(linkId=link_id))
    assert (await shop.detail(link_id))["status"] == "inactive"


async def test_an_archived_link_can_be_read_and_not_changed(shop: Shop, database: Database) -> None:
    link_id = await shop.link()
    async with database.begin() as tx:
        await tx.execute("UPDATE payment_links SET status = 'archived'")
    for verb in ("disable", "enable"):
        refusal = await shop.caller.refusal(f"/payment/link/{verb}", {"linkId": link_id})
        assert refusal == (100102, "Payment link is archived")
    assert (await shop.caller.refusal(UPDATE, shop.body(linkId=link_id)))[0] == 100102
    assert (await shop.detail(link_id))["status"] == "archived"


# --- lists and tenants -------------------------------------------------------------------------


async def test_list_is_newest_first_without_products(shop: Shop) -> None:
    made = [await shop.link(linkName=f"Link {number}") for number in range(3)]
    page = await shop.caller.data("/payment/link/list/1/2")
    assert {name: page[name] for name in ("total", "page", "size")} == {
        "total": 3,
        "page": "1",
        "size": "2",
    }
    assert [link["linkId"] for link in page["links"]] == [made[2], made[1]]
    expected = await shop.detail(made[2])
    for item in expected["lineItems"]["items"]:
        del item["productData"]
    assert page["links"][0] == expected
    assert (await shop.caller.data("/payment/link/list/9/100"))["links"] == []


async def test_api_25_pages_out_of_range_are_refused(shop: Shop) -> None:
    for path in ("0/10", "1/0", "1/101", "x/1", "1/-1"):
        assert (await shop.caller.refusal(f"/payment/link/list/{path}"))[0] == 400101


async def test_other_tenants_links_do_not_exist(shop: Shop, server: Server) -> None:
    link_id = await shop.link()
    strangers = [
        (await open_shop(server)).caller,
        await server.caller(Tenant(shop.caller.tenant.merchant_id, Mode.LIVE)),
    ]
    for stranger in strangers:
        assert (await stranger.data("/payment/link/list/1/10"))["total"] == 0
        assert (await stranger.refusal(f"/payment/link/{link_id}"))[0] == 100101
        assert (await stranger.refusal(UPDATE, shop.body(linkId=link_id)))[0] == 100101
        for verb in ("disable", "enable"):
            refusal = await stranger.refusal(f"/payment/link/{verb}", {"linkId": link_id})
            assert refusal == (100101, "Payment link not found")


async def test_api_26_what_names_no_link_is_not_found(shop: Shop) -> None:
    for link_id in (UNKNOWN, "lnk_%25", "lnk_'%20OR%201=1--", "prd_1", "%00", "lnk_%D9%A0"):
        refusal = await shop.caller.refusal(f"/payment/link/{link_id}")
        assert refusal == (100101, "Payment link not found")
    for link_id in (UNKNOWN, "", "lnk_\u0660", "' OR 1=1--"):
        refusal = await shop.caller.refusal("/payment/link/disable", {"linkId": link_id})
        assert refusal == (100101, "Payment link not found")
