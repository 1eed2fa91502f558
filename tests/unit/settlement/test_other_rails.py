"""Payments by rails that end in the payment's own transaction, and every kind on the wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.chain.facts import RailName
from gstable_server.chain.rails.hold import HoldTerms
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.wire import render, render_transaction
from tests.unit.settlement.crossings import SOLVER, Crossings, after_payment

pytestmark = pytest.mark.anyio


async def test_a_swap_is_paid_and_completed_like_a_direct_payment(crossings: Crossings) -> None:
    view = await crossings.world.open(settlementToken="polygon::usdc")
    order = await crossings.order(view, "polygon::usdt")
    payment = await crossings.paid(
        view,
        "polygon::usdt",
        amount=order.amount - 5_000,
        merchant_received=order.merchant_amount,
    )
    await crossings.hear(("seen", payment))
    assert await crossings.balances() == {
        **after_payment(payment, "polygon::usdt", "fees:pending"),
        ("polygon::usdt", "conversion:swap"): payment.amount,
        ("polygon::usdc", "conversion:swap"): -order.merchant_amount,
        ("polygon::usdc", "merchant:pending"): order.merchant_amount,
    }
    await crossings.hear(("final", payment))
    balances = await crossings.balances()
    assert balances["polygon::usdc", "merchant"] == order.merchant_amount
    assert await crossings.told_of_session(view) == ["created", "paid", "completed"]
    assert await crossings.told_of_crossings() == []


async def test_chn_16_a_swap_is_booked_back_in_both_assets(crossings: Crossings) -> None:
    view = await crossings.world.open(settlementToken="polygon::usdc")
    order = await crossings.order(view, "polygon::usdt")
    payment = await crossings.paid(view, "polygon::usdt", merchant_received=order.merchant_amount)
    await crossings.hear(("seen", payment), ("reorged", payment))
    assert await crossings.balances() == {}


async def test_an_authorised_payment_stays_paid(crossings: Crossings) -> None:
    view = await crossings.world.open(settlementToken="polygon::usdc")
    log = await crossings.paid(
        await crossings.open(), "polygon::usdc", session_key=view.session.session_key
    )
    usdc = crossings.world.desk.networks.require_token("polygon::usdc", view.session.tenant.mode)
    held = replace(
        log,
        rail=RailName.HOLD,
        rail_data=HoldTerms(UnixSeconds(2_000_000_000), 2000, SOLVER, SOLVER).encoded,
        settlement_chain_id=usdc.chain_id,
        settlement_token=usdc.address,
    )
    async with crossings.db.begin() as tx:
        await tx.execute(
            "INSERT INTO session_orders (session_id, network, token_id, way, rail, digest, body, "
            "merchant_amount, fee_amount, fee_ppm, deadline, payer, signed_at) VALUES ($1, "
            "'polygon', 'polygon::usdc', 'approve', 'hold', $2, '{}', $3, 0, 0, $4, $5, $4)",
            view.session.session_id,
            b"\x01" * 32,
            held.merchant_amount,
            tx.now,
            held.payer,
        )
    await crossings.hear(("seen", held), ("final", held))
    assert (await crossings.view(view)).session.state is SessionState.PAID
    balances = await crossings.balances()
    assert balances["polygon::usdc", "rail:hold"] == held.amount
    assert await crossings.told_of_session(view) == ["created", "paid"]


# --- on the wire ----------------------------------------------------------------------------------


async def test_the_transaction_of_a_crossing_names_both_of_its_ends(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", payment), ("final", payment))
    on_the_way = render_transaction(await crossings.view(view))
    assert on_the_way is not None
    assert (on_the_way["targetTx"], on_the_way["finalizeTime"]) == ("", "")
    assert on_the_way["netValue"] == payment.merchant_amount
    await crossings.hear(("seen", delivery), ("final", delivery))
    after = await crossings.view(view)
    transaction, session = render_transaction(after), render(after, "https://pay.example.com")
    assert transaction is not None
    total = payment.amount + payment.fee_received
    assert {
        name: transaction[name]
        for name in ("orderType", "channelId", "totalValue", "feeValue", "netValue")
    } == {
        "orderType": 3,
        "channelId": "polygon",
        "totalValue": total,
        "feeValue": total - payment.merchant_amount,
        "netValue": payment.merchant_amount,
    }
    assert transaction["sourceTx"] == session["initiateTx"] == f"0x{payment.tx_hash.hex()}"
    assert transaction["targetTx"] == session["completeTx"] == f"0x{delivery.tx_hash.hex()}"
    assert session["paidToken"] == "polygon::usdt"
    assert transaction["finalizeTime"] != ""


async def test_a_swap_has_its_own_order_type(crossings: Crossings) -> None:
    view = await crossings.world.open(settlementToken="polygon::usdc")
    order = await crossings.order(view, "polygon::usdt")
    payment = await crossings.paid(view, "polygon::usdt", merchant_received=order.merchant_amount)
    await crossings.hear(("seen", payment), ("final", payment))
    transaction = render_transaction(await crossings.view(view))
    assert transaction is not None
    assert (transaction["orderType"], transaction["netValue"]) == (2, order.merchant_amount)
    assert transaction["sourceTx"] == transaction["targetTx"]
