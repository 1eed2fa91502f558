"""What a runbook tells an operator to ask the database, the database understands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gstable_server.plumbing.db import Database

pytestmark = pytest.mark.anyio

PAGES = sorted((Path(__file__).parents[2] / "docs/runbooks").glob("*.md"))


async def test_every_statement_of_a_runbook_is_of_tables_and_columns_that_there_are(
    database: Database,
) -> None:
    found = [
        statement
        for page in PAGES
        for statement in re.findall(r"`((?:SELECT|UPDATE) [^`]+)`", page.read_text())
    ]
    assert len(found) >= 6
    async with database.read() as tx:
        for statement in found:
            await tx.connection.prepare(statement.replace("'…'", "'one'").replace("…", "1"))
