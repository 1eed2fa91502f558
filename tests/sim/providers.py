"""Providers of the simulated chains: the ports ``Rpc`` and ``Node``, which fail as the seed says.

An ``Outlet`` is a provider as such, the same for every process: how far behind it is, which branch
it follows, what it leaves out. ``SimProvider`` is one process's connection to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from gstable_server.chain.executor.node import Account, Spent
from gstable_server.chain.executor.testing import _decoded
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import (
    BlockReceipt,
    Header,
    Log,
    LogFilter,
    NodeRefused,
    NotOffered,
    ProviderFailed,
    ProviderLied,
    RangeTooLarge,
    UnknownBlock,
)
from gstable_server.chain.rpc_answers import Receipt
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from tests.sim.chain import SimBlock, SimChain, SimTx
from tests.sim.effects import Asked, Branch
from tests.sim.kernel import Kernel, Process

CALL_GAS = 50_000
BALANCE = 10**20


@dataclass
class Outlet:
    """One provider of one chain. Shares are between 0 and 1."""

    chain: SimChain
    chance: Random
    errors: float = 0.0
    omissions: float = 0.0
    """The share of answers about logs from which some are missing."""
    lies: float = 0.0
    """The share of answers that have logs of transactions that failed."""
    lag: int = 0
    range_limit: int | None = None
    gives_receipts: bool = True
    branch: list[SimBlock] | None = None
    """The blocks that it still follows after a reorganisation that it has not heard of."""

    def heal(self) -> None:
        """From now on it answers truly and at once."""
        self.errors = self.omissions = self.lies = 0.0
        self.lag, self.range_limit, self.gives_receipts, self.branch = 0, None, True, None

    @property
    def blocks(self) -> Sequence[SimBlock]:
        """The chain as this provider knows it."""
        known = self.chain.blocks if self.branch is None else self.branch
        return known[: max(1, len(known) - self.lag)] if self.lag else known

    def known(self) -> Branch:
        """What the branch has come to that this provider knows."""
        if self.branch is None and not self.lag:
            return self.chain.branch
        known = Branch()
        for block in self.blocks:
            for _, effects in block.txs:
                known.add(effects, block.header.number)
        return known


class SimProvider:
    """The port ``Rpc``, and the port ``Node`` of the executor."""

    def __init__(self, kernel: Kernel, process: Process, outlet: Outlet, name: str) -> None:
        self._kernel = kernel
        self._process = process
        self._outlet = outlet
        self._chain = outlet.chain
        self._name = name

    # The port Rpc.

    async def chain_id(self) -> int:
        # The same for ever: not worth a step.
        return self._chain.network.chain_id

    async def block_number(self) -> int:
        await self._ask("block_number")
        return len(self._outlet.blocks) - 1

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
        return self._told(filters, self._claimed(self._find(block_hash)))

    async def logs_in_range(
        self, first: int, last: int, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        await self._ask("logs_in_range")
        limit = self._outlet.range_limit
        if limit is not None and last - first + 1 > limit:
            raise RangeTooLarge(f"at most {limit} blocks")
        blocks = self._outlet.blocks
        if last >= len(blocks):
            raise UnknownBlock(f"the node does not have block {last}")
        logs = [log for block in blocks[first : last + 1] for log in block.logs]
        return self._told(filters, logs)

    async def receipts_of_block(self, block_hash: bytes) -> tuple[BlockReceipt, ...]:
        await self._ask("receipts_of_block")
        if not self._outlet.gives_receipts:
            raise NotOffered("the node does not give receipts")
        return self._find(block_hash).receipts

    async def finalized_number(self) -> int | None:
        await self._ask("finalized_number")
        return None

    async def code(self, address: Address) -> bytes:
        await self._ask("code")
        return b"code"

    async def call(self, to: Address, data: bytes) -> bytes:
        await self._ask("call")
        return self._chain.contracts.answer(data, self._outlet.known())

    async def run(self, creation_code: bytes, gas: int) -> bytes:
        await self._ask("run")
        raise NodeRefused("execution reverted")

    # The port Node.

    async def account(self, address: Address) -> Account:
        await self._ask("account")
        chain = self._chain
        mined = waiting = chain.nonces[address]
        while (address, waiting) in chain.waiting:
            waiting += 1
        return Account(len(chain.blocks) - 1, mined, waiting, BALANCE, chain.base_fee)

    async def receipts(self, tx_hashes: Sequence[bytes]) -> tuple[Receipt | None, ...]:
        await self._ask("receipts")
        wanted = set(tx_hashes)
        found = {
            tx.tx_hash: Receipt(
                tx_hash=tx.tx_hash,
                succeeded=effects.succeeded,
                block_number=block.header.number,
                block_hash=block.header.hash,
                gas_used=CALL_GAS,
                contract=None,
            )
            for block in self._chain.blocks
            for tx, effects in block.txs
            if tx.call is not None and tx.tx_hash in wanted
        }
        return tuple(found.get(tx_hash) for tx_hash in tx_hashes)

    async def estimate_gas(self, sender: Address, to: Address, data: bytes, value: int) -> int:
        await self._ask("estimate_gas")
        chain, known = self._chain, self._outlet.known()
        call = ContractCall(to, data, value)
        done = chain.contracts.execute(Asked(b"", call, sender, known, chain.now))
        if not done.succeeded:
            self._kernel.note("reverts")
            raise NodeRefused("execution reverted")
        return CALL_GAS

    async def send_raw(self, raw_tx: bytes) -> bytes:
        await self._ask("send_raw")
        chain, sent = self._chain, _decoded(raw_tx)
        known = chain.waiting.get((sent.sender, sent.nonce))
        if sent.nonce < chain.nonces[sent.sender]:
            raise NodeRefused("nonce too low")
        if known is not None and known.tx_hash == sent.tx_hash:
            raise NodeRefused("already known")
        if known is not None and 10 * sent.fee < 11 * known.fee:
            raise NodeRefused("replacement transaction underpriced")
        chain.receive(
            SimTx(
                tx_hash=sent.tx_hash,
                call=sent.call,
                sender=sent.sender,
                nonce=sent.nonce,
                fee=sent.fee,
            )
        )
        if self._outlet.errors and self._outlet.chance.random() < self._outlet.errors:
            self._kernel.note("taken, and the answer was lost")
            raise ProviderFailed("the connection was lost after the question arrived")
        return sent.tx_hash

    async def mined_at(self, address: Address, number: int) -> int:
        await self._ask("mined_at")
        blocks = self._chain.blocks[: number + 1]
        return sum(tx.call is not None and tx.sender == address for b in blocks for tx, _ in b.txs)

    async def spent_in(self, number: int, address: Address, nonce: int) -> Spent | None:
        await self._ask("spent_in")
        block = self._chain.blocks[number]
        for tx, _ in block.txs:
            if tx.call is not None and (tx.sender, tx.nonce) == (address, nonce):
                return Spent(tx.tx_hash, number, block.header.hash)
        return None

    # How it answers.

    async def _ask(self, method: str) -> None:
        await self._kernel.park(self._process, f"{self._name} {method}")
        outlet = self._outlet
        if outlet.errors and outlet.chance.random() < outlet.errors:
            failure: type[Passing] = outlet.chance.choice(
                (ProviderFailed, ProviderFailed, UnknownBlock, ProviderLied)
            )
            self._kernel.note(f"no answer: {failure.__name__}")
            raise failure("simulated")

    def _at(self, number: int) -> Header | None:
        blocks = self._outlet.blocks
        return blocks[number].header if number < len(blocks) else None

    def _find(self, block_hash: bytes) -> SimBlock:
        block = self._chain.by_hash.get(block_hash)
        blocks = self._outlet.blocks
        known = block is not None and block.header.number < len(blocks)
        if block is not None and known and blocks[block.header.number] is block:
            return block
        raise UnknownBlock("the node does not have the block")

    def _claimed(self, block: SimBlock) -> Sequence[Log]:
        """The block's logs; or, where the provider lies, with some of what failed in it."""
        outlet = self._outlet
        if not outlet.lies or outlet.chance.random() >= outlet.lies:
            return block.logs
        header, place = block.header, len(block.logs)
        failed = [
            replace(log, block_number=header.number, block_hash=header.hash, log_index=place)
            for _, effects in block.txs
            if not effects.succeeded
            for log in effects.logs[:1]
        ]
        if failed:
            self._kernel.note("a log of a failed transaction")
        return (*block.logs, *failed[:1])

    def _told(self, filters: Sequence[LogFilter], logs: Iterable[Log]) -> tuple[Log, ...]:
        admitted = tuple(log for log in logs if any(each.admits(log) for each in filters))
        outlet = self._outlet
        if not outlet.omissions or outlet.chance.random() >= outlet.omissions:
            return admitted
        told = tuple(log for log in admitted if outlet.chance.random() < 0.5)
        self._kernel.note(f"{len(admitted) - len(told)} logs left out")
        return told
