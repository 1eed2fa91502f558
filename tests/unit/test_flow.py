"""The page of the whole system: every event has its handlers, and every appointment is kept."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from gstable_server import flow
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.jobs import QUEUE
from gstable_server.plumbing.testing import FakeClock, FakeHttp
from gstable_server.webhooks.model import AUDIENCES, EVENT_TYPES
from tests.unit.sessions.world import desk

pytestmark = pytest.mark.anyio

INTERNAL = ("chain.", "deposit.", "executor.", "settlement.")
"""What the server tells itself only."""
_TOLD = re.compile(
    r'"((?:session|product|payment\.link|account|chain|deposit|executor|settlement)\.[a-z_]+)"'
)


def test_every_event_that_merchants_can_subscribe_to_is_posted() -> None:
    told = set(EVENT_TYPES) | set(AUDIENCES)
    assert {event for event in flow.NEXT if not event.startswith(INTERNAL)} == told
    assert all(flow.post_letter in flow.NEXT[event] for event in told)


def test_every_event_that_the_code_tells_has_its_handlers(repository: Path) -> None:
    source = repository / "server/src/gstable_server"
    told = {
        name
        for file in source.rglob("*.py")
        if file.name in {"operations.py", "machine.py", "matching.py", "indexer.py", "facts.py"}
        for name in _TOLD.findall(file.read_text())
    }
    assert told, "the pattern finds what the code tells"
    assert told <= set(flow.NEXT)


@pytest.fixture
def world(database: Database) -> flow.World:
    return flow.World(db=database, desk=desk(), http=FakeHttp())


@pytest.mark.parametrize("appointment", flow.TIMETABLE, ids=lambda one: one.name)
async def test_every_appointment_can_be_kept(
    world: flow.World, appointment: flow.Appointment
) -> None:
    await world.db.run(appointment.keep, world)


async def test_the_job_log_is_kept_for_a_week(world: flow.World, clock: FakeClock) -> None:
    async with world.db.begin() as tx:
        await QUEUE.enqueue(tx, "anything", b"1")
        await tx.execute("UPDATE pgqueuer_log SET created = $1", tx.now)
    [forget] = [one for one in flow.TIMETABLE if one.name == "forget the job log"]
    for days, rows in ((7, 1), (1, 0)):
        clock.set(clock.now() + timedelta(days=days))
        await world.db.run(forget.keep, world)
        async with world.db.begin() as tx:
            assert await tx.fetchval("SELECT count(*) FROM pgqueuer_log") == rows
