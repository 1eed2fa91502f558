"""Open pages hold a stream each; changes are committed as the indexer and the worker do, and each
page notes when it was told. Product and floor have as many pages each, of sessions of their own,
and take turns.

alone: one session is paid, one page is told. together: all sessions change in one transaction.
block: the chain grows by a block, and every page that waits counts one confirmation more.
waiting: nothing changes, a block a second aside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from bench.pages.world import BLOCK, FIRST_BLOCK, MOVE, PAY, World, open_world
from bench.percentiles import Result
from bench.processes import cpu_seconds

CONTENDERS = ("product", "floor")
KINDS = ("alone", "together", "block")
TOLD_SECONDS = 60.0
AIM_SECONDS = 1.0
AIM_CORES = 1.0


class Page(asyncio.Protocol):
    """One browser: notes when the text that it waits for came."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._wanted = b"\n\n"
        self._seen = b""
        self.told: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        line = cast(asyncio.WriteTransport, transport)  # uvloop's are no subclass
        line.write(f"GET {self._path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        self.wait_for(b"data: ")

    def wait_for(self, text: bytes) -> None:
        """From now on ``told`` is when ``text`` comes."""
        self._wanted, self._seen = text, b""
        self.told = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._seen = (self._seen + data)[-8192:]
        if self._seen.startswith(b"HTTP/1.1 ") and b" 200 " not in self._seen[:16]:
            self.told.set_exception(ConnectionError(self._seen[:500].decode()))
        if not self.told.done() and self._wanted in self._seen:
            self.told.set_result(time.perf_counter())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.told.done():
            self.told.set_exception(ConnectionError("the server hung up"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from commit to page, by kind; and the share of a core that the server's process
    used while nothing but blocks happened, and on the whole."""

    seconds: dict[str, Result]
    waiting_cores: float
    cores: float


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code says whether it ran, not how fast it was."""
    parser = argparse.ArgumentParser(prog="./run bench pages", description=__doc__)
    parser.add_argument("--pages", type=int, default=1000, help="of each contender")
    parser.add_argument("--changes", type=int, default=200, help="of single sessions")
    parser.add_argument("--blocks", type=int, default=20, help="one a second")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args(arguments)
    if min(options.pages, options.changes, options.blocks) < 1 or options.changes > options.pages:
        parser.error("at least one of each, and no more changes than pages")
    before = os.getloadavg()[0]
    results = uvloop.run(measure(options.pages, options.changes, options.blocks))
    load = (before, os.getloadavg()[0])
    if options.json:
        print(json.dumps({name: asdict(one) for name, one in results.items()} | {"load": load}))
    else:
        print(table(results, load))
    return 0


async def measure(pages: int, changes: int, blocks: int) -> dict[str, Measured]:
    """Each contender's figures."""
    async with open_world(pages) as world:
        await world.commit((BLOCK, [FIRST_BLOCK]))
        return {name: await _contender(world, name, changes, blocks) for name in CONTENDERS}


async def _contender(world: World, name: str, changes: int, blocks: int) -> Measured:
    ids = world.sessions[name]
    port, pid = world.servers[name]
    pages = await _open(port, ids)
    began, used = time.perf_counter(), cpu_seconds(pid)
    try:
        alone = [await _paid(world, pages, ids, [at]) for at in range(changes)]
        rest = await _paid(world, pages, ids, range(changes, len(ids)))
        for page in pages:
            page.wait_for(b'"state":"settling"')
        moved = await _told(pages, await world.commit((MOVE, (ids, "settling"))))
        began_waiting, used_waiting = time.perf_counter(), cpu_seconds(pid)
        grown = [await _block(world, pages) for _ in range(blocks)]
        ended, used_in_all = time.perf_counter(), cpu_seconds(pid)
    finally:
        for page in pages:
            page.close()
    seconds = {
        "alone": Result.of([one for found in alone for one in found]),
        "together": Result.of([*rest, *moved]),
        "block": Result.of([one for found in grown for one in found]),
    }
    return Measured(
        seconds=seconds,
        waiting_cores=(used_in_all - used_waiting) / (ended - began_waiting),
        cores=(used_in_all - used) / (ended - began),
    )


async def _open(port: int, ids: Sequence[str]) -> list[Page]:
    loop = asyncio.get_running_loop()
    pages = []
    for start in range(0, len(ids), 100):
        made = [
            await loop.create_connection(
                lambda one=one: Page(f"/pay/{one}/events"),  # type: ignore[misc]
                "127.0.0.1",
                port,
            )
            for one in ids[start : start + 100]
        ]
        pages += [page for _, page in made]
        await asyncio.gather(*(asyncio.wait_for(page.told, TOLD_SECONDS) for _, page in made))
    return pages


async def _paid(
    world: World, pages: Sequence[Page], ids: Sequence[str], which: Sequence[int]
) -> list[float]:
    chosen, paid = [pages[at] for at in which], [ids[at] for at in which]
    for page in chosen:
        page.wait_for(b'"state":"paid"')
    at = await world.commit((PAY, (paid, FIRST_BLOCK)), (MOVE, (paid, "paid")))
    return await _told(chosen, at)


async def _block(world: World, pages: Sequence[Page]) -> list[float]:
    await asyncio.sleep(1)
    height = await world.line.fetchval("SELECT max(number) FROM chain_blocks")
    for page in pages:
        page.wait_for(b'"count":%d,' % (height + 1 - FIRST_BLOCK + 1))
    return await _told(pages, await world.commit((BLOCK, [height + 1])))


async def _told(pages: Sequence[Page], since: float) -> list[float]:
    told = await asyncio.wait_for(asyncio.gather(*(page.told for page in pages)), TOLD_SECONDS)
    return [at - since for at in told]


def table(results: dict[str, Measured], load: tuple[float, float]) -> str:
    """The result for people: milliseconds, and shares of one core."""
    lines = [f"{'':18} {'count':>7} {'p50 ms':>8} {'p99 ms':>8} {'longest':>8}"]
    for name, measured in results.items():
        for kind in KINDS:
            one = measured.seconds[kind]
            figures = " ".join(f"{x * 1000:>8.0f}" for x in (one.p50, one.p99, one.longest))
            lines.append(f"{name + ' ' + kind:18} {one.count:>7} {figures}")
    for name, measured in results.items():
        lines.append(
            f"{name:10} cores: {measured.waiting_cores:.2f} with a block a second, "
            f"{measured.cores:.2f} on the whole"
        )
    lines.append(
        f"\naims: p99 {AIM_SECONDS:.0f} s, {AIM_CORES:.0f} core; "
        f"load average before and after: {load[0]:.1f}, {load[1]:.1f}"
    )
    return "\n".join(lines)
