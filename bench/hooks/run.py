"""The comparison: product, floor and peer take turns, round after round.

Each turn has a fresh worker process. A *backlog* turn queues more letters than can be delivered
and counts those that are delivered and recorded after some seconds. A *steady* turn posts letters
at an even rate while a tenth of the endpoints hang, and asks how late those to healthy endpoints
arrive. Ratios are taken within a round; the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

from bench.hooks.world import (
    ENDPOINTS,
    Contender,
    Letters,
    World,
    connected,
    cpu_seconds,
    open_world,
    process,
)
from bench.sessions.run import Spread

HANGING = (0, ENDPOINTS // 10)
PEER = "procrastinate"
BACKLOG_PER_SECOND = {"product": 6_000, "floor": 9_000, PEER: 400}
"""More than any of them delivers on these cores."""

POSTED_PER_SECOND = 300
POST_EVERY_SECONDS = 0.05
SETTLE_SECONDS = 0.5
PATIENCE_SECONDS = 60
"""For the first delivery, on a machine that is busy with other work."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A backlog turn: deliveries per second, and the worker's own CPU for each."""

    contender: str
    hanging: int
    rate: float
    cpu_micros: float


@dataclass(frozen=True, slots=True)
class Steady:
    """A steady turn: seconds from commit to arrival at healthy endpoints; those that had not
    arrived at the end count with their age."""

    contender: str
    p50: float
    p99: float
    missing: int


Turn = Backlog | Steady


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds together; keys are like ``"product, 10 hang"`` and ``"product/floor"``."""

    load_average: tuple[float, float]
    rates: dict[str, Spread]
    cpu_micros: dict[str, Spread]
    ratios: dict[str, Spread]
    p50: dict[str, Spread]
    p99: dict[str, Spread]


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code says whether it ran, not how fast it was."""
    parser = argparse.ArgumentParser(prog="./run bench hooks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=3, help="length of one turn")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    before = os.getloadavg()[0]
    rounds = uvloop.run(measure(options.rounds, options.seconds))
    result = summary(rounds, (before, os.getloadavg()[0]))
    print(json.dumps(asdict(result)) if options.json else table(result))
    return 0


async def measure(rounds: int, seconds: int) -> list[list[Turn]]:
    """The turns of each round."""
    async with open_world() as world:
        kept = []
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            kept.append(await _round(world, seconds))
        return kept


async def _round(world: World, seconds: int) -> list[Turn]:
    turns: list[Turn] = []
    for hanging in HANGING:
        for contender in world.contenders:
            turns.append(await _backlog(world, contender, hanging, seconds))
    for contender in world.contenders:
        if contender.name != PEER:  # it cannot keep up with this rate
            turns.append(await _steady(world, contender, seconds))
    return turns


async def _backlog(world: World, contender: Contender, hanging: int, seconds: int) -> Backlog:
    letters = Letters.new(BACKLOG_PER_SECOND[contender.name] * seconds, hanging)
    async with connected(contender.database_url) as connection:
        await contender.clear(connection, hanging)
        with process(contender.module, world.directory, contender.database_url) as (worker, _):
            await asyncio.sleep(SETTLE_SECONDS)
            before = cpu_seconds(worker)
            await contender.post(connection, letters)
            began = time.monotonic()
            await asyncio.sleep(seconds)
            while not (delivered := await contender.delivered(connection)):
                if time.monotonic() > began + seconds + PATIENCE_SECONDS:
                    raise RuntimeError(f"{contender.name} delivers nothing")
                await asyncio.sleep(0.1)
            took = time.monotonic() - began
            used = cpu_seconds(worker) - before
    await world.report()
    if delivered >= len(letters.healthy()):
        print(f"{contender.name} ran out of letters: its rate is too low", file=sys.stderr)
    return Backlog(contender.name, hanging, delivered / took, used / max(1, delivered) * 1e6)


async def _steady(world: World, contender: Contender, seconds: int) -> Steady:
    hanging, total, posted = HANGING[-1], 0, dict[str, float]()
    async with connected(contender.database_url) as connection:
        await contender.clear(connection, hanging)
        with process(contender.module, world.directory, contender.database_url):
            await asyncio.sleep(SETTLE_SECONDS)
            end = time.time() + 2 * seconds
            while (now := time.time()) < end:
                count = int(POSTED_PER_SECOND * POST_EVERY_SECONDS)
                letters = Letters.new(count, hanging).shifted(total)
                total += count
                await contender.post(connection, letters)
                posted.update(dict.fromkeys(letters.healthy(), time.time()))
                await asyncio.sleep(max(0.0, now + POST_EVERY_SECONDS - time.time()))
            await asyncio.sleep(SETTLE_SECONDS)
            end = time.time()
    arrived = await world.report()
    late = sorted(arrived.get(one, end) - at for one, at in posted.items())
    missing = sum(one not in arrived for one in posted)
    return Steady(contender.name, late[len(late) // 2], late[len(late) * 99 // 100], missing)


def summary(rounds: list[list[Turn]], load_average: tuple[float, float]) -> Result:
    """Medians and extremes over the rounds; ratios are taken within a round."""
    values: tuple[dict[str, list[float]], ...] = ({}, {}, {}, {}, {})
    rates, cpu, ratios, p50, p99 = values
    for turns in rounds:
        rate = {}
        for turn in turns:
            if isinstance(turn, Steady):
                p50.setdefault(turn.contender, []).append(turn.p50)
                p99.setdefault(turn.contender, []).append(turn.p99)
                continue
            key = f"{turn.contender}, {turn.hanging} % hang"
            rate[turn.contender, turn.hanging] = turn.rate
            rates.setdefault(key, []).append(turn.rate)
            cpu.setdefault(key, []).append(turn.cpu_micros)
        for hanging in HANGING:
            for other in ("floor", PEER):
                ratio = rate["product", hanging] / max(1.0, rate[other, hanging])
                ratios.setdefault(f"product/{other}, {hanging} % hang", []).append(ratio)
    return Result(load_average, *({k: Spread.of(v) for k, v in one.items()} for one in values))


def table(result: Result) -> str:
    """The result for people: median (lowest-highest)."""
    lines = [f"{'':26} {'deliveries per second':>24} {'worker CPU µs/delivery':>26}"]
    for key, rate in result.rates.items():
        cpu = _shown(result.cpu_micros[key], "{:,.0f}")
        lines.append(f"{key:26} {_shown(rate, '{:,.0f}'):>24} {cpu:>26}")
    lines.append("")
    lines += [f"{key:34} {_shown(one, '{:.2f}'):>20}" for key, one in result.ratios.items()]
    lines += ["", f"{'healthy, 10 % hang':26} {'p50 seconds':>24} {'p99 seconds':>26}"]
    for key, one in result.p99.items():
        p50 = _shown(result.p50[key], "{:.3f}")
        lines.append(f"{key:26} {p50:>24} {_shown(one, '{:.3f}'):>26}")
    before, after = result.load_average
    lines += ["", f"load average {before:.1f} before, {after:.1f} after"]
    return "\n".join(lines)


def _shown(spread: Spread, form: str) -> str:
    median, *extremes = (form.format(x) for x in (spread.median, spread.lowest, spread.highest))
    return f"{median} ({'-'.join(extremes)})"
