"""The wallet's transactions against an independent library and a real node."""

from __future__ import annotations

import os

import pytest
import rlp as reference  # type: ignore[import-untyped]
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain import abi
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.orders import ContractCall, transfer_call
from gstable_server.chain.rpc import NodeRefused
from gstable_server.chain.transactions import Rlp, rlp
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing

items = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=20
)


@given(items)
def test_encoding_agrees_with_an_independent_library(item: Rlp) -> None:
    assert rlp(item) == reference.encode(item)


@given(st.integers(0, 2**256))
def test_numbers_are_encoded_without_leading_zeros(number: int) -> None:
    assert rlp(number) == reference.encode(number)


@given(
    st.binary(max_size=300), st.integers(0, 2**128), st.integers(0, 2**32), st.integers(0, 2**60)
)
def test_signed_transaction_is_that_of_an_independent_library(
    data: bytes, value: int, nonce: int, fee: int
) -> None:
    key = b"\x21" * 32
    to = Address(b"\x09" * 20)
    wallet = Wallet(key, None, 1337001)  # type: ignore[arg-type]
    expected = Account.sign_transaction(
        {
            "type": 2,
            "chainId": 1337001,
            "nonce": nonce,
            "maxPriorityFeePerGas": min(fee, 1_000_000_000),
            "maxFeePerGas": fee,
            "gas": 50_000,
            "to": to_checksum(to),
            "value": value,
            "data": data,
        },
        key,
    )
    call = ContractCall(to, data, value)
    assert wallet.sign(call, nonce=nonce, gas=50_000, fee=fee) == expected.raw_transaction


@pytest.mark.anvil
@pytest.mark.anyio
async def test_wallet_moves_tokens_and_is_refused_without_them(devnet: Devnet) -> None:
    network = devnet.networks.network("base")
    token = network.tokens[0]
    receiver = Address(os.urandom(20))
    words = abi.address_word(receiver), abi.number_word(7)
    transfer = ContractCall(token.address, abi.call_data(abi.TRANSFER, *words))
    async with devnet.rpc("base") as rpc:
        wallet = Wallet(os.urandom(32), rpc, network.chain_id)
        await devnet.set_balance("base", wallet.address, 10**18)
        with pytest.raises(NodeRefused, match="exceeds balance"):
            await wallet.send(transfer)
        await devnet.fund("base", wallet.address, "usdc", 7)
        receipt = await wallet.wait(await wallet.send(transfer))
        assert receipt.succeeded
        assert await devnet.balance("base", receiver, "usdc") == 7
        failed = await wallet.send(transfer, gas=100_000)
        assert not (await wallet.wait(failed)).succeeded
        with pytest.raises(Passing, match="not mined"):
            await wallet.wait(b"\x01" * 32, timeout_seconds=0.3)


@pytest.mark.anvil
@pytest.mark.anyio
async def test_gas_is_enough_when_others_empty_a_slot_before_it_is_mined(devnet: Devnet) -> None:
    network = devnet.networks.network("base")
    token = network.tokens[0]
    key = os.urandom(32)
    async with devnet.rpc("base") as rpc:
        sender, receiver = (Wallet(one, rpc, network.chain_id) for one in (os.urandom(32), key))
        for wallet in (sender, receiver):
            await devnet.set_balance("base", wallet.address, 10**18)
            await devnet.fund("base", wallet.address, "usdc", 7)
        async with devnet.standing_still("base"):
            fee = 4 * await rpc.gas_price() + 10**12
            emptying = transfer_call(token.address, Address(os.urandom(20)), 7)
            sent = await sender.transfer(token, receiver.address, 7)
            # Mined in front of the transfer, because it offers more.
            await rpc.send_raw(receiver.sign(emptying, nonce=0, gas=200_000, fee=fee))
            await devnet.mine("base")
            receipt = await sender.wait(sent)
        assert receipt.succeeded
        assert await devnet.balance("base", receiver.address, "usdc") == 7
