"""How fast a chain that is full of payments becomes a book, from nothing.

The product (its ``indexer`` and ``worker`` processes) and Ponder take turns on the same chain and
the same PostgreSQL server, each turn with a new database. A turn ends when every payment is in the
book: the product's with its block proven complete, its session completed and told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.indexer.packages import NODE, PONDER, install
from bench.indexer.world import NETWORK, World, connected, environment, open_world
from bench.processes import cpu_seconds, family_cpu_seconds, spent, start
from bench.sessions.run import Spread
from gstable_server.chain.checksum import to_checksum
from gstable_server.plumbing.child import end

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LOOK_SECONDS = 0.25
TURN_SECONDS = 1800.0
SCHEMA = "book"
AIM = 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One backfill: seconds from the start of the processes, and the CPU seconds of each."""

    contender: str
    payments: int
    seconds: float
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        """Payments per second."""
        return self.payments / self.seconds

    @property
    def rate_of_cpu(self) -> float:
        """Payments per CPU second of the contender's own processes and of PostgreSQL."""
        return self.payments / sum(used for name, used in self.cpu.items() if name != "anvil")


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds together."""

    load_average: tuple[float, float]
    rates: dict[str, Spread]
    rates_of_cpu: dict[str, Spread]
    ratios: dict[str, Spread]
    turns: list[Turn]


Count = Callable[["asyncpg.Connection[Any]"], Awaitable[int]]


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code says whether it ran, not how fast it was."""
    parser = argparse.ArgumentParser(prog="./run bench indexer", description=__doc__)
    parser.add_argument("--payments", type=int, default=50_000)
    parser.add_argument("--per-block", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args(arguments)
    if min(options.payments, options.per_block, options.rounds) < 1:
        parser.error("all numbers must be at least 1")
    install()
    before = os.getloadavg()[0]
    turns = asyncio.run(measure(options.payments, options.per_block, options.rounds))
    result = summary(turns, (before, os.getloadavg()[0]))
    print(json.dumps(asdict(result)) if options.json else table(result))
    return 0


async def measure(payments: int, per_block: int, rounds: int) -> list[Turn]:
    """The turns, product and Ponder by turns."""
    print(f"making {payments} payments", file=sys.stderr, flush=True)
    turns = []
    async with open_world(payments, per_block) as world:
        for number in range(rounds):
            for contender in (_product, _ponder):
                turn = await contender(world)
                turns.append(turn)
                print(
                    f"round {number + 1} of {rounds}: {turn.contender} {turn.seconds:.1f} s",
                    file=sys.stderr,
                    flush=True,
                )
    return turns


# --- the product ---------------------------------------------------------------------------


async def _product(world: World) -> Turn:
    url = await world.database("product", seeded=True)
    commands = {
        role: [sys.executable, "-m", "gstable_server.cli", "serve", "--role", role]
        for role in ("indexer", "worker")
    }
    with _running(world, commands, environment(world, url), ROOT) as processes:
        turn = await _until_done(world, "product", url, processes, _completed)
    async with connected(url) as connection:
        await _check(
            connection,
            (world.payments, 0),
            "SELECT (SELECT count(*) FROM ledger_transfers WHERE kind = 'payment'),"
            " (SELECT count(*) FROM (SELECT FROM ledger_entries GROUP BY token_id"
            " HAVING sum(amount) <> 0) AS odd)",
        )
    await world.drop("product")
    return turn


async def _completed(connection: asyncpg.Connection[Any]) -> int:
    """How many sessions are completed, once nothing waits any more."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM sessions WHERE state = 'completed'"
        " AND NOT EXISTS (SELECT FROM outbox)"
    )
    return count


# --- Ponder --------------------------------------------------------------------------------


async def _ponder(world: World) -> Turn:
    url = await world.database("ponder", seeded=False)
    project = world.directory / "ponder"
    shutil.rmtree(project, ignore_errors=True)
    # A copy, because it writes beside its sources; packages are found through a link.
    shutil.copytree(HERE / "ponder", project)
    (project / "package.json").write_text('{"type": "module"}')
    (project / "node_modules").symlink_to(HERE / "node_modules")
    command = [str(NODE), str(PONDER), "start", "--schema", SCHEMA, "--hostname", "127.0.0.1"]
    command += ["--port", str(_free_port()), "--log-level", "warn"]
    settings = {
        **os.environ,
        "PATH": f"{NODE.parent}:{os.environ['PATH']}",
        "DATABASE_URL": url,
        "CHAIN_ID": str(world.network.chain_id),
        "RPC_URL": world.network.rpc_urls[0],
        "ROUTER": to_checksum(world.network.router),
        "PONDER_TELEMETRY_DISABLED": "true",
    }
    with _running(world, {"ponder": command}, settings, project) as processes:
        turn = await _until_done(world, "ponder", url, processes, _written)
    async with connected(url) as connection:
        await _check(
            connection,
            (world.payments, 2 * world.payments, 0),
            f"SELECT (SELECT count(*) FROM {SCHEMA}.payment), (SELECT count(*) FROM"
            f" {SCHEMA}.entry), (SELECT sum(amount) FROM {SCHEMA}.entry)",
        )
    await world.drop("ponder")
    return turn


async def _written(connection: asyncpg.Connection[Any]) -> int:
    """How many payments are in its table, once that exists."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.payment") is None:
        return 0
    count: int = await connection.fetchval(f"SELECT count(*) FROM {SCHEMA}.payment")
    return count


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


# --- a turn --------------------------------------------------------------------------------


@contextmanager
def _running(
    world: World, commands: Mapping[str, list[str]], settings: dict[str, str], directory: Path
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    with (world.directory / "log").open("wb") as log:
        processes = {
            name: start(command, settings, directory, log) for name, command in commands.items()
        }
        try:
            yield processes
        finally:
            end(list(processes.values()))


async def _until_done(
    world: World,
    contender: str,
    url: str,
    processes: Mapping[str, subprocess.Popen[bytes]],
    count: Count,
) -> Turn:
    began, before = time.monotonic(), _cpu(world, processes)
    async with connected(url) as connection, asyncio.timeout(TURN_SECONDS):
        while await count(connection) < world.payments:
            for name, process in processes.items():
                if process.poll() is not None:
                    log = (world.directory / "log").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended: {log[-3000:]}")
            await asyncio.sleep(LOOK_SECONDS)
    took, after = time.monotonic() - began, _cpu(world, processes)
    return Turn(contender, world.payments, took, spent(before, after))


def _cpu(world: World, processes: Mapping[str, subprocess.Popen[bytes]]) -> dict[str, float]:
    return {
        **{name: cpu_seconds(process.pid) for name, process in processes.items()},
        "postgres": family_cpu_seconds(world.postgres.pid),
        "anvil": cpu_seconds(world.devnet.pid(NETWORK)),
    }


async def _check(
    connection: asyncpg.Connection[Any], expected: tuple[int, ...], query: str
) -> None:
    row = await connection.fetchrow(query)
    found = tuple(int(value) for value in row)
    if found != expected:
        raise RuntimeError(f"the end is {found} and not {expected}")


def summary(turns: list[Turn], load_average: tuple[float, float]) -> Result:
    """Medians and extremes over the rounds; ratios are taken within a round."""
    rates: dict[str, list[float]] = {}
    of_cpu: dict[str, list[float]] = {}
    for turn in turns:
        rates.setdefault(turn.contender, []).append(turn.rate)
        of_cpu.setdefault(turn.contender, []).append(turn.rate_of_cpu)
    ratios = {
        name: [mine / other for mine, other in zip(of["product"], of["ponder"], strict=True)]
        for name, of in (("per second", rates), ("per CPU second", of_cpu))
    }
    return Result(
        load_average,
        {name: Spread.of(values) for name, values in rates.items()},
        {name: Spread.of(values) for name, values in of_cpu.items()},
        {name: Spread.of(values) for name, values in ratios.items()},
        turns,
    )


def table(result: Result) -> str:
    """The result for people."""
    lines = [f"{'':10} {'payments per second':>28} {'per CPU second':>28}"]
    for name in result.rates:
        rate, of_cpu = _spread(result.rates[name]), _spread(result.rates_of_cpu[name])
        lines.append(f"{name:10} {rate:>28} {of_cpu:>28}")
    lines.append("")
    for name, ratio in result.ratios.items():
        lines.append(
            f"product/ponder {name}: {ratio.median:.2f} "
            f"({ratio.lowest:.2f}-{ratio.highest:.2f}); aim {AIM:.0f}"
        )
    lines += ["", "CPU seconds of each turn:"]
    for turn in result.turns:
        used = ", ".join(f"{name} {seconds:.1f}" for name, seconds in turn.cpu.items())
        lines.append(f"  {turn.contender:8} {turn.seconds:6.1f} s   {used}")
    before, after = result.load_average
    lines.append(f"\nload average before and after: {before:.1f}, {after:.1f}")
    return "\n".join(lines)


def _spread(spread: Spread) -> str:
    return f"{spread.median:,.0f} ({spread.lowest:,.0f}-{spread.highest:,.0f})"
