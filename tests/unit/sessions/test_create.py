"""Sessions made by merchants over HTTP: what is stored, and what is refused (spec 6 and 15)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.testing import FakeClock
from tests.unit.catalog.support import Server
from tests.unit.sessions.till import CREATE, Till, one_time, product_line
from tests.unit.sessions.world import new_world

pytestmark = pytest.mark.anyio

UNKNOWN_PRODUCT = "prd_000000000000000000000000"
UNKNOWN_ACCOUNT = "acc_000000000000000000000000"
WEEK = 7 * 24 * 3600


async def test_create_answers_the_flat_session_and_tells(till: Till) -> None:
    made = await till.session(metadata={"orderId": "ORD_1"})
    assert await till.detail(made["sessionId"]) == {"session": made}
    [(event, payload)] = await till.caller.events(made["sessionId"])
    assert event == "session.created"
    assert payload == {
        "sessionData": {**made, "currency": "polygon::usdc"},
        "transaction": None,
    }


async def test_what_is_left_out_has_its_default(till: Till, clock: FakeClock) -> None:
    made = await till.session()
    assert made["feeModel"] == 1
    assert made["payerEmailRequired"] == 0
    assert made["expirationTime"] == unix_seconds(clock.now()) + 1800
    assert "successUrl" not in made
    assert "metadata" not in made
    for empty in (None, ""):
        assert "successUrl" not in await till.session(successUrl=empty)


async def test_product_and_one_time_lines_add_up(till: Till) -> None:
    product_id = await till.product()
    made = await till.session(
        product_line(product_id, quantity=3, unitPrice=7),
        one_time(
            unitPrice=20_000,
            productData={
                "productName": "Wrapping",
                "productDescription": "Paper",
                "imageUrl": "https://shop.example.com/w.png",
                "attributes": [{"name": "colour", "value": "red"}],
            },
        ),
        feeModel=2,
    )
    assert made["amount"] == 20_021
    first, second = made["lineItems"]["items"]
    assert (first["productId"], first["productData"]["productName"]) == (product_id, "Green tea")
    assert "productId" not in second
    assert second["productData"] == {
        "productName": "Wrapping",
        "productDescription": "Paper",
        "imageUrl": "https://shop.example.com/w.png",
        "attributes": [{"name": "colour", "value": "red"}],
    }


async def test_one_time_lines_stay_out_of_the_catalogue(till: Till) -> None:
    await till.session()
    assert (await till.caller.data("/product/list/1/10"))["total"] == 0


async def test_api_29_a_session_keeps_what_it_sold(till: Till) -> None:
    product_id = await till.product("Before")
    made = await till.session(product_line(product_id))
    await till.caller.data(
        "/product/update", {"productId": product_id, "name": "After", "commonPrices": [999]}
    )
    await till.caller.data("/product/archive", {"productId": product_id})
    assert await till.detail(made["sessionId"]) == {"session": made}
    [line] = made["lineItems"]["items"]
    assert (line["productData"]["productName"], line["unitPrice"]) == ("Before", 4_500_000)


async def test_aut_12_a_session_keeps_the_wallet_of_its_account(till: Till) -> None:
    made = await till.session()
    world = till.world
    await world.db.run(
        accounts.remove_account, world.tenant, world.desk.networks, world.account.account_id
    )
    after = (await till.detail(made["sessionId"]))["session"]
    assert after["recipient"] == made["recipient"]
    assert (await till.refused())[0] == 100403


# --- amounts and lines ----------------------------------------------------------------------------


async def test_api_01_no_price_and_no_quantity_below_one(till: Till) -> None:
    for value in (0, -1):
        await till.refused_field("lineItems[0].unitPrice", one_time(unitPrice=value))
        await till.refused_field("lineItems[0].quantity", one_time(quantity=value))


NOT_INTEGERS: list[Any] = [0.1, 1.0, True, "1", "１２", " 1", "+1", "1_000", "0x10", None, [1], {}]


async def test_api_02_amounts_are_integers_and_never_rounded(till: Till) -> None:
    product_id = await till.product()
    for value in NOT_INTEGERS:
        for field in ("unitPrice", "quantity"):
            wrong = {field: value}
            await till.refused_field(f"lineItems[1].{field}", one_time(), one_time(**wrong))
            await till.refused_field(f"lineItems[0].{field}", product_line(product_id, **wrong))


async def test_api_04_amounts_beyond_every_limit(till: Till) -> None:
    for value in (10**12 + 1, 2**63, 2**256, 10**78):
        await till.refused_field("lineItems[0].unitPrice", one_time(unitPrice=value))


async def test_api_05_the_limits_of_a_route_are_exact(till: Till) -> None:
    for amount in (9_999, 10**12 + 1):
        pieces = [one_time(unitPrice=amount // 3), one_time(unitPrice=amount - amount // 3)]
        code, message = await till.refused(*pieces)
        assert (code, message) == (
            400204,
            "Payment value is outside the allowed range: "
            "amount must be between 10000 and 1000000000000 Micro-USD",
        )
    for amount in (10_000, 10**12):
        for fee_model in (1, 2):
            made = await till.session(one_time(unitPrice=amount), feeModel=fee_model)
            assert made["amount"] == amount


async def test_api_06_only_tokens_that_this_server_settles_in(till: Till) -> None:
    for token in ("polygon::dai", "base::usdc", "POLYGON::USDC", "usdc", "0x" + "0c" * 20, "'--"):
        assert (await till.refused(settlementToken=token))[0] == 400201, token
    for nothing in ("", None, 1):
        await till.refused_field("settlementToken", settlementToken=nothing)


async def test_api_07_a_live_key_sells_on_no_test_network(till: Till, server: Server) -> None:
    world = till.world
    live = Tenant(world.tenant.merchant_id, Mode.LIVE)
    account = await world.db.run(
        accounts.create_account, live, world.desk.networks, "Live", "0x" + "77" * 20
    )
    caller = await server.caller(live)
    body = till.body(accountId=account.account_id)
    assert (await caller.refusal(CREATE, body))[0] == 400201


async def test_api_10_unknown_fields_change_nothing(till: Till) -> None:
    for field, value in {
        "status": "paid",
        "amount": 1,
        "merchantId": "0" * 64,
        "recipient": "0x" + "66" * 20,
        "feeRatePPM": 0,
        "signedOnce": 0,
        "sessionId": "sess_mine",
    }.items():
        await till.refused_field(field, **{field: value})
    for line, field in (
        (one_time(productId="prd_x"), "productId"),
        (one_time(productData={"productName": "Tea", "price": 1}), "productData.price"),
        (product_line("prd_x", productData={"productName": "Tea"}), "productData"),
    ):
        await till.refused_field(f"lineItems[0].{field}", line)


async def test_api_30_lines_and_quantities_are_bounded(till: Till) -> None:
    await till.refused_field("lineItems", lineItems=[])
    await till.refused_field("lineItems", *[one_time(unitPrice=1000)] * 101)
    made = await till.session(*[one_time(unitPrice=1000)] * 100)
    assert (made["amount"], len(made["lineItems"]["items"])) == (100_000, 100)
    for quantity in (10**6 + 1, 10**12, 2**64):
        await till.refused_field("lineItems[0].quantity", one_time(quantity=quantity))
    made = await till.session(one_time(quantity=10**6, unitPrice=10**6))
    assert made["amount"] == 10**12
    # One unit over the highest total, by sum and by product, far from any overflow.
    largest = one_time(quantity=1000, unitPrice=10**12)
    await till.refused_field("lineItems", largest, one_time(unitPrice=1))
    await till.refused_field("lineItems", *[one_time(quantity=10**6, unitPrice=10**12)] * 100)
    assert (await till.refused(largest))[0] == 400204


async def test_lines_say_what_they_are(till: Till) -> None:
    for line, field in (
        ({**one_time(), "itemType": "user_priced"}, "itemType"),
        ({**one_time(), "itemType": None}, "itemType"),
        ({"quantity": 1, "unitPrice": 1}, "itemType"),
        (one_time(productData=None), "productData"),
        (one_time(productData={}), "productData.productName"),
        (one_time(productData={"productName": " "}), "productData.productName"),
        (one_time(productData={"productName": "x" * 101}), "productData.productName"),
        (
            one_time(productData={"productName": "x", "productDescription": "x" * 1001}),
            "productData.productDescription",
        ),
        (
            one_time(productData={"productName": "x", "imageUrl": "http://x.example/"}),
            "productData.imageUrl",
        ),
        (
            one_time(productData={"productName": "x", "attributes": [{"name": "n"}]}),
            "productData.attributes[0].value",
        ),
    ):
        await till.refused_field(f"lineItems[0].{field}", line)


# --- products and accounts ------------------------------------------------------------------------


async def test_products_must_be_there_and_on_sale(till: Till) -> None:
    good, archived, removed = [await till.product() for _ in range(3)]
    await till.caller.data("/product/archive", {"productId": archived})
    await till.caller.data("/product/remove", {"productId": removed})
    for ids, code in (
        ([UNKNOWN_PRODUCT], 100301),
        (["no id at all"], 100301),
        ([good, UNKNOWN_PRODUCT], 100302),
        ([good, archived], 100303),
        ([archived], 100304),
        ([removed], 100306),
    ):
        assert (await till.refused(*map(product_line, ids)))[0] == code, ids


async def test_aut_02_nothing_of_another_merchant_or_mode_can_be_sold(
    till: Till, server: Server
) -> None:
    product_id = await till.product()
    stranger = await new_world(till.world.db)
    theirs = Till(await server.caller(stranger.tenant), stranger)
    assert (await theirs.refused(product_line(product_id)))[0] == 100301
    assert (await theirs.refused(accountId=till.world.account.account_id))[0] == 100401
    live = Tenant(till.world.tenant.merchant_id, Mode.LIVE)
    caller = await server.caller(live)
    assert (await caller.refusal(CREATE, till.body()))[0] == 100401
    for account_id in (UNKNOWN_ACCOUNT, "acc_", "", "' OR 1=1--"):
        assert (await till.refused(accountId=account_id))[0] == 100401


# --- expiry, address, flags -----------------------------------------------------------------------


async def test_api_14_the_expiry_is_exact_to_the_second(till: Till, clock: FakeClock) -> None:
    now = unix_seconds(clock.now())
    for ahead in (1800, WEEK):
        assert (await till.session(expirationTime=now + ahead))["expirationTime"] == now + ahead
    for ahead in (1799, WEEK + 1, 0, -1, -now):
        await till.refused_field("expirationTime", expirationTime=now + ahead)


async def test_api_14_milliseconds_the_year_9999_and_fractions_are_no_expiry(
    till: Till, clock: FakeClock
) -> None:
    soon = unix_seconds(clock.now()) + 3600
    for value in (
        soon * 1000,
        253_402_300_799,
        2**62,
        -(2**62),
        soon + 0.5,
        str(soon),
        True,
        [soon],
    ):
        await till.refused_field("expirationTime", expirationTime=value)


async def test_api_15_unsafe_success_urls_are_refused(till: Till) -> None:
    for url in (
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https://good@evil.example/",
        "https://shop.example.com/\r\nLocation: x",
        "https://bücher.example/",
        "https://shop.example.com\\@evil.example",
        "http://shop.example.com/",
        "/relative",
        "https://",
        "https://x.example/" + "a" * 1000,
        1,
    ):
        await till.refused_field("successUrl", successUrl=url)
    kept = "https://shop.example.com/success?orderId=ORD_001&s={SESSION_ID}#top"
    assert (await till.session(successUrl=kept))["successUrl"] == kept


async def test_plain_http_is_for_this_machine_in_test_mode(till: Till, server: Server) -> None:
    local = "http://127.0.0.1:9000/done"
    assert (await till.session(successUrl=local))["successUrl"] == local
    live = Tenant(till.world.tenant.merchant_id, Mode.LIVE)
    caller = await server.caller(live)
    code, message = await caller.refusal(CREATE, till.body(successUrl=local))
    assert (code, message) == (
        400101,
        "Invalid field format: successUrl must start with https://",
    )


async def test_flags_and_fee_models_are_what_the_contract_says(till: Till) -> None:
    for value in (-1, 2, True, "1", 1.0, None):
        await till.refused_field("payerEmailRequired", payerEmailRequired=value)
    for value in (0, 3, True, "1", 1.5, None):
        await till.refused_field("feeModel", feeModel=value)
    for field in ("accountId", "settlementToken", "lineItems"):
        body = {name: value for name, value in till.body().items() if name != field}
        refusal = await till.caller.refusal(CREATE, body)
        assert refusal == (400101, f"Invalid field format: {field} is required")


# --- metadata -------------------------------------------------------------------------------------


async def test_metadata_comes_back_as_it_was(till: Till) -> None:
    kept: tuple[dict[str, Any], ...] = (
        {},
        {"orderId": "ORD_1", "n": 1, "f": 2.5, "b": False, "z": None, "l": [{"x": []}]},
        {"k" * 40: "v"},
        {f"k{number}": number for number in range(50)},
        {"text": "ü \u202e e\u0301 \n<script>alert(1)</script> 😀"},
        {"large": 2**63 - 1, "small": -(2**53) - 1},
    )
    for metadata in kept:
        made = await till.session(metadata=metadata)
        assert made["metadata"] == metadata
        assert (await till.detail(made["sessionId"]))["session"]["metadata"] == metadata


async def test_metadata_is_bounded(till: Till) -> None:
    beyond: list[Any] = [
        {f"k{number}": number for number in range(51)},
        {"k" * 41: 1},
        {"text": "x" * 8183},
        {"text": "ü" * 4092},
        [],
        "text",
        1,
    ]
    for metadata in beyond:
        await till.refused_field("metadata", metadata=metadata)
    # The serialized object has 8,192 bytes: {"text":"…"} is eleven of them.
    assert await till.session(metadata={"text": "x" * 8181})


async def test_api_12_text_that_cannot_be_stored_is_refused(till: Till) -> None:
    await till.refused_field("metadata.text", metadata={"text": "a\0b"})
    halved = json.dumps(till.body(metadata={"list": ["\ud800"]})).encode()
    code, message = await till.caller.refusal(CREATE, halved)
    assert (code, message) == (
        400101,
        "Invalid field format: metadata.list[0] contains characters that cannot be stored",
    )
    await till.refused_field("metadata", metadata={"text": "a\x1bb"})
    name = "lineItems[0].productData.productName"
    await till.refused_field(name, one_time(productData={"productName": "a\x07b"}))


async def test_api_12_odd_but_honest_names_are_kept(till: Till) -> None:
    for name in ("\u202eevil", "e" + "\u0301" * 90, "<b>&amp;</b>", "تخفيض"):
        made = await till.session(one_time(productData={"productName": name}))
        [line] = made["lineItems"]["items"]
        assert line["productData"]["productName"] == name


async def test_api_31_the_smallest_session_pays_a_whole_fee(till: Till) -> None:
    made = await till.session(one_time(unitPrice=10_001))
    view = await till.world.view(made["sessionId"])
    prepared = await till.world.prepare(view)
    order = prepared.signed.order
    # 0.2 % of 10,001 is 20.002, which is never rounded in the payer's or merchant's favour.
    assert (order.merchant_amount, order.fee_amount) == (9_980, 21)


async def test_sessions_made_at_once_are_all_there(till: Till) -> None:
    made = await asyncio.gather(*(till.session() for _ in range(10)))
    assert len({session["sessionId"] for session in made}) == 10
    assert len({session["clientCode"] for session in made}) == 10
    assert await till.total() == 10
