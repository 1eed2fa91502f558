"""The command ``./run sim``: play seeds, and say how to repeat each one that fails."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from gstable_server.plumbing.embedded_postgres import temporary_postgres
from tests.sim.planting import all_bugs
from tests.sim.play import play_seeds, player
from tests.sim.simulation import EVERY, Outcome

IN_ONE_LINE = 100
"""Seeds of a long run that share a line, so that whoever looks sees how far it is."""


@dataclass
class Tally:
    """What a run has come to so far; ``hash`` is over the traces of all its seeds, in order."""

    seeds: int = 0
    failed: int = 0
    payments: int = 0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    began: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.failed += outcome.violation is not None
        self.payments += outcome.payments
        self.hash.update(bytes.fromhex(outcome.trace_hash))

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds, {self.failed} failed, {self.payments} payments, "
            f"{self.hash.hexdigest()[:16]}, {time.monotonic() - self.began:.1f} s"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--bug", help="a planted bug of tests/sim/bugs")
    parser.add_argument(
        "--find", action="store_true", help="print the first seed that finds each planted bug"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--every", type=int, default=EVERY, help="steps between two looks")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each seed")
    chosen = parser.parse_args()
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    if chosen.find:
        return _find(list(all_bugs()) if chosen.bug is None else [chosen.bug], seeds)
    if chosen.jobs > 1:
        return _share_out(chosen)
    return _play(chosen, seeds)


def _play(chosen: argparse.Namespace, seeds: range) -> int:
    """A line for each seed; in a long run for each that fails, and one for every hundred."""
    tally, is_long = Tally(), len(seeds) > IN_ONE_LINE

    def how_far() -> str:
        stopped = seeds[0] + tally.seeds
        again = f"./run sim --seed {stopped} --seeds {len(seeds) - tally.seeds}"
        return f"stopped in seed {stopped} after {tally}; go on: {again}"

    def end(number: int, _frame: object) -> None:
        # At once: what was asked of the database is not answered any more, and nothing may wait
        # for it. PostgreSQL ends with this process.
        print(f"signal {number}: {how_far()}", file=sys.stderr, flush=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, end)
    try:
        for outcome in play_seeds(seeds, bug=chosen.bug, every=chosen.every):
            tally.add(outcome)
            if chosen.json:
                print(_json(outcome), flush=True)
            elif not is_long or outcome.violation is not None:
                print("\n".join(_lines(outcome, chosen.bug)), flush=True)
            if is_long and not chosen.json and tally.seeds % IN_ONE_LINE == 0:
                print(f"seeds {seeds[0]} to {outcome.seed}: {tally}", flush=True)
    except BaseException:
        print(how_far(), file=sys.stderr, flush=True)
        raise
    if not chosen.json:
        print(tally)
    return 1 if tally.failed else 0


def _find(bugs: list[str], seeds: range) -> int:
    """Print a line of ``seeds.toml`` for each bug, a remark for one that no seed finds."""
    missed = 0
    with temporary_postgres() as server, player(server.url) as playing:
        for bug in sorted(bugs):
            found = (one for seed in seeds if (one := playing.play(seed, bug=bug)).violation)
            first = next(found, None)
            missed += first is None
            if first is None or first.violation is None:
                print(f"# {bug}: not found in {len(seeds)} seeds", flush=True)
            else:
                print(f"{bug} = {first.seed}  # {first.violation.invariant}", flush=True)
    return 1 if missed else 0


def _share_out(chosen: argparse.Namespace) -> int:
    """Play the seeds in so many processes, each with a PostgreSQL of its own; one that dies is
    told, and the others go on."""
    each, rest = divmod(chosen.seeds, chosen.jobs)
    first, children = chosen.seed, []
    for job in range(chosen.jobs):
        count = each + (job < rest)
        command = [sys.executable, "-m", "tests.sim", "--seed", str(first), "--seeds", str(count)]
        command += ["--every", str(chosen.every), *(["--json"] if chosen.json else [])]
        command += ["--bug", chosen.bug] if chosen.bug else []
        if count:
            children.append((first, count, subprocess.Popen(command)))
        first += count
    failed = False
    for first, count, child in children:
        code = child.wait()
        failed |= code != 0
        if code not in {0, 1}:
            # Killed, or out of memory: it cannot say so itself.
            seeds = f"seeds {first} to {first + count - 1}"
            print(f"the process of {seeds} ended with {code}", file=sys.stderr, flush=True)
    return 1 if failed else 0


def _lines(outcome: Outcome, bug: str | None) -> Iterator[str]:
    if outcome.violation is None:
        yield (
            f"seed {outcome.seed}: {outcome.steps} steps, {outcome.payments} payments, "
            f"{outcome.trace_hash[:16]}"
        )
        return
    yield f"seed {outcome.seed}: {outcome.violation}"
    yield f"  seen after step {outcome.steps}; the last ones:"
    yield from (f"    {line}" for line in outcome.last_steps)
    again = f"./run sim --seed {outcome.seed} --seeds 1 --every 1"
    yield f"  again: {again}{f' --bug {bug}' if bug else ''}"


def _json(outcome: Outcome) -> str:
    violation = outcome.violation
    return json.dumps(
        {
            "seed": outcome.seed,
            "steps": outcome.steps,
            "payments": outcome.payments,
            "traceHash": outcome.trace_hash,
            "invariant": violation.invariant if violation else None,
            "violation": str(violation) if violation else None,
        }
    )


if __name__ == "__main__":
    sys.exit(main())
