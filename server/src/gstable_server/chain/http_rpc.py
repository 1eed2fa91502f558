"""JSON-RPC over HTTP, with several providers of one chain behind it.

A provider that fails, lags or lies is left for the next one, and the one that answered is asked
first from then on. Nothing is believed because it parses: ids, block numbers and hashes are
compared with the question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog

from gstable_server.chain import rpc_answers as answers
from gstable_server.chain.header_hash import HeaderHashes
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import (
    BlockReceipt,
    Header,
    Log,
    LogFilter,
    NotOffered,
    ProviderFailed,
    ProviderLied,
    UnknownBlock,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing

log = structlog.get_logger(__name__)

R = TypeVar("R")
Question = tuple[str, list[Any]]

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 32 * 1024 * 1024
BATCH_MAX = 100
RETRY_AFTER_MAX = 300


@dataclass(slots=True)
class _Provider:
    url: str
    proven: bool = False
    """Its chain id was asked and is the right one."""

    @property
    def host(self) -> str:
        """For the log: the path and query of an RPC URL often hold a secret key, and what stands
        before the host a password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


@asynccontextmanager
async def open_rpc(
    network: Network, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> AsyncIterator[HttpRpc]:
    """An ``HttpRpc`` for ``network`` with connections of its own, closed at the end."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        hashes = HeaderHashes(network.chain_id, network.trust.header_hash)
        yield HttpRpc(session, network.rpc_urls, network.chain_id, hashes)


@asynccontextmanager
async def open_rpcs(
    network: Network, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> AsyncIterator[list[HttpRpc]]:
    """One ``HttpRpc`` for each provider of ``network``, for callers that compare them."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        # What one of them showed of the network holds for all: one that lies never shows it.
        hashes = HeaderHashes(network.chain_id, network.trust.header_hash)
        yield [HttpRpc(session, [url], network.chain_id, hashes) for url in network.rpc_urls]


class HttpRpc:
    """The port ``Rpc`` and what a wallet needs besides. ``chain_id`` is the one expected."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        chain_id: int,
        header_hashes: HeaderHashes | None = None,
    ) -> None:
        self._session = session
        self._header_hashes = header_hashes or HeaderHashes(chain_id)
        self._providers = [_Provider(url) for url in urls]
        self._expected_chain_id = chain_id
        self._first = 0

    # Reading: the port.

    async def chain_id(self) -> int:
        """The chain id of the first provider that answers, without comparing it."""
        trouble: Passing | None = None
        for provider in self._providers:
            try:
                return await self._chain_id_of(provider)
            except Passing as failure:
                trouble = failure
        assert trouble is not None, "a network has at least one provider"
        raise trouble

    async def block_number(self) -> int:
        return await self._one("eth_blockNumber", [], answers.number)

    async def block_and_next(self, number: int) -> tuple[Header, Header | None]:
        def parse(raws: Sequence[msgspec.Raw]) -> tuple[Header, Header | None]:
            here = self._header(raws[0], number)
            if here is None:
                raise UnknownBlock(f"the node does not have block {number}")
            return here, self._header(raws[1], number + 1)

        return await self._ask(
            [("eth_getBlockByNumber", [hex(each), False]) for each in (number, number + 1)], parse
        )

    async def blocks_by_number(self, numbers: Sequence[int]) -> tuple[Header | None, ...]:
        headers: list[Header | None] = []
        for start in range(0, len(numbers), BATCH_MAX):
            part = numbers[start : start + BATCH_MAX]
            headers += await self._ask(
                [("eth_getBlockByNumber", [hex(number), False]) for number in part],
                lambda raws, part=part: [  # type: ignore[misc]
                    self._header(raw, number) for raw, number in zip(raws, part, strict=True)
                ],
            )
        return tuple(headers)

    def _header(self, raw: msgspec.Raw, number: int) -> Header | None:
        """The header of a block that was asked for by its number, under its own hash."""
        header = _numbered(answers.header(raw), number)
        if header is not None:
            self._header_hashes.check(header, raw)
        return header

    async def logs_of_block(
        self, block_hash: bytes, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        def parse(raws: Sequence[msgspec.Raw]) -> tuple[Log, ...]:
            # Some nodes answer for an unknown block with no logs instead of an error.
            if answers.header(raws[-1]) is None:
                raise UnknownBlock(f"the node does not have block {asked_hash}")
            logs = _asked_for(filters, raws)
            if any(entry.block_hash != block_hash for entry in logs):
                raise ProviderLied(f"a log of another block than {asked_hash}")
            return logs

        asked_hash = "0x" + block_hash.hex()
        questions = _log_questions(filters, {"blockHash": asked_hash})
        return await self._ask([*questions, ("eth_getBlockByHash", [asked_hash, False])], parse)

    async def logs_in_range(
        self, first: int, last: int, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        def parse(raws: Sequence[msgspec.Raw]) -> tuple[Log, ...]:
            # A node that has not reached `last` answers with the logs it has, without a word.
            if _numbered(answers.header(raws[-1]), last) is None:
                raise UnknownBlock(f"the node does not have block {last}")
            logs = _asked_for(filters, raws)
            if any(not first <= entry.block_number <= last for entry in logs):
                raise ProviderLied(f"a log from outside of blocks {first} to {last}")
            return logs

        questions = _log_questions(filters, {"fromBlock": hex(first), "toBlock": hex(last)})
        return await self._ask([*questions, ("eth_getBlockByNumber", [hex(last), False])], parse)

    async def receipts_of_block(self, block_hash: bytes) -> tuple[BlockReceipt, ...]:
        asked_hash = "0x" + block_hash.hex()
        try:
            receipts = await self._one("eth_getBlockReceipts", [asked_hash], answers.block_receipts)
        except NotOffered:
            receipts = await self._receipts_one_by_one(asked_hash)
        if receipts is None:
            raise UnknownBlock(f"the node does not have block {asked_hash}")
        if any(log.block_hash != block_hash for receipt in receipts for log in receipt.logs):
            raise ProviderLied(f"a receipt of another block than {asked_hash}")
        return receipts

    async def _receipts_one_by_one(self, asked_hash: str) -> tuple[BlockReceipt, ...] | None:
        """For nodes that do not know ``eth_getBlockReceipts``, which came late."""
        tx_hashes = await self._one("eth_getBlockByHash", [asked_hash, False], answers.tx_hashes)
        if tx_hashes is None:
            return None
        receipts: list[BlockReceipt] = []
        for start in range(0, len(tx_hashes), BATCH_MAX):
            part = tx_hashes[start : start + BATCH_MAX]
            found = await self._ask(
                [("eth_getTransactionReceipt", ["0x" + tx_hash.hex()]) for tx_hash in part],
                lambda raws: [answers.block_receipt(raw) for raw in raws],
            )
            if [each and each.tx_hash for each in found] != list(part):
                raise UnknownBlock(f"not every receipt of block {asked_hash} is there")
            receipts += [each for each in found if each is not None]
        return tuple(receipts)

    async def finalized_number(self) -> int | None:
        def parse(raw: msgspec.Raw) -> int | None:
            header = answers.header(raw)
            return None if header is None else header.number

        try:
            return await self._one("eth_getBlockByNumber", ["finalized", False], parse)
        except (UnknownBlock, NotOffered):  # nodes differ in how they say no
            return None

    async def code(self, address: Address) -> bytes:
        return await self._one("eth_getCode", ["0x" + address.hex(), "latest"], answers.data)

    async def call(self, to: Address, data: bytes) -> bytes:
        asked = {"to": "0x" + to.hex(), "data": "0x" + data.hex()}
        return await self._one("eth_call", [asked, "latest"], answers.data)

    async def run(self, creation_code: bytes, gas: int) -> bytes:
        asked = {"data": "0x" + creation_code.hex(), "gas": hex(gas)}
        return await self._one("eth_call", [asked, "latest"], answers.data)

    # Sending: what a wallet needs.

    async def send_raw(self, raw_tx: bytes) -> bytes:
        """Hand a signed transaction to the network; its hash. Raises ``NodeRefused``."""
        return await self._one("eth_sendRawTransaction", ["0x" + raw_tx.hex()], answers.data)

    async def receipt(self, tx_hash: bytes) -> answers.Receipt | None:
        """The outcome of a mined transaction, or None while it is not mined."""
        return await self._one("eth_getTransactionReceipt", ["0x" + tx_hash.hex()], answers.receipt)

    async def transaction_count(self, account: Address) -> int:
        """The next nonce of ``account``, its waiting transactions counted."""
        return await self._one(
            "eth_getTransactionCount", ["0x" + account.hex(), "pending"], answers.number
        )

    async def gas_price(self) -> int:
        """What a unit of gas costs now, in the smallest native unit."""
        return await self._one("eth_gasPrice", [], answers.number)

    async def estimate_gas(self, sender: Address, to: Address, data: bytes, value: int) -> int:
        """The gas that the transaction would use. Raises ``NodeRefused`` if it would fail."""
        asked = {
            "from": "0x" + sender.hex(),
            "to": "0x" + to.hex(),
            "data": "0x" + data.hex(),
            "value": hex(value),
        }
        return await self._one("eth_estimateGas", [asked], answers.number)

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Questions outside the port, as plain JSON; for local development chains."""
        return await self._ask(questions, lambda raws: [msgspec.json.decode(r) for r in raws])

    # How a question is asked.

    async def _one(
        self, method: str, parameters: list[Any], parse: Callable[[msgspec.Raw], R]
    ) -> R:
        return await self._ask([(method, parameters)], lambda raws: parse(raws[0]))

    async def _ask(
        self, questions: Sequence[Question], parse: Callable[[Sequence[msgspec.Raw]], R]
    ) -> R:
        """Ask each provider once, beginning with the last good one, until an answer holds."""
        trouble: Passing | None = None
        for turn in range(len(self._providers)):
            at = (self._first + turn) % len(self._providers)
            provider = self._providers[at]
            try:
                await self._prove(provider)
                answer = parse(await self._post(provider, questions))
            except Passing as failure:
                if len(self._providers) > 1:
                    log.warning("provider failed", host=provider.host, reason=str(failure))
                trouble = failure
                continue
            self._first = at
            return answer
        assert trouble is not None, "a network has at least one provider"
        raise trouble

    async def _prove(self, provider: _Provider) -> None:
        """A URL of the wrong chain in the list must not be believed when its turn comes."""
        if provider.proven:
            return
        actual = await self._chain_id_of(provider)
        if actual != self._expected_chain_id:
            raise ProviderLied(f"follows chain {actual}, not {self._expected_chain_id}")
        provider.proven = True

    async def _chain_id_of(self, provider: _Provider) -> int:
        return answers.number((await self._post(provider, [("eth_chainId", [])]))[0])

    async def _post(self, provider: _Provider, questions: Sequence[Question]) -> list[msgspec.Raw]:
        requests = [
            {"jsonrpc": "2.0", "id": at, "method": method, "params": parameters}
            for at, (method, parameters) in enumerate(questions)
        ]
        single = len(requests) == 1
        content = msgspec.json.encode(requests[0] if single else requests)
        body = await self._exchange(provider, content)
        methods = [method for method, _ in questions]
        return answers.results(body, methods, single=single)

    async def _exchange(self, provider: _Provider, content: bytes) -> bytes:
        try:
            async with self._session.post(
                provider.url,
                data=content,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                # Some nodes answer JSON-RPC errors with status 400 or 500 and a JSON body: only
                # the statuses of proxies and limits are judged without reading.
                if response.status in (401, 403, 404, 429) or response.status >= 502:
                    raise ProviderFailed(
                        f"HTTP status {response.status}", retry_after=_retry_after(response)
                    )
                return await _bounded(response)
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            raise ProviderFailed(_reason(failure)) from failure


def _reason(failure: Exception) -> str:
    """What went wrong, without the URL, which some of these errors quote whole."""
    quotes = isinstance(failure, aiohttp.ClientResponseError | aiohttp.InvalidURL)
    return type(failure).__name__ if quotes else str(failure) or type(failure).__name__


def _log_questions(filters: Sequence[LogFilter], blocks: dict[str, Any]) -> list[Question]:
    """One question for each of ``filters``, all of the same blocks and for the same batch."""
    return [
        (
            "eth_getLogs",
            [
                {
                    **blocks,
                    **_addresses_of(each),
                    "topics": [
                        place and ["0x" + topic.hex() for topic in place] for place in each.topics
                    ],
                }
            ],
        )
        for each in filters
    ]


def _addresses_of(asked: LogFilter) -> dict[str, list[str]]:
    addresses = ["0x" + address.hex() for address in asked.addresses]
    return {"address": addresses} if addresses else {}


def _asked_for(filters: Sequence[LogFilter], raws: Sequence[msgspec.Raw]) -> tuple[Log, ...]:
    """The logs that answer ``filters``, which are the first of ``raws``."""
    logs = answers.logs(raws[: len(filters)])
    if any(not any(each.admits(entry) for each in filters) for entry in logs):
        raise ProviderLied("a log that was not asked for")
    return logs


def _numbered(header: Header | None, number: int) -> Header | None:
    if header is not None and header.number != number:
        raise ProviderLied(f"asked for block {number}, got {header.number}")
    return header


def _retry_after(response: aiohttp.ClientResponse) -> int | None:
    text = response.headers.get("Retry-After", "")
    return min(int(text), RETRY_AFTER_MAX) if text.isascii() and text.isdigit() else None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise ProviderFailed(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)
