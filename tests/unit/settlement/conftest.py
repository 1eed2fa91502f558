from __future__ import annotations

import pytest

from gstable_server.plumbing.db import Database
from tests.unit.settlement.crossings import Crossings, new_crossings


@pytest.fixture
async def crossings(database: Database) -> Crossings:
    return await new_crossings(database)
