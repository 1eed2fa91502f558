"""The comparison: product, floor and pgbench take turns, round after round.

The machine's speed changes from second to second with what else runs on it. Turns of some seconds
make every contender meet the same weather; ratios are therefore taken within each round, and the
median of the rounds is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import aiohttp
import asyncpg
import uvloop

from bench.sessions.load import generate
from bench.sessions.pgbench import Pgbench
from bench.sessions.world import Server, World, open_world

CONNECTIONS = 32
READ_BACK = 200
TASKS = ("create", "get")
CONTENDERS = ("product", "floor", "pgbench")
RATIOS = (
    ("create", "floor"),
    ("create", "pgbench"),
    ("get", "floor"),
    ("get", "pgbench"),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender's few seconds; ``cpu_micros`` is the server process's own, per request."""

    task: str
    contender: str
    rate: float
    cpu_micros: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds with their extremes."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds together; keys are ``"create product"`` and ``"create product/floor"``."""

    rates: dict[str, Spread]
    cpu_micros: dict[str, Spread]
    ratios: dict[str, Spread]


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code says whether it ran, not how fast it was."""
    parser = argparse.ArgumentParser(prog="./run bench sessions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=2, help="length of one turn")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    rounds = uvloop.run(measure(options.rounds, options.seconds))
    result = summary(rounds)
    print(json.dumps(asdict(result)) if options.json else table(result))
    return 0


async def measure(rounds: int, seconds: int) -> list[list[Turn]]:
    """The turns of each round; one more round before them warms caches and is not kept."""
    async with open_world() as world:
        sessions = await _make_sessions(world)
        pgbench = Pgbench(world, *await _row_of(world, sessions[0]))
        await _round(world, pgbench, sessions, 1)
        kept = []
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            kept.append(await _round(world, pgbench, sessions, seconds))
        return kept


async def _make_sessions(world: World) -> list[str]:
    """Sessions to read back, made through the API."""
    url = f"http://127.0.0.1:{world.product.port}/api/v1/session/checkout/create"
    headers = {
        "authorization": f"Bearer {world.merchant.api_key}",
        "content-type": "application/json",
    }
    async with aiohttp.ClientSession(headers=headers) as client:
        made = []
        for _ in range(READ_BACK):
            async with client.post(url, data=world.merchant.body()) as response:
                made.append((await response.json())["data"]["sessionId"])
        return made


async def _row_of(world: World, session_id: str) -> tuple[dict[str, object], str]:
    """The JSON texts that the product stored for a session, for pgbench to store again."""
    connection = await asyncpg.connect(world.database_url)
    try:
        row = await connection.fetchrow(
            "SELECT s.line_items AS lines, s.metadata, e.payload AS letter "
            "FROM sessions s JOIN events e ON e.object_id = s.session_id WHERE s.session_id = $1",
            session_id,
        )
    finally:
        await connection.close()
    assert row is not None
    return dict(row), session_id


async def _round(world: World, pgbench: Pgbench, sessions: list[str], seconds: int) -> list[Turn]:
    turns = []
    for task in TASKS:
        for name, server in (("product", world.product), ("floor", world.floor)):
            asked = [server.create] if task == "create" else [server.get(one) for one in sessions]
            turns.append(await _turn(task, name, server, asked, seconds))
        work = pgbench.create if task == "create" else pgbench.get
        load = await asyncio.to_thread(work, seconds)
        turns.append(Turn(task, "pgbench", load.rate, None))
    return turns


async def _turn(task: str, name: str, server: Server, requests: list[bytes], seconds: int) -> Turn:
    before = server.cpu_seconds()
    load = await generate(server.port, requests, connections=CONNECTIONS, seconds=seconds)
    used = server.cpu_seconds() - before
    return Turn(task, name, load.rate, used / load.requests * 1e6)


def summary(rounds: list[list[Turn]]) -> Result:
    """Medians and extremes over the rounds; ratios are taken within a round."""
    rates: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for turns in rounds:
        rate = {(turn.task, turn.contender): turn.rate for turn in turns}
        for turn in turns:
            rates.setdefault(f"{turn.task} {turn.contender}", []).append(turn.rate)
            if turn.cpu_micros is not None:
                cpu.setdefault(f"{turn.task} {turn.contender}", []).append(turn.cpu_micros)
        for task, other in RATIOS:
            ratio = rate[task, "product"] / rate[task, other]
            ratios.setdefault(f"{task} product/{other}", []).append(ratio)
    return Result(*({key: Spread.of(v) for key, v in x.items()} for x in (rates, cpu, ratios)))


def table(result: Result) -> str:
    """The result for people: median (lowest-highest)."""
    lines = [f"{'':16} {'per second':>24} {'server CPU µs/request':>28}"]
    for task in TASKS:
        for contender in CONTENDERS:
            key = f"{task} {contender}"
            cpu = result.cpu_micros.get(key)
            shown = _shown(cpu, "{:,.0f}") if cpu else "-"
            lines.append(f"{key:16} {_shown(result.rates[key], '{:,.0f}'):>24} {shown:>28}")
    lines.append("")
    for key, spread in result.ratios.items():
        lines.append(f"{key:24} {_shown(spread, '{:.0%}'):>20}")
    return "\n".join(lines)


def _shown(spread: Spread, form: str) -> str:
    median, *extremes = (form.format(x) for x in (spread.median, spread.lowest, spread.highest))
    return f"{median} ({'-'.join(extremes)})"
