"""One suite judges ``FakeAttestations`` and the real client in front of the local service."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from gstable_server.chain import abi
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.devnet_attester import Attester, open_attester
from gstable_server.chain.networks import Cctp, Network
from gstable_server.chain.orders import ContractCall, approve_call
from gstable_server.chain.rails.attestation import (
    AttestationFailed,
    AttestationService,
    Attested,
    HttpAttestationService,
    Pending,
)
from gstable_server.chain.rails.cctp_message import Burn, Message, parse_message, write_message
from gstable_server.chain.rails.testing import FakeAttestations
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.http_client import GuardedClient
from tests.conftest import CCTP_ATTESTER_KEY

pytestmark = pytest.mark.anyio

AMOUNT = 5_000_000
RECIPIENT = Address(b"\x0a" * 20)
HOOK = b"\x0b" * 32
DEPOSIT = "depositForBurnWithHook(uint256,uint32,bytes32,address,bytes32,uint256,uint32,bytes)"
CCTP = Cctp(3, Address(b"\x01" * 20), Address(b"\x02" * 20), "http://127.0.0.1:9")


class World(Protocol):
    """A service, and means to burn and to let it sign."""

    @property
    def service(self) -> AttestationService: ...

    source: Cctp

    async def burn(self, *, signed: bool) -> bytes:
        """Burn ``AMOUNT`` for ``RECIPIENT``; the transaction."""

    async def fail(self) -> None:
        """From now on the service does not answer."""


class FakeWorld:
    def __init__(self) -> None:
        self.service = FakeAttestations()
        self.source = CCTP

    async def burn(self, *, signed: bool) -> bytes:
        burn = Burn(ZERO_ADDRESS, RECIPIENT, AMOUNT, ZERO_ADDRESS, 0, 0, 0, HOOK)
        message = Message(
            3, 6, os.urandom(32), ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS, 2000, 2000, burn
        )
        complete = Attested(write_message(message), os.urandom(65))
        tx_hash = os.urandom(32)
        self.service.burns[3, tx_hash] = (complete if signed else Pending(),)
        return tx_hash

    async def fail(self) -> None:
        self.service.failure = AttestationFailed("the service is gone")


class LocalWorld:
    def __init__(self, devnet: Devnet, stack: AsyncExitStack) -> None:
        self._devnet = devnet
        self._stack = stack
        self._network: Network = devnet.networks.network("base")
        assert self._network.cctp is not None
        self.source = self._network.cctp

    async def open(self) -> None:
        self._rpc = await self._stack.enter_async_context(self._devnet.rpc("base"))
        http = await self._stack.enter_async_context(GuardedClient(allow_loopback=True))
        self.service: AttestationService = HttpAttestationService(http)
        self._service_stack = await self._stack.enter_async_context(AsyncExitStack())
        port = self._devnet.attestation_port
        self.attester: Attester = await self._service_stack.enter_async_context(
            open_attester(self._devnet.networks, CCTP_ATTESTER_KEY, port)
        )

    async def burn(self, *, signed: bool) -> bytes:
        self.attester.paused = not signed
        wallet = Wallet(os.urandom(32), self._rpc, self._network.chain_id)
        token = self._network.tokens[0]
        await self._devnet.set_balance("base", wallet.address, 10**18)
        await self._devnet.fund("base", wallet.address, token.symbol, AMOUNT)
        messenger = self.source.token_messenger
        await wallet.send(approve_call(token, messenger, AMOUNT))
        await self._devnet.mine("base")
        data = abi.call_data(
            DEPOSIT,
            abi.number_word(AMOUNT),
            abi.number_word(7),
            abi.address_word(RECIPIENT),
            abi.address_word(token.address),
            bytes(32),
            abi.number_word(0),
            abi.number_word(2000),
            abi.Dynamic(HOOK),
        )
        tx_hash = await wallet.send(ContractCall(messenger, data))
        await self._devnet.mine("base")
        assert (await wallet.wait(tx_hash)).succeeded
        return tx_hash

    async def fail(self) -> None:
        await self._service_stack.aclose()


@pytest.fixture(params=["fake", pytest.param("local", marks=pytest.mark.anvil)])
async def world(request: pytest.FixtureRequest, devnet: Devnet) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    async with AsyncExitStack() as stack:
        world = LocalWorld(devnet, stack)
        await world.open()
        yield world


async def test_transaction_that_nobody_knows_has_no_messages(world: World) -> None:
    assert await world.service.messages(world.source, os.urandom(32)) == ()


async def test_burn_is_pending_until_it_is_signed(world: World) -> None:
    tx_hash = await world.burn(signed=False)
    assert await world.service.messages(world.source, tx_hash) == (Pending(),)


async def test_signed_burn_comes_with_its_message(world: World) -> None:
    tx_hash = await world.burn(signed=True)
    [found] = await world.service.messages(world.source, tx_hash)
    assert isinstance(found, Attested)
    message = parse_message(found.message)
    burn = message.burn
    assert (burn.recipient, burn.amount, burn.hook) == (RECIPIENT, AMOUNT, HOOK)
    assert message.nonce != bytes(32)
    assert message.finality_executed >= 1000
    assert len(found.attestation) == 65
    assert await world.service.messages(world.source, tx_hash) == (found,)


async def test_silent_service_is_a_passing_trouble(world: World) -> None:
    await world.fail()
    with pytest.raises(Passing):
        await world.service.messages(world.source, os.urandom(32))
