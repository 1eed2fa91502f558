"""Local chains from outside: a payment is taken back and nothing else, a transfer is held up."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
import pytest

from gstable_server.chain.devnet import Devnet
from gstable_server.chain.devnet_controls import (
    ControlFailed,
    delay_transfer,
    is_local,
    mine_waiting,
    slowed,
    take_back,
)
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.attestation import Attested, Pending
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from tests.ports.local_attestation import HOOK, LocalWorld

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

NETWORK = "arbitrumone"
NOBODY = Address(b"\x0d" * 20)
GIFT = ContractCall(NOBODY, b"", 1)


@pytest.fixture
def network(devnet: Devnet) -> Network:
    return devnet.networks.network(NETWORK)


async def new_wallet(devnet: Devnet, rpc: HttpRpc) -> Wallet:
    wallet = Wallet(os.urandom(32), rpc, devnet.networks.network(NETWORK).chain_id)
    await devnet.set_balance(NETWORK, wallet.address, 10**18)
    return wallet


async def test_only_what_the_payer_sent_is_taken_back(devnet: Devnet, network: Network) -> None:
    async with slowed(network) as rpc:
        payer, other = await new_wallet(devnet, rpc), await new_wallet(devnet, rpc)
        before = await rpc.block_number()
        sent = [await wallet.send(GIFT, gas=21_000) for wallet in (other, payer)]
        await mine_waiting(rpc)
        receipts = [await wallet.wait(tx) for wallet, tx in zip((other, payer), sent, strict=True)]
        assert [receipt.block_number for receipt in receipts] == [before + 1] * 2
        await take_back(rpc, network, sent[1], payer.address)
        assert await rpc.receipt(sent[1]) is None
        kept = await rpc.receipt(sent[0])
        assert kept is not None
        assert kept.block_number == before + 1
        assert kept.block_hash != receipts[0].block_hash, "the block is another one"
        assert await rpc.block_number() == before + 1


async def test_nothing_is_mined_where_nothing_waits(devnet: Devnet, network: Network) -> None:
    async with slowed(network) as rpc:
        before = await rpc.block_number()
        await mine_waiting(rpc)
        assert await rpc.block_number() == before


async def test_a_final_or_unknown_payment_is_not_taken_back(
    devnet: Devnet, network: Network
) -> None:
    async with slowed(network) as rpc:
        payer = await new_wallet(devnet, rpc)
        with pytest.raises(ControlFailed, match="not in a block"):
            await take_back(rpc, network, bytes(32), payer.address)
        sent = await payer.send(GIFT, gas=21_000)
        await devnet.mine(NETWORK, network.confirmations)
        with pytest.raises(ControlFailed, match="final"):
            await take_back(rpc, network, sent, payer.address)
        assert await rpc.receipt(sent) is not None


def test_only_our_own_chains_are_local(network: Network) -> None:
    assert is_local(network)
    assert not is_local(replace(network, chain_id=42161))


@pytest.fixture
async def world(devnet: Devnet) -> AsyncIterator[LocalWorld]:
    async with AsyncExitStack() as stack:
        world = LocalWorld(devnet, stack)
        await world.open()
        yield world


async def test_a_delayed_transfer_is_attested_when_its_delay_is_over(world: LocalWorld) -> None:
    tx_hash = await world.burn()
    [found] = await world.service.messages(world.source, tx_hash)
    assert isinstance(found, Attested)
    async with aiohttp.ClientSession() as http:
        await delay_transfer(http, world.network, b"\x01" * 32, 60)
        [found] = await world.service.messages(world.source, tx_hash)
        assert isinstance(found, Attested), "the delay is of another session"
        await delay_transfer(http, world.network, HOOK, 60)
        assert await world.service.messages(world.source, tx_hash) == (Pending(),)
        await delay_transfer(http, world.network, HOOK, 0)
        [found] = await world.service.messages(world.source, tx_hash)
        assert isinstance(found, Attested)


async def test_a_service_that_is_gone_is_said(world: LocalWorld) -> None:
    await world.fail()
    async with aiohttp.ClientSession() as http:
        with pytest.raises(Passing, match="does not answer"):
            await delay_transfer(http, world.network, HOOK, 1)
