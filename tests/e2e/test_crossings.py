"""A merchant is paid on one network by payers on others, and in other tokens."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from gstable_server.cli.payer import token_balance
from tests.e2e.shop import Shop
from tests.running import eventually

CROSSED = ("session.created", "session.paid", "session.settling", "session.completed")


@pytest.mark.parametrize(
    ("paying", "settlement"),
    [
        ("polygon::usdc", "base::usdc"),
        ("polygon::usdt", "base::usdc"),
    ],
    ids=["cctp", "escrow"],
)
def test_a_payment_crosses_to_the_merchants_network(
    shop: Shop, paying: str, settlement: str
) -> None:
    # Given a session for 10 USD on one network, the fee on top
    before = shop.balance(settlement)
    session_id = shop.session(settlement, fee_model=2)
    # When it is paid on another network
    paid = shop.pays(session_id, paying)
    # Then the merchant has the full price there
    eventually(lambda: shop.balance(settlement) - before == 10_000_000, "the merchant is paid")
    # And the session names both ends
    found = shop.reaches(session_id, "completed")
    assert paid.total == 10_060_000
    assert found.session.paid_token == paying
    assert found.transaction is not None
    assert found.transaction.order_type == 3
    assert found.transaction.source_tx == found.session.initiate_tx == paid.tx_hash_hex
    assert found.transaction.target_tx == found.session.complete_tx != paid.tx_hash_hex
    assert (found.transaction.total_value, found.transaction.net_value) == (10_060_000, 10_000_000)
    shop.is_told(session_id, *CROSSED)


def test_what_an_escrow_has_is_what_the_book_says(shop: Shop) -> None:
    # Given a payment that waits in an escrow
    session_id = shop.session("base::usdc")
    shop.pays(session_id, "arbitrumone::usdt")
    shop.reaches(session_id, "completed")
    # When the solver who paid the merchant has been given it, proven by our attestor
    eventually(lambda: _in_escrow(shop, "arbitrumone") == 0, "the escrow is released")
    # Then the book has nothing in the rail either, and the solver's margin with the solver
    eventually(lambda: _booked(shop, "rail:escrow", "arbitrumone::usdt") == 0, "the book agrees")
    gained = _booked(shop, "solver:%", "arbitrumone::usdt")
    given = _booked(shop, "solver:%", "base::usdc")
    assert gained > 0
    assert given < 0


def _in_escrow(shop: Shop, network: str) -> int:
    """The tokens that the escrow's contract has."""
    rail = shop.running.networks.network(network).contracts.escrow_rail
    assert rail is not None
    return asyncio.run(token_balance(shop.running.networks, f"{network}::usdt", rail.address))


def _booked(shop: Shop, account: str, token_id: str) -> int:
    async def ask() -> int:
        connection = await asyncpg.connect(shop.running.about["databaseUrl"])
        try:
            found = await connection.fetchval(
                "SELECT coalesce(sum(amount), 0) FROM ledger_entries "
                "WHERE account LIKE $1 AND token_id = $2",
                account,
                token_id,
            )
        finally:
            await connection.close()
        return int(found)

    return asyncio.run(ask())


def test_a_payment_is_swapped_on_the_merchants_network(shop: Shop) -> None:
    before = shop.balance("polygon::usdc")
    session_id = shop.session("polygon::usdc", fee_model=2)
    shop.pays(session_id, "polygon::usdt")
    found = shop.reaches(session_id, "completed")
    assert shop.balance("polygon::usdc") - before == 10_000_000
    assert found.transaction is not None
    assert found.transaction.order_type == 2
    assert found.transaction.net_value == 10_000_000
    shop.is_told(session_id, "session.created", "session.paid", "session.completed")


@pytest.mark.parametrize("role", ["worker", "executor", "indexer"])
def test_ops_01_a_role_killed_in_the_middle_of_a_crossing(shop: Shop, role: str) -> None:
    # Given an escrowed payment, which takes a fill and a release of ours
    before = shop.balance("base::usdc")
    session_id = shop.session("base::usdc", fee_model=2)
    shop.pays(session_id, "polygon::usdt")
    # When a process is killed once the payment is final, or soon after
    eventually(
        lambda: shop.detail(session_id).session.status in ("settling", "completed"),
        "the payment is final",
    )
    shop.running.kill(role)
    # Then the merchant is paid all the same, and once
    shop.reaches(session_id, "completed")
    assert shop.balance("base::usdc") - before == 10_000_000
    shop.is_told(session_id, *CROSSED)
