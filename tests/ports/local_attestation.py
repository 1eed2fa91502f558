"""The local attestation service, its real client, and burns for it."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

from gstable_server.chain import abi
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.devnet_attester import Attester, open_attester
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall, approve_call
from gstable_server.chain.rails.attestation import AttestationService, HttpAttestationService
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.plumbing.http_client import GuardedClient
from tests.conftest import CCTP_ATTESTER_KEY

AMOUNT = 5_000_000
RECIPIENT = Address(b"\x0a" * 20)
HOOK = b"\x0b" * 32
DEPOSIT = "depositForBurnWithHook(uint256,uint32,bytes32,address,bytes32,uint256,uint32,bytes)"
POLYGON_DOMAIN = 7


class LocalWorld:
    def __init__(self, devnet: Devnet, stack: AsyncExitStack) -> None:
        self._devnet = devnet
        self._stack = stack
        self.network: Network = devnet.networks.network("base")
        assert self.network.cctp is not None
        self.source = self.network.cctp

    async def open(self) -> None:
        self.rpc = await self._stack.enter_async_context(self._devnet.rpc("base"))
        http = await self._stack.enter_async_context(GuardedClient(allow_loopback=True))
        self.service: AttestationService = HttpAttestationService(http)
        self._service_stack = await self._stack.enter_async_context(AsyncExitStack())
        port = self._devnet.attestation_port
        self.attester: Attester = await self._service_stack.enter_async_context(
            open_attester(self._devnet.networks, CCTP_ATTESTER_KEY, port)
        )

    async def burn(self, *, signed: bool = True, max_fee: int = 0, finality: int = 2000) -> bytes:
        self.attester.paused = not signed
        wallet = Wallet(os.urandom(32), self.rpc, self.network.chain_id)
        token = self.network.tokens[0]
        await self._devnet.set_balance("base", wallet.address, 10**18)
        await self._devnet.fund("base", wallet.address, token.symbol, AMOUNT)
        messenger = self.source.token_messenger
        await wallet.send(approve_call(token, messenger, AMOUNT))
        await self._devnet.mine("base")
        data = abi.call_data(
            DEPOSIT,
            abi.number_word(AMOUNT),
            abi.number_word(POLYGON_DOMAIN),
            abi.address_word(RECIPIENT),
            abi.address_word(token.address),
            bytes(32),
            abi.number_word(max_fee),
            abi.number_word(finality),
            abi.Dynamic(HOOK),
        )
        tx_hash = await wallet.send(ContractCall(messenger, data))
        await self._devnet.mine("base")
        assert (await wallet.wait(tx_hash)).succeeded
        return tx_hash

    async def fail(self) -> None:
        await self._service_stack.aclose()
