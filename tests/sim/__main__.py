"""The command ``./run sim``: play seeds, and say how to repeat the first one that fails."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.play import play_seeds


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--bug", help="a planted bug of tests/sim/bugs")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--every", type=int, default=50, help="steps between two looks")
    chosen = parser.parse_args()
    began = time.monotonic()
    failed = 0
    payments = 0
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    for outcome in play_seeds(seeds, bug=chosen.bug, every=chosen.every):
        payments += outcome.payments
        if outcome.violation is not None:
            failed += 1
            print(f"seed {outcome.seed}: {outcome.violation}")
            print(f"  step {outcome.steps}; the last ones:")
            print("\n".join(f"    {line}" for line in outcome.last_steps))
            print(f"  again: ./run sim --seeds 1 --seed {outcome.seed} --every 1")
        else:
            print(
                f"seed {outcome.seed}: {outcome.steps} steps, {outcome.payments} payments, "
                f"{outcome.trace_hash[:16]}"
            )
    seconds = time.monotonic() - began
    print(f"{chosen.seeds} seeds, {failed} failed, {payments} payments, {seconds:.1f} s")
    return 1 if failed else 0


sys.exit(main())
