"""What the indexer and the start-up checks ask of a node: the port, its answers, its failures.

``HttpRpc`` is the real one, ``testing.FakeChain`` the fake; tests/ports/test_rpc.py judges both.
Every answer was checked for belonging to its question before it is handed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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


class NotOffered(Passing):
    """The node does not know the question, or the name of a block in it."""


class NodeRefused(Trouble):
    """The node executed the question and refuses it: a revert, a nonce too low, no funds.

    ``data`` is what the contract returned with its revert.
    """

    def __init__(self, message: str, data: bytes = b"") -> None:
        self.data = data
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Header:
    """A block by its own account; ``timestamp`` need not increase (seconds).

    ``logs_bloom`` (256 bytes) tells which contracts and topics surely have no log in the block,
    ``receipts_root`` (32 bytes) commits to every receipt and log (Yellow Paper, section 4.4).
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: UnixSeconds
    logs_bloom: bytes
    receipts_root: bytes


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


@dataclass(frozen=True, slots=True)
class BlockReceipt:
    """The outcome of one transaction as its block commits to it (EIP-2718, EIP-658).

    ``type`` is the transaction's; ``cumulative_gas`` counts the transactions before it, too.
    ``extra`` is what receipts of some layer-2 chains commit to besides (deposit nonce, version).
    """

    tx_hash: bytes
    type: int
    succeeded: bool
    cumulative_gas: int
    bloom: bytes
    logs: tuple[Log, ...]
    extra: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs are asked for: those of ``addresses`` whose topics are among the listed ones.

    ``topics`` lists for each place, from the first, what may stand there; places behind the last,
    and those that are None, are free. No list may be empty: nodes take an empty list for "any".
    No ``addresses`` means every contract, which is allowed only where the topics name at least
    two places.
    """

    addresses: tuple[Address, ...]
    topics: tuple[tuple[bytes, ...] | None, ...] = ()
    _addresses: frozenset[bytes] = field(init=False, repr=False, compare=False)
    _places: tuple[tuple[int, frozenset[bytes]], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named = [(at, place) for at, place in enumerate(self.topics) if place is not None]
        assert self.addresses or len(named) >= 2, "this would be nearly every log"
        assert all(place for _, place in named), "no topic would be every topic"
        places = tuple((at, frozenset(place)) for at, place in named)
        object.__setattr__(self, "_addresses", frozenset(self.addresses))
        object.__setattr__(self, "_places", places)

    def admits(self, log: Log) -> bool:
        """Whether ``log`` is one of those asked for."""
        if self._addresses and log.address not in self._addresses:
            return False
        if len(log.topics) < len(self.topics):
            return False
        return all(log.topics[at] in allowed for at, allowed in self._places)


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

    async def logs_of_block(
        self, block_hash: bytes, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        """The logs of one block that any of ``filters`` admits, in order, each once.

        Raises ``UnknownBlock``, so that a lagging node is never taken for an empty block, and
        ``ProviderLied`` when a log names another block, or was not asked for.
        """

    async def logs_in_range(
        self, first: int, last: int, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        """The logs of the blocks ``first`` to ``last`` inclusive that any of ``filters`` admits,
        in order, each once.

        Raises ``RangeTooLarge``, ``UnknownBlock`` when the node does not have ``last`` yet, and
        ``ProviderLied`` when a log is from outside the range, or was not asked for.
        """

    async def receipts_of_block(self, block_hash: bytes) -> tuple[BlockReceipt, ...]:
        """The receipts of every transaction of one block, in order.

        Raises ``UnknownBlock``, ``NotOffered`` when the provider does not offer them, and
        ``ProviderLied`` when a receipt names another block.
        """

    async def finalized_number(self) -> int | None:
        """The number of the newest block that the chain itself calls final (the ``finalized``
        tag); None where the node does not know the tag."""

    async def code(self, address: Address) -> bytes:
        """The runtime code at ``address``; empty when there is no contract."""

    async def call(self, to: Address, data: bytes) -> bytes:
        """What a read-only call returns at the newest block. Raises ``NodeRefused``."""

    async def run(self, creation_code: bytes, gas: int) -> bytes:
        """What a contract's creation code returns at the newest block, with so much gas, where
        nothing is created. Raises ``NodeRefused``."""
