"""The fake of the port ``Node``: a chain in memory that executes, forgets and turns back on order.

tests/ports/test_executor_node.py holds it to the same behaviour as a real node.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from coincurve import PublicKey

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.completeness import NO_BLOOM, receipts_root
from gstable_server.chain.executor.node import Account, Spent
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import Header, NodeRefused
from gstable_server.chain.rpc_answers import Receipt
from gstable_server.chain.testing import FIRST_SECOND
from gstable_server.chain.transactions import DYNAMIC_FEE_TYPE, Rlp, rlp
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.errors import Passing

CALL_GAS = 50_000


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a node reads from the bytes that it is handed."""

    sender: Address
    nonce: int
    gas: int
    fee: int
    tip: int
    call: ContractCall
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class _Mined:
    """A transaction in a block, and whether its call did what it should."""

    tx: Transaction
    succeeded: bool


@dataclass(frozen=True, slots=True)
class _Block:
    header: Header
    mined: tuple[_Mined, ...]


class FakeNode:
    """A node with its pool. Nothing is mined before ``mine``; gas is taken from balances."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._numbers = itertools.count(1)
        self.blocks: list[_Block] = []
        self.pool: dict[tuple[Address, int], Transaction] = {}
        self.balances: Counter[Address] = Counter()
        self.reverting: set[Address] = set()
        """Calls of these contracts revert."""
        self.base_fee = 10**9
        self.trouble: list[Passing] = []
        """Raised by the next questions, one each, before they have an effect."""
        self.lost_answers = 0
        """How many of the next transactions arrive although sending them fails."""
        self.mine()

    # What a test does to the chain.

    def mine(self, count: int = 1) -> None:
        """Add blocks with all transactions that are next in line and pay enough."""
        for _ in range(count):
            mined: list[_Mined] = []
            while ready := self._ready(mined):
                del self.pool[ready.sender, ready.nonce]
                self.balances[ready.sender] -= CALL_GAS * self.base_fee
                mined.append(_Mined(ready, ready.call.to not in self.reverting))
            number = len(self.blocks)
            header = Header(
                number=number,
                hash=keccak256(b"block %d" % next(self._numbers)),
                parent_hash=self.blocks[-1].header.hash if self.blocks else bytes(32),
                timestamp=UnixSeconds(FIRST_SECOND + number),
                logs_bloom=NO_BLOOM,
                receipts_root=receipts_root(()),
            )
            self.blocks.append(_Block(header, tuple(mined)))

    def _ready(self, mined: Sequence[_Mined]) -> Transaction | None:
        used = Counter(each.tx.sender for each in mined)
        for (sender, nonce), tx in sorted(self.pool.items()):
            if nonce == self._mined(sender) + used[sender] and tx.fee >= self.base_fee:
                return tx
        return None

    def take_back(self, depth: int) -> None:
        """Replace the newest blocks by as many empty ones; their transactions are gone."""
        assert 0 < depth < len(self.blocks), "the first block stays"
        for block in self.blocks[-depth:]:
            for each in block.mined:
                self.balances[each.tx.sender] += CALL_GAS * self.base_fee
        del self.blocks[-depth:]
        waiting, self.pool = self.pool, {}
        self.mine(depth)
        self.pool = waiting

    def effects(self) -> Counter[ContractCall]:
        """How often each call took effect in the canonical chain."""
        return Counter(
            each.tx.call for block in self.blocks for each in block.mined if each.succeeded
        )

    # The port.

    async def account(self, address: Address) -> Account:
        await self._ask()
        mined = waiting = self._mined(address)
        while (address, waiting) in self.pool:
            waiting += 1
        head = len(self.blocks) - 1
        return Account(head, mined, waiting, self.balances[address], self.base_fee)

    async def receipts(self, tx_hashes: Sequence[bytes]) -> tuple[Receipt | None, ...]:
        await self._ask()
        found = {
            each.tx.tx_hash: Receipt(
                tx_hash=each.tx.tx_hash,
                succeeded=each.succeeded,
                block_number=block.header.number,
                block_hash=block.header.hash,
                gas_used=CALL_GAS,
                contract=None,
            )
            for block in self.blocks
            for each in block.mined
        }
        return tuple(found.get(tx_hash) for tx_hash in tx_hashes)

    async def blocks_by_number(self, numbers: Sequence[int]) -> tuple[Header | None, ...]:
        await self._ask()
        return tuple(
            self.blocks[number].header if number < len(self.blocks) else None for number in numbers
        )

    async def estimate_gas(self, sender: Address, to: Address, data: bytes, value: int) -> int:
        await self._ask()
        if to in self.reverting:
            raise NodeRefused("execution reverted")
        return CALL_GAS

    async def send_raw(self, raw_tx: bytes) -> bytes:
        await self._ask()
        tx = _decoded(raw_tx)
        rival = self.pool.get((tx.sender, tx.nonce))
        if tx.nonce < self._mined(tx.sender):
            raise NodeRefused("nonce too low")
        if rival is not None and rival.tx_hash == tx.tx_hash:
            raise NodeRefused("already known")
        if rival is not None and 10 * tx.fee < 11 * rival.fee:
            raise NodeRefused("replacement transaction underpriced")
        if tx.gas * tx.fee + tx.call.value > self.balances[tx.sender]:
            raise NodeRefused("insufficient funds for gas * price + value")
        self.pool[tx.sender, tx.nonce] = tx
        if self.lost_answers:
            self.lost_answers -= 1
            raise Passing("the connection was lost after the question arrived")
        return tx.tx_hash

    async def mined_at(self, address: Address, number: int) -> int:
        await self._ask()
        return self._mined(address, number)

    async def spent_in(self, number: int, address: Address, nonce: int) -> Spent | None:
        await self._ask()
        block = self.blocks[number]
        for each in block.mined:
            if (each.tx.sender, each.tx.nonce) == (address, nonce):
                return Spent(each.tx.tx_hash, number, block.header.hash)
        return None

    async def _ask(self) -> None:
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble.pop(0)

    def _mined(self, address: Address, number: int | None = None) -> int:
        blocks = self.blocks if number is None else self.blocks[: number + 1]
        return sum(each.tx.sender == address for block in blocks for each in block.mined)


def _decoded(raw: bytes) -> Transaction:
    """The transaction of EIP-1559 in ``raw``, its sender recovered from the signature."""
    assert raw[:1] == DYNAMIC_FEE_TYPE, "the executor sends no other kind"
    fields, _ = _item(raw, 1)
    assert isinstance(fields, list)
    terms, (parity, r, s) = fields[:9], fields[9:]
    signature = _bytes(r).rjust(32, b"\0") + _bytes(s).rjust(32, b"\0") + bytes([_int(parity)])
    key = PublicKey.from_signature_and_message(
        signature, keccak256(DYNAMIC_FEE_TYPE + rlp(terms)), hasher=None
    )
    return Transaction(
        sender=Address(keccak256(key.format(compressed=False)[1:])[12:]),
        nonce=_int(terms[1]),
        tip=_int(terms[2]),
        fee=_int(terms[3]),
        gas=_int(terms[4]),
        call=ContractCall(Address(_bytes(terms[5])), _bytes(terms[7]), _int(terms[6])),
        tx_hash=keccak256(raw),
    )


def _item(raw: bytes, at: int) -> tuple[Rlp, int]:
    """The item of the recursive length prefix at ``at``, and where the next one begins."""
    prefix = raw[at]
    if prefix < 0x80:
        return raw[at : at + 1], at + 1
    offset = 0x80 if prefix < 0xC0 else 0xC0
    size = prefix - offset
    begin = at + 1
    if size > 55:
        begin += size - 55
        size = int.from_bytes(raw[at + 1 : begin], "big")
    if offset == 0x80:
        return raw[begin : begin + size], begin + size
    items: list[Rlp] = []
    next_one = begin
    while next_one < begin + size:
        item, next_one = _item(raw, next_one)
        items.append(item)
    return items, next_one


def _bytes(item: Rlp) -> bytes:
    assert isinstance(item, bytes)
    return item


def _int(item: Rlp) -> int:
    return int.from_bytes(_bytes(item), "big")
