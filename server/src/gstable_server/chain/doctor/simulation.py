"""Calls that change nothing: what a token would do, in the hands of an account that has some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Trouble

NOBODY = Address(keccak256(b"an account that the probe imagines")[12:])
RECEIVER = Address(keccak256(b"an account that receives in the probe")[12:])
SPENDER = Address(keccak256(b"an account that spends in the probe")[12:])
IMAGINED_BALANCE = 2**64
SLOTS = 60
NAMESPACED_SLOT = bytes.fromhex("52c63247e1f47db19d5ce0460030c497f067ca4cebf71ba98eeadabe20bace00")
"""Where OpenZeppelin's upgradeable tokens keep balances (ERC-7201, openzeppelin.storage.ERC20)."""
BATCH = 20


@dataclass(frozen=True, slots=True)
class Holder:
    """An account with ``balance`` atomic units; ``overrides`` is what has to be pretended."""

    account: Address
    balance: int
    overrides: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Simulated:
    """How one simulated call ended."""

    succeeded: bool
    returned: bytes


async def find_holder(
    rpc: HttpRpc, token: Address, candidates: Sequence[Address | None]
) -> Holder | None:
    """An account to try the token with: the first of ``candidates`` that has some, or an imagined
    one, if the place of balances in the token's storage can be found."""
    for account in candidates:
        if account is None:
            continue
        try:
            data = abi.call_data(abi.BALANCE_OF, abi.address_word(account))
            balance = int.from_bytes(await rpc.call(token, data), "big")
        except Trouble:
            continue
        if balance > 0:
            return Holder(account, balance, {})
    return await _imagined_holder(rpc, token)


async def simulate(
    rpc: HttpRpc, token: Address, holder: Holder, calls: Sequence[tuple[Address, bytes]]
) -> list[Simulated] | None:
    """The outcomes of (sender, data) calls of the token, one after the other in one block that is
    never mined (``eth_simulateV1``); None when the node cannot do that."""
    block = {
        "stateOverrides": holder.overrides,
        "calls": [
            {"from": _hex(sender), "to": _hex(token), "data": _hex(data)} for sender, data in calls
        ],
    }
    asked = {"blockStateCalls": [block], "validation": False}
    try:
        [blocks] = await rpc.ask([("eth_simulateV1", [asked, "latest"])])
        outcomes = [
            Simulated(int(each["status"], 16) == 1, bytes.fromhex(each["returnData"][2:]))
            for each in blocks[0]["calls"]
        ]
    except (Trouble, LookupError, TypeError, ValueError):
        return None
    return outcomes if len(outcomes) == len(calls) else None


async def _imagined_holder(rpc: HttpRpc, token: Address) -> Holder | None:
    balance_of = {
        "to": _hex(token),
        "data": _hex(abi.call_data(abi.BALANCE_OF, abi.address_word(NOBODY))),
    }
    every_key = list(_balance_keys(NOBODY))
    for start in range(0, len(every_key), BATCH):
        keys = every_key[start : start + BATCH]
        every = [
            {_hex(token): {"stateDiff": {_hex(key): _hex(abi.number_word(IMAGINED_BALANCE))}}}
            for key in keys
        ]
        try:
            answers = await rpc.ask(
                [("eth_call", [balance_of, "latest", overrides]) for overrides in every]
            )
        except Trouble:
            return None
        for overrides, answer in zip(every, answers, strict=True):
            if answer == _hex(abi.number_word(IMAGINED_BALANCE)):
                return Holder(NOBODY, IMAGINED_BALANCE, overrides)
    return None


def _balance_keys(account: Address) -> Iterator[bytes]:
    """Where the balance may be: Solidity's mappings hash (key, slot), Vyper's (slot, key)."""
    word = abi.address_word(account)
    yield keccak256(word + NAMESPACED_SLOT)
    for slot in map(abi.number_word, range(SLOTS)):
        yield keccak256(word + slot)
        yield keccak256(slot + word)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
