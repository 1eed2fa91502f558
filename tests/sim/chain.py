"""A blockchain that is the truth, and providers that tell it badly.

``SimChain`` has one canonical branch and remembers every block that ever was; the oracle reads it.
``SimProvider`` is the port ``Rpc`` for one process: it lags, fails, follows another branch for a
while and leaves out logs, all as the seed says. It never tells what was on no branch, except
where a fault says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.completeness import bloom_of, receipts_root
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import (
    BlockReceipt,
    Header,
    Log,
    LogFilter,
    NodeRefused,
    NotOffered,
    ProviderFailed,
    RangeTooLarge,
    UnknownBlock,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds, unix_seconds
from tests.sim.kernel import Kernel, Process

GAS_OF_ONE = 21_000
DYNAMIC_FEE = 2


@dataclass(frozen=True, slots=True)
class Paid:
    """What one log of a router says, as the oracle counts it; amounts in atomic units."""

    session_key: bytes
    merchant: Address
    token: Address
    received: int
    fee: int
    by_router: bool = True


@dataclass(eq=False)
class SimTx:
    """A transaction: what it writes when it is mined. ``tries`` lists the times of the blocks that
    it was ever in, in Unix seconds."""

    tx_hash: bytes
    logs: tuple[Log, ...]
    paid: tuple[Paid, ...] = ()
    succeeded: bool = True
    tries: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SimBlock:
    """A block with everything in it."""

    header: Header
    txs: tuple[SimTx, ...]
    receipts: tuple[BlockReceipt, ...]
    logs: tuple[Log, ...]


class SimChain:
    """The chain of one network; ``blocks[-1]`` is the head."""

    def __init__(self, kernel: Kernel, network: Network, chance: Random) -> None:
        self.network = network
        self.blocks: list[SimBlock] = []
        self.by_hash: dict[bytes, SimBlock] = {}
        self.pool: list[SimTx] = []
        self.gone: list[SimTx] = []
        """Transactions that a reorganisation dropped for good."""
        self._kernel = kernel
        self._chance = chance
        self._made = 0
        self.mine([])

    def mine(self, txs: Sequence[SimTx]) -> SimBlock:
        """Add a block with these transactions."""
        time = self.now
        self._made += 1
        number = len(self.blocks)
        name = keccak256(f"{self.network.name} {self._made}".encode())
        receipts = _receipts(txs, number, name)
        logs = tuple(log for receipt in receipts for log in receipt.logs)
        header = Header(
            number=number,
            hash=name,
            parent_hash=self.blocks[-1].header.hash if self.blocks else bytes(32),
            timestamp=time,
            logs_bloom=bloom_of(logs),
            receipts_root=receipts_root(receipts),
        )
        block = SimBlock(header, tuple(txs), receipts, logs)
        for tx in txs:
            tx.tries.append(time)
        self.blocks.append(block)
        self.by_hash[name] = block
        return block

    def mine_pool(self, most: int) -> SimBlock:
        """Mine up to ``most`` of what waits, in any order."""
        self._chance.shuffle(self.pool)
        chosen, self.pool = self.pool[:most], self.pool[most:]
        return self.mine(chosen)

    def reorganise(self, depth: int) -> None:
        """Replace the newest ``depth`` blocks by one more. What was in them is dropped, mined at
        another place of the same block or later, or waits again."""
        taken = self.blocks[-depth:]
        del self.blocks[-depth:]
        style = self._chance.choice(("same", "later", "shuffled", "dropped", "pool"))
        for block in taken:
            self.mine(self._kept(block, style))
        self.mine(())

    def _kept(self, block: SimBlock, style: str) -> list[SimTx]:
        kept = list(block.txs)
        match style:
            case "later":
                self.pool += kept
                kept = []
                if self._chance.random() < 0.5 and self.pool:
                    kept = [self.pool.pop(0)]
            case "shuffled":
                self._chance.shuffle(kept)
            case "dropped":
                lost = [tx for tx in kept if self._chance.random() < 0.5]
                self.gone += lost
                kept = [tx for tx in kept if tx not in lost]
            case "pool":
                self.pool += kept
                kept = []
        return kept

    def canonical(self) -> Iterable[tuple[SimBlock, SimTx]]:
        """Every transaction of the canonical branch with its block."""
        return ((block, tx) for block in self.blocks for tx in block.txs)

    @property
    def unfinal_depth(self) -> int:
        """How many of the newest blocks may be taken back without breaking what is final."""
        return min(self.network.confirmations, len(self.blocks)) - 1

    @property
    def now(self) -> UnixSeconds:
        """The time of a block that is mined now."""
        return unix_seconds(self._kernel.now)


def _receipts(txs: Sequence[SimTx], number: int, name: bytes) -> tuple[BlockReceipt, ...]:
    found: list[BlockReceipt] = []
    place = 0
    for at, tx in enumerate(txs):
        logs = tx.logs if tx.succeeded else ()
        placed = tuple(
            replace(log, block_number=number, block_hash=name, log_index=place + index)
            for index, log in enumerate(logs)
        )
        place += len(placed)
        gas = GAS_OF_ONE * (at + 1)
        found.append(
            BlockReceipt(tx.tx_hash, DYNAMIC_FEE, tx.succeeded, gas, bloom_of(placed), placed)
        )
    return tuple(found)


@dataclass
class RpcFaults:
    """How badly a provider answers: shares between 0 and 1, and a lag in blocks."""

    chance: Random
    errors: float = 0.0
    omissions: float = 0.0
    lag: int = 0
    range_limit: int | None = None


class SimProvider:
    """One provider of one network, as one process sees it."""

    def __init__(
        self, kernel: Kernel, process: Process, chain: SimChain, faults: RpcFaults
    ) -> None:
        self._kernel = kernel
        self._process = process
        self._chain = chain
        self._faults = faults
        self.stuck: list[SimBlock] | None = None
        """The branch that this provider follows while it has not heard of a reorganisation."""

    async def chain_id(self) -> int:
        await self._ask("chain_id")
        return self._chain.network.chain_id

    async def block_number(self) -> int:
        await self._ask("block_number")
        return len(self._blocks()) - 1

    async def block_and_next(self, number: int) -> tuple[Header, Header | None]:
        await self._ask("block_and_next")
        here = self._at(number)
        if here is None:
            raise UnknownBlock(f"the node does not have block {number}")
        return here, self._at(number + 1)

    async def blocks_by_number(self, numbers: Sequence[int]) -> tuple[Header | None, ...]:
        await self._ask("blocks_by_number")
        return tuple(self._at(number) for number in numbers)

    async def logs_of_block(
        self, block_hash: bytes, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        await self._ask("logs_of_block")
        return self._told(filters, self._find(block_hash).logs)

    async def logs_in_range(
        self, first: int, last: int, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        await self._ask("logs_in_range")
        limit = self._faults.range_limit
        if limit is not None and last - first + 1 > limit:
            raise RangeTooLarge(f"at most {limit} blocks")
        blocks = self._blocks()
        if last >= len(blocks):
            raise UnknownBlock(f"the node does not have block {last}")
        logs = [log for block in blocks[first : last + 1] for log in block.logs]
        return self._told(filters, logs)

    async def receipts_of_block(self, block_hash: bytes) -> tuple[BlockReceipt, ...]:
        await self._ask("receipts_of_block")
        return self._find(block_hash).receipts

    async def finalized_number(self) -> int | None:
        await self._ask("finalized_number")
        return None

    async def code(self, address: Address) -> bytes:
        await self._ask("code")
        return b"code"

    async def call(self, to: Address, data: bytes) -> bytes:
        await self._ask("call")
        raise NodeRefused("execution reverted")

    async def run(self, creation_code: bytes, gas: int) -> bytes:
        await self._ask("run")
        raise NodeRefused("execution reverted")

    async def _ask(self, method: str) -> None:
        await self._kernel.park(self._process, f"{self._chain.network.name} {method}")
        faults = self._faults
        if faults.errors and faults.chance.random() < faults.errors:
            failure = faults.chance.choice((ProviderFailed, UnknownBlock, NotOffered))
            self._kernel.note(f"no answer: {failure.__name__}")
            raise failure("simulated")

    def _blocks(self) -> list[SimBlock]:
        blocks = self._chain.blocks if self.stuck is None else self.stuck
        seen = len(blocks) - self._faults.lag
        return blocks if self._faults.lag == 0 else blocks[: max(1, seen)]

    def _at(self, number: int) -> Header | None:
        blocks = self._blocks()
        return blocks[number].header if number < len(blocks) else None

    def _find(self, block_hash: bytes) -> SimBlock:
        block = self._chain.by_hash.get(block_hash)
        blocks = self._blocks()
        if block is not None and block.header.number < len(blocks):
            if blocks[block.header.number] is block:
                return block
        raise UnknownBlock("the node does not have the block")

    def _told(self, filters: Sequence[LogFilter], logs: Iterable[Log]) -> tuple[Log, ...]:
        admitted = tuple(log for log in logs if any(each.admits(log) for each in filters))
        faults = self._faults
        if not faults.omissions:
            return admitted
        told = tuple(log for log in admitted if faults.chance.random() >= faults.omissions)
        if len(told) < len(admitted):
            self._kernel.note(f"{len(admitted) - len(told)} logs left out")
        return told
