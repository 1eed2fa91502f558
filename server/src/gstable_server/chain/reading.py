"""The logs of blocks from one provider, proven complete before they are handed out.

A block whose bloom excludes every log that is asked for, and for which none was told, has none.
The logs of every other block are those of its receipts, which hash to what the block commits to.
Where a provider does not give receipts, another one must, or must tell the same logs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import structlog

from gstable_server.chain.completeness import LogsIncomplete, logs_of, may_contain
from gstable_server.chain.providers import Provider, Providers
from gstable_server.chain.rpc import (
    BlockReceipt,
    Header,
    Log,
    LogFilter,
    NotOffered,
    ProviderLied,
    RangeTooLarge,
    UnknownBlock,
)
from gstable_server.kernel.errors import Passing

log = structlog.get_logger(__name__)


class Reader:
    """Reads for one network."""

    def __init__(self, network: str, providers: Providers) -> None:
        self._network = network
        self._providers = providers

    async def block(
        self, provider: Provider, header: Header, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        """The logs of one block that any of ``filters`` admits, all of them.

        Raises ``LogsIncomplete`` when that cannot be proven.
        """
        try:
            told = await provider.rpc.logs_of_block(header.hash, filters)
        except RangeTooLarge:
            # Anybody can fill a block with logs that match, and it cannot be asked for in parts;
            # its receipts tell them too.
            return await self._by_receipts(provider, header, filters)
        return await self._proven(provider, header, filters, told)

    async def _by_receipts(
        self, provider: Provider, header: Header, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        receipts = await provider.rpc.receipts_of_block(header.hash)
        return _admitted(logs_of(receipts, header), filters, ())

    async def range(
        self, provider: Provider, headers: Sequence[Header], filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        """The logs of ``headers``, which are ``linked``, as ``block``."""
        first, last = headers[0].number, headers[-1].number
        told = await provider.rpc.logs_in_range(first, last, filters)
        by_block: dict[tuple[int, bytes], list[Log]] = defaultdict(list)
        for each in told:
            by_block[each.block_number, each.block_hash].append(each)
        found: list[Log] = []
        for header in headers:
            logs = tuple(by_block.pop((header.number, header.hash), ()))
            found += await self._proven(provider, header, filters, logs)
        if by_block:
            number, _ = next(iter(by_block))
            raise ProviderLied(f"a log of a block that is not at {number}")
        return tuple(found)

    async def linked(self, provider: Provider, first: int, last: int) -> list[Header]:
        """The blocks ``first`` to ``last``, linked to each other."""
        headers: list[Header] = []
        numbers = range(first, last + 1)
        answered = await provider.rpc.blocks_by_number(numbers)
        for number, header in zip(numbers, answered, strict=True):
            if header is None:
                raise UnknownBlock(f"the node does not have block {number}")
            if headers and header.parent_hash != headers[-1].hash:
                raise ProviderLied(f"block {number} does not follow block {number - 1}")
            headers.append(header)
        return headers

    async def _proven(
        self,
        provider: Provider,
        header: Header,
        filters: Sequence[LogFilter],
        told: tuple[Log, ...],
    ) -> tuple[Log, ...]:
        if not told and not may_contain(header.logs_bloom, filters):
            return ()
        try:
            receipts = await provider.rpc.receipts_of_block(header.hash)
        except NotOffered:
            return await self._agreed(provider, header, filters, told)
        _require_in_receipts(told, receipts, header)
        found = _admitted(logs_of(receipts, header), filters, told)
        if len(found) > len(told):
            log.warning("logs were left out", network=self._network, block=header.number)
        return found

    async def _agreed(
        self,
        provider: Provider,
        header: Header,
        filters: Sequence[LogFilter],
        told: tuple[Log, ...],
    ) -> tuple[Log, ...]:
        """By the word of another provider: its receipts of this block, or the same logs."""
        for other in self._providers.others(provider):
            try:
                await self._providers.prove(other)
                try:
                    receipts = await other.rpc.receipts_of_block(header.hash)
                except NotOffered:
                    if await other.rpc.logs_of_block(header.hash, filters) == told:
                        return told
                    continue
                return _admitted(logs_of(receipts, header), filters, told)
            except Passing as failure:
                reason = str(failure)
                log.warning("no second answer", network=self._network, reason=reason)
        raise LogsIncomplete(f"nobody proves that the logs of block {header.number} are all")


def _admitted(
    logs: Sequence[Log], filters: Sequence[LogFilter], told: Sequence[Log]
) -> tuple[Log, ...]:
    """Those asked for, and those told unasked: they are counted as foreign."""
    known = {each.log_index for each in told}
    return tuple(
        each for each in logs if each.log_index in known or any(one.admits(each) for one in filters)
    )


def _require_in_receipts(
    told: Sequence[Log], receipts: Sequence[BlockReceipt], header: Header
) -> None:
    if len({each.log_index for each in told}) != len(told):
        raise ProviderLied(f"a log of block {header.number} twice")
    written = {each.log_index: each for receipt in receipts for each in receipt.logs}
    if any(written.get(each.log_index) != each for each in told):
        raise ProviderLied(f"a log of block {header.number} that is in none of its receipts")
