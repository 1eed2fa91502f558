"""The local attestation service: what it waits for and charges, and that it forgets nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.devnet_attester import open_attester
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.attestation import Attested, Pending
from gstable_server.chain.rails.cctp_message import parse_message
from gstable_server.chain.rpc import NodeRefused
from gstable_server.chain.wallet import Wallet
from gstable_server.plumbing.http_client import GuardedClient
from tests.conftest import CCTP_ATTESTER_KEY, RELAYER_KEY
from tests.ports.local_attestation import AMOUNT, RECIPIENT, LocalWorld

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]


@pytest.fixture
async def world(devnet: Devnet) -> AsyncIterator[LocalWorld]:
    async with AsyncExitStack() as stack:
        world = LocalWorld(devnet, stack)
        await world.open()
        yield world


async def attested(world: LocalWorld, tx_hash: bytes) -> Attested:
    [found] = await world.service.messages(world.source, tx_hash)
    assert isinstance(found, Attested)
    return found


async def get(world: LocalWorld, path: str) -> tuple[int, Any]:
    async with GuardedClient(allow_loopback=True) as http:
        answer = await http.fetch("GET", world.attester.url + path, {})
    return answer.status, json.loads(answer.body)


async def test_what_it_signs_is_minted_once(world: LocalWorld, devnet: Devnet) -> None:
    found = await attested(world, await world.burn())
    polygon = devnet.networks.network("polygon")
    assert polygon.cctp is not None
    data = abi.call_data(
        rails_abi.RECEIVE_MESSAGE, abi.Dynamic(found.message), abi.Dynamic(found.attestation)
    )
    before = await devnet.balance("polygon", RECIPIENT, "USDC")
    async with devnet.rpc("polygon") as rpc:
        relayer = Wallet(RELAYER_KEY, rpc, polygon.chain_id)
        call = ContractCall(polygon.cctp.message_transmitter, data)
        tx_hash = await relayer.send(call)
        await devnet.mine("polygon")
        assert (await relayer.wait(tx_hash)).succeeded
        with pytest.raises(NodeRefused, match="Nonce already used"):
            await relayer.send(call)
    assert await devnet.balance("polygon", RECIPIENT, "USDC") == before + AMOUNT


async def test_restart_changes_no_answer(world: LocalWorld, devnet: Devnet) -> None:
    tx_hash = await world.burn()
    before = await attested(world, tx_hash)
    await world.fail()
    port = devnet.attestation_port
    async with open_attester(devnet.networks, CCTP_ATTESTER_KEY, port):
        assert await attested(world, tx_hash) == before


async def test_standard_burn_waits_for_confirmations(world: LocalWorld, devnet: Devnet) -> None:
    async with devnet.standing_still("base"):
        tx_hash = await world.burn()
        world.attester.confirmations = 3
        for _ in range(2):
            assert await world.service.messages(world.source, tx_hash) == (Pending(),)
            await devnet.mine("base")
        found = await attested(world, tx_hash)
        assert parse_message(found.message).finality_executed == 2000


async def test_fast_burn_pays_and_does_not_wait(world: LocalWorld) -> None:
    world.attester.confirmations = 1000
    world.attester.fast_fee_basis_points = 1
    paying = await world.burn(max_fee=500, finality=1000)
    message = parse_message((await attested(world, paying)).message)
    assert (message.finality_executed, message.burn.fee_executed) == (1000, 500)

    sparing = await world.burn(max_fee=499, finality=1000)
    late = (Pending("insufficient_fee"),)
    assert await world.service.messages(world.source, sparing) == late
    world.attester.confirmations = 1
    message = parse_message((await attested(world, sparing)).message)
    assert (message.finality_executed, message.burn.fee_executed) == (2000, 0)


async def test_fast_message_expires_until_it_is_attested_again(world: LocalWorld) -> None:
    world.attester.fast_expiration = 1
    tx_hash = await world.burn(finality=1000)
    expired = parse_message((await attested(world, tx_hash)).message)
    assert expired.burn.expiration == 1
    await world.service.reattest(world.source, expired.nonce)
    renewed = parse_message((await attested(world, tx_hash)).message)
    assert (renewed.burn.expiration, renewed.nonce) == (0, expired.nonce)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v2/messages/6?transactionHash=0x{'ab' * 32}", 404),
        (f"/v2/messages/99?transactionHash=0x{'ab' * 32}", 400),
        ("/v2/messages/6?transactionHash=0x12", 400),
        ("/v2/messages/6", 400),
        ("/v2/burn/USDC/fees/6/6", 400),
        ("/v2/burn/USDC/fees/6/99", 400),
    ],
)
async def test_what_it_does_not_know_is_told_as_the_real_one_does(
    world: LocalWorld, path: str, status: int
) -> None:
    answered, body = await get(world, path)
    assert (answered, body["code"]) == (status, status)


async def test_fees_are_told_by_finality(world: LocalWorld) -> None:
    world.attester.fast_fee_basis_points = 3
    assert await get(world, "/v2/burn/USDC/fees/6/7") == (
        200,
        [
            {"finalityThreshold": 1000, "minimumFee": 3},
            {"finalityThreshold": 2000, "minimumFee": 0},
        ],
    )
