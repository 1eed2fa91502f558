"""The import contracts hold, and each of them notices a planted breach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
CONFIG = REPOSITORY / "pyproject.toml"
CONTRACTS = tomllib.loads(CONFIG.read_text())["tool"]["importlinter"]["contracts"]
IDS = [contract["id"] for contract in CONTRACTS]
SLICES = [name.removeprefix("own-") for name in IDS if name.startswith("own-")]

# contract, file below the source roots, lines to add to it (or to make it of)
PLANTED = [
    ("line", "gstable_server/kernel/planted.py", "import gstable_server.plumbing.db"),
    ("line", "gstable_server/chain/planted.py", "import gstable_server.accounts.operations"),
    ("line", "gstable_server/catalog/planted.py", "import gstable_server.ledger.operations"),
    ("line", "gstable_server/webhooks/planted.py", "import gstable_server.sessions.operations"),
    ("line", "gstable_server/links/planted.py", "import gstable_server.sessions.model"),
    ("line", "gstable_server/api/planted.py", "import gstable_server.web"),
    ("line", "gstable_server/sessions/planted.py", "import gstable_server.flow"),
    ("line", "gstable_server/settlement/planted.py", "import gstable_server.sessions.model"),
    ("line", "gstable_server/a_new_folder/__init__.py", ""),
    (
        "cycles",
        "gstable_server/links/model.py",
        "import gstable_server.links.operations",
    ),
    ("pure", "gstable_server/kernel/money.py", "import asyncpg"),
    ("pure", "gstable_server/sessions/machine.py", "import time"),
    ("pure", "gstable_server/links/model.py", "import asyncio"),
    ("pure", "gstable_server/catalog/wire.py", "import gstable_server.plumbing.db"),
    ("pure", "gstable_server/routing/fees.py", "import random"),
    ("pure", "gstable_server/chain/decode.py", "import aiohttp"),
    ("pure", "gstable_server/chain/facts.py", "import time"),
    ("chain-libraries", "gstable_server/accounts/planted.py", "import coincurve"),
    ("sql-driver", "gstable_server/links/operations.py", "import asyncpg"),
    ("web-framework", "gstable_server/links/operations.py", "import starlette.responses"),
    ("sdk", "gstable/_errors.py", "import gstable_server.kernel.errors"),
    ("sdk-users", "gstable_server/links/operations.py", "import gstable"),
    *((f"own-{name}", "gstable_server/api/planted.py", f"import gstable_server.{name}.store")
      for name in SLICES
      if name not in {"executor", "refunds", "deposits", "holds", "unmatched", "x402", "lists",
                      "statistics"}),
    ("own-statistics", "gstable_server/sessions/planted.py",
     "import gstable_server.sessions.statistics.store"),
    ("own-lists", "gstable_server/sessions/planted.py",
     "import gstable_server.sessions.lists.store"),
    ("own-unmatched", "gstable_server/sessions/planted.py",
     "import gstable_server.sessions.unmatched.store"),
    ("own-x402", "gstable_server/agents/planted.py", "import gstable_server.agents.x402.store"),
    ("pure", "gstable_server/agents/x402/model.py", "import time"),
    ("own-deposits", "gstable_server/sessions/planted.py",
     "import gstable_server.sessions.deposits.store"),
    ("own-executor", "gstable_server/chain/planted.py",
     "import gstable_server.chain.executor.moves"),
    ("own-refunds", "gstable_server/sessions/planted.py",
     "import gstable_server.sessions.refunds.store"),
    ("pure", "gstable_server/sessions/refunds/machine.py", "import time"),
    ("own-holds", "gstable_server/sessions/refunds/planted.py",
     "import gstable_server.sessions.holds.store"),
    ("pure", "gstable_server/sessions/holds/machine.py", "import time"),
    ("pure", "gstable_server/sessions/unmatched/machine.py", "import time"),
    ("line", "gstable_server/reconciliation/planted.py", "import gstable_server.sessions.model"),
    ("line", "gstable_server/settlement/planted.py", "import gstable_server.reconciling"),
    ("independent", "gstable_server/reconciliation/logs.py", "import gstable_server.chain.decode"),
    ("independent", "gstable_server/reconciliation/store.py", "import gstable_server.ledger.model"),
    ("pure", "gstable_server/reconciliation/comparing.py", "import time"),
    ("pure", "gstable_server/ledger/seals.py", "import gstable_server.plumbing.db"),
    ("signer", "gstable_server/serve.py", "import gstable_server.chain.signer"),
    ("pure", "gstable_server/chain/executor/machine.py", "import time"),
]  # fmt: skip


def lint(sources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the linter on the packages in ``sources``."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--config", str(CONFIG)]
    return subprocess.run(
        [*command, "--no-logo", *arguments],
        capture_output=True,
        text=True,
        cwd=sources,
        env={**os.environ, "PYTHONPATH": str(sources)},
        check=False,
    )


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of both packages, to be broken."""
    for package in ("server/src/gstable_server", "sdk/src/gstable"):
        origin = REPOSITORY / package
        ignored = shutil.ignore_patterns("__pycache__", "static", "*.json")
        shutil.copytree(origin, tmp_path / origin.name, ignore=ignored)
    return tmp_path


def test_the_tree_keeps_every_contract(sources: Path) -> None:
    result = lint(sources, "--cache-dir", str(sources / "cache"))
    assert result.returncode == 0, result.stdout
    assert f"Contracts: {len(IDS)} kept, 0 broken." in result.stdout


@pytest.mark.parametrize(("contract", "file", "line"), PLANTED)
def test_a_planted_breach_is_reported(
    sources: Path, tmp_path_factory: pytest.TempPathFactory, contract: str, file: str, line: str
) -> None:
    planted = sources / file
    planted.parent.mkdir(exist_ok=True)
    with planted.open("a") as text:
        text.write(f"\n{line}\n")
    cache = tmp_path_factory.getbasetemp() / "import-linter-cache"
    result = lint(sources, "--contract", contract, "--cache-dir", str(cache))
    assert result.returncode == 1, result.stdout
    assert "Contracts: 0 kept, 1 broken." in result.stdout
    assert Path(file).stem in result.stdout or Path(file).parent.name in result.stdout


def test_every_contract_has_a_planted_breach() -> None:
    assert {contract for contract, _, _ in PLANTED} == set(IDS)


def test_every_store_and_machine_is_protected() -> None:
    protected = {m for c in CONTRACTS for m in c.get("protected_modules", [])}
    package = REPOSITORY / "server/src/gstable_server"
    private = [*package.rglob("store.py"), *package.rglob("machine.py")]
    names = {".".join(p.relative_to(package.parent).with_suffix("").parts) for p in private}
    assert names <= protected
