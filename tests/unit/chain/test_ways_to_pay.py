"""What a payer signs is accepted by the real contracts, for exactly its order, in every way."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from gstable_server.chain import abi
from gstable_server.chain.consents import (
    erc3009_typed_data,
    permit2_data,
    permit2_typed_data,
    permit_data,
    permit_typed_data,
)
from gstable_server.chain.deposits import (
    NATIVE,
    DepositTerms,
    balances_data,
    balances_from,
    deposit_address,
    recover_call,
)
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import (
    ContractCall,
    Order,
    OrderSigner,
    PaymentOrder,
    RoutedOrder,
    SignedOrder,
    collected_call,
    session_key,
)
from gstable_server.chain.rails.hold import HoldTerms
from gstable_server.chain.rpc import NodeRefused
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import UnixSeconds
from tests.conftest import RELAYER_KEY

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

NETWORK = "polygon"
AMOUNT, FEE = 9_980_000, 20_000
FAR_FUTURE = UnixSeconds(4_000_000_000)
DAY = 24 * 3600


class Shop:
    """A payer with tokens and gas, a relayer, and orders for them."""

    def __init__(self, devnet: Devnet, signer: OrderSigner, rpc: HttpRpc) -> None:
        self.devnet = devnet
        self.rpc = rpc
        self.network: Network = devnet.networks.network(NETWORK)
        self.payer = Wallet(os.urandom(32), rpc, self.network.chain_id)
        self.relayer = Wallet(RELAYER_KEY, rpc, self.network.chain_id)
        self.merchant = Address(os.urandom(20))
        self.fee_receiver = Address(os.urandom(20))
        self._signer = signer

    def token(self, symbol: str) -> Token:
        [token] = [token for token in self.network.tokens if token.symbol == symbol]
        return token

    def direct(self, symbol: str, fee: int = FEE) -> SignedOrder:
        key = session_key(os.urandom(8).hex())
        order = PaymentOrder(
            key, self.merchant, self.token(symbol), AMOUNT, fee, self.fee_receiver, FAR_FUTURE
        )
        return self.signed(order)

    async def held(self, symbol: str, fee: int = FEE) -> SignedOrder:
        rail = self.network.contracts.hold_rail
        assert rail is not None
        newest, _ = await self.rpc.block_and_next(await self.rpc.block_number())
        terms = HoldTerms(UnixSeconds(newest.timestamp + DAY), 0, ZERO_ADDRESS, ZERO_ADDRESS)
        token = self.token(symbol)
        order = RoutedOrder(
            session_key=session_key(os.urandom(8).hex()),
            merchant=self.merchant,
            token=token,
            amount=AMOUNT,
            fee_amount=fee,
            fee_receiver=self.fee_receiver,
            deadline=FAR_FUTURE,
            rail=rail.address,
            settlement=token,
            merchant_amount=AMOUNT,
            rail_data=terms.encoded,
        )
        return self.signed(order)

    def signed(self, order: Order) -> SignedOrder:
        return self._signer.sign(order, self.network)

    async def fund(self, symbol: str, amount: int = AMOUNT + FEE) -> None:
        await self.devnet.fund(NETWORK, self.payer.address, symbol, amount)

    async def balance(self, account: Address, symbol: str) -> int:
        return await self.devnet.balance(NETWORK, account, symbol)

    async def mined(self, tx_hash: bytes) -> None:
        await self.devnet.mine(NETWORK)
        assert (await self.payer.wait(tx_hash)).succeeded


@pytest.fixture
async def shop(devnet: Devnet, order_signer: OrderSigner) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        shop = Shop(devnet, order_signer, await stack.enter_async_context(devnet.rpc(NETWORK)))
        await devnet.set_balance(NETWORK, shop.payer.address, 10**18)
        yield shop


Pay = Callable[[Shop, SignedOrder], Awaitable[bytes]]


async def by_approval(shop: Shop, signed: SignedOrder) -> bytes:
    return await shop.payer.pay_by_approval(signed)


async def by_permit(shop: Shop, signed: SignedOrder) -> bytes:
    return await shop.payer.pay_by_permit(signed)


async def by_authorization(shop: Shop, signed: SignedOrder) -> bytes:
    return await shop.relayer.send(shop.payer.pay_by_authorization(signed))


async def by_permit2(shop: Shop, signed: SignedOrder) -> bytes:
    return await shop.relayer.send(await shop.payer.pay_by_permit2(signed))


WAYS = [
    pytest.param(by_approval, "USDC", id="approval of USDC"),
    pytest.param(by_approval, "USDT", id="approval of USDT"),
    pytest.param(by_permit, "USDC", id="permit"),
    pytest.param(by_authorization, "USDC", id="authorization"),
    pytest.param(by_permit2, "USDC", id="Permit2 with USDC"),
    pytest.param(by_permit2, "USDT", id="Permit2 with USDT"),
]


@pytest.mark.parametrize("fee", [FEE, 0], ids=["with a fee", "without a fee"])
@pytest.mark.parametrize(("pay", "symbol"), WAYS)
async def test_direct_payment_arrives(shop: Shop, pay: Pay, symbol: str, fee: int) -> None:
    await shop.fund(symbol)
    await shop.mined(await pay(shop, shop.direct(symbol, fee)))
    assert await shop.balance(shop.merchant, symbol) == AMOUNT
    assert await shop.balance(shop.fee_receiver, symbol) == fee
    assert await shop.balance(shop.payer.address, symbol) == FEE - fee


@pytest.mark.parametrize(("pay", "symbol"), WAYS)
async def test_routed_payment_reaches_its_rail(shop: Shop, pay: Pay, symbol: str) -> None:
    rail = shop.network.contracts.hold_rail
    assert rail is not None
    before = await shop.balance(rail.address, symbol)
    await shop.fund(symbol)
    await shop.mined(await pay(shop, await shop.held(symbol)))
    assert await shop.balance(rail.address, symbol) == before + AMOUNT
    assert await shop.balance(shop.fee_receiver, symbol) == FEE
    assert await shop.balance(shop.payer.address, symbol) == 0


async def test_consent_is_to_one_order_only(shop: Shop) -> None:
    await shop.fund("USDC", 10 * (AMOUNT + FEE))
    payer, first, second = shop.payer, shop.direct("USDC"), shop.direct("USDC")
    await payer.pay_by_permit2(first)  # leaves the approval
    router, permit2 = shop.network.router, shop.network.permit2
    for collector, typed, data_of in (
        (router, erc3009_typed_data, lambda _, signature: signature),
        (permit2, permit2_typed_data, permit2_data),
    ):
        assert collector is not None
        signature = payer.sign_typed_data(typed(first, payer.address))
        forged = replace(first, order=replace(first.order, merchant=Address(os.urandom(20))))
        for order, payer_address in (
            (second, payer.address),
            (forged, payer.address),
            (first, shop.relayer.address),
        ):
            data = data_of(order, signature)
            call = collected_call(order, payer_address, collector, data)
            with pytest.raises(NodeRefused):
                await shop.relayer.send(call)
        data = data_of(first, signature)
        call = collected_call(first, payer.address, collector, data)
        estimate = await shop.rpc.estimate_gas(shop.relayer.address, call.to, call.data, 0)
        assert estimate > 0, "the same consent for its own order and payer is good"


async def test_only_the_payer_can_use_a_permit(shop: Shop) -> None:
    await shop.fund("USDC")
    signed = shop.direct("USDC")
    collector = shop.network.contracts.permit_collector
    assert collector is not None
    signature = shop.payer.sign_typed_data(permit_typed_data(signed, shop.payer.address, 0))
    data = permit_data(signed, signature)
    call = collected_call(signed, shop.payer.address, collector.address, data)
    with pytest.raises(NodeRefused):
        await shop.relayer.send(call)
    # A permit that somebody else has handed in already has done its work (EIP-2612).
    await shop.mined(await shop.relayer.send(_hand_in(signed, shop, signature)))
    await shop.mined(await shop.payer.send(call))
    assert await shop.balance(shop.merchant, "USDC") == AMOUNT


def _hand_in(signed: SignedOrder, shop: Shop, signature: bytes) -> ContractCall:
    collector = shop.network.contracts.permit_collector
    assert collector is not None
    data = abi.call_data(
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        abi.address_word(shop.payer.address),
        abi.address_word(collector.address),
        abi.number_word(signed.order.total),
        abi.number_word(signed.order.deadline),
        abi.number_word(signature[64]),
        signature[:32],
        signature[32:64],
    )
    return ContractCall(signed.order.token.address, data)


def terms_of(signed: SignedOrder, refund_to: Address, refundable_after: int) -> DepositTerms:
    order = signed.order
    return DepositTerms(
        session_key=order.session_key,
        merchant=order.merchant,
        settlement_chain_id=signed.network.chain_id,
        settlement_token=order.token.address,
        fee_receiver=order.fee_receiver,
        refund_to=refund_to,
        refundable_after=UnixSeconds(refundable_after),
    )


async def test_deposit_address_is_the_contract_s_on_every_network(
    shop: Shop, devnet: Devnet
) -> None:
    terms = terms_of(shop.direct("USDC"), shop.payer.address, FAR_FUTURE)
    for network in devnet.networks.all:
        collector = network.contracts.deposit_collector
        assert collector is not None
        signature = f"addressOf({abi.RECOVER.removeprefix('recover(').split(')')[0]}))"
        async with devnet.rpc(network.name) as rpc:
            answer = await rpc.call(collector.address, abi.call_data(signature, terms.encoded))
        assert answer == abi.address_word(deposit_address(collector.address, terms))


@pytest.mark.parametrize("symbol", ["USDC", "USDT"])
async def test_a_plain_transfer_to_the_deposit_address_pays(shop: Shop, symbol: str) -> None:
    collector = shop.network.contracts.deposit_collector
    assert collector is not None
    signed = shop.direct(symbol)
    terms = terms_of(signed, shop.payer.address, FAR_FUTURE)
    address = deposit_address(collector.address, terms)
    await shop.fund(symbol)
    await shop.mined(await shop.payer.transfer(shop.token(symbol), address, AMOUNT + FEE))
    accounts, tokens = [address, shop.merchant], [shop.token(symbol).address, NATIVE]
    answer = await shop.rpc.call(collector.address, balances_data(accounts, tokens))
    found = balances_from(answer, accounts, tokens)
    assert list(found.values()) == [AMOUNT + FEE, 0, 0, 0]
    assert found[address, shop.token(symbol).address] == AMOUNT + FEE

    call = collected_call(signed, address, collector.address, terms.encoded)
    await shop.mined(await shop.relayer.send(call))
    assert await shop.balance(shop.merchant, symbol) == AMOUNT
    assert await shop.balance(shop.fee_receiver, symbol) == FEE


async def test_what_a_deposit_leaves_goes_back_after_its_time(shop: Shop) -> None:
    collector = shop.network.contracts.deposit_collector
    assert collector is not None
    refund_to = Address(os.urandom(20))
    late = terms_of(shop.direct("USDT"), refund_to, FAR_FUTURE)
    terms = replace(late, refundable_after=UnixSeconds(1))
    token = shop.token("USDT")
    await shop.fund("USDT")
    address = deposit_address(collector.address, terms)
    await shop.mined(await shop.payer.transfer(token, address, AMOUNT))
    with pytest.raises(NodeRefused):
        await shop.relayer.send(recover_call(collector.address, late, token.address))
    call = recover_call(collector.address, terms, token.address)
    await shop.mined(await shop.relayer.send(call))
    assert await shop.balance(refund_to, "USDT") == AMOUNT
