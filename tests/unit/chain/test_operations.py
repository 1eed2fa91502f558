"""The checks at start, against real contracts on a local chain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gstable_server.chain import abi
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.deployment_script import Script, carry_out
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.networks import Contract, Contracts, Network
from gstable_server.chain.operations import check_network
from gstable_server.chain.orders import OrderSigner
from gstable_server.chain.rpc import ProviderFailed
from gstable_server.chain.testing import FakeChain, fake_network
from gstable_server.kernel.address import Address

pytestmark = pytest.mark.anyio

ARTIFACTS = Path(__file__).parents[3] / "contracts/artifacts"
NOBODY = Address(b"\x77" * 20)


async def problems(devnet: Devnet, network: Network, signer: Address | None = None) -> list[str]:
    async with devnet.rpc("polygon") as rpc:
        return await check_network(rpc, network, signer)


@pytest.fixture
def polygon(devnet: Devnet) -> Network:
    return devnet.networks.network("polygon")


@pytest.mark.anvil
async def test_network_as_deployed_has_no_problems(
    devnet: Devnet, order_signer: OrderSigner
) -> None:
    for network in devnet.networks.all:
        async with devnet.rpc(network.name) as rpc:
            assert await check_network(rpc, network, order_signer.address) == []


@pytest.mark.anvil
async def test_chn_24_other_chain_is_refused(devnet: Devnet, polygon: Network) -> None:
    async with devnet.rpc("base") as rpc:
        [problem] = await check_network(rpc, polygon)
    assert problem == "polygon: the node follows chain 1338453, not 1337137"


@pytest.mark.anvil
async def test_chn_24_router_without_code_is_refused(devnet: Devnet, polygon: Network) -> None:
    [problem] = await problems(devnet, replace(polygon, router=NOBODY))
    assert "has no code" in problem


@pytest.mark.anvil
async def test_chn_24_other_code_at_the_router_is_refused(devnet: Devnet, polygon: Network) -> None:
    [problem] = await problems(devnet, replace(polygon, router=polygon.tokens[0].address))
    assert "router 0x" in problem
    assert "configured is" in problem


@pytest.mark.anvil
@pytest.mark.parametrize("name", ["cctp_rail", "escrow_rail", "hold_rail", "swap_rail"])
async def test_chn_24_rail_that_differs_is_refused(
    devnet: Devnet, polygon: Network, name: str
) -> None:
    rail = polygon.contracts.configured[name]
    for changed, said in (
        (Contract(NOBODY, None), "has no code"),
        (replace(rail, code_hash=b"\x01" * 32), "configured is 0x0101"),
        (Contract(polygon.tokens[0].address, None), "is not listed by the router"),
    ):
        contracts = replace(polygon.contracts, **{name: changed})
        first, *_ = await problems(devnet, replace(polygon, contracts=contracts))
        assert first.startswith(f"polygon: {name} 0x")
        assert said in first


@pytest.mark.anvil
async def test_rail_of_another_router_is_refused(devnet: Devnet, polygon: Network) -> None:
    """The other router is a second one on the same chain, which lists the rail as well."""
    operator = Address(b"\x55" * 20)
    creation = bytes.fromhex(
        json.loads((ARTIFACTS / "PaymentRouter.json").read_text())["bytecode"][2:]
    )
    rail = polygon.contracts.configured["hold_rail"]
    assert polygon.permit2 is not None
    await devnet.set_balance("polygon", operator, 10**18)
    async with devnet.rpc("polygon") as rpc:
        await rpc.ask([("anvil_impersonateAccount", ["0x" + operator.hex()])])
        script = Script(operator, await rpc.transaction_count(operator))
        accounts = (operator, Address(b"\x56" * 20), polygon.permit2)
        router = script.create(creation, *(abi.address_word(account) for account in accounts))
        script.call(router, "addRail(address)", abi.address_word(rail.address))
        await carry_out(rpc, [script])
    other = replace(
        polygon, router=router, router_code_hash=None, contracts=Contracts(hold_rail=rail)
    )
    assert await problems(devnet, other) == [
        f"polygon: hold_rail {to_checksum(rail.address)} serves another router"
    ]


@pytest.mark.anvil
async def test_transfer_protocol_that_differs_is_refused(devnet: Devnet, polygon: Network) -> None:
    assert polygon.cctp is not None
    for change, said in (
        ({"domain": 6}, "is of domain 7, configured is 6"),
        ({"token_messenger_code_hash": b"\x01" * 32}, "token_messenger 0x"),
        ({"message_transmitter_code_hash": b"\x01" * 32}, "message_transmitter 0x"),
        (
            {"token_messenger": polygon.router, "token_messenger_code_hash": None},
            "burns through another token_messenger",
        ),
    ):
        cctp = replace(polygon.cctp, **change)
        [problem] = await problems(devnet, replace(polygon, cctp=cctp))
        assert said in problem


@pytest.mark.anvil
async def test_router_that_refuses_our_orders_is_refused(devnet: Devnet, polygon: Network) -> None:
    [problem] = await problems(devnet, polygon, NOBODY)
    assert "does not accept orders signed by 0x7777" in problem


@pytest.mark.anvil
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decimals": 18}, "has 6 decimals, configured are 18"),
        ({"code_hash": b"\x01" * 32}, "configured is 0x0101"),
        ({"address": NOBODY}, "has no code"),
    ],
    ids=["decimals", "code", "address"],
)
async def test_chn_10_token_that_differs_is_refused(
    devnet: Devnet, polygon: Network, change: dict[str, object], said: str
) -> None:
    good, bad = polygon.tokens
    changed = replace(bad, **change)  # type: ignore[arg-type]
    [problem] = await problems(devnet, replace(polygon, tokens=(good, changed)))
    assert problem.startswith("polygon::usdt at 0x")
    assert said in problem


@pytest.mark.anvil
async def test_router_that_uses_another_permit2_is_refused(
    devnet: Devnet, polygon: Network
) -> None:
    other = polygon.contracts.hold_rail
    assert other is not None
    network = replace(polygon, permit2=other.address, permit2_code_hash=None)
    [problem] = await problems(devnet, network)
    assert problem.endswith(f"does not use the permit2 {to_checksum(other.address)}")


@pytest.mark.anvil
async def test_chn_10_contract_that_is_no_token_is_refused(
    devnet: Devnet, polygon: Network
) -> None:
    token = replace(polygon.tokens[0], address=polygon.router, code_hash=None)
    [problem] = await problems(devnet, replace(polygon, tokens=(token,)))
    assert "does not answer decimals()" in problem


async def test_chn_10_answer_that_is_no_number_is_refused() -> None:
    network = fake_network()
    chain = FakeChain(network)
    token = network.tokens[0]
    chain.codes[token.address] = b"token"
    chain.returns[token.address, abi.call_data(abi.DECIMALS)] = b"six"
    [problem] = await check_network(chain, network)
    assert "does not answer decimals()" in problem


async def test_node_that_does_not_answer_is_a_passing_failure() -> None:
    chain = FakeChain(fake_network())
    chain.trouble = [ProviderFailed("connection refused")]
    with pytest.raises(ProviderFailed):
        await check_network(chain, chain.network)
