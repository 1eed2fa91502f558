"""The command ``./run sim``: play seeds, and say how to repeat each one that fails."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator

from gstable_server.plumbing.embedded_postgres import temporary_postgres
from tests.sim.planting import all_bugs
from tests.sim.play import play_seeds, player
from tests.sim.simulation import EVERY, Outcome


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
    began, failed, payments = time.monotonic(), 0, 0
    for outcome in play_seeds(seeds, bug=chosen.bug, every=chosen.every):
        payments += outcome.payments
        failed += outcome.violation is not None
        lines = [_json(outcome)] if chosen.json else list(_lines(outcome, chosen.bug))
        print("\n".join(lines), flush=True)
    if not chosen.json:
        seconds = time.monotonic() - began
        print(f"{chosen.seeds} seeds, {failed} failed, {payments} payments, {seconds:.1f} s")
    return 1 if failed else 0


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
    """Play the seeds in so many processes, each with a PostgreSQL of its own."""
    each, rest = divmod(chosen.seeds, chosen.jobs)
    first, children = chosen.seed, []
    for job in range(chosen.jobs):
        count = each + (job < rest)
        command = [sys.executable, "-m", "tests.sim", "--seed", str(first), "--seeds", str(count)]
        command += ["--every", str(chosen.every), *(["--json"] if chosen.json else [])]
        command += ["--bug", chosen.bug] if chosen.bug else []
        if count:
            children.append(subprocess.Popen(command))
        first += count
    return max(child.wait() for child in children)


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
