"""The feed: every event once, in order, also those whose transaction commits late."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event
from tests.settling import settled
from tests.unit.webhooks.support import new_tenant
from tests.unit.webhooks_api.support import Api, named, tell, told

pytestmark = pytest.mark.anyio


async def test_it_is_read_from_the_first_event_to_the_last(
    api: Api, database: Database, tenant: Tenant
) -> None:
    await told(database, tenant, "a", "b", "c")
    await settled(database)
    first = await api("/event/feed/begin/2")
    assert named(first) == ["a", "b"]
    second = await api(f"/event/feed/{first['cursor']}/2")
    assert named(second) == ["c"]
    third = await api(f"/event/feed/{second['cursor']}/2")
    assert third == {"events": [], "cursor": second["cursor"]}
    await told(database, tenant, "d")
    await settled(database)
    assert named(await api(f"/event/feed/{third['cursor']}/2")) == ["d"]


async def test_start_is_now(api: Api, database: Database, tenant: Tenant) -> None:
    await told(database, tenant, "before")
    await settled(database)
    start = await api("/event/feed/start/100")
    assert start["events"] == []
    assert (await api(f"/event/feed/{start['cursor']}/100"))["events"] == []
    await told(database, tenant, "after")
    await settled(database)
    assert named(await api(f"/event/feed/{start['cursor']}/100")) == ["after"]


async def test_an_event_that_commits_late_is_not_skipped(
    api: Api, database: Database, tenant: Tenant
) -> None:
    """Two transactions write in one order and commit in the other. Whoever reads in between
    must not get past the first one's event by seeing the second one's."""
    start = (await api("/event/feed/start/10"))["cursor"]
    async with database.begin() as late:
        tell(late, tenant, "late")
        await late.flush()
        async with database.begin() as early:
            tell(early, tenant, "early")
        meanwhile = await api(f"/event/feed/{start}/10")
        assert meanwhile["events"] == []
        begun_between = (await api("/event/feed/start/10"))["cursor"]
    await settled(database)
    assert named(await api(f"/event/feed/{meanwhile['cursor']}/10")) == ["late", "early"]
    assert named(await api(f"/event/feed/{begun_between}/10")) == ["late", "early"]


async def test_a_sequence_number_taken_before_the_transaction_wrote_does_not_matter(
    api: Api, database: Database, tenant: Tenant
) -> None:
    """The younger transaction may get the smaller sequence number."""
    async with database.begin() as older:
        await older.execute("SELECT pg_current_xact_id()")
        async with database.begin() as younger:
            tell(younger, tenant, "younger")
        assert (await api("/event/feed/begin/10"))["events"] == []
        tell(older, tenant, "older")
    await settled(database)
    first = await api("/event/feed/begin/1")
    second = await api(f"/event/feed/{first['cursor']}/1")
    assert named(first) + named(second) == ["older", "younger"]


async def test_an_answer_is_in_the_order_of_sequence(
    api: Api, database: Database, tenant: Tenant
) -> None:
    async with database.begin() as older:
        await older.execute("SELECT pg_current_xact_id()")
        await told(database, tenant, "first")
        tell(older, tenant, "second")
    await settled(database)
    answer = await api("/event/feed/begin/10")
    assert named(answer) == ["first", "second"]
    assert (await api(f"/event/feed/{answer['cursor']}/10"))["events"] == []


async def test_a_reader_among_writers_sees_every_event_once(
    api: Api, database: Database, tenant: Tenant
) -> None:
    """Writers that commit after all kinds of pauses, and a reader that never stops asking."""
    writing = 8

    async def write(number: int) -> None:
        for turn in range(15):
            async with database.begin() as tx:
                tell(tx, tenant, f"{number}.{turn}.a")
                await tx.flush()
                await asyncio.sleep((number * 7 + turn * 3) % 5 / 1000)
                tell(tx, tenant, f"{number}.{turn}.b")

    async def read(writers: asyncio.Task[None]) -> list[str]:
        seen: list[str] = []
        cursor = "begin"
        while True:
            if finished := writers.done():
                await settled(database)
            answer = await api(f"/event/feed/{cursor}/7")
            seen += named(answer)
            cursor = answer["cursor"]
            if finished and not answer["events"]:
                return seen

    async def write_all() -> None:
        await asyncio.gather(*map(write, range(writing)))

    seen = await read(asyncio.create_task(write_all()))
    expected = {f"{n}.{turn}.{part}" for n in range(writing) for turn in range(15) for part in "ab"}
    assert len(seen) == len(set(seen))
    assert set(seen) == expected
    for number in range(writing):
        own = [name for name in seen if name.startswith(f"{number}.")]
        assert own == sorted(own, key=lambda name: (int(name.split(".")[1]), name))


async def test_it_holds_the_tenants_own_events_only(
    api: Api, database: Database, tenant: Tenant
) -> None:
    await told(database, await new_tenant(database), "foreign")
    await told(database, Tenant(tenant.merchant_id, Mode.LIVE), "live")
    async with database.begin() as tx:
        tx.tell(Event("chain.payment_seen", "polygon:1", {}))
    await told(database, tenant, "own")
    await settled(database)
    assert named(await api("/event/feed/begin/100")) == ["own"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "now",
        "1",
        "-",
        "1-",
        "1-2-3",
        "G-0",
        "A-0",
        "+1-0",
        "1 -0",
        "1" * 16 + "-0",
        "0-" + "f" * 16,
    ],
)
async def test_a_cursor_that_was_never_answered_is_refused(api: Api, cursor: str) -> None:
    with pytest.raises(Refused, match="cursor") as caught:
        await api(f"/event/feed/{cursor}/10")
    assert caught.value.code is Code.FIELD_INVALID


@pytest.mark.parametrize("size", ["0", "101", "-1", "x", ""])
async def test_the_size_is_bounded(api: Api, size: str) -> None:
    with pytest.raises(Refused, match="size"):
        await api(f"/event/feed/begin/{size}")


async def test_a_cursor_of_the_future_is_refused(
    api: Api, database: Database, tenant: Tenant
) -> None:
    """Whoever has one would wait, and hear of nothing until that many transactions were made."""
    await told(database, tenant, "now")
    with pytest.raises(Refused, match="cursor"):
        await api(f"/event/feed/{'f' * 15}-{'f' * 15}/10")


async def test_a_restored_dump_is_read_to_its_end_and_on(
    api: Api, database: Database, tenant: Tenant, repository: Path
) -> None:
    """The transactions of a dump have numbers that the new cluster has not come to yet; what the
    operator's guide says to do about it is done."""
    await told(database, tenant, "before")
    async with database.begin() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        await tx.execute("UPDATE events SET written_by = '999999999'")
    assert (await api("/event/feed/begin/10"))["events"] == []
    guide = (repository / "docs" / "guide" / "operate.md").read_text()
    [statements] = re.findall(r'--command="(BEGIN;[^"]*UPDATE events[^"]*)"', guide)
    async with database.begin() as tx:
        await tx.execute(statements)
    await settled(database)
    first = await api("/event/feed/begin/10")
    assert named(first) == ["before"]
    await told(database, tenant, "after")
    await settled(database)
    assert named(await api(f"/event/feed/{first['cursor']}/10")) == ["after"]
