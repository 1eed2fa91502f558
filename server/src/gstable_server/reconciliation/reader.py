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
from gstable_server.reconciliation.logs import MESSAGE_RECEIVED
from gstable_server.reconciliation.model import RawLog

TIMEOUT_SECONDS = 20.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024


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


class Unread(Exception):
    """No node of the network gave an answer that can be used; the text says why."""


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

    async def logs(self, first: int, last: int) -> list[RawLog]:
        """The logs of our contracts, and mints of Circle's, in the blocks ``first`` to ``last``."""
        network, found = self._network, []
        contracts = [network.router, *(one.address for one in network.contracts.rails.values())]
        for start in range(first, last + 1, network.log_range):
            end = min(start + network.log_range - 1, last)
            found += await self._logs(start, end, contracts, [])
            if network.cctp is not None:
                transmitter = [network.cctp.message_transmitter]
                found += await self._logs(start, end, transmitter, ["0x" + MESSAGE_RECEIVED.hex()])
        return found

    async def _logs(
        self, first: int, last: int, contracts: Sequence[Address], topics: Sequence[str]
    ) -> list[RawLog]:
        question = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "address": ["0x" + address.hex() for address in contracts],
            "topics": list(topics),
        }
        answers = await self._ask(list[_Log], "eth_getLogs", question)
        logs = [self._log(each) for each in answers]
        for log in logs:
            if not first <= log.block_number <= last or log.address not in contracts:
                raise Unread("a node answered with logs that were not asked for")
        return logs

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
        """The result, which is of ``kind``."""
        problem = "no node is configured"
        for url in self._network.rpc_urls:
            try:
                return msgspec.convert(await self._ask_one(url, method, params), kind)
            except (aiohttp.ClientError, TimeoutError, ValueError) as failure:
                # Never the address itself: keys of node providers stand in it.
                problem = f"{method}: {type(failure).__name__}"
        raise Unread(problem)

    async def _ask_one(self, url: str, method: str, params: Sequence[Any]) -> Any:
        """Raises ``ValueError`` for what is no answer to the question."""
        question_id = next(self._ids)
        question = {"jsonrpc": "2.0", "id": question_id, "method": method, "params": params}
        raw = bytearray()
        async with self._session.post(url, json=question, allow_redirects=False) as response:
            async for part in response.content.iter_any():
                raw += part
                if len(raw) > ANSWER_BYTES_MAX:
                    raise ValueError("the answer is too long")
        answer = msgspec.json.decode(raw)
        if not isinstance(answer, dict) or answer.get("id") != question_id:
            raise ValueError("the answer is to another question")
        if "result" not in answer:
            raise ValueError("the node refused")
        return answer["result"]


@asynccontextmanager
async def open_reader(network: Network) -> AsyncIterator[Reader]:
    """A reader with connections of its own, closed at the end."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Reader(session, network)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
