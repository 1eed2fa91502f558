"""pgbench: the same rows with nothing of Python in between."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bench.sessions import statements
from bench.sessions.load import Load
from bench.sessions.world import POOL_SIZE, World
from gstable_server.chain.testing import MERCHANT
from gstable_server.plumbing.postgres_programs import find_programs

_TRANSACTIONS = re.compile(r"number of transactions actually processed: (\d+)")
_RATE = re.compile(r"tps = ([0-9.]+) \(without initial connection time\)")


def program() -> Path:
    """pgbench of the newest PostgreSQL that has one. Raises ``FileNotFoundError``."""
    for programs in find_programs():
        found = programs.directory / "pgbench"
        if found.exists():
            return found
    raise FileNotFoundError("pgbench is missing: run ./run setup, or install postgresql")


class Pgbench:
    """Runs a script with as many connections as the servers have in their pools."""

    def __init__(self, world: World, session: dict[str, object], session_id: str) -> None:
        """``session`` is one that the product made: its JSON is what pgbench inserts."""
        self._program = program()
        self._url = world.database_url
        self._create = world.directory / "create.sql"
        self._get = world.directory / "get.sql"
        self._create.write_text(statements.PGBENCH_CREATE)
        self._get.write_text(statements.PGBENCH_GET)
        self._variables = {
            "merchant": world.merchant.merchant_id,
            "account": world.merchant.account_id,
            "token": world.merchant.token_id,
            "recipient": MERCHANT.hex(),
            "session": session_id,
            **{name: str(value) for name, value in session.items()},
        }

    def create(self, seconds: int) -> Load:
        """Insert sessions for so long."""
        return self._run(self._create, seconds)

    def get(self, seconds: int) -> Load:
        """Read a session for so long."""
        return self._run(self._get, seconds)

    def _run(self, script: Path, seconds: int) -> Load:
        command = [str(self._program), "--no-vacuum", "--protocol=prepared", f"--time={seconds}"]
        command += [f"--client={POOL_SIZE}", "--jobs=1", f"--file={script}"]
        command += [f"--define={name}={value}" for name, value in self._variables.items()]
        done = subprocess.run([*command, self._url], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"pgbench failed: {done.stderr.strip()[-500:]}")
        count, rate = _TRANSACTIONS.search(done.stdout), _RATE.search(done.stdout)
        assert count is not None, done.stdout
        assert rate is not None, done.stdout
        return Load(int(count[1]), int(count[1]) / float(rate[1]))
