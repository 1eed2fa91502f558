"""A hundred executors, each killed between two of its steps: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from gstable_server.plumbing.db import Database
from tests.unit.chain.executor.killed import INTENTS, RUNS
from tests.unit.chain.executor.local_chain import anvil, local_chain

pytestmark = [pytest.mark.anyio, pytest.mark.anvil, pytest.mark.slow]

SECONDS = 900


async def kill_them_all(database_url: str, rpc_url: str, repository: Path) -> list[dict[str, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.unit.chain.executor.killed",
        database_url,
        rpc_url,
        stdout=asyncio.subprocess.PIPE,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository}/server/src{os.pathsep}{repository}"},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, "the last executor, which nobody kills, ends with all final"
    return [json.loads(line) for line in output.splitlines()]


async def wanted(database: Database) -> list[str]:
    async with database.read() as tx:
        return [row["cause"] for row in await tx.fetch("SELECT cause FROM executor_intents")]


async def test_ops_09_a_hundred_kills_neither_lose_nor_repeat_a_transaction(
    database: Database, database_url: str, repository: Path, tmp_path: Path
) -> None:
    arguments = ("--no-mining", "--order", "fifo")
    with anvil(tmp_path, *arguments) as url:
        async with local_chain(url) as chain:
            await chain.prepare()
            reports = await kill_them_all(database_url, url, repository)
            assert len(reports) == len(RUNS) == 100
            assert [report for report in reports if not report["killed"]] == []
            causes = await wanted(database)
            assert len(causes) >= len(RUNS) * INTENTS
            counts = {cause: await chain.count(cause) for cause in causes}
            account = await chain.node.account(chain.signer.address)
    assert {cause: count for cause, count in counts.items() if count != 1} == {}
    async with database.read() as tx:
        states = await tx.fetch("SELECT state, count(*) AS n FROM executor_intents GROUP BY state")
        nonces = await tx.fetchval("SELECT count(*) FROM executor_nonces")
        outcomes = await tx.fetch(
            "SELECT type, object_id FROM events WHERE type <> $1", "executor.mined"
        )
    assert {row["state"]: row["n"] for row in states} == {"final": len(causes)}
    assert account.mined == account.waiting == nonces, "every nonce is used, by one transaction"
    assert sorted(row["object_id"] for row in outcomes) == sorted(
        f"subject:{each}" for each in causes
    )
