"""Asking a network's nodes for logs, with a client of its own.

A block range is only asked for after its last block proved to be the one that the book's frontier
stands on, and that is asked again afterwards: so the logs are of that chain. What a node says in
between is checked against the question, and another node is asked if it does not fit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
import msgspec

from gstable_server.chain.networks import Network
from gstable_server.kernel.address import Address
from gstable_server.reconciliation import model
from gstable_server.reconciliation.logs import MESSAGE_RECEIVED
from gstable_server.reconciliation.model import RawLog

TIMEOUT_SECONDS = 20.0
ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""So much is taken apart at once; of a range with more logs the halves are asked for."""


class _Answer(msgspec.Struct):
    id: Any = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Block(msgspec.Struct):
    hash: str


class _Log(msgspec.Struct, rename="camel"):
    block_number: str
    log_index: str
    transaction_hash: str
    address: str
    topics: list[str]
    data: str


class _Receipt(msgspec.Struct, rename="camel"):
    transaction_hash: str
    status: str
    logs: list[_Log]


_LOG = msgspec.json.Decoder(_Log)


class Unread(Exception):
    """No node of the network gave an answer that can be used; the text says why."""


class _TooMuch(ValueError):
    """A node cannot say so much at once, or refuses to."""


class Reader:
    """One network's nodes; the first that answers is asked."""

    def __init__(self, session: aiohttp.ClientSession, network: Network) -> None:
        self._session = session
        self._network = network
        self._ids = count(1)

    async def require_block(self, number: int, block_hash: bytes) -> None:
        """Raises ``Unread`` if the chain has another block there, or none."""
        if await self.block_hash(number) != block_hash:
            raise Unread(f"block {number} is not the one that the book stands on")

    async def block_hash(self, number: int) -> bytes:
        """The hash of the canonical block. Raises ``Unread`` if there is none."""
        block = await self._ask(_Block | None, "eth_getBlockByNumber", hex(number), False)
        if block is None:
            raise Unread(f"its nodes have no block {number}")
        return _bytes(block.hash)

    async def require_chain(self) -> None:
        """Raises ``Unread`` if this is not the network that the configuration says."""
        chain_id = int(await self._ask(str, "eth_chainId"), 16)
        if chain_id != self._network.chain_id:
            raise Unread(f"its nodes are of chain {chain_id}")

    async def logs(self, first: int, last: int) -> AsyncIterator[list[RawLog]]:
        """The logs of our contracts, and mints of Circle's, in the blocks ``first`` to ``last``;
        in parts of ``ROWS_AT_ONCE`` at most."""
        network = self._network
        contracts = [network.router, *(one.address for one in network.contracts.rails.values())]
        for start in range(first, last + 1, network.log_range):
            end = min(start + network.log_range - 1, last)
            async for part in self._logs(start, end, contracts, []):
                yield part
            if network.cctp is not None:
                transmitter = [network.cctp.message_transmitter]
                topics = ["0x" + MESSAGE_RECEIVED.hex()]
                async for part in self._logs(start, end, transmitter, topics):
                    yield part

    async def _logs(
        self, first: int, last: int, contracts: Sequence[Address], topics: Sequence[str]
    ) -> AsyncIterator[list[RawLog]]:
        ranges = [(first, last)]
        while ranges:  # bounded: a range is read, or halved, or is one block and ends it
            start, end = ranges.pop()
            question = {
                "fromBlock": hex(start),
                "toBlock": hex(end),
                "address": ["0x" + address.hex() for address in contracts],
                "topics": list(topics),
            }
            try:
                answers = await self._ask(list[msgspec.Raw], "eth_getLogs", question)
            except _TooMuch as failure:
                if start == end:
                    raise Unread(str(failure)) from None
                middle = (start + end) // 2
                ranges += [(middle + 1, end), (start, middle)]
                continue
            for at in range(0, len(answers), model.ROWS_AT_ONCE):
                part = [self._log(_LOG.decode(each)) for each in answers[at:][: model.ROWS_AT_ONCE]]
                if any(
                    not start <= log.block_number <= end or log.address not in contracts
                    for log in part
                ):
                    raise Unread("a node answered with logs that were not asked for")
                yield part

    async def transaction_logs(self, tx_hash: bytes, last: int) -> list[RawLog]:
        """All logs of a transaction that succeeded in a block up to ``last``; else none."""
        asked = "0x" + tx_hash.hex()
        receipt = await self._ask(_Receipt | None, "eth_getTransactionReceipt", asked)
        if receipt is None or int(receipt.status, 16) != 1:
            return []
        if _bytes(receipt.transaction_hash) != tx_hash:
            raise Unread("a node answered with another transaction")
        return [log for each in receipt.logs if (log := self._log(each)).block_number <= last]

    def _log(self, answer: _Log) -> RawLog:
        return RawLog(
            network=self._network.name,
            block_number=int(answer.block_number, 16),
            log_index=int(answer.log_index, 16),
            tx_hash=_bytes(answer.transaction_hash),
            address=Address(_bytes(answer.address)),
            topics=tuple(_bytes(topic) for topic in answer.topics),
            data=_bytes(answer.data),
        )

    async def _ask(self, kind: Any, method: str, *params: Any) -> Any:
        """The result, which is of ``kind``. Raises ``_TooMuch`` if that is what the last node
        says, else ``Unread``."""
        problem: Exception = Unread("no node is configured")
        for url in self._network.rpc_urls:
            try:
                return msgspec.json.decode(await self._ask_one(url, method, params), type=kind)
            except _TooMuch as failure:
                problem = failure
            except (aiohttp.ClientError, TimeoutError, ValueError) as failure:
                # Never the address itself: keys of node providers stand in it.
                problem = Unread(f"{method}: {type(failure).__name__}")
        raise problem

    async def _ask_one(self, url: str, method: str, params: Sequence[Any]) -> msgspec.Raw:
        """Raises ``ValueError`` for what is no answer to the question."""
        question_id = next(self._ids)
        question = {"jsonrpc": "2.0", "id": question_id, "method": method, "params": params}
        raw = bytearray()
        async with self._session.post(url, json=question, allow_redirects=False) as response:
            async for part in response.content.iter_any():
                raw += part
                if len(raw) > ANSWER_BYTES_MAX:
                    raise _TooMuch(f"{method}: the answer is too long")
        answer = msgspec.json.decode(raw, type=_Answer)
        if answer.id != question_id:
            raise ValueError("the answer is to another question")
        if isinstance(answer.result, msgspec.UnsetType):
            raise _TooMuch(f"{method}: the node refused")
        return answer.result


@asynccontextmanager
async def open_reader(network: Network) -> AsyncIterator[Reader]:
    """A reader with connections of its own, closed at the end."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Reader(session, network)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
