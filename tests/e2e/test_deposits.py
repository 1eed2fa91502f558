"""A payer without a wallet that a page could ask: a plain transfer to the session's own address."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gstable import LineItemInput
from gstable_server.chain.checksum import to_checksum
from gstable_server.cli.payer import Paid, Payer, PaymentFailed, token_balance
from gstable_server.kernel.address import Address
from gstable_server.routing.model import Way
from tests.e2e.operator import Operator
from tests.e2e.shop import Shop
from tests.running import eventually, running_stack

PAID = ("session.created", "session.paid", "session.completed")
CROSSED = ("session.created", "session.paid", "session.settling", "session.completed")


@pytest.fixture(scope="module")
def hasty() -> Iterator[Shop]:
    """An installation whose sessions live for seconds, and their deposits not much longer."""
    settings = {"GSTABLE_SESSION_SECONDS": "25", "GSTABLE_ORDER_GRACE_SECONDS": "5"}
    with running_stack(**settings) as running, running.client() as client:
        yield Shop(running, client)


async def _address(payer: Payer) -> Address:
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


def test_the_wrong_network_comes_back(hasty: Shop) -> None:
    # Given a session that is too small to be paid from another network
    payer = hasty.visits(_address)
    had = balance_of(hasty, payer, "base::usdc")
    biscuit: LineItemInput = {
        "item_type": "one_time",
        "quantity": 1,
        "unit_price": 500_000,
        "product_data": {"product_name": "Biscuit"},
    }
    session_id = hasty.client.checkout_session.create(
        account_id=hasty.running.account_id, settlement_token="polygon::usdc", line_items=[biscuit]
    ).session_id
    found = deposit(hasty, session_id, "polygon::usdc")
    with pytest.raises(PaymentFailed):
        deposit(hasty, session_id, "base::usdc")
    # When the payer sends the right amount on the wrong network
    transfer(hasty, found, "base::usdc", 500_000)
    assert had - balance_of(hasty, payer, "base::usdc") == 500_000
    # Then it comes back after the deadline, and the session expires unpaid
    eventually(lambda: balance_of(hasty, payer, "base::usdc") == had, "the payer has it again")
    row = Operator(hasty).finds("session_id", session_id, "resolved")
    assert (set(row["flags"]) & {"wrong_chain", "late"}, row["how"]) == (
        {"wrong_chain"},
        "returned",
    )
    assert hasty.detail(session_id).session.status == "expired"
    assert found["refundTo"] == to_checksum(payer)


def test_what_was_paid_too_much_and_a_second_time_comes_back(hasty: Shop) -> None:
    # Given a payer who sends twice what is due, and the same on another network
    hasty.payer_number = 1
    payer = hasty.visits(_address)
    had = [balance_of(hasty, payer, token) for token in ("polygon::usdc", "base::usdc")]
    before = hasty.balance()
    session_id = hasty.session(fee_model=2)
    found = deposit(hasty, session_id, "polygon::usdc")
    transfer(hasty, found, "polygon::usdc", 20_040_000)
    hasty.reaches(session_id, "completed")
    transfer(hasty, found, "base::usdc", 10_060_000)
    # Then the merchant is paid once, and the rest comes back
    eventually(
        lambda: (
            [balance_of(hasty, payer, token) for token in ("polygon::usdc", "base::usdc")]
            == [had[0] - 10_020_000, had[1]]
        ),
        "the payer has the rest again",
    )
    assert hasty.balance() - before == 10_000_000
    hasty.is_told(session_id, *PAID)


def test_chn_07_what_comes_to_an_old_address_is_sent_back_by_the_operator(hasty: Shop) -> None:
    # Given a payer who sends less than is worth the gas, to the address of a session that is over
    operator, payer = Operator(hasty), hasty.visits(_address)
    session_id = hasty.session(fee_model=2)
    found = deposit(hasty, session_id, "polygon::usdc")
    hasty.reaches(session_id, "expired")
    transfer(hasty, found, "polygon::usdc", 50_000)
    had = balance_of(hasty, payer, "polygon::usdc")
    row = operator.finds("session_id", session_id, "open")
    # The block of that very second is not late yet.
    assert set(row["flags"]) | {"late"} == {"late", "under"}

    # When the operator has it sent back, as soon as the address allows
    def allowed() -> bool:
        shown = operator.asks("show", row["inflow_id"])
        return bool(shown["resolutions"]["sweep"]["possible"])

    eventually(allowed, "it can go back")
    operator.asks("sweep", row["inflow_id"], "--reason", "the payer wrote to us")
    # Then the payer has it
    assert operator.finds("session_id", session_id, "resolved")["how"] == "returned"
    assert balance_of(hasty, payer, "polygon::usdc") - had == 50_000
