"""A payer's side of a session: opened from a link, prepared for a wallet, sent back to the shop."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LinkId
from gstable_server.kernel.money import MicroUsd
from gstable_server.links import operations as links
from gstable_server.links.model import PaymentLink
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import hearing, operations, paying
from gstable_server.sessions.model import Session, SessionState, SessionView
from gstable_server.sessions.paying import PreparedPayment
from tests.unit.sessions.till import Till, product_line
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio

PAYER = Address(b"\x01" * 20)


async def refusal(awaitable: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


def prepare(world: World, view: SessionView, **changes: Any) -> Awaitable[PreparedPayment]:
    asked = {
        "client_code": view.session.client_code,
        "token_id": "polygon::usdc",
        "payer": PAYER,
        "payer_email": None,
        **changes,
    }
    return world.db.run(paying.prepare, world.desk, view.session.session_id, **asked)


async def orders(world: World) -> int:
    async with world.db.read() as tx:
        count: int = await tx.fetchval("SELECT count(*) FROM session_orders")
        return count


# --- prepare --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fee_model", "total"), [(1, 10_000_000), (2, 10_020_000)])
async def test_the_order_says_all_that_was_agreed(world: World, fee_model: int, total: int) -> None:
    view = await world.open(feeModel=fee_model)
    prepared = await prepare(world, view)
    order, session = prepared.signed.order, view.session
    assert (order.session_key, order.merchant) == (session.session_key, session.recipient)
    assert order.merchant_amount + order.fee_amount == total
    assert (order.fee_amount, order.fee_receiver) == (20_000, world.desk.fee_receiver)
    assert order.deadline == unix_seconds(session.expires_at + world.desk.order_grace)
    approve, pay = prepared.work.approve, prepared.work.pay
    assert approve is not None
    assert pay is not None
    assert (approve.to, prepared.work.spender) == (order.token.address, pay.to)
    assert pay.to == prepared.signed.network.router
    assert prepared.session.signed_once
    assert (await world.view(session.session_id)).session.state is SessionState.INITIALIZED


async def test_asking_again_gives_the_same_order_and_stores_it_once(world: World) -> None:
    view = await world.open()
    first, second = [await prepare(world, view) for _ in range(2)]
    assert first.signed == second.signed
    assert await orders(world) == 1
    await prepare(world, view, payer=Address(b"\x02" * 20))
    assert await orders(world) == 2


async def test_a_wrong_client_code_is_refused_before_anything_is_told(world: World) -> None:
    view = await world.open()
    for wrong in ("", "cc_" + "0" * 32, view.session.client_code[:-1], "é"):
        assert (await refusal(prepare(world, view, client_code=wrong))).code is (
            Code.SESSION_CLIENT_KEY_INVALID
        )
    assert not (await world.view(view.session.session_id)).session.signed_once
    assert await orders(world) == 0


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("paid", Code.SESSION_PAID),
        ("settling", Code.SESSION_SETTLING),
        ("settlement_pending", Code.SESSION_SETTLING),
        ("completed", Code.SESSION_PAID),
        ("expired", Code.SESSION_EXPIRED),
        ("cancelled", Code.SESSION_CANCELLED),
    ],
)
async def test_api_22_no_order_is_signed_past_the_beginning(
    till: Till, state: str, code: Code
) -> None:
    view = await till.in_state(state)
    before = await orders(till.world)
    assert (await refusal(prepare(till.world, view))).code is code
    assert await orders(till.world) == before


async def test_api_34_nothing_expires_early_and_a_clock_set_back_revives_nothing(
    world: World, clock: FakeClock
) -> None:
    view = await world.open()
    clock.advance(1799)
    assert await world.db.run(hearing.expire_due, world.desk) == 0
    await prepare(world, view)
    clock.advance(1)
    # Over at once, whether or not the timetable has come to it.
    assert (await refusal(prepare(world, view))).code is Code.SESSION_EXPIRED
    assert await world.db.run(hearing.expire_due, world.desk) == 1
    clock.advance(-3600)
    assert (await refusal(prepare(world, view))).code is Code.SESSION_EXPIRED


async def test_a_token_that_cannot_pay_is_refused(world: World) -> None:
    view = await world.open()
    for token in ("polygon::usdt", "base::usdc", "", "' OR 1=1--"):
        assert (await refusal(prepare(world, view, token_id=token))).code is (
            Code.CHANNEL_UNSUPPORTED
        )
    assert not (await world.view(view.session.session_id)).session.signed_once


async def test_an_unknown_session_is_not_found(world: World) -> None:
    view = await world.open()
    other = SessionView(replace(view.session, session_id=type(view.session.session_id)("sess_0")))
    assert (await refusal(prepare(world, other))).code is Code.SESSION_NOT_FOUND


async def test_a_required_email_is_asked_for_and_kept(world: World) -> None:
    view = await world.open(payerEmailRequired=1)
    wrong = (None, "", "nobody", "a@b", "a b@example.com", "a@b.example\r\nBcc: x", "ä@b.de")
    for email in wrong:
        refused = await refusal(prepare(world, view, payer_email=email))
        assert refused.code is Code.FIELD_INVALID
        assert refused.detail.startswith("payerEmail ")
    await prepare(world, view, payer_email="payer@example.com")
    kept = await world.view(view.session.session_id)
    assert kept.session.payer_email == "payer@example.com"
    # It is known now, so it need not be typed again.
    await prepare(world, view)


# --- links ----------------------------------------------------------------------------------------


async def link_of(till: Till, **changes: Any) -> PaymentLink:
    product_id = await till.product()
    body = {
        "linkType": "fixed",
        "linkName": "Teas",
        "accountId": till.world.account.account_id,
        "settlementToken": "polygon::usdc",
        "feeModel": 2,
        "lineItems": [product_line(product_id)],
        "successUrl": "https://shop.example.com/done",
        **changes,
    }
    if body["linkType"] == "custom":
        line = {"itemType": "user_priced", "productId": product_id, "quantity": 1}
        body["lineItems"] = [line]
    made = await till.caller.data("/payment/link/create", body)
    return await till.world.db.run(links.view, LinkId(made["linkId"]))


def open_link(
    till: Till, link: PaymentLink, amount: int | None = None, email: str | None = None
) -> Awaitable[Session]:
    return till.world.db.run(
        operations.open_from_link,
        till.world.desk,
        link,
        amount=None if amount is None else MicroUsd(amount),
        payer_email=email,
    )


async def test_a_link_opens_a_session_with_its_own_terms(till: Till) -> None:
    link = await link_of(till)
    first, second = [await open_link(till, link) for _ in range(2)]
    assert first.session_id != second.session_id
    shown = (await till.detail(first.session_id))["session"]
    assert (shown["sessionType"], shown["businessType"]) == ("payment_link", "payment_link")
    assert (shown["businessId"], shown["amount"], shown["feeModel"]) == (link.link_id, 9_000_000, 2)
    assert shown["successUrl"] == "https://shop.example.com/done"
    assert shown["lineItems"]["items"][0]["productData"]["productName"] == "Green tea"


async def test_api_05_a_custom_amount_keeps_to_the_limits(till: Till) -> None:
    link = await link_of(till, linkType="custom")
    for amount in (10_000, 10**12):
        session = await open_link(till, link, amount)
        assert (session.amount, session.line_items[0].unit_price) == (amount, amount)
    for amount in (0, 1, 9_999, 10**12 + 1):
        assert (await refusal(open_link(till, link, amount))).code is Code.VALUE_OUT_OF_RANGE
    assert (await refusal(open_link(till, link))).detail.startswith("amount ")


async def test_a_fixed_price_is_not_the_payers_to_choose(till: Till) -> None:
    link = await link_of(till)
    assert (await refusal(open_link(till, link, 10_000))).code is Code.FIELD_INVALID


async def test_a_link_that_asks_for_an_email_gets_one(till: Till) -> None:
    link = await link_of(till, payerEmailRequired=1)
    assert (await refusal(open_link(till, link))).detail == "payerEmail is required"
    session = await open_link(till, link, email="payer@example.com")
    assert session.payer_email == "payer@example.com"


async def test_a_product_that_left_the_sale_stops_its_links(till: Till) -> None:
    link = await link_of(till)
    product_id = link.line_items[0].product_id
    await till.caller.data("/product/archive", {"productId": product_id})
    assert (await refusal(open_link(till, link))).code is Code.PRODUCT_NOT_ACTIVE


# --- redirect -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        (None, None),
        ("https://shop.example.com", "https://shop.example.com?sessionId={id}&status=completed"),
        (
            "https://shop.example.com/ok?orderId=ORD_001&empty=#top",
            "https://shop.example.com/ok?orderId=ORD_001&empty="
            "&sessionId={id}&status=completed#top",
        ),
        (
            "https://shop.example.com/{SESSION_ID}?s={SESSION_ID}",
            "https://shop.example.com/{id}?s={id}&sessionId={id}&status=completed",
        ),
        (
            "https://shop.example.com/?next=https%3A%2F%2Fx.example%2F%3Fa%3D1%26b%3D2",
            "https://shop.example.com/?next=https%3A%2F%2Fx.example%2F%3Fa%3D1%26b%3D2"
            "&sessionId={id}&status=completed",
        ),
    ],
)
async def test_api_15_the_payer_goes_only_where_the_merchant_said(
    till: Till, stored: str | None, sent: str | None
) -> None:
    made = await till.session(successUrl=stored)
    view = await till.world.view(made["sessionId"])
    done = replace(view.session, state=SessionState.COMPLETED)
    expected = sent.replace("{id}", made["sessionId"]) if sent else None
    assert operations.redirect_url(done) == expected
