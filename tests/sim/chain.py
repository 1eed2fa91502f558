"""A blockchain that is the truth: one canonical branch, and every block that ever was.

Transactions are executed when they are mined, on the branch that they are mined on, and anew in
every other block that a reorganisation puts them into. The oracle reads this; processes read it
through ``providers``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.completeness import bloom_of, receipts_root
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import BlockReceipt, Header, Log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds, unix_seconds
from tests.sim.contracts import Contracts
from tests.sim.effects import REVERTED, Asked, Branch, Effects
from tests.sim.kernel import Kernel

GAS_OF_ONE = 21_000
DYNAMIC_FEE = 2
GWEI = 10**9
NOBODY = Address(bytes(20))


@dataclass(eq=False)
class SimTx:
    """A transaction. A payer's has its outcome with it (``effects``), unless it comes after
    ``until``, in Unix seconds, or what it does was done before; one of our executor has a ``call``,
    one of a merchant's own wallet a ``wish``, whose outcome the chain decides. ``tries`` lists the
    times, in Unix seconds, of the blocks that it was ever in."""

    tx_hash: bytes
    effects: Effects = field(default_factory=Effects)
    until: int | None = None
    wish: ContractCall | None = None
    call: ContractCall | None = None
    sender: Address = NOBODY
    nonce: int = 0
    fee: int = 0
    tries: list[int] = field(default_factory=list)

    def is_late(self, time: int) -> bool:
        """Whether a block of that time comes too late for it."""
        return self.until is not None and time > self.until


@dataclass(frozen=True, slots=True)
class SimBlock:
    """A block with everything in it: each transaction and what it did there."""

    header: Header
    txs: tuple[tuple[SimTx, Effects], ...]
    receipts: tuple[BlockReceipt, ...]
    logs: tuple[Log, ...]


class SimChain:
    """The chain of one network; ``blocks[-1]`` is the head."""

    def __init__(
        self, kernel: Kernel, networks: Networks, network: Network, chance: Random
    ) -> None:
        self.network = network
        self.contracts = Contracts(networks, network)
        self.blocks: list[SimBlock] = []
        self.by_hash: dict[bytes, SimBlock] = {}
        self.pool: list[SimTx] = []
        """Of payers; they may be mined in any order."""
        self.waiting: dict[tuple[Address, int], SimTx] = {}
        """Of our own accounts, by nonce."""
        self.base_fee = GWEI
        self.branch = Branch()
        """What the canonical branch has come to."""
        self.nonces: Counter[Address] = Counter()
        self.highest = -1
        """The number of the newest block that ever was."""
        self.version = 0
        """Another number after every change."""
        self._received: dict[bytes, SimTx] = {}
        self._kernel = kernel
        self._chance = chance
        self.add_block([])

    def receive(self, tx: SimTx) -> None:
        """One of our own accounts sends ``tx``; the same one again is the same transaction."""
        tx = self._received.setdefault(tx.tx_hash, tx)
        self.waiting[tx.sender, tx.nonce] = tx
        self.version += 1

    # --- time and reorganisations -----------------------------------------------------------------

    def mine(self, most: int) -> SimBlock:
        """Mine up to ``most`` of what payers sent, in any order, and what is next of ours."""
        self._chance.shuffle(self.pool)
        chosen, self.pool = self.pool[:most], self.pool[most:]
        return self.add_block([*chosen, *self._next_of_ours()])

    def _next_of_ours(self) -> list[SimTx]:
        found: list[SimTx] = []
        nonces = Counter(self.nonces)
        for (sender, nonce), tx in sorted(self.waiting.items()):
            if nonce == nonces[sender] and tx.fee >= self.base_fee:
                nonces[sender] += 1
                found.append(tx)
        for tx in found:
            del self.waiting[tx.sender, tx.nonce]
        return found

    def reorganise(self, depth: int) -> str:
        """Replace the newest ``depth`` blocks by one more. What was in them is mined at the same
        place, at another, later, or never; returns which."""
        taken = self.blocks[-depth:]
        for block in reversed(taken):
            self._take_back(block)
        style = self._chance.choice(("same", "later", "shuffled", "dropped", "pool"))
        for block in taken:
            # Where nothing was, nothing is, so that deep ones cost little.
            self.add_block(self._kept(block, style) if block.txs else [])
        self.add_block([])
        return style

    def _kept(self, block: SimBlock, style: str) -> list[SimTx]:
        ours = [tx for tx, _ in block.txs if tx.call is not None]
        kept = [tx for tx, _ in block.txs if tx.call is None]
        if style in {"later", "pool"}:
            late, kept = kept, []
            if style == "later" and self.pool:
                kept = [self.pool.pop(0)]
            self.pool += late
        elif style == "shuffled":
            self._chance.shuffle(kept)
        elif style == "dropped":
            kept = [tx for tx in kept if self._chance.random() < 0.5]
        if style in {"same", "shuffled"}:
            return [*kept, *(tx for tx in ours if tx.nonce == self.nonces[tx.sender])]
        for tx in ours:
            # A node may also have forgotten it; whoever sent it sends it again.
            if style != "dropped":
                self.waiting.setdefault((tx.sender, tx.nonce), tx)
        return kept

    # --- blocks -----------------------------------------------------------------------------------

    def add_block(self, txs: Sequence[SimTx]) -> SimBlock:
        """A block with these transactions, as far as they are valid there."""
        time, number = self.now, len(self.blocks)
        self.version += 1
        name = keccak256(f"{self.network.name} {self.version}".encode())
        executed: list[tuple[SimTx, Effects]] = []
        for tx in txs:
            if tx.call is not None and tx.nonce != self.nonces[tx.sender]:
                continue
            executed.append((tx, self._execute(tx, number, time)))
        receipts = _receipts(executed, number, name)
        logs = tuple(log for receipt in receipts for log in receipt.logs)
        header = Header(
            number=number,
            hash=name,
            parent_hash=self.blocks[-1].header.hash if self.blocks else bytes(32),
            timestamp=time,
            logs_bloom=bloom_of(logs),
            receipts_root=receipts_root(receipts),
        )
        block = SimBlock(header, tuple(executed), receipts, logs)
        self.blocks.append(block)
        self.highest = max(self.highest, number)
        self.by_hash[name] = block
        return block

    def _execute(self, tx: SimTx, number: int, time: int) -> Effects:
        effects, asks = tx.effects, tx.call or tx.wish
        if asks is not None:
            asked = Asked(tx.tx_hash, asks, tx.sender, self.branch, time)
            effects = self.contracts.execute(asked)
        elif tx.is_late(time) or any(done in self.branch.done for done in effects.done):
            effects = REVERTED
        if tx.call is not None:
            self.nonces[tx.sender] += 1
        tx.tries.append(time)
        self.branch.add(effects, number)
        return effects

    def _take_back(self, block: SimBlock) -> None:
        self.blocks.pop()
        for tx, effects in reversed(block.txs):
            if tx.call is not None:
                self.nonces[tx.sender] -= 1
            self.branch.take_back(effects)

    # --- what there is to know --------------------------------------------------------------------

    @property
    def now(self) -> UnixSeconds:
        """The time of a block that is mined now."""
        return unix_seconds(self._kernel.now)

    @property
    def unfinal_depth(self) -> int:
        """How many of the newest blocks may be taken back without breaking what is final."""
        return min(self.network.confirmations, len(self.blocks)) - 1

    def canonical(self) -> Iterable[tuple[SimTx, Effects]]:
        """Every transaction of the canonical branch, and what it did."""
        return (each for block in self.blocks for each in block.txs)


def _receipts(
    executed: Sequence[tuple[SimTx, Effects]], number: int, name: bytes
) -> tuple[BlockReceipt, ...]:
    found: list[BlockReceipt] = []
    place = 0
    for at, (tx, effects) in enumerate(executed):
        logs = effects.logs if effects.succeeded else ()
        placed = tuple(
            replace(log, block_number=number, block_hash=name, log_index=place + index)
            for index, log in enumerate(logs)
        )
        place += len(placed)
        gas = GAS_OF_ONE * (at + 1)
        bloom = bloom_of(placed)
        found.append(BlockReceipt(tx.tx_hash, DYNAMIC_FEE, effects.succeeded, gas, bloom, placed))
    return tuple(found)
