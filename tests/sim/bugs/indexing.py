"""Bugs of whoever reads the chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gstable_server.chain import indexer
from gstable_server.chain.indexer import Indexer
from gstable_server.kernel.errors import Passing
from tests.sim.planting import bug, replaced


@bug("skipped-failed-block")
def skips_a_failed_block() -> Iterator[None]:
    read = Indexer._read

    async def read_or_skip(self: Any, block: Any) -> Any:
        try:
            return await read(self, block)
        except Passing:
            return indexer._Answer((), frozenset())

    with replaced(Indexer, "_read", read_or_skip):
        yield
