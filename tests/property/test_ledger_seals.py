"""Whatever row of the book is changed in whatever way, verification stops at exactly that row."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from tests.unit.ledger.tampering import AT_A_SEAL, new_book, tamper

EXAMPLES = 40
SIZE_MAX = 40


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_tampering_is_found_at_its_row(
    database_url: str, clock: FakeClock, data: st.DataObject
) -> None:
    size = data.draw(st.integers(2, SIZE_MAX), "transfers")
    how = data.draw(st.sampled_from(sorted(AT_A_SEAL)), "how")
    last = "removed" in how or "exchanged" in how
    number = data.draw(st.integers(1, size - 1 if last else size), "seal")

    async def tampered() -> tuple[int, int | None]:
        db = await Database.connect(database_url, clock=clock, ids=SystemIdMint(), size=1)
        try:
            await new_book(db, size)
            await tamper(db, how, number)
            verdict = await ledger.verify(db)
        finally:
            await db.close()
        return verdict.checked, verdict.problems[0].seal_number

    assert asyncio.run(tampered()) == (number - 1, number)
