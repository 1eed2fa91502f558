"""Many calls in one transaction: what lets a local chain take more payments than it can take
transactions.

A contract of a few instructions holds the paying token and makes the calls that it is told, so it
is the payer of all of them. One call that fails takes back the whole transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.chain import abi
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import approve_call
from gstable_server.kernel.address import Address, address_from_hex

TOKENS = 10**15
"""Atomic units that the contract is given: enough for any run."""
CREATE_GAS = 200_000
GAS_OF_ONE = 130_000
BATCH_MAX = 100
"""Calls in one transaction: their gas stays below what EIP-7825 allows a transaction."""

# The input is read as (receiver: 32 bytes, length: 32 bytes, data)*; each is called in turn.
_LOOP = bytes.fromhex(
    "5f"  # at = 0
    "5b"  # next:
    "80361115602a57"  # if not size > at: go to end
    "8035"  # to = input[at]
    "81602001"
    "35"  # length = input[at + 32]
    "91604001"  # at += 64
    "82815f37"  # memory = input[at : at + length]
    "5f5f845f5f865af1"  # call(gas, to, 0, memory)
    "15602c57"  # if it failed: go to fail
    "905001600156"  # at += length; go to next
    "5b00"  # end: stop
    "5b5f5ffd"  # fail: revert
)


def _creation(code: bytes) -> bytes:
    """The transaction's data that makes a contract of ``code``: copy it and return it."""
    length = len(code)
    return bytes([0x60, length, 0x80, 0x60, 0x09, 0x5F, 0x39, 0x5F, 0xF3]) + code


@dataclass(frozen=True, slots=True)
class Batcher:
    """The contract on one network, paid for by an account that the node has the key of."""

    rpc: HttpRpc
    sender: str
    address: Address

    async def send(self, calls: list[tuple[Address, bytes]]) -> bytes:
        """Make all these calls in one transaction; its hash, not mined yet."""
        [tx_hash] = await self.rpc.ask([self.request(calls)])
        return bytes.fromhex(str(tx_hash)[2:])

    def request(
        self, calls: list[tuple[Address, bytes]], nonce: int | None = None
    ) -> tuple[str, list[Any]]:
        """What ``send`` asks of the node. To be asked with others at once it needs a ``nonce``,
        because the node answers them in any order."""
        data = b"".join(_record(to, call) for to, call in calls)
        gas = 100_000 + GAS_OF_ONE * len(calls)
        method, [call] = _request(self.sender, to=to_checksum(self.address), data=data, gas=gas)
        return method, [call if nonce is None else {**call, "nonce": hex(nonce)}]

    async def next_nonce(self) -> int:
        """The first that is free, as long as nobody else sends."""
        [count] = await self.rpc.ask([("eth_getTransactionCount", [self.sender, "pending"])])
        return int(count, 16)


def _record(to: Address, call: bytes) -> bytes:
    return abi.address_word(to) + abi.number_word(len(call)) + call


async def deploy_batcher(devnet: Devnet, network: Network, token: Token, rpc: HttpRpc) -> Batcher:
    """A batcher with plenty of ``token``, which the network's router may take."""
    [accounts] = await rpc.ask([("eth_accounts", [])])
    sender = str(accounts[-1])
    creation = _request(sender, to=None, data=_creation(_LOOP), gas=CREATE_GAS)
    made, _ = await rpc.ask([creation, ("evm_mine", [])])
    [receipt] = await rpc.ask([("eth_getTransactionReceipt", [made])])
    batcher = Batcher(rpc, sender, address_from_hex(receipt["contractAddress"]))
    await devnet.fund(network.name, batcher.address, token.symbol, TOKENS)
    approval = approve_call(token, network.router, TOKENS)
    approved = await batcher.send([(approval.to, approval.data)])
    await rpc.ask([("evm_mine", [])])
    assert await succeeded(rpc, approved)
    return batcher


async def succeeded(rpc: HttpRpc, tx_hash: bytes) -> bool:
    """Whether a mined transaction did what it was to do."""
    receipt = await rpc.receipt(tx_hash)
    return receipt is not None and receipt.succeeded


def _request(sender: str, *, to: str | None, data: bytes, gas: int) -> tuple[str, list[Any]]:
    call = {"from": sender, "data": "0x" + data.hex(), "gas": hex(gas)}
    if to is not None:
        call["to"] = to
    return "eth_sendTransaction", [call]
