"""Every way to pay, with the real tokens: what the payer sends, and what everybody gets."""

from __future__ import annotations

import asyncio

import pytest

from gstable_server.chain.http_rpc import open_rpc
from gstable_server.cli.payer import Payer, PaymentFailed, token_balance
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.model import Way
from tests.e2e.shop import Shop


async def _address(payer: Payer) -> Address:
    return payer.address


def balance_of(shop: Shop, payer: Address, token_id: str) -> int:
    return asyncio.run(token_balance(shop.running.networks, token_id, payer))


def transactions(shop: Shop, payer: Address, network_name: str) -> int:
    """How many transactions the payer has sent on a network."""

    async def count() -> int:
        async with open_rpc(shop.running.networks.network(network_name)) as rpc:
            return await rpc.transaction_count(payer)

    return asyncio.run(count())


@pytest.mark.parametrize(
    ("way", "token_id", "sent"),
    [
        (Way.APPROVE, "polygon::usdc", 2),
        (Way.APPROVE, "polygon::usdt", 2),
        (Way.ERC3009, "polygon::usdc", 0),
        (Way.PERMIT, "polygon::usdc", 1),
        (Way.PERMIT2, "polygon::usdc", 1),
        (Way.PERMIT2, "polygon::usdt", 1),
    ],
)
@pytest.mark.parametrize("settlement", ["polygon::usdc", "polygon::usdt", "base::usdc"])
def test_each_way_pays_directly_through_a_swap_and_across(
    shop: Shop, way: Way, token_id: str, sent: int, settlement: str
) -> None:
    # Given a session for 10 USD with the fee on top, and a payer of 3 who has all tokens
    shop.payer_number = 2
    payer = shop.visits(_address)
    had, received = balance_of(shop, payer, token_id), shop.balance(settlement)
    before = transactions(shop, payer, "polygon")
    session_id = shop.session(settlement, fee_model=2)
    # When it is paid that way
    paid = shop.pays(session_id, token_id, way)
    # Then the payer has sent no more than that takes, and given what was said at most
    assert transactions(shop, payer, "polygon") - before == sent
    fee = 20_000 if token_id == settlement else 30_000 if settlement[0] == "p" else 60_000
    assert paid.total == 10_000_000 + fee
    given = had - balance_of(shop, payer, token_id)
    # A swap gives back what it did not need of the 0.1 % that it may cost above par.
    assert 0 <= paid.total - given <= (10_000 if fee == 30_000 else 0)
    # And the merchant has exactly the price
    found = shop.reaches(session_id, "completed")
    assert shop.balance(settlement) - received == 10_000_000
    assert found.session.paid_token == token_id
    assert found.transaction is not None
    assert found.transaction.source_tx == paid.tx_hash_hex


def test_a_way_that_a_token_does_not_have_is_refused(shop: Shop) -> None:
    session_id = shop.session("polygon::usdt")
    for way in (Way.ERC3009, Way.PERMIT):
        with pytest.raises(PaymentFailed, match="cannot be used here"):
            shop.pays(session_id, "polygon::usdt", way)
    assert shop.detail(session_id).session.signed_once == 0


def test_the_matrix_offers_each_token_for_each(shop: Shop) -> None:
    networks = shop.running.networks
    tokens = {token.token_id for network in networks.of(Mode.TEST) for token in network.tokens}
    matrix = shop.client.capability.all()
    assert len(tokens) == 7
    assert {row.token_id for row in matrix.supported_tokens} == tokens
    assert set(matrix.payment_capabilities) == tokens
    for groups in matrix.payment_capabilities.values():
        assert {row.token_id for rows in groups.values() for row in rows} == tokens
