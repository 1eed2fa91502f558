"""``./run chaos``: real processes, killed at random while payments run; see CONTRIBUTING.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from pathlib import Path

from tests.chaos.plan import CONFIRMATIONS, make_plan
from tests.chaos.report import as_object, show
from tests.chaos.run import run


def main() -> int:
    """Exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="./run chaos", description=__doc__)
    parser.add_argument("--payments", type=int, default=60, help="how many are made")
    parser.add_argument("--kills", type=int, default=10, help="processes ended with -9")
    parser.add_argument("--reorgs", type=int, default=4, help="how often a chain turns back")
    parser.add_argument("--seed", type=int, help="of the plan; another one each time by default")
    parser.add_argument("--seconds", type=float, help="in which all of it begins")
    parser.add_argument("--confirmations", type=int, default=CONFIRMATIONS, help="of each network")
    parser.add_argument("--state", type=Path, help="keep the installation's files here")
    parser.add_argument("--json", action="store_true", help="one object instead of tables")
    asked = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    command = (
        f"./run chaos --payments {asked.payments} --kills {asked.kills} --reorgs {asked.reorgs} "
        f"--seed {seed}{f' --seconds {asked.seconds}' if asked.seconds else ''}"
    )
    print(command, file=sys.stderr, flush=True)
    plan = make_plan(asked.payments, asked.kills, asked.reorgs, seed, asked.seconds)
    outcome = asyncio.run(run(plan, asked.confirmations, asked.state))
    if asked.json:
        print(json.dumps(as_object(outcome)), flush=True)
    else:
        show(outcome, command)
    return 1 if outcome.verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
