"""The calls of the contracts that the server uses, and how data is laid out; events: ``events``.

Written down as the signatures of the Solidity ABI; a test compares them with the compiled
contracts in ``contracts/artifacts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gstable_server.chain.checksum import keccak256
from gstable_server.kernel.address import Address

WORD = 32

ORDER_TUPLE = "(bytes32,address,address,uint256,uint256,address,uint256)"
ROUTED_TUPLE = ORDER_TUPLE[:-1] + ",address,uint256,address,uint256,bytes)"
PAY = f"pay({ORDER_TUPLE},bytes)"
PAY_WITH = f"payWith({ORDER_TUPLE},bytes,address,address,bytes)"
ROUTE = f"route({ROUTED_TUPLE},bytes)"
ROUTE_WITH = f"routeWith({ROUTED_TUPLE},bytes,address,address,bytes)"
IS_SIGNER = "isSigner(address)"
DECIMALS = "decimals()"
BALANCE_OF = "balanceOf(address)"
ALLOWANCE = "allowance(address,address)"
NONCES = "nonces(address)"
APPROVE = "approve(address,uint256)"
RECOVER = "recover((bytes32,address,uint256,address,address,address,uint256),address)"
BALANCES = "balances(address[],address[])"
TRANSFER = "transfer(address,uint256)"


@dataclass(frozen=True, slots=True)
class Dynamic:
    """An argument of the types ``bytes``, ``string`` or an empty array: stored behind the words."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """An encoded argument that is stored behind the words as it is.

    A struct with dynamic members is its ``encode``; an array is its ``array``.
    """

    content: bytes


Argument = bytes | Dynamic | Tail


def number_word(value: int) -> bytes:
    """``value`` as ``uint256``. Raises ``OverflowError`` outside of 0 … 2²⁵⁶-1."""
    return value.to_bytes(WORD, "big")


def address_word(address: Address) -> bytes:
    """``address`` as an ABI word."""
    return address.rjust(WORD, b"\0")


@lru_cache(maxsize=256)  # more functions than this code names
def selector(signature: str) -> bytes:
    """The first four bytes of a call to the function of this signature."""
    return keccak256(signature.encode())[:4]


def array(words: Sequence[bytes]) -> Tail:
    """An array of elements that are words (or static structs of words) already."""
    return Tail(number_word(len(words)) + b"".join(words))


def encode(*arguments: Argument) -> bytes:
    """The ABI encoding of arguments that are words already, or dynamic."""
    heads: list[bytes] = []
    tail = b""
    head_length = sum(len(a) if isinstance(a, bytes) else WORD for a in arguments)
    for argument in arguments:
        if isinstance(argument, bytes):
            heads.append(argument)
            continue
        heads.append(number_word(head_length + len(tail)))
        tail += argument.content if isinstance(argument, Tail) else _sized(argument.content)
    return b"".join(heads) + tail


def call_data(signature: str, *arguments: Argument) -> bytes:
    """What a transaction carries to call the function of ``signature``."""
    return selector(signature) + encode(*arguments)


def _sized(content: bytes) -> bytes:
    return number_word(len(content)) + content + b"\0" * (-len(content) % WORD)
