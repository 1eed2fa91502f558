"""Lists, searches and single sessions of a shop with a million of them, as the console answers,
each beside the bare query that its rows come from, in the same run; and an export of all.

Server time: from the request to the last byte of the answer, in the server's process, with the
login looked up and the page made. Floor: the query alone, on a connection of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.percentiles import Result
from bench.reads.seed import MAILS, WALLETS
from bench.reads.world import BASE, World, open_world

AIM_SECONDS = 0.05
PAGE = 26
_LISTED = f"{BASE}/sessions"
_ROWS = "SELECT * FROM sessions WHERE merchant_id = $1 AND mode = 'test'"
_ORDER = f"ORDER BY sequence DESC LIMIT {PAGE}"
_OF_PAYMENTS = "SELECT s.* FROM sessions s JOIN payments p USING (session_id) WHERE"


@dataclass(frozen=True, slots=True)
class Task:
    """What the console is asked, and the query and values of its floor."""

    path: str
    sql: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of both, and the median of their ratios within each round."""

    product: Result
    floor: Result
    ratio: float


@dataclass(frozen=True, slots=True)
class Export:
    """``grown_bytes``: how much larger the process was at most than before the first byte."""

    rows: int
    seconds: float
    grown_bytes: int


def tasks(world: World, turn: int) -> dict[str, Task]:
    """Each kind once; what is looked for changes from round to round."""
    number = 1 + turn * 7919 % world.count
    # The number of a session that a shop opened, paid, and whose payer left an e-mail address.
    while number % 3 == 0 or number % 10 >= 3 or number * 7919 % 100 >= 60:
        number = number % world.count + 1
    session_id = world.session_id(number)
    return {
        **_pages(world, turn),
        **_searches(world, number),
        "session": Task(
            f"{_LISTED}/{session_id}",
            "SELECT * FROM sessions LEFT JOIN payments USING (session_id) WHERE session_id = $1",
            (session_id,),
        ),
    }


def _pages(world: World, turn: int) -> dict[str, Task]:
    own, deep_id = world.merchant_id, world.session_id(max(2, world.count // 2 - turn))
    before = "sequence < (SELECT sequence FROM sessions WHERE session_id = $2)"
    return {
        "list, first page": Task(_LISTED, f"{_ROWS} {_ORDER}", (own,)),
        "list, deep page": Task(
            f"{_LISTED}?older={deep_id}", f"{_ROWS} AND {before} {_ORDER}", (own, deep_id)
        ),
        "filter, status": Task(
            f"{_LISTED}?state=settling", f"{_ROWS} AND state = 'settling' {_ORDER}", (own,)
        ),
        # Of the newest 5,000 completed ones, which are 8,333 sessions.
        "filter, nearly none pass": Task(
            f"{_LISTED}?min=500&state=completed",
            f"{_ROWS} AND state = 'completed' AND sequence > (SELECT max(sequence) - 8333 FROM "
            f"sessions) AND amount >= 500000000 {_ORDER}",
            (own,),
        ),
        "filter, network and days": Task(
            f"{_LISTED}?network=base&to=2099-01-01",
            f"{_OF_PAYMENTS} s.merchant_id = $1 AND p.network = 'base' ORDER BY p.sequence DESC "
            f"LIMIT {PAGE}",
            (own,),
        ),
    }


def _searches(world: World, number: int) -> dict[str, Task]:
    own, session_id = world.merchant_id, world.session_id(number)
    wallet = hashlib.sha256(f"wallet{number % WALLETS}".encode()).digest()[:20]
    transaction = hashlib.sha256(f"tx{session_id}".encode()).digest()
    mail = f"payer{number % MAILS}@example.com"
    return {
        "search, identifier": Task(
            f"{BASE}/search?q={session_id}",
            "SELECT sequence FROM sessions WHERE session_id = $1",
            (session_id,),
        ),
        "search, order": Task(
            f"{_LISTED}?q=ORD-{number}",
            f"{_ROWS} AND left(coalesce(metadata ->> 'orderId', metadata ->> 'order_id', metadata "
            "->> 'orderNumber', metadata ->> 'reference', metadata ->> 'invoice'), 100) = $2",
            (own, f"ORD-{number}"),
        ),
        "search, e-mail": Task(
            f"{_LISTED}?q={mail}", f"{_ROWS} AND lower(payer_email) = $2 {_ORDER}", (own, mail)
        ),
        "search, wallet": Task(
            f"{_LISTED}?q=0x{wallet.hex()}",
            f"{_OF_PAYMENTS} p.payer = $1 ORDER BY p.sequence DESC LIMIT {PAGE}",
            (wallet,),
        ),
        "search, transaction": Task(
            f"{_LISTED}?q=0x{transaction.hex()}",
            f"{_OF_PAYMENTS} p.network = ANY('{{polygon,base,arbitrum,ethereum}}') "
            "AND p.tx_hash = $1",
            (transaction,),
        ),
    }


async def measure(world: World, rounds: int) -> dict[str, Measured]:
    """Every kind once a round, product and floor by turns, the first of the two changing."""
    product: dict[str, list[float]] = {}
    floor: dict[str, list[float]] = {}
    for turn in range(rounds):
        for name, task in tasks(world, turn).items():

            async def ask(task: Task = task) -> float:
                return (await world.visitor.ask("GET", task.path)).seconds

            async def query(task: Task = task) -> float:
                began = time.perf_counter()
                await world.line.fetch(task.sql, *task.values)
                return time.perf_counter() - began

            both: list[tuple[dict[str, list[float]], Callable[[], Awaitable[float]]]]
            both = [(product, ask), (floor, query)]
            for kept, measured in both if turn % 2 else reversed(both):
                kept.setdefault(name, []).append(await measured())
    return {
        name: Measured(
            Result.of(product[name]),
            Result.of(floor[name]),
            statistics.median(
                one / other for one, other in zip(product[name], floor[name], strict=True)
            ),
        )
        for name in product
    }


async def export(world: World) -> Export:
    """All sessions as CSV, thrown away as it comes, while the process's size is watched."""
    before, largest = resident_bytes(), 0

    async def watch() -> None:
        nonlocal largest
        while True:  # bounded: cancelled at the end of the export
            largest = max(largest, resident_bytes())
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    answer = await world.visitor.ask(
        "POST", f"{BASE}/exports/sessions", {"format": "plain-csv"}, keep=False
    )
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return Export(world.count, answer.seconds, max(0, largest - before))


def resident_bytes() -> int:
    """How much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def table(measured: dict[str, Measured], exported: Export, load: tuple[float, float]) -> str:
    """The result for people."""
    lines = [f"{'milliseconds':26} {'p50':>8} {'p99':>8} {'floor p50':>10} {'p99':>8} {'ratio':>7}"]
    for name, one in measured.items():
        figures = (one.product.p50, one.product.p99, one.floor.p50, one.floor.p99)
        shown = [f"{1000 * seconds:.1f}" for seconds in figures]
        lines.append(
            f"{name:26} {shown[0]:>8} {shown[1]:>8} {shown[2]:>10} {shown[3]:>8} {one.ratio:>7.1f}"
        )
    missed = [name for name, one in measured.items() if one.product.p99 > AIM_SECONDS]
    lines.append(
        f"aim, p99 of {1000 * AIM_SECONDS:.0f} ms: missed by {', '.join(missed) or 'none'}"
    )
    lines.append(
        f"export of {exported.rows:,} sessions: {exported.seconds:.1f} s, "
        f"{exported.rows / exported.seconds:,.0f} rows a second, "
        f"{exported.grown_bytes / 1e6:.1f} MB more memory at most"
    )
    lines.append(f"load average {load[0]:.1f} before, {load[1]:.1f} after")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code says whether it ran, not how fast it was."""
    parser = argparse.ArgumentParser(prog="./run bench reads", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args(arguments)
    if options.sessions < 100 or options.rounds < 1:
        parser.error("at least a hundred sessions and one round")
    before = os.getloadavg()[0]
    measured, exported, seeded = asyncio.run(_run(options.sessions, options.rounds))
    load = (before, os.getloadavg()[0])
    if options.json:
        figures = {name: asdict(one) for name, one in measured.items()}
        print(json.dumps({"reads": figures, "export": asdict(exported), "load": load}))
    else:
        print(f"{options.sessions:,} sessions, written in {seeded:.0f} s, {options.rounds} rounds")
        print(table(measured, exported, load))
    return 0


async def _run(sessions: int, rounds: int) -> tuple[dict[str, Measured], Export, float]:
    async with open_world(sessions) as world:
        await measure(world, 2)  # what is read for the first time is read from the disk
        return await measure(world, rounds), await export(world), world.seeded_seconds
