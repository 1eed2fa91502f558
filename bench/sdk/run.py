"""The comparison: library and bare client take turns, call by a few calls, round after round.

What counts is the difference and the ratio within one turn, and of those the median: the machine's
speed changes from second to second with what else runs on it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bench.sdk.contenders import Pair, pairs

CALLS = 50
IMPORTS = 15
_IMPORTED = re.compile(r"import time:\s+\d+ \|\s+(\d+) \| (\S+)")


class Turns:
    """Microseconds per call of one pair, wall and CPU of this process, turn by turn."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.library: list[tuple[float, float]] = []
        self.bare: list[tuple[float, float]] = []

    def ratios(self, which: int) -> list[float]:
        return [
            mine[which] / theirs[which]
            for mine, theirs in zip(self.library, self.bare, strict=True)
        ]

    def overheads(self, which: int) -> list[float]:
        return [
            mine[which] - theirs[which]
            for mine, theirs in zip(self.library, self.bare, strict=True)
        ]


@contextmanager
def running_server() -> Iterator[str]:
    """The bare server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sdk.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def measured(calls: int, run: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU microseconds per call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    spent = time.perf_counter() - wall, time.process_time() - cpu
    return spent[0] * 1e6 / calls, spent[1] * 1e6 / calls


def turn(call: Any, is_async: bool, loop: asyncio.Runner, calls: int) -> tuple[float, float]:
    """``calls`` calls, one after the other."""

    async def several() -> None:
        for _ in range(calls):
            await call()

    def each() -> None:
        for _ in range(calls):
            call()

    return measured(calls, (lambda: loop.run(several())) if is_async else each)


def compare(rounds: int, calls: int) -> list[Turns]:
    """All pairs by turns. The first round opens connections and is not counted."""
    with running_server() as url, asyncio.Runner() as loop:
        contest = [Turns(pair) for pair in pairs(url)]
        for number in range(rounds + 1):
            for one in contest:
                pair = one.pair
                sides = [(one.library, pair.library), (one.bare, pair.bare)]
                # Whoever is first finds cold caches; so the order changes.
                for kept, call in sides if number % 2 else reversed(sides):
                    spent = turn(call, pair.is_async, loop, calls)
                    if number:
                        kept.append(spent)
        return contest


def import_milliseconds(module: str, times: int) -> tuple[list[float], list[float]]:
    """How long ``import module`` takes in a fresh interpreter by its own account, and the CPU time
    of the same."""
    code = f"import time; began = time.process_time(); import {module}"
    code += "; print(time.process_time() - began)"
    walls, cpus = [], []
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [_IMPORTED.match(line) for line in done.stderr.splitlines()]
        walls.append(next(int(row[1]) / 1000 for row in rows if row and row[2] == module))
        cpus.append(float(done.stdout) * 1000)
    return walls, cpus


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, lowest and highest."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(contest: Sequence[Turns], imports: dict[str, tuple[list[float], list[float]]]) -> str:
    """The result in Markdown."""
    lines = [
        "| | µs/call | bare | overhead | ratio | CPU µs/call | CPU overhead | CPU ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in contest:
        mine = [statistics.median(side) for side in zip(*one.library, strict=True)]
        bare = statistics.median(wall for wall, _ in one.bare)
        lines.append(
            f"| {one.pair.name} | {mine[0]:.0f} | {bare:.0f} | {spread(one.overheads(0))} "
            f"| {spread(one.ratios(0), 2)} | {mine[1]:.0f} | {spread(one.overheads(1))} "
            f"| {spread(one.ratios(1), 2)} |"
        )
    lines += ["", "| import | ms | CPU ms |", "|---|---|---|"]
    for module, (walls, cpus) in imports.items():
        lines.append(f"| {module} | {spread(walls)} | {spread(cpus)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and print; 0 whatever comes of it, because a busy machine proves nothing."""
    parser = argparse.ArgumentParser(prog="bench sdk", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="turns of each (40)")
    parser.add_argument("--calls", type=int, default=CALLS, help="calls of one turn (50)")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    chosen = parser.parse_args(arguments)
    contest = compare(chosen.rounds, chosen.calls)
    modules = ("gstable", "gstable.testing", "httpx2", "stripe")
    imports = {module: import_milliseconds(module, IMPORTS) for module in modules}
    if chosen.json:
        rows = {one.pair.name: {"library": one.library, "bare": one.bare} for one in contest}
        print(json.dumps({"calls": rows, "import_ms": imports}))
    else:
        print(table(contest, imports))
    return 0
