"""A payer without a wallet that a page could ask: a plain transfer to the session's own address."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gstable_server.cli.payer import Paid, Payer, token_balance
from gstable_server.kernel.address import Address
from gstable_server.routing.model import Way
from tests.e2e.shop import Shop

PAID = ("session.created", "session.paid", "session.completed")
CROSSED = ("session.created", "session.paid", "session.settling", "session.completed")


async def address_of(payer: Payer) -> Address:
    return payer.address


def deposit(shop: Shop, session_id: str, token_id: str) -> dict[str, Any]:
    url = shop.payment_url(session_id)
    return shop.visits(lambda payer: payer.deposit(url, token_id))


def transfer(shop: Shop, found: dict[str, Any], token_id: str, amount: int) -> Paid:
    return shop.visits(lambda payer: payer.transfer(found, token_id, amount))


def balance_of(shop: Shop, holder: Address, token_id: str) -> int:
    return asyncio.run(token_balance(shop.running.networks, token_id, holder))


@pytest.mark.parametrize("token_id", ["polygon::usdc", "polygon::usdt"])
def test_a_plain_transfer_pays(shop: Shop, token_id: str) -> None:
    # Given a session for 10 USD in that token, and one in the other
    before = shop.balance("polygon::usdc")
    session_id = shop.session("polygon::usdc", fee_model=2)
    # When the payer sends exactly what the page asks for to its address
    shop.payer_number = 1
    paid = shop.pays(session_id, token_id, Way.DEPOSIT)
    # Then it is collected, and the merchant has the price
    found = shop.reaches(session_id, "completed")
    assert paid.total == (10_020_000 if token_id == "polygon::usdc" else 10_030_000)
    assert shop.balance("polygon::usdc") - before == 10_000_000
    assert found.session.paid_token == token_id
    assert found.transaction is not None
    # The payment is our transaction; the payer's was the transfer before it.
    assert found.transaction.source_tx != paid.tx_hash_hex
    shop.is_told(session_id, *PAID)


@pytest.mark.parametrize(
    ("token_id", "settlement"),
    [("ethereum::usdc", "base::usdc"), ("arbitrumone::usdt", "base::usdc")],
    ids=["cctp", "escrow"],
)
def test_a_plain_transfer_pays_across_networks(shop: Shop, token_id: str, settlement: str) -> None:
    before = shop.balance(settlement)
    session_id = shop.session(settlement, fee_model=2)
    shop.payer_number = 1
    shop.pays(session_id, token_id, Way.DEPOSIT)
    shop.reaches(session_id, "completed")
    assert shop.balance(settlement) - before == 10_000_000
    shop.is_told(session_id, *CROSSED)


def test_what_is_missing_may_follow(shop: Shop) -> None:
    # Given a payer who sends less than is due
    shop.payer_number = 1
    session_id = shop.session(fee_model=2)
    found = deposit(shop, session_id, "polygon::usdc")
    transfer(shop, found, "polygon::usdc", 4_000_000)
    # Then the merchant is told, and the page says what is missing at the same address
    shop.is_told(session_id, "session.created", "session.underpaid")
    again = deposit(shop, session_id, "polygon::usdc")
    assert again["address"] == found["address"]
    assert (again["arrivedInToken"], again["amountInToken"]) == ("4000000", "6020000")
    # When the rest follows
    transfer(shop, again, "polygon::usdc", 6_020_000)
    # Then the session is paid
    shop.reaches(session_id, "completed")
    shop.is_told(
        session_id, "session.created", "session.underpaid", "session.paid", "session.completed"
    )


def test_a_deposit_cannot_be_cancelled_away(shop: Shop) -> None:
    session_id = shop.session()
    deposit(shop, session_id, "polygon::usdc")
    assert shop.detail(session_id).session.signed_once == 1
    with pytest.raises(Exception, match="cancel"):
        shop.client.checkout_session.cancel(session_id)
