"""Changes the modules that decide about money, one expression at a time, and counts which changes
their tests notice: ``./run mutate [MODULE…]``, each a path below ``server/src/gstable_server``.

mutmut changes the bodies of functions, on a copy in ``.tools/mutation/work``, so that nobody meets
a changed module; ``tests/mutation_cells.py`` the cells of tables, which mutmut leaves as they are.
Exit code 1 when less than ``KILLED_MIN`` of a module's changes are noticed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".tools" / "mutation" / "work"
MUTMUT = Path(sys.executable).parent / "mutmut"
PACKAGE = Path("src/gstable_server")
KILLED_MIN = 0.85
TESTS = tomllib.loads((ROOT / "tests" / "mutation.toml").read_text())["tests"]
"""Every module with the tests that judge it: quick ones, because each change runs them."""

# What mutmut writes as a test run's exit code for a change.
SURVIVED, NO_TESTS = 0, 33
COPIED = ("contracts/artifacts", "contracts/vectors.json", "docs", "openapi.json", "events.json")

SETTINGS = """
[tool.pytest.ini_options]
pythonpath = ["src", "."]
addopts = ["--strict-markers", "--import-mode=importlib", "-p", "no:schemathesis", "-p", "no:xdist"]
markers = ["anvil: needs a local chain", "slow: takes more than some seconds"]

[tool.mutmut]
source_paths = ["src"]
only_mutate = {module}
also_copy = {copied}
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
"""


class Unjudged(Exception):
    """A module could not be judged; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of one module's changes."""

    module: str
    count: int
    survivors: Sequence[str]

    @property
    def share(self) -> float:
        """How many of them were noticed, of one."""
        return 1 - len(self.survivors) / self.count if self.count else 0.0


def main(arguments: Sequence[str]) -> int:
    unknown = [name for name in arguments if name not in TESTS]
    if unknown:
        print(f"no tests are named for {', '.join(unknown)} in tests/mutation.toml")
        return 2
    outcomes = []
    for module in arguments or TESTS:
        try:
            outcomes.append(judge(module))
        except Unjudged as reason:
            print(f"{module} was not judged: {reason}", flush=True)
    for outcome in outcomes:
        killed = outcome.count - len(outcome.survivors)
        print(f"{outcome.share:6.1%}  {killed:4} of {outcome.count:4}  {outcome.module}")
    weak = [outcome.module for outcome in outcomes if outcome.share < KILLED_MIN]
    if weak:
        print(f"less than {KILLED_MIN:.0%} noticed: {', '.join(weak)}")
    return 1 if weak or len(outcomes) < len(arguments or TESTS) else 0


def judge(module: str) -> Outcome:
    """Change one module and run its tests for every change; prints the survivors.

    Raises ``Unjudged``.
    """
    place = WORK / module.removesuffix(".py").replace("/", "-")
    prepare(place, module)
    count, survivors = of_functions(place, module)
    more, cells = of_tables(place, module)
    for line in [*survivors, *cells]:
        print(f"{module} survived: {line}", flush=True)
    return Outcome(module, count + more, [*survivors, *cells])


def of_functions(place: Path, module: str) -> tuple[int, list[str]]:
    """How many changes mutmut made, and those that survived, each as a difference."""
    with (place / "mutmut.log").open("w") as log:
        done = subprocess.run(
            [MUTMUT, "run"], cwd=place, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    results = place / "mutants" / PACKAGE / f"{module}.meta"
    if not results.is_file():
        raise Unjudged(f"see {place.relative_to(ROOT)}/mutmut.log")
    codes: Mapping[str, int | None] = json.loads(results.read_text())["exit_code_by_key"]
    if codes and done.returncode != 0:  # nothing to change is a failure to mutmut, not to us
        raise Unjudged(f"see {place.relative_to(ROOT)}/mutmut.log")
    if None in codes.values():
        raise Unjudged("not every change was tried")
    survivors = [name for name, code in codes.items() if code in (SURVIVED, NO_TESTS)]
    return len(codes), [shown(place, name) for name in survivors]


def of_tables(place: Path, module: str) -> tuple[int, list[str]]:
    """How many cells were exchanged, and the exchanges that survived."""
    name = ".".join((PACKAGE.name, *Path(module).with_suffix("").parts))
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation_cells", name, *TESTS[module]],
        cwd=place,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unjudged(done.stderr.strip().rpartition("\n")[2])
    told = json.loads(done.stdout.rpartition("\n")[2])
    return told["count"], told["survivors"]


def prepare(place: Path, module: str) -> None:
    """Copy what the tests need. A copy without bytecode: that of the tree has other paths."""
    shutil.rmtree(place, ignore_errors=True)
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    for source in ("server/src", "sdk/src"):
        shutil.copytree(ROOT / source, place / "src", ignore=leave_out, dirs_exist_ok=True)
    shutil.copytree(ROOT / "tests", place / "tests", ignore=leave_out)
    for name in COPIED:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    text = SETTINGS.format(
        module=json.dumps([str(PACKAGE / module)]),
        copied=json.dumps(list(COPIED)),
        tests=json.dumps(TESTS[module]),
    )
    (place / "pyproject.toml").write_text(text)


def shown(place: Path, name: str) -> str:
    """A change by mutmut: its name, what stood there and what stands there now."""
    told = subprocess.run(
        [MUTMUT, "show", name], cwd=place, capture_output=True, text=True, check=False
    )
    lines = [
        line
        for line in told.stdout.splitlines()
        if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))
    ]
    return "\n    ".join([name.rpartition(".")[2], *lines])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
