"""The fake of the port ``Rpc``: a chain in memory that reorganises, lags, fails and lies on order.

tests/ports/test_rpc.py holds it to the same behaviour as a real node.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gstable_server.chain import abi
from gstable_server.chain.abi.events import Event
from gstable_server.chain.abi.payments import PAID, ROUTED
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.completeness import bloom_of, receipts_root
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.rpc import (
    BlockReceipt,
    Header,
    Log,
    LogFilter,
    NodeRefused,
    NotOffered,
    ProviderLied,
    RangeTooLarge,
    UnknownBlock,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.errors import Passing
from gstable_server.kernel.tenant import Mode

FIRST_SECOND = 1_767_225_600  # 2026-01-01 00:00:00 UTC
HANG_SECONDS = 3600
ROUTER = Address(b"\x50" * 20)
TOKEN = Address(b"\x70" * 20)
PAYER = Address(b"\x01" * 20)
MERCHANT = Address(b"\x02" * 20)
FEE_RECEIVER = Address(b"\x03" * 20)


def fake_network(*, confirmations: int = 3, log_range: int = 1000, name: str = "fake") -> Network:
    """A network that exists only in a ``FakeChain``."""
    token = Token(
        token_id=f"{name}::usdc",
        name="USD Coin",
        symbol="USDC",
        network=name,
        chain_id=1337001,
        address=TOKEN,
        decimals=6,
        code_hash=None,
    )
    return Network(
        name=name,
        title="Fake",
        mode=Mode.TEST,
        chain_id=1337001,
        route_group="FAKE",
        rpc_urls=("http://127.0.0.1:9",),
        router=ROUTER,
        router_code_hash=None,
        confirmations=confirmations,
        start_block=0,
        explorer_url="",
        native_symbol="FAKE",
        tokens=(token,),
        poll_milliseconds=50,
        log_range=log_range,
    )


@dataclass(frozen=True, slots=True)
class FakePayment:
    """A payment that can be mined, and mined again: the transaction stays the same."""

    tx_hash: bytes
    session_key: bytes
    payer: Address = PAYER
    merchant: Address = MERCHANT
    token: Address = TOKEN
    merchant_received: int = 10_000_000
    fee_received: int = 20_000
    fee_receiver: Address = FEE_RECEIVER

    def log(self, contract: Address) -> Log:
        """Its event as ``contract`` emits it; the place is filled in when it is mined."""
        return event_log(
            PAID,
            contract,
            self.tx_hash,
            self.session_key,
            self.payer,
            self.merchant,
            self.token,
            self.merchant_received,
            self.fee_received,
            self.fee_receiver,
        )


@dataclass(frozen=True, slots=True)
class FakeRouted:
    """A payment that a rail brings on, as ``FakePayment``; the router measured ``delivered``."""

    tx_hash: bytes
    session_key: bytes
    rail: Address
    payer: Address = PAYER
    merchant: Address = MERCHANT
    token: Address = TOKEN
    spent: int = 10_000_000
    fee_received: int = 20_000
    fee_receiver: Address = FEE_RECEIVER
    settlement_chain_id: int = 1337002
    settlement_token: Address = TOKEN
    merchant_amount: int = 9_990_000
    delivered: int = 0
    rail_data: bytes = b"terms of the rail"

    def log(self, contract: Address) -> Log:
        """Its event as ``contract`` emits it; the place is filled in when it is mined."""
        return event_log(
            ROUTED,
            contract,
            self.tx_hash,
            self.session_key,
            self.payer,
            self.rail,
            self.merchant,
            self.token,
            self.spent,
            self.fee_received,
            self.fee_receiver,
            self.settlement_chain_id,
            self.settlement_token,
            self.merchant_amount,
            self.delivered,
            self.rail_data,
        )


def event_log(event: Event, contract: Address, tx_hash: bytes, *members: bytes | int) -> Log:
    """``event`` as ``contract`` emits it, for ``FakeChain.mine_logs``, which fills in the place."""
    topics = [event.topic]
    arguments: list[bytes | abi.Dynamic] = []
    for kind, member in zip(event.members, members, strict=True):
        word = abi.number_word(member) if isinstance(member, int) else member.rjust(32, b"\0")
        if kind.endswith(" indexed"):
            topics.append(word)
        elif kind == "bytes" and isinstance(member, bytes):
            arguments.append(abi.Dynamic(member))
        else:
            arguments.append(word)
    return Log(contract, tuple(topics), abi.encode(*arguments), 0, b"", tx_hash, 0)


@dataclass(frozen=True, slots=True)
class FakeBlock:
    """A mined block with everything in it."""

    header: Header
    receipts: tuple[BlockReceipt, ...]
    logs: tuple[Log, ...] = field(init=False)

    def __post_init__(self) -> None:
        logs = tuple(log for receipt in self.receipts for log in receipt.logs)
        object.__setattr__(self, "logs", logs)


DYNAMIC_FEE = 2
GAS_OF_ONE = 21_000


def receipts_over(logs: Sequence[Log]) -> tuple[BlockReceipt, ...]:
    """The receipts of the transactions that wrote ``logs``, each of them in one piece."""
    groups = [tuple(group) for _, group in itertools.groupby(logs, lambda log: log.tx_hash)]
    return tuple(
        BlockReceipt(
            tx_hash=group[0].tx_hash,
            type=DYNAMIC_FEE,
            succeeded=True,
            cumulative_gas=GAS_OF_ONE * (at + 1),
            bloom=bloom_of(group),
            logs=group,
        )
        for at, group in enumerate(groups)
    )


class FakeChain:
    """A chain whose newest block is ``blocks[-1]``; it starts with a genesis block."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._numbers = itertools.count(1)
        self.blocks: list[FakeBlock] = []
        self.codes: dict[Address, bytes] = {network.router: b"router"}
        self.returns: dict[tuple[Address, bytes], bytes] = {}
        self.programs: dict[bytes, bytes] = {}
        """What creation code returns that is only run; any other reverts."""
        self.actual_chain_id = network.chain_id
        self.visible: int | None = None
        """When set, the node answers as if this were the newest block."""
        self.log_lag: int | None = None
        """When set, the part of the node that answers for logs knows no block above this."""
        self.range_limit: int | None = None
        self.trouble: list[Passing] = []
        """Raised by the next questions, one each."""
        self.lying_hash: bytes | None = None
        """When set, logs claim to be of this block."""
        self.hanging = False
        self.omitted: Callable[[Log], bool] | None = None
        """When set, the logs of which this is true are left out of answers about logs."""
        self.omits_receipts = False
        """Whether what is omitted is missing from receipts, too."""
        self.gives_receipts = True
        self.finalized: int | None = None
        """What the node says is final by the chain's own account; None: it does not know."""
        self.asked: list[str] = []
        self.mine()

    def beside(self) -> FakeChain:
        """Another provider of the same chain, with faults of its own. Give it other ``blocks`` to
        have it follow another branch."""
        other = FakeChain(self.network)
        other.blocks, other._numbers = self.blocks, self._numbers
        return other

    def payment(self, session_key: bytes | None = None) -> FakePayment:
        """A new payment, not mined yet."""
        number = next(self._numbers)
        unique = keccak256(b"payment %d" % number)
        return FakePayment(unique, session_key or keccak256(b"session %d" % number))

    def mine(self, *payments: FakePayment | FakeRouted, timestamp: int | None = None) -> Header:
        """Add a block in which our router took ``payments``."""
        logs = [payment.log(self.network.router) for payment in payments]
        return self.mine_logs(logs, timestamp=timestamp)

    def mine_logs(self, logs: Sequence[Log], *, timestamp: int | None = None) -> Header:
        """Add a block with these logs, whichever contracts they are of."""
        return self.mine_receipts(receipts_over(logs), timestamp=timestamp)

    def mine_receipts(
        self, receipts: Sequence[BlockReceipt], *, timestamp: int | None = None
    ) -> Header:
        """Add a block with these receipts, whose logs get their places in it."""
        number = len(self.blocks)
        header = Header(
            number=number,
            hash=keccak256(b"block %d" % next(self._numbers)),
            parent_hash=self.blocks[-1].header.hash if self.blocks else bytes(32),
            timestamp=UnixSeconds(FIRST_SECOND + number if timestamp is None else timestamp),
            logs_bloom=bloom_of(log for receipt in receipts for log in receipt.logs),
            receipts_root=receipts_root(receipts),
        )
        self.blocks.append(FakeBlock(header, _placed(receipts, header)))
        return header

    def mine_empty(self, count: int) -> None:
        """Add blocks without logs."""
        for _ in range(count):
            self.mine()

    def take_back(self, depth: int) -> None:
        """Remove the newest blocks; what is mined next replaces them."""
        assert 0 < depth < len(self.blocks), "the genesis block stays"
        del self.blocks[-depth:]

    # The port.

    async def chain_id(self) -> int:
        await self._ask("chain_id")
        return self.actual_chain_id

    async def block_number(self) -> int:
        await self._ask("block_number")
        return self._head()

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
        block = self._find(block_hash)
        if block is None or self._hidden_from_logs(block.header.number):
            raise UnknownBlock("the node does not have the block")
        if self.lying_hash is not None and block.logs:
            raise ProviderLied("a log of another block")
        return _admitted(filters, self._told(block.logs))

    async def logs_in_range(
        self, first: int, last: int, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        await self._ask("logs_in_range")
        if self.range_limit is not None and last - first + 1 > self.range_limit:
            raise RangeTooLarge(f"at most {self.range_limit} blocks")
        if last > self._head() or self._hidden_from_logs(last):
            raise UnknownBlock(f"the node does not have block {last}")
        logs = [
            entry
            for block in self.blocks[first : last + 1]
            for entry in _admitted(filters, self._told(block.logs))
        ]
        if self.lying_hash is not None:
            logs = [replace(entry, block_hash=self.lying_hash) for entry in logs]
        return tuple(logs)

    async def receipts_of_block(self, block_hash: bytes) -> tuple[BlockReceipt, ...]:
        await self._ask("receipts_of_block")
        if not self.gives_receipts:
            raise NotOffered("the node does not give receipts")
        block = self._find(block_hash)
        if block is None:
            raise UnknownBlock("the node does not have the block")
        if not self.omits_receipts:
            return block.receipts
        return tuple(replace(each, logs=self._told(each.logs)) for each in block.receipts)

    async def finalized_number(self) -> int | None:
        await self._ask("finalized_number")
        return self.finalized

    async def code(self, address: Address) -> bytes:
        await self._ask("code")
        return self.codes.get(address, b"")

    async def call(self, to: Address, data: bytes) -> bytes:
        await self._ask("call")
        if to in self.codes and (to, data) not in self.returns:
            raise NodeRefused("execution reverted")
        return self.returns.get((to, data), b"")

    async def run(self, creation_code: bytes, gas: int) -> bytes:
        await self._ask("run")
        if creation_code not in self.programs:
            raise NodeRefused("execution reverted")
        return self.programs[creation_code]

    async def _ask(self, method: str) -> None:
        self.asked.append(method)
        await asyncio.sleep(HANG_SECONDS if self.hanging else 0)
        if self.trouble:
            raise self.trouble.pop(0)

    def _head(self) -> int:
        newest = len(self.blocks) - 1
        return newest if self.visible is None else min(newest, self.visible)

    def _at(self, number: int) -> Header | None:
        return self.blocks[number].header if number <= self._head() else None

    def _find(self, block_hash: bytes) -> FakeBlock | None:
        for block in self.blocks[: self._head() + 1]:
            if block.header.hash == block_hash:
                return block
        return None

    def _told(self, logs: tuple[Log, ...]) -> tuple[Log, ...]:
        omitted = self.omitted
        return logs if omitted is None else tuple(log for log in logs if not omitted(log))

    def _hidden_from_logs(self, number: int) -> bool:
        return self.log_lag is not None and number > self.log_lag


def _placed(receipts: Sequence[BlockReceipt], header: Header) -> tuple[BlockReceipt, ...]:
    """``receipts`` with their logs counted over the whole block."""
    places = itertools.count()
    return tuple(
        replace(
            receipt,
            logs=tuple(
                replace(
                    log,
                    block_number=header.number,
                    block_hash=header.hash,
                    tx_hash=receipt.tx_hash,
                    log_index=next(places),
                )
                for log in receipt.logs
            ),
        )
        for receipt in receipts
    )


def _admitted(filters: Sequence[LogFilter], logs: Sequence[Log]) -> tuple[Log, ...]:
    return tuple(entry for entry in logs if any(each.admits(entry) for each in filters))
