"""Open pages are told of changes: by a notification, by a new block, and by the clock where the
notification was lost; over real connections, because a stream is about when bytes arrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import pytest
import uvicorn
from starlette.applications import Starlette

from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import Database
from gstable_server.sessions.model import SessionState as S
from gstable_server.web.base import Pages
from gstable_server.web.checkout import events, live
from gstable_server.web.checkout.live import Live, LiveLimits
from tests.unit.web.shop import Merchant, add_block, add_payment, set_state

pytestmark = pytest.mark.anyio

PATIENCE = 120.0


@dataclass
class Door:
    """A server of event streams, and a browser's connections to it."""

    live: Live
    base: str
    http: aiohttp.ClientSession

    @asynccontextmanager
    async def stream(
        self, session_id: str, *, query: str = "", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self.base}/pay/{session_id}/events{query}"
        async with self.http.get(url, headers=headers) as answer:
            yield answer

    async def status_of(self, session_id: str) -> int:
        async with self.stream(session_id) as answer:
            return answer.status


@asynccontextmanager
async def serving(merchant: Merchant, limits: LiveLimits | None = None) -> AsyncIterator[Door]:
    served = Live(merchant.db, merchant.desk, limits)
    app = Starlette(routes=events.routes(served, Pages.load()))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as http:
        yield Door(served, f"http://127.0.0.1:{port}", http)
        # The streams end by themselves when the process does: nothing is left to wait for.
        await served.close()
        server.should_exit = True
        await asyncio.wait_for(task, PATIENCE)


@pytest.fixture
async def door(merchant: Merchant) -> AsyncIterator[Door]:
    async with serving(merchant) as opened:
        yield opened


async def next_event(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The fields of the next message that has any but ``retry`` and comments."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(PATIENCE):
        while True:
            line = (await answer.content.readline()).decode()
            assert line, "the stream ended"
            name, _, value = line.rstrip("\n").partition(":")
            if line == "\n" and fields:
                return fields
            if name in {"id", "event", "data"}:
                fields[name] = value.removeprefix(" ")


async def next_status(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    event = await next_event(answer)
    assert event["id"]
    found: dict[str, Any] = json.loads(event["data"])
    return found


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only notifications bring anything."""
    monkeypatch.setattr(live, "POLL_SECONDS", 10_000.0)


async def test_the_status_comes_at_once_and_no_proxy_is_to_keep_it(
    door: Door, merchant: Merchant
) -> None:
    session = await merchant.session()
    async with door.stream(session.session_id) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["cache-control"] == "no-store"
        assert "content-security-policy" in answer.headers
        status = await next_status(answer)
    assert (status["phase"], status["state"], status["relay"]) == ("open", "initialized", None)


@pytest.mark.usefixtures("no_poll")
async def test_a_change_is_told_to_every_page_of_its_session_only(
    door: Door, merchant: Merchant
) -> None:
    paid, other = await merchant.session(), await merchant.session()
    async with (
        door.stream(paid.session_id) as first,
        door.stream(paid.session_id, query="?lang=es") as second,
        door.stream(other.session_id) as third,
    ):
        for answer in (first, second, third):
            await next_status(answer)
        await _listens(merchant.db)
        await add_payment(merchant.db, paid)
        await set_state(merchant.db, paid, S.PAID)
        for answer in (first, second):
            status = await next_status(answer)
            while status["state"] != "paid":  # bounded: by the two changes
                status = await next_status(answer)
            assert status["receipt"]["txHash"] == "0x" + "ab" * 32
        await set_state(merchant.db, other, S.CANCELLED)
        assert (await next_status(third))["state"] == "cancelled"


@pytest.mark.usefixtures("no_poll")
async def test_each_block_adds_a_confirmation(door: Door, merchant: Merchant) -> None:
    session = await merchant.session()
    await add_payment(merchant.db, session, block=100)
    await set_state(merchant.db, session, S.PAID)
    await add_block(merchant.db, 100)
    async with door.stream(session.session_id) as answer:
        assert (await next_status(answer))["confirmations"]["count"] == 1
        await _listens(merchant.db)
        for number, count in ((101, 2), (102, 3)):
            await add_block(merchant.db, number)
            assert (await next_status(answer))["confirmations"]["count"] == count


async def test_a_lost_notification_is_made_up_for(
    door: Door, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(live, "TICK_SECONDS", 0.1)
    session = await merchant.session()
    async with door.stream(session.session_id) as answer:
        await next_status(answer)
        async with merchant.db.begin() as tx:
            await tx.execute("SET LOCAL session_replication_role = replica")  # no triggers
            await tx.execute("UPDATE sessions SET state = 'cancelled'")
        assert (await next_status(answer))["state"] == "cancelled"


@pytest.mark.usefixtures("no_poll")
async def test_a_stream_ends_with_the_payment_and_is_not_asked_for_again(
    door: Door, merchant: Merchant
) -> None:
    session = await merchant.session()
    async with door.stream(session.session_id) as answer:
        await next_status(answer)
        await _listens(merchant.db)
        await set_state(merchant.db, session, S.COMPLETED)
        last = await next_event(answer)
        assert json.loads(last["data"])["phase"] == "done"
        assert (await next_event(answer))["event"] == "end"
        assert await asyncio.wait_for(answer.content.read(), PATIENCE) == b""
    again = {"last-event-id": last["id"]}
    async with door.stream(session.session_id, headers=again) as answer:
        assert answer.status == 204
    async with asyncio.timeout(PATIENCE):
        while door.live.count:
            await asyncio.sleep(0.01)


async def test_a_page_that_went_away_is_forgotten(door: Door, merchant: Merchant) -> None:
    session = await merchant.session()
    async with door.stream(session.session_id) as answer:
        await next_status(answer)
        assert door.live.count == 1
    async with asyncio.timeout(PATIENCE):
        while door.live.count or await _listeners(merchant.db):
            await asyncio.sleep(0.01)


async def test_open_pages_are_limited_by_address_session_and_in_all(
    merchant: Merchant,
) -> None:
    one, other = await merchant.session(), await merchant.session()
    for limits, refused in (
        (LiveLimits(per_address=1), 429),
        (LiveLimits(per_session=1), 429),
        (LiveLimits(in_all=1), 503),
    ):
        async with serving(merchant, limits) as door:
            async with door.stream(one.session_id) as answer:
                await next_status(answer)
                assert await door.status_of(one.session_id) == refused
                assert (await door.status_of(other.session_id) == 200) == (limits.per_session == 1)
            async with asyncio.timeout(PATIENCE):
                while door.live.count:
                    await asyncio.sleep(0.01)
            assert await door.status_of(one.session_id) == 200


async def test_there_is_nothing_to_tell_of_what_is_no_session(door: Door) -> None:
    for name in ("sess_00000000000000000000", "nothing"):
        assert await door.status_of(name) == 404
    assert door.live.count == 0


async def test_the_end_of_the_process_ends_every_stream(merchant: Merchant) -> None:
    session = await merchant.session()
    async with serving(merchant) as door, door.stream(session.session_id) as answer:
        await next_status(answer)
        await door.live.close()
        rest = await asyncio.wait_for(answer.content.read(), PATIENCE)
        assert b"event: end" not in rest  # the browser is to ask again, elsewhere
        assert await door.status_of(session.session_id) == 503


@pytest.mark.parametrize("step", ["gather", "status_of"])
async def test_a_session_that_cannot_be_shown_ends_no_other_stream(
    door: Door, merchant: Merchant, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    good, bad = await merchant.session(), await merchant.session()
    right = getattr(live, step)

    def wrong(*given: Any) -> Any:
        """As with a row that no release should have written."""
        shown = given[2] if step == "gather" else [given[0].view.session.session_id]
        if bad.session_id in shown:
            raise KeyError("no such flag")
        return right(*given)

    before = _failures()
    async with door.stream(good.session_id) as first, door.stream(bad.session_id) as second:
        for answer in (first, second):
            await next_status(answer)
        await _listens(merchant.db)
        monkeypatch.setattr(live, step, wrong)
        async with merchant.db.begin() as tx:  # in one turn of the reading
            await tx.execute("UPDATE sessions SET state = 'cancelled'")
        assert (await next_status(first))["state"] == "cancelled"
        rest = await asyncio.wait_for(second.content.read(), PATIENCE)
        assert b"event: end" not in rest  # the browser is to ask again
        assert _failures() > before
        assert await door.status_of(bad.session_id) == 503
        monkeypatch.undo()
        assert await door.status_of(bad.session_id) == 200


def _failures() -> float:
    value = metrics.REGISTRY.get_sample_value("gstable_live_pages_failed_total")
    assert value is not None
    return value


async def test_streams_outlive_a_database_that_restarts(
    door: Door, merchant: Merchant, database_url: str
) -> None:
    session = await merchant.session()
    async with door.stream(session.session_id) as answer:
        await next_status(answer)
        await _listens(merchant.db)
        operator = await asyncpg.connect(database_url)
        try:
            ended = await operator.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert ended >= 1
            # Told while nobody listens, and so of no use.
            await operator.execute("UPDATE sessions SET state = 'cancelled'")
        finally:
            await operator.close()
        assert (await next_status(answer))["state"] == "cancelled"
        await _listens(merchant.db)


async def test_a_reading_that_ends_late_ends_no_page_that_came_since(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its connection is lost while it is given back, which hides the cancellation."""
    session = await merchant.session()
    served = Live(merchant.db, merchant.desk)
    words = Pages.load().languages.words("en")
    given: dict[str, Any] = {"words": words, "relay": "", "address": "192.0.2.1"}
    read, reading = served._read, asyncio.Event()

    async def lost(*_: Any) -> Any:
        reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("the connection is lost") from None

    monkeypatch.setattr(served, "_read", lost)
    monkeypatch.setattr(live, "TICK_SECONDS", 0.0)
    gone = asyncio.create_task(served.open(session.session_id, **given))
    await asyncio.wait_for(reading.wait(), PATIENCE)
    old = served._task
    assert old is not None
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    monkeypatch.setattr(served, "_read", read)
    before = _failures()
    page, _ = await served.open(session.session_id, **given)
    try:
        await asyncio.wait_for(asyncio.wait({old}), PATIENCE)
        await asyncio.sleep(0)
        assert not old.cancelled()
        assert not page.is_ended
        assert _failures() == before
    finally:
        served.leave(page)
        await served.close()


@pytest.mark.usefixtures("no_poll")
async def test_a_lost_listening_connection_is_opened_again_and_made_up_for(
    door: Door, merchant: Merchant
) -> None:
    session = await merchant.session()
    async with door.stream(session.session_id) as answer:
        await next_status(answer)
        await _listens(merchant.db)
        async with merchant.db.begin() as tx:
            await tx.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
            )
            await tx.execute("UPDATE sessions SET state = 'cancelled'")
        assert (await next_status(answer))["state"] == "cancelled"


async def test_a_reader_that_stopped_reading_holds_one_status_and_is_let_go(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEND_SECONDS", 0.2)
    session = await merchant.session()
    served = Live(merchant.db, merchant.desk)
    app = Starlette(routes=events.routes(served, Pages.load()))
    started = asyncio.Event()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            started.set()
            await asyncio.Event().wait()  # what a full connection does

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def ask() -> None:
        await app(_scope(session.session_id), receive, send)

    asking = asyncio.create_task(ask())
    await asyncio.wait_for(started.wait(), PATIENCE)
    await asyncio.wait_for(asking, PATIENCE)
    assert len(sent) == 2  # its head and the first status
    assert served.count == 0

    # As long as it is waited for, the newest alone is kept for it.
    monkeypatch.setattr(events, "SEND_SECONDS", 10_000.0)
    started.clear()
    asking = asyncio.create_task(ask())
    await asyncio.wait_for(started.wait(), PATIENCE)
    [page] = served._watched[session.session_id].pages
    for state in ("cancelled", "initialized", "expired"):
        async with merchant.db.begin() as tx:
            await tx.execute("UPDATE sessions SET state = $1", state)
    async with asyncio.timeout(PATIENCE):
        while page.news is None or '"state":"expired"' not in page.news.data:
            await asyncio.sleep(0.01)
    assert len(sent) == 4

    # The process does not wait for who does not read.
    await served.close()
    asking.cancel()  # as the server does when its time to drain is over
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asking, PATIENCE)
    assert served.count == 0


def _scope(session_id: str) -> dict[str, Any]:
    path = f"/pay/{session_id}/events"
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 40000),
        "server": ("shop.test", 80),
    }


async def _listeners(db: Database) -> int:
    async with db.read() as tx:
        found: int = await tx.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query ILIKE 'LISTEN%gstable_frontier%'"
        )
    return found


async def _listens(db: Database) -> None:
    """Wait until what is changed from now on will be told of."""
    async with asyncio.timeout(PATIENCE):
        while not await _listeners(db):
            await asyncio.sleep(0.01)
