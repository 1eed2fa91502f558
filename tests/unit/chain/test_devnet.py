"""The local chains: quick to start, kept when asked to, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gstable_server.chain import abi
from gstable_server.chain.checks import contracts_of, number_of
from gstable_server.chain.deployment import PERMIT2, Actors
from gstable_server.chain.deployment_script import Script, carry_out
from gstable_server.chain.devnet import Devnet, DevnetFailed, anvil_path, keep_copy, mend
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks_toml import load_networks
from gstable_server.kernel.address import Address

pytestmark = pytest.mark.anvil

EVERYWHERE = {
    *("permit_collector", "deposit_collector"),
    *("cctp_rail", "escrow_rail", "hold_rail"),
}
SOMEBODY = Address(b"\x31" * 20)

ORPHAN = """
import asyncio, sys, time
from pathlib import Path
from gstable_server.chain.deployment import Actors
from gstable_server.chain.deployment_script import Script, carry_out
from gstable_server.chain.devnet import Devnet
from gstable_server.kernel.address import Address
actors = Actors(*(Address(bytes([number] * 20)) for number in range(7, 12)))
running = asyncio.run(Devnet.start(Path(sys.argv[1]), actors))
print(*[process.pid for process in running._processes], flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
async def fresh(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory, actors: Actors
) -> AsyncIterator[Devnet]:
    """Chains on which nobody has spent anything yet."""
    running = await Devnet.start(tmp_path_factory.mktemp("fresh"), actors)
    yield running
    running.stop()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.anyio
async def test_chains_are_as_configured(tmp_path: Path, actors: Actors) -> None:
    devnet = await Devnet.start(tmp_path, actors)
    try:
        assert load_networks(devnet.networks_file).all == devnet.networks.all
        ids = [token.token_id for network in devnet.networks.all for token in network.tokens]
        assert ids == [
            *("ethereum::usdc", "ethereum::usdt", "polygon::usdc", "polygon::usdt"),
            *("arbitrumone::usdc", "arbitrumone::usdt", "base::usdc"),
        ]
        chain_ids = [1331001, 1337137, 1342161, 1338453]
        assert [n.chain_id for n in devnet.networks.all] == chain_ids
        assert [n.route_group for n in devnet.networks.all] == ["ETH", "POL", "ARB", "BASE"]
    finally:
        devnet.stop()


@pytest.mark.anyio
async def test_only_what_must_be_alike_is_alike_on_every_network(fresh: Devnet) -> None:
    """A mix-up of networks shows where addresses differ; deposits need the same one everywhere."""
    places: dict[str, set[Address]] = {}
    for network in fresh.networks.all:
        assert set(network.contracts.configured) >= EVERYWHERE
        assert (network.contracts.swap_rail is None) == (network.name == "base")
        for name, contract in contracts_of(network).items():
            places.setdefault(name, set()).add(contract.address)
        places.setdefault("router", set()).add(network.router)
        for token in network.tokens:
            places.setdefault(token.symbol, set()).add(token.address)
    counts = {name: len(addresses) for name, addresses in places.items()}
    alike = {"deposit_collector": 1, "permit2": 1, "x402.permit2_proxy": 1}
    assert counts == {**dict.fromkeys(counts, 4), "USDT": 3, "swap_rail": 3, **alike}
    assert places["permit2"] == {PERMIT2}


@pytest.mark.anyio
async def test_solver_and_relayer_can_begin_at_once(fresh: Devnet, actors: Actors) -> None:
    for network in fresh.networks.all:
        escrow = network.contracts.configured["escrow_rail"].address
        async with fresh.rpc(network.name) as rpc:

            async def ask(
                to: Address, signature: str, *words: bytes, rpc: HttpRpc = rpc
            ) -> int | None:
                return await number_of(rpc, to, abi.call_data(signature, *words))

            solver, attestor = abi.address_word(actors.solver), abi.address_word(actors.attestor)
            for token in network.tokens:
                assert await ask(token.address, abi.BALANCE_OF, solver) == 50_000_000 * 10**6
                spender = abi.address_word(escrow)
                assert await ask(token.address, abi.ALLOWANCE, solver, spender) == 2**256 - 1
            assert await ask(escrow, "solverSince(address)", solver)
            assert await ask(escrow, "attestorSince(address)", attestor)
            assert await ask(escrow, "threshold()") == 1
            for account in (actors.solver, actors.relayer):
                [native] = await rpc.ask([("eth_getBalance", ["0x" + account.hex(), "latest"])])
                assert int(native, 16) > 999 * 10**18


@pytest.mark.anyio
async def test_every_pool_is_deep_and_at_price_one(fresh: Devnet) -> None:
    for network in fresh.networks.all[:3]:
        async with fresh.rpc(network.name) as rpc:

            async def ask(to: Address, signature: str, *words: bytes, rpc: HttpRpc = rpc) -> bytes:
                return await rpc.call(to, abi.call_data(signature, *words))

            rail = network.contracts.configured["swap_rail"].address
            router = Address((await ask(rail, "swapRouter()"))[12:])
            factory = Address((await ask(router, "factory()"))[12:])
            pair = [abi.address_word(token.address) for token in network.tokens]
            fee = abi.number_word(network.swap_pool_fee)
            pool = Address((await ask(factory, "getPool(address,address,uint24)", *pair, fee))[12:])
            assert int.from_bytes((await ask(pool, "slot0()"))[: abi.WORD], "big") == 2**96
            for token in network.tokens:
                held = await ask(token.address, abi.BALANCE_OF, abi.address_word(pool))
                assert int.from_bytes(held, "big") > 49_000_000 * 10**6


@pytest.mark.anyio
async def test_swap_of_a_million_costs_little_more_than_a_million(devnet: Devnet) -> None:
    network = devnet.networks.network("polygon")
    usdc, usdt = network.tokens
    million = 10**12
    swapper, receiver = Address(os.urandom(20)), Address(os.urandom(20))
    await devnet.set_balance("polygon", swapper, 10**18)
    await devnet.fund("polygon", swapper, "usdt", 2 * million)
    rail = network.contracts.configured["swap_rail"].address
    async with devnet.rpc("polygon") as rpc:
        found = await rpc.call(rail, abi.call_data("swapRouter()"))
        router = Address(found[12:])
        await rpc.ask([("anvil_impersonateAccount", ["0x" + swapper.hex()])])
        script = Script(swapper, await rpc.transaction_count(swapper))
        script.call(usdt.address, abi.APPROVE, abi.address_word(router), abi.number_word(2**255))
        script.call(
            router,
            "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
            abi.address_word(usdt.address),
            abi.address_word(usdc.address),
            abi.number_word(network.swap_pool_fee),
            abi.address_word(receiver),
            *(abi.number_word(each) for each in (2**63, million, 2 * million, 0)),
        )
        await carry_out(rpc, [script])
    assert await devnet.balance("polygon", receiver, "usdc") == million
    spent = 2 * million - await devnet.balance("polygon", swapper, "usdt")
    # 0.01 % is the pool's fee, and less than that again what the swap moves the price by.
    assert million * 10_001 // 10_000 < spent < million * 10_002 // 10_000


@pytest.mark.anyio
async def test_every_network_mints_what_is_burnt_on_every_other(fresh: Devnet) -> None:
    for here in fresh.networks.all:
        assert here.cctp is not None
        async with fresh.rpc(here.name) as rpc:
            for there in fresh.networks.all:
                if there is here:
                    continue
                assert there.cctp is not None
                domain = abi.number_word(there.cctp.domain)
                messenger = here.cctp.token_messenger
                remote = await rpc.call(
                    messenger, abi.call_data("remoteTokenMessengers(uint32)", domain)
                )
                assert remote == abi.address_word(there.cctp.token_messenger)
                burnt = abi.address_word(there.tokens[0].address)
                minted = await rpc.call(
                    messenger, abi.call_data("localTokens(uint32,bytes32)", domain, burnt)
                )
                assert minted == abi.address_word(here.tokens[0].address)


@pytest.mark.anyio
async def test_every_token_can_be_handed_out(devnet: Devnet) -> None:
    for network in devnet.networks.all:
        for token in network.tokens:
            account = Address(os.urandom(20))
            await devnet.fund(network.name, account, token.symbol, 12_345)
            assert await devnet.balance(network.name, account, token.symbol) == 12_345


@pytest.mark.anyio
async def test_kept_chains_go_on_where_they_were(tmp_path: Path, actors: Actors) -> None:
    first = await Devnet.start(tmp_path, actors, keep=True)
    await first.fund("polygon", SOMEBODY, "usdt", 5)
    async with first.rpc("polygon") as rpc:
        here, _ = await rpc.block_and_next(1)
    first.stop()
    again = await Devnet.start(tmp_path, actors, keep=True)
    try:
        assert await again.balance("polygon", SOMEBODY, "usdt") == 5
        assert again.networks.network("base").router == first.networks.network("base").router
        async with again.rpc("polygon") as rpc:
            assert (await rpc.block_and_next(1))[0] == here
            [newest] = await rpc.blocks_by_number((await rpc.block_number(),))
        assert newest is not None
        assert abs(newest.timestamp - time.time()) < 60
    finally:
        again.stop()
    with pytest.raises(DevnetFailed, match="does not accept orders signed by"):
        await Devnet.start(tmp_path, replace(actors, order_signer=SOMEBODY), keep=True)


def test_killed_parent_leaves_no_chain_behind(tmp_path: Path, repository: Path) -> None:
    source = str(repository / "server/src")
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 4
    assert all(alive(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.anyio
async def test_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevnetFailed, match="anvil is not installed"):
        anvil_path(tmp_path)


def test_a_chain_that_died_while_it_wrote_goes_on_from_the_last_whole_copy(tmp_path: Path) -> None:
    file, copied = tmp_path / "base.json", dict[Path, int]()
    # Given a file that was whole once, and of which only a part was written the next time
    keep_copy(file, copied)
    file.write_text('{"blocks": [1]}')
    keep_copy(file, copied)
    file.write_text('{"blocks": [1, 2')
    keep_copy(file, copied)
    # When the chain is to be started again
    mend(file)
    # Then it is what was whole; and what is whole stays
    assert file.read_text() == '{"blocks": [1]}'
    file.write_text('{"blocks": [1, 2]}')
    mend(file)
    assert file.read_text() == '{"blocks": [1, 2]}'
