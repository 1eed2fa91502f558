"""Nothing is sent again while the same may still wait for a block."""

from __future__ import annotations

import asyncio
import os

import pytest

from gstable_server.chain.devnet import Devnet
from gstable_server.chain.devnet_controls import mine_waiting, slowed
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.robot.scenarios import until_mined
from gstable_server.kernel.address import Address

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]


async def test_a_waiting_transaction_is_waited_for(devnet: Devnet) -> None:
    network = devnet.networks.network("arbitrumone")
    async with slowed(network) as rpc:
        wallet = Wallet(os.urandom(32), rpc, network.chain_id)
        await devnet.set_balance(network.name, wallet.address, 10**18)
        await until_mined(network, wallet.address)
        await wallet.send(ContractCall(Address(b"\x0d" * 20), b"", 1), gas=21_000)
        waiting = asyncio.create_task(until_mined(network, wallet.address))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        await mine_waiting(rpc)
        await asyncio.wait_for(waiting, 60)
