"""A short run of `./run chaos`: its subject is an installation of its own that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.chaos.checks import FEE_PPM, story_problem
from tests.chaos.plan import Kind, make_plan

SIZE = (12, 4, 1)
SEED = 193
"""A plan with the database, a chain and two roles among the killed, and all kinds of payments."""
SECONDS = 7
CONFIRMATIONS = 8


def test_ops_01_nothing_is_lost_when_real_processes_are_killed(repository: Path) -> None:
    # Given a plan of payments and faults
    payments, kills, reorgs = SIZE
    command = [sys.executable, "-m", "tests.chaos", "--json", "--seed", str(SEED)]
    command += ["--payments", str(payments), "--kills", str(kills), "--reorgs", str(reorgs)]
    command += ["--seconds", str(SECONDS), "--confirmations", str(CONFIRMATIONS)]
    # When it is carried out with real processes
    done = subprocess.run(
        command,
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    # Then all that was hit came back, and every payment is there, once
    assert done.stdout, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["violations"] == []
    assert done.returncode == 0
    assert (told["counts"]["lost"], told["counts"]["doubled"]) == (0, 0)
    assert sum(told["payments"].values()) == payments
    assert sum(each["count"] for each in told["recovery"].values()) == kills + reorgs


def test_a_seed_is_a_plan() -> None:
    plan = make_plan(*SIZE, SEED, SECONDS)
    assert plan == make_plan(*SIZE, SEED, SECONDS)
    assert plan != make_plan(*SIZE, SEED + 1, SECONDS)
    killed = {fault.target.split(" ")[0] for fault in plan.faults if fault.kind is Kind.KILL}
    assert {"postgres", "anvil"} <= killed
    assert {payment.kind for payment in plan.payments} == set(FEE_PPM)
    assert len({payment.amount for payment in plan.payments}) == SIZE[0]


def test_a_story_is_that_of_one_payment() -> None:
    paid, back = "session.paid", "session.payment_reverted"
    good = ["session.created", paid, back, paid, "session.completed"]
    assert story_problem(good) == ""
    assert story_problem([*good, "session.completed"]) != ""
    assert story_problem(["session.created", paid, paid, "session.completed"]) != ""
    assert story_problem(good[:-1]) != ""
    assert story_problem([]) != ""
