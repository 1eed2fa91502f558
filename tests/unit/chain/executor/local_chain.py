"""A local chain of these tests' own, whose blocks come quickly or only when asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.devnet import anvil_path
from gstable_server.chain.executor.model import Intent, Sender
from gstable_server.chain.executor.node import HttpNode, open_node
from gstable_server.chain.networks import Gas, Network
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.signer import TxSigner
from gstable_server.chain.testing import fake_network
from gstable_server.kernel.address import Address
from gstable_server.plumbing.child import dying_with_parent, end

KEY = b"\x21" * 32
GWEI = 10**9
ETHER = 10**18
COUNTER = Address(b"\xc0" * 20)
"""A contract that counts its calls by their 32 bytes of input: storage[input] += 1."""
COUNTER_CODE = "0x5f358054600101905500"
REVERTING = Address(b"\xc1" * 20)
REVERTING_CODE = "0x5f5ffd"


@contextmanager
def anvil(directory: Path, *arguments: str) -> Iterator[str]:
    """A chain with its address; ended with the block, or with this process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (directory / "anvil.log").open("wb") as output:
        process = subprocess.Popen(
            [str(anvil_path()), "--host", "127.0.0.1", "--port", str(port), "--silent",
             "--chain-id", str(fake_network().chain_id), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "HOME": str(directory)},
            preexec_fn=dying_with_parent(signal.SIGTERM),
        )  # fmt: skip
    try:
        _until_listening(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        end([process])


def _until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, "anvil ended"
            assert time.monotonic() < deadline, "anvil does not listen"
            time.sleep(0.01)
        else:
            return


def network_at(url: str, *, price_max: int = 500 * GWEI, confirmations: int = 2) -> Network:
    gas = Gas(price_max=price_max, tip=GWEI, funds_min=ETHER // 10)
    network = fake_network(confirmations=confirmations)
    return replace(network, rpc_urls=(url,), gas=gas)


class LocalChain:
    """What the tests do to the chain behind the executor's back."""

    def __init__(self, node: HttpNode, network: Network) -> None:
        self.node = node
        self.network = network
        self.signer = TxSigner(KEY)

    async def ask(self, method: str, *parameters: Any) -> Any:
        [answer] = await self.node.ask([(method, list(parameters))])
        return answer

    async def prepare(self) -> None:
        """The contracts, and money for the sender."""
        await self.ask("anvil_setCode", _hex(COUNTER), COUNTER_CODE)
        await self.ask("anvil_setCode", _hex(REVERTING), REVERTING_CODE)
        await self.give(100 * ETHER)
        await self.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        await self.mine()

    async def give(self, amount: int) -> None:
        """Set what the sender has of the native coin."""
        await self.ask("anvil_setBalance", _hex(self.signer.address), hex(amount))

    async def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):  # one question a block: `anvil_mine` puts all into the first
            await self.ask("evm_mine")

    async def send_again(self, raw_tx: object) -> None:
        assert isinstance(raw_tx, bytes)
        await self.node.send_raw(raw_tx)

    async def mine_dear(self, blocks: int) -> None:
        """Blocks whose base fee no transaction of these tests bids at first."""
        await self._mine_at(50 * GWEI, blocks)

    async def mine_cheap(self, blocks: int) -> None:
        await self._mine_at(GWEI, blocks)

    async def _mine_at(self, base_fee: int, blocks: int) -> None:
        for _ in range(blocks):
            await self.ask("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
            await self.mine()

    async def count(self, cause: str) -> int:
        """How often the call of that cause took effect."""
        slot = "0x" + keccak256(cause.encode()).hex()
        return int(await self.ask("eth_getStorageAt", _hex(COUNTER), slot, "latest"), 16)

    async def steal_nonce(self, nonce: int, *, fee: int = 300 * GWEI) -> bytes:
        """Send somebody else's transaction with our key; its hash."""
        call = ContractCall(Address(b"\x99" * 20), b"", 1)
        signed = self.signer.sign(
            call, self.network.chain_id, nonce=nonce, gas=21_000, fee=fee, tip=fee // 2
        )
        await self.node.send_raw(signed.raw)
        return signed.tx_hash


@asynccontextmanager
async def local_chain(url: str, **terms: int) -> AsyncIterator[LocalChain]:
    network = network_at(url, **terms)
    async with open_node(network) as node:
        yield LocalChain(node, network)


def counting(cause: str, **terms: Any) -> Intent:
    """An intent whose effect can be counted."""
    call = ContractCall(COUNTER, keccak256(cause.encode()))
    return Intent(cause, "fake", Sender.RELAYER, call, "relay", f"subject:{cause}", **terms)


def _hex(address: Address) -> str:
    return "0x" + address.hex()


async def until(condition: Any, what: str, seconds: float = 60.0) -> Any:
    """Wait until the coroutine function ``condition`` answers with something true."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):
            await asyncio.sleep(0.02)
        return value
    raise AssertionError(what)
