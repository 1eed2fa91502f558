"""The local chains: quick to start, kept when asked to, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gstable_server.chain.deployment import Actors
from gstable_server.chain.devnet import Devnet, DevnetFailed, anvil_path
from gstable_server.chain.networks_toml import load_networks
from gstable_server.kernel.address import Address

pytestmark = pytest.mark.anvil

SOMEBODY = Address(b"\x31" * 20)

ORPHAN = """
import asyncio, sys, time
from pathlib import Path
from gstable_server.chain.deployment import Actors
from gstable_server.chain.devnet import Devnet
from gstable_server.kernel.address import Address
actors = Actors(*(Address(bytes([number] * 20)) for number in range(7, 12)))
running = asyncio.run(Devnet.start(Path(sys.argv[1]), actors))
print(*[process.pid for process in running._processes], flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.anyio
async def test_chains_are_as_configured_and_start_quickly(tmp_path: Path, actors: Actors) -> None:
    begun = time.monotonic()
    devnet = await Devnet.start(tmp_path, actors)
    try:
        assert time.monotonic() - begun < 5  # measured 0.2 s; the machine may be busy
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
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.anyio
async def test_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevnetFailed, match="anvil is not installed"):
        anvil_path(tmp_path)
