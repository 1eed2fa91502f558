"""What the executor asks of a node, and the real one, ``HttpNode``; ``testing.FakeNode`` is the
fake, and tests/ports/test_executor_node.py judges both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import msgspec

from gstable_server.chain import rpc_answers as answers
from gstable_server.chain.http_rpc import TIMEOUT_SECONDS, HttpRpc
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import Header, ProviderFailed, UnknownBlock
from gstable_server.chain.rpc_answers import Receipt
from gstable_server.kernel.address import Address

BATCH_MAX = 100


@dataclass(frozen=True, slots=True)
class Account:
    """An account and the market at one instant.

    ``head`` is the newest block's number. ``mined`` counts the account's transactions in blocks,
    ``waiting`` also the unbroken row of those in the node's pool. ``balance`` is in the smallest
    native unit, ``base_fee`` what the next block asks for a unit of gas.
    """

    head: int
    mined: int
    waiting: int
    balance: int
    base_fee: int


@dataclass(frozen=True, slots=True)
class Spent:
    """Which transaction has used a nonce, and in which block."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes


class Node(Protocol):
    """Every method may raise ``Passing``; those that execute something also ``NodeRefused``."""

    async def account(self, address: Address) -> Account:
        """The account now."""

    async def receipts(self, tx_hashes: Sequence[bytes]) -> tuple[Receipt | None, ...]:
        """What the node says of each transaction; None for what it does not know as mined, and
        for a receipt that is malformed or of another transaction. Not to be believed before its
        block was compared with the canonical one of that number."""

    async def blocks_by_number(self, numbers: Sequence[int]) -> tuple[Header | None, ...]:
        """The canonical blocks at ``numbers``, in that order; None where there is none."""

    async def estimate_gas(self, sender: Address, to: Address, data: bytes, value: int) -> int:
        """The gas that the call would use now. Raises ``NodeRefused`` if it would fail."""

    async def send_raw(self, raw_tx: bytes) -> bytes:
        """Hand over a signed transaction; its hash. Raises ``NodeRefused``."""

    async def mined_at(self, address: Address, number: int) -> int:
        """How many transactions of ``address`` are in blocks up to ``number``.

        Raises ``UnknownBlock`` when the node does not keep that state."""

    async def spent_in(self, number: int, address: Address, nonce: int) -> Spent | None:
        """The transaction of ``address`` with that nonce, if it is in block ``number``."""


class _FeeHistory(msgspec.Struct, rename="camel"):
    base_fee_per_gas: list[str]


class _Transaction(msgspec.Struct, rename="camel"):
    hash: str
    sender: str = msgspec.field(name="from")
    nonce: str


class _FullBlock(msgspec.Struct):
    hash: str
    transactions: list[_Transaction]


class HttpNode(HttpRpc):
    """The port over JSON-RPC."""

    async def account(self, address: Address) -> Account:
        name = "0x" + address.hex()

        def parse(raws: Sequence[msgspec.Raw]) -> Account:
            head, mined, waiting, balance = (answers.number(raw) for raw in raws[:4])
            # A node may count its pool by a second's lag; what is mined counts in any case.
            return Account(head, mined, max(mined, waiting), balance, _base_fee(raws[4]))

        return await self._ask(
            [
                ("eth_blockNumber", []),
                ("eth_getTransactionCount", [name, "latest"]),
                ("eth_getTransactionCount", [name, "pending"]),
                ("eth_getBalance", [name, "latest"]),
                ("eth_feeHistory", ["0x1", "latest", []]),
            ],
            parse,
        )

    async def receipts(self, tx_hashes: Sequence[bytes]) -> tuple[Receipt | None, ...]:
        found: list[Receipt | None] = []
        for start in range(0, len(tx_hashes), BATCH_MAX):
            part = tx_hashes[start : start + BATCH_MAX]
            found += await self._ask(
                [("eth_getTransactionReceipt", ["0x" + each.hex()]) for each in part],
                lambda raws, part=part: [  # type: ignore[misc]
                    _receipt(raw, tx_hash) for raw, tx_hash in zip(raws, part, strict=True)
                ],
            )
        return tuple(found)

    async def mined_at(self, address: Address, number: int) -> int:
        asked = ["0x" + address.hex(), hex(number)]
        try:
            return await self._one("eth_getTransactionCount", asked, answers.number)
        except ProviderFailed as failure:
            raise UnknownBlock(f"no state of block {number}: {failure}") from failure

    async def spent_in(self, number: int, address: Address, nonce: int) -> Spent | None:
        def parse(raw: msgspec.Raw) -> Spent | None:
            try:
                block = msgspec.json.decode(raw, type=_FullBlock)
            except msgspec.DecodeError as failure:
                raise ProviderFailed(f"not a block with transactions: {failure}") from failure
            for each in block.transactions:
                # Only of these two: kinds of transactions that nobody has heard of yet may be
                # in the block, and need not be understood.
                if each.sender.lower() == "0x" + address.hex() and int(each.nonce, 16) == nonce:
                    return Spent(_hash(each.hash), number, _hash(block.hash))
            return None

        return await self._one("eth_getBlockByNumber", [hex(number), True], parse)


@asynccontextmanager
async def open_node(
    network: Network, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> AsyncIterator[HttpNode]:
    """An ``HttpNode`` for ``network`` with connections of its own, closed at the end."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield HttpNode(session, network.rpc_urls, network.chain_id)


def _base_fee(raw: msgspec.Raw) -> int:
    try:
        fees = msgspec.json.decode(raw, type=_FeeHistory).base_fee_per_gas
        return int(fees[-1], 16)  # the last one is of the block that comes next
    except (msgspec.DecodeError, IndexError, ValueError) as failure:
        raise ProviderFailed(f"eth_feeHistory: no base fee: {failure}") from failure


def _receipt(raw: msgspec.Raw, tx_hash: bytes) -> Receipt | None:
    try:
        receipt = answers.receipt(raw)
    except ProviderFailed:  # some nodes answer for a waiting transaction without a block
        return None
    return receipt if receipt is not None and receipt.tx_hash == tx_hash else None


def _hash(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ProviderFailed(f"not a hash: {text[:80]!r}")
    return raw
