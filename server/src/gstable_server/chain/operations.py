"""What the rest of the server asks of the chain package."""

from __future__ import annotations

from gstable_server.chain import abi, store
from gstable_server.chain.checksum import keccak256, to_checksum
from gstable_server.chain.facts import Fact, from_payload
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.rpc import NodeRefused, Rpc
from gstable_server.chain.store import Block
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent


def fact_of(event: StoredEvent) -> Fact:
    """The fact that a ``chain.…`` event carries."""
    return from_payload(event.event.payload)


async def frontier(tx: Tx, network: str) -> Block | None:
    """How far ``network`` was read; None before its first block."""
    return await store.tip(tx, network)


async def watch_transfer(tx: Tx, network: str, sender: Address) -> None:
    """Read the token transfers of ``sender`` from now on, and tell of them as facts.

    A transfer is told for certain when the watch was committed before its transaction was handed
    to anybody. Every call is undone by one ``unwatch_transfer``.
    """
    await store.watch_transfer(tx, network, sender)


async def unwatch_transfer(tx: Tx, network: str, sender: Address) -> None:
    """Undo one ``watch_transfer``. Facts about what was seen before are told to their end, except
    that what a reorganisation took back is not found again."""
    await store.unwatch_transfer(tx, network, sender)


async def check_network(
    rpc: Rpc, network: Network, order_signer: Address | None = None
) -> list[str]:
    """Why ``network`` must not be used, one sentence each; empty when all is as configured.

    Chain id, the router's code and signer, and each token's code and decimals are compared with
    the chain. Raises ``Passing`` when the node does not answer.
    """
    chain_id = await rpc.chain_id()
    if chain_id != network.chain_id:
        # Nothing else means anything on another chain.
        return [f"{network.name}: the node follows chain {chain_id}, not {network.chain_id}"]
    what = f"{network.name}: router {to_checksum(network.router)}"
    problems = await _code_problems(rpc, what, network.router, network.router_code_hash)
    if not problems and order_signer is not None:
        problems += await _signer_problems(rpc, what, network.router, order_signer)
    for token in network.tokens:
        problems += await _token_problems(rpc, token)
    return problems


async def _code_problems(
    rpc: Rpc, what: str, address: Address, expected: bytes | None
) -> list[str]:
    code = await rpc.code(address)
    if not code:
        return [f"{what} has no code: wrong address, or not deployed on this chain"]
    actual = keccak256(code)
    if expected is not None and actual != expected:
        return [f"{what} has code 0x{actual.hex()}, configured is 0x{expected.hex()}"]
    return []


async def _signer_problems(rpc: Rpc, what: str, router: Address, signer: Address) -> list[str]:
    accepted = await _number(rpc, router, abi.call_data(abi.IS_SIGNER, abi.address_word(signer)))
    if accepted == 1:
        return []
    return [f"{what} does not accept orders signed by {to_checksum(signer)}"]


async def _token_problems(rpc: Rpc, token: Token) -> list[str]:
    what = f"{token.token_id} at {to_checksum(token.address)}"
    problems = await _code_problems(rpc, what, token.address, token.code_hash)
    if problems:
        return problems
    decimals = await _number(rpc, token.address, abi.call_data(abi.DECIMALS))
    if decimals is None:
        return [f"{what} does not answer decimals(): not an ERC-20 token"]
    if decimals != token.decimals:
        return [f"{what} has {decimals} decimals, configured are {token.decimals}"]
    return []


async def _number(rpc: Rpc, to: Address, data: bytes) -> int | None:
    """The one word that the call returns; None when it reverts or returns anything else."""
    try:
        returned = await rpc.call(to, data)
    except NodeRefused:
        return None
    return int.from_bytes(returned, "big") if len(returned) == abi.WORD else None
