"""What operators read: every number has a name, a unit, a page, and a value that is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gstable_server.chain.networks import Networks
from gstable_server.monitoring import Gauges, read
from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.metrics import REGISTRY, STATE, Reading
from gstable_server.plumbing.testing import FakeClock
from tests.unit.sessions.world import new_world
from tests.unit.webhooks.support import new_endpoint

UNITS = ("_total", "_seconds", "_blocks", "_up", "_native_units")
COUNTED = re.compile(
    r"_(events|waiting|failed|due|exhausted|paused|halted|unsettled|open|stalled|enough|"
    r"differences|unread|transfers|deposits)$"
)


def own_names() -> set[str]:
    """The metrics that this server itself defines."""
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in REGISTRY.collect()
        if family.name.startswith("gstable_")
    }
    return counted | set(STATE)


def test_every_metric_has_its_heading(repository: Path) -> None:
    page = (repository / "docs/reference/metrics.md").read_text()
    assert set(re.findall(r"^### `(gstable_\w+)`$", page, re.MULTILINE)) == own_names()


def test_every_name_says_what_it_counts_or_measures() -> None:
    odd = [name for name in own_names() if not name.endswith(UNITS) and not COUNTED.search(name)]
    assert odd == []


def test_what_is_shown_can_be_read_by_prometheus() -> None:
    metrics.request_answered(200, 0.004)
    metrics.request_answered(None, 9)
    shown = metrics.exposition([Reading("gstable_network_lag_blocks", 3, ('a"b\n',))]).decode()
    families = {one.name: one for one in text_string_to_metric_families(shown)}
    [lag] = families["gstable_network_lag_blocks"].samples
    assert (lag.labels, lag.value) == ({"network": 'a"b\n'}, 3)
    classes = {one.labels.get("status") for one in families["gstable_http_requests"].samples}
    assert classes >= {"2xx", "5xx", "none"}
    assert "process_resident_memory_bytes" in families


@pytest.mark.anyio
async def test_the_state_is_what_the_database_says(database: Database, clock: FakeClock) -> None:
    world = await new_world(database)
    await new_endpoint(database, world.tenant, "http://127.0.0.1:9/hook")
    async with database.begin() as tx:
        tx.tell(Event("webhook.test", "one", {}))
    clock.advance(90)
    async with database.read() as tx:
        values = {(one.name, one.labels): one.value for one in await read(tx, world.desk.networks)}
    # The endpoint's account and the told event, none of which was relayed.
    assert values["gstable_outbox_events", ()] >= 1
    assert values["gstable_outbox_oldest_seconds", ()] == 90
    assert values["gstable_webhook_messages_due", ()] == 0
    assert values["gstable_jobs_failed", ()] == 0
    assert {name for name, _ in values} <= set(STATE)


@pytest.mark.anyio
async def test_ops_14_numbers_of_a_lost_database_are_absent_not_old(database: Database) -> None:
    gauges = Gauges(database, Networks(()))
    assert len(await gauges.readings()) > 10
    await database.close()
    lost = Gauges(database, Networks(()))
    assert [(one.name, one.value) for one in await lost.readings()] == [("gstable_database_up", 0)]
