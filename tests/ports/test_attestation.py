"""One suite judges ``FakeAttestations`` and the real client in front of the local service."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from gstable_server.chain.devnet import Devnet
from gstable_server.chain.networks import Cctp
from gstable_server.chain.rails.attestation import (
    AttestationFailed,
    AttestationService,
    Attested,
    Pending,
)
from gstable_server.chain.rails.cctp_message import Burn, Message, parse_message, write_message
from gstable_server.chain.rails.testing import FakeAttestations
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.errors import Passing
from tests.ports.local_attestation import AMOUNT, HOOK, RECIPIENT, LocalWorld

pytestmark = pytest.mark.anyio

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


async def test_new_signature_can_be_asked_for_again_and_again(world: World) -> None:
    tx_hash = await world.burn(signed=True)
    [found] = await world.service.messages(world.source, tx_hash)
    assert isinstance(found, Attested)
    for _ in range(2):
        await world.service.reattest(world.source, parse_message(found.message).nonce)


async def test_silent_service_is_a_passing_trouble(world: World) -> None:
    await world.fail()
    with pytest.raises(Passing):
        await world.service.messages(world.source, os.urandom(32))
    with pytest.raises(Passing):
        await world.service.reattest(world.source, os.urandom(32))
