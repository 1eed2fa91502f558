"""The one command of this repository: sets up what a task needs (`run_setup.py`), then runs it.

Standard library only. Progress goes to stderr, so that stdout belongs to the task.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from run_setup import (
    CLEAR_SIGNING,
    MUTATION,
    PYTHON,
    ROOT,
    VENV,
    Failed,
    environment,
    prepare,
    prepare_audit,
    prepare_browser,
    prepare_clear_signing,
    prepare_mutation,
)

OLDEST_PYTHON = (3, 11)
TYPED = ("run.py", "run_setup.py", "contracts/clear_signing.py", "tests/chaos")
"""What is checked for types besides what is shipped: programs, as opposed to tests."""

HELP = """\
usage: ./run COMMAND [ARGUMENTS]     (or: python3 run.py COMMAND)

  setup       install everything the other commands need
  demo        run the whole payment sequence once, verify it, stop     [--json]
  dev         database, local chains, API, pages and workers, until interrupted
                                                    [--port N] [--state DIR] [--json]
  test        check, contracts, then pytest; arguments go to pytest
  check       lint, format, types, import contracts, generated code
  contracts   recompile, compare with the committed artifacts, run forge; arguments go to forge
                                    [--deep] proofs, slither and coverage too, half an hour
  bench       measure; arguments go to `python -m bench`
  sim         play simulated histories of the whole system, each decided by a seed
            [--seeds N] [--seed FIRST] [--bug NAME] [--jobs J] [--every STEPS] [--json] [--find]
  chaos       kill real processes at random while payments run
                                    [--payments N] [--kills K] [--reorgs R] [--seed S] [--json]
  shots       pictures of every state of the payer's pages and of the console, for docs/guide
                                        [STATE…] [--console] [--to FOLDER]
  mutate      change the modules that decide about money and count what their tests notice
                                    [MODULE…] paths below server/src/gstable_server
  clear-signing  write what wallets show of our contracts (ERC-7730), and lint it
                                    [NETWORKS_FILE DIRECTORY] of an operator's own networks
  help        this text
"""


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code. The last step of a command replaces this process."""
    if sys.version_info < OLDEST_PYTHON:
        return complain("Python 3.11 or newer is needed: install it and run again with it")
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command in ("help", "--help", "-h"):
        print(HELP, end="")
        return 0
    if command not in COMMANDS:
        return complain(f"no command {command!r}: `./run help` lists them")
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until a program replaces us
    try:
        return COMMANDS[command](rest)
    except Failed as failed:
        return complain(str(failed))
    except KeyboardInterrupt:
        return complain("interrupted")


def complain(text: str) -> int:
    """Say why in one line on stderr; return the exit code of a failure."""
    sys.stdout.flush()
    print(f"run: {text}", file=sys.stderr, flush=True)
    return 1


# --- commands -------------------------------------------------------------------------------------


def setup(arguments: list[str]) -> int:
    """Install everything."""
    refuse_arguments("setup", arguments)
    prepare(dev=True)
    prepare_browser()
    print("ready: ./run demo, ./run dev, ./run test", file=sys.stderr)
    return 0


def demo(arguments: list[str]) -> int:
    """The whole sequence once."""
    prepare(dev=False)
    become(["-m", "gstable_server.cli", "demo", *arguments])


def dev(arguments: list[str]) -> int:
    """The whole system until a signal."""
    prepare(dev=False)
    become(["-m", "gstable_server.cli", "dev", *arguments])


def bench(arguments: list[str]) -> int:
    """Measurements; see bench/README.md."""
    prepare(dev=True)
    become(["-m", "bench", *arguments])


def sim(arguments: list[str]) -> int:
    """Histories of the whole system; see tests/sim/README.md."""
    prepare(dev=True)
    become(["-m", "tests.sim", *arguments])


def chaos(arguments: list[str]) -> int:
    """Payments under kill -9, cut connections and reorganisations; exit code 1 if one is lost."""
    prepare(dev=True)
    become(["-m", "tests.chaos", *arguments])


def shots(arguments: list[str]) -> int:
    """The pictures of the guide; see tests/browser/shots.py."""
    prepare(dev=True)
    prepare_browser()
    become(["-m", "tests.browser.shots", *arguments])


def mutate(arguments: list[str]) -> int:
    """Mutation testing; see tests/mutation.py. Exit code 1 if a module's tests are too weak."""
    prepare(dev=True)
    prepare_mutation()
    become(["tests/mutation.py", *arguments], MUTATION / "bin" / "python")


def clear_signing(arguments: list[str]) -> int:
    """Descriptors for wallets; see docs/guide/clear-signing.md. Exit code 1 for any fault."""
    prepare(dev=True)
    prepare_clear_signing()
    if not timed("descriptors", ["python", "contracts/clear_signing.py", *arguments]):
        return 1
    become(["contracts/lint_clear_signing.py", *arguments[1:]], CLEAR_SIGNING / "bin" / "python")


def check(arguments: list[str]) -> int:
    """Everything that judges the code without running it."""
    refuse_arguments("check", arguments)
    prepare(dev=True)
    return run_checks()


def contracts(arguments: list[str]) -> int:
    """Recompile and compare the artifacts, then the forge tests, which get the arguments."""
    prepare(dev=True)
    if arguments[:1] == ["--deep"]:
        prepare_audit()
        become(["contracts/deep.sh", *arguments[1:]], Path("/bin/sh"))
    return run_contracts(arguments)


def test(arguments: list[str]) -> int:
    """Check, contracts, then pytest, whose summary is the last line since it replaces us."""
    prepare(dev=True)
    prepare_browser()
    # Beside each other, because most of what either does is on one core.
    compiling = subprocess.Popen([sys.executable, str(ROOT / "run.py"), "contracts"])
    try:
        passed = run_checks() == 0
        passed = compiling.wait() == 0 and passed
    finally:
        if compiling.poll() is None:
            compiling.terminate()
            compiling.wait()
    if not passed:
        return complain("not testing what does not pass `./run check` and `./run contracts`")
    print("== pytest", flush=True)
    # Four on two cores: tests with an installation wait more than they work (tests/scheduling.py).
    become(["-m", "pytest", "-n", "4", "--dist", "loadgroup", *arguments])


COMMANDS = {
    "setup": setup,
    "demo": demo,
    "dev": dev,
    "test": test,
    "check": check,
    "bench": bench,
    "sim": sim,
    "chaos": chaos,
    "mutate": mutate,
    "clear-signing": clear_signing,
    "shots": shots,
    "contracts": contracts,
}


def refuse_arguments(command: str, arguments: list[str]) -> None:
    if arguments:
        raise Failed(f"`{command}` takes no arguments, got: {' '.join(arguments)}")


def run_checks() -> int:
    """Run every check, also after one failed, so that one run shows all. Returns 0 or 1."""
    binaries = VENV / "bin"
    sources = [str(p) for p in (Path("server/src"), Path("sdk/src")) if (ROOT / p).is_dir()]
    checks: list[tuple[str, list[str]]] = [
        ("ruff check", [str(binaries / "ruff"), "check", "--quiet", "."]),
        ("ruff format", [str(binaries / "ruff"), "format", "--check", "--quiet", "."]),
        ("mypy --strict", [str(binaries / "mypy"), *sources, *TYPED]),
        ("import contracts", [str(binaries / "lint-imports"), "--no-logo"]),
        ("generated SDK code", [str(PYTHON), "sdk/scripts/unasync.py", "--check"]),
        ("types of the page modules", ["tsc", "-p", "web"]),
        ("built page modules", ["node", "web/build-check.mjs"]),
    ]
    failures = [name for name, command in checks if not timed(name, command)]
    return complain(f"failed: {', '.join(failures)}") if failures else 0


def run_contracts(arguments: list[str]) -> int:
    """Compare the compiled contracts with the committed ones, then run forge. Returns 0 or 1."""
    passed = timed("contracts", ["sh", "contracts/check.sh", *arguments])
    return 0 if passed else complain("failed: contracts")


def timed(name: str, command: list[str]) -> bool:
    """Run one stage; print its time, and its output only when it failed."""
    print(f"{name} …", file=sys.stderr, flush=True)
    began = time.monotonic()
    code, output = run_child(command)
    verdict = "ok" if code == 0 else f"failed (exit code {code})"
    if code != 0:
        print(output, end="" if output.endswith("\n") else "\n")
    print(f"== {name}: {verdict}, {time.monotonic() - began:.1f} s", flush=True)
    return code == 0


# --- child processes ------------------------------------------------------------------------------


def become(arguments: list[str], program: Path = PYTHON) -> NoReturn:
    """Replace this process by a program: signals and exit code are then the child's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(program, [str(program), *arguments], environment())  # noqa: S606


def run_child(command: list[str]) -> tuple[int, str]:
    """Run a program; return its exit code and output. SIGINT and SIGTERM are passed on to it."""
    child_environment = environment()
    program = shutil.which(command[0], path=child_environment["PATH"])
    if program is None:
        return 127, f"{command[0]} is missing: delete node_modules and .venv, then `./run setup`"
    child = subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=child_environment,
    )
    stopped_by: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        stopped_by.append(number)
        child.send_signal(number)

    previous = {
        number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        output, _ = child.communicate()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stopped_by:
        raise KeyboardInterrupt
    return child.returncode, output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
