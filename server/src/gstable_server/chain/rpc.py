"""What the indexer and the start-up checks ask of a node: the port, its answers, its failures.

``HttpRpc`` is the real one, ``testing.FakeChain`` the fake; tests/ports/test_rpc.py judges both.
Every answer was checked for belonging to its question before it is handed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.errors import Passing, Trouble


class ProviderFailed(Passing):
    """No usable answer: connection, timeout, status, malformed or oversized content."""


class ProviderLied(Passing):
    """An answer that contradicts its question or another answer; nothing of it is used."""


class UnknownBlock(Passing):
    """The node does not have the block: it lags behind, or the block left the chain."""


class RangeTooLarge(Passing):
    """The node refuses to search so many blocks, or to send so many logs, at once."""


class NodeRefused(Trouble):
    """The node executed the question and refuses it: a revert, a nonce too low, no funds.

    ``data`` is what the contract returned with its revert.
    """

    def __init__(self, message: str, data: bytes = b"") -> None:
        self.data = data
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Header:
    """A block by its own account; ``timestamp`` need not increase (seconds)."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: UnixSeconds


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract emitted; ``log_index`` counts over the whole block."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    tx_hash: bytes
    log_index: int


class Rpc(Protocol):
    """A chain to read from. Every method may raise ``Passing`` in one of the kinds above."""

    async def chain_id(self) -> int:
        """The chain id (EIP-155) that the node says it follows."""

    async def block_number(self) -> int:
        """The number of the newest block."""

    async def block_and_next(self, number: int) -> tuple[Header, Header | None]:
        """The canonical block at ``number``, which is known to exist, and the one after it.

        Raises ``UnknownBlock`` when the node does not have the first: it lags behind.
        """

    async def blocks_by_number(self, numbers: Sequence[int]) -> tuple[Header | None, ...]:
        """The canonical blocks at ``numbers``, in that order; None where there is none."""

    async def logs_of_block(self, block_hash: bytes, address: Address) -> tuple[Log, ...]:
        """The logs of one contract in one block, in order.

        Raises ``UnknownBlock``, so that a lagging node is never taken for an empty block, and
        ``ProviderLied`` when a log names another block.
        """

    async def logs_in_range(self, first: int, last: int, address: Address) -> tuple[Log, ...]:
        """The logs of one contract in the blocks ``first`` to ``last`` inclusive, in order.

        Raises ``RangeTooLarge``, ``UnknownBlock`` when the node does not have ``last`` yet, and
        ``ProviderLied`` when a log is from outside the range.
        """

    async def code(self, address: Address) -> bytes:
        """The runtime code at ``address``; empty when there is no contract."""

    async def call(self, to: Address, data: bytes) -> bytes:
        """What a read-only call returns at the newest block. Raises ``NodeRefused``."""
