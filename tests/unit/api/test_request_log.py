"""A merchant's own requests: kept off the request's path, without anything secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn

import asyncpg
import pytest
import structlog

from gstable_server.accounts import operations as accounts
from gstable_server.api import request_log as log_routes
from gstable_server.api.app import create_app
from gstable_server.kernel.ids import ApiKeyId, MerchantId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing import request_log
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.request_log import LoggedRequest, Outcome, RequestLog, Wanted
from gstable_server.plumbing.testing import FakeClock
from tests.unit.api.notes import ROUTES, WIDE, Api, client_of

pytestmark = pytest.mark.anyio
CANARY = "c4n4ry0123456789"
TENANT = Tenant(MerchantId("ab" * 32), Mode.TEST)


@pytest.fixture
def kept(database: Database) -> RequestLog:
    return RequestLog(database)


@pytest.fixture
async def api(database: Database, kept: RequestLog) -> AsyncIterator[Api]:
    async with database.begin() as tx:
        merchant = await accounts.create_merchant(tx, "Example Ltd")
    routes = [ROUTES, log_routes.routes()]
    app = create_app(database, routes, capabilities=dict, limits=WIDE, request_log=kept)
    async with client_of(app) as client:
        made = Api(client, database, Tenant(merchant.merchant_id, Mode.LIVE))
        made.secret = await made.key()
        yield made


async def feed(api: Api, cursor: str = "begin", size: int = 100, **headers: str) -> Any:
    answer = (await api.get(f"/api/v1/log/feed/{cursor}/{size}", **headers)).json()
    assert answer["code"] == 0, answer
    return answer["data"]


def request(number: int, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> LoggedRequest:
    return LoggedRequest(
        tenant=TENANT,
        key_id=ApiKeyId("key_1"),
        request_id=f"req_{number}",
        at=at,
        method="GET",
        path="/product/list/1/20",
        status=200,
        code=0,
        duration_ms=3,
    )


async def numbers(database: Database, since: int = 0, size: int = 10_000) -> list[str]:
    async with database.read() as tx:
        found = await request_log.after(tx, TENANT, since, size)
    return [one.request_id.removeprefix("req_") for _, one in found]


async def test_each_request_with_a_key_is_one_entry(api: Api, kept: RequestLog) -> None:
    made = await api.post("/api/v1/note/create", {"noteName": "a"})
    refused = await api.post("/payment/v1/note/create", {"noteName": "refuse"})
    broken = await api.post("/api/v1/note/create", {"noteName": "break"})
    note_id = made.json()["data"]["noteId"]
    await api.get(f"/api/v1/note/{note_id}")
    await kept.write()

    entries = (await feed(api))["entries"]
    assert [(one["method"], one["path"], one["status"], one["code"]) for one in entries] == [
        ("POST", "/note/create", 200, 0),
        ("POST", "/note/create", 200, 100102),
        ("POST", "/note/create", 500, 999999),
        ("GET", f"/note/{note_id}", 200, 0),
    ]
    assert [one["requestId"] for one in entries[:3]] == [
        answer.headers["x-request-id"] for answer in (made, refused, broken)
    ]
    assert entries[0]["time"] == "2026-01-01 12:00:00"
    assert entries[0]["keyId"].startswith("key_")
    assert 0 <= entries[0]["durationMs"] < 10_000


async def test_what_has_no_good_key_and_what_is_polled_is_not_kept(
    api: Api, kept: RequestLog
) -> None:
    await api.get("/api/v1/note/prd_1", authorization="Bearer sk_live_wrong")
    await api.get("/api/v1/no/such/route")
    await feed(api)
    await kept.write()
    assert (await feed(api))["entries"] == []


async def test_a_secret_never_shows_wherever_it_is_sent(
    api: Api, kept: RequestLog, database: Database
) -> None:
    key = f"sk_live_{CANARY}"
    await api.post(
        f"/api/v1/note/create?key={key}",
        {"noteName": CANARY, "metadata": {"password": CANARY}},
        user_agent=key,
        idempotency_key=key,
        cookie=key,
    )
    for pasted in (key, f"wkk_{CANARY}", f"Bearer%20{key}", f"cc_{CANARY}", CANARY, f"1{CANARY}"):
        await api.get(f"/api/v1/note/{pasted}?key={key}")
    await api.post("/api/v1/note/create", f'{{"{CANARY}":"{key}"'.encode())
    await api.get(f"/api/v1/{key}")
    for pasted in (key, CANARY):
        await api.post("/api/v1/note/create", {"noteName": "a", pasted: "b"})
    await kept.write()
    async with database.read() as tx:
        rows = await tx.fetch("SELECT request_log::text AS shown FROM request_log")
    shown = [row["shown"] for row in rows]
    assert len(shown) == 10
    assert [one for one in shown if CANARY in one or api.secret in one] == []
    entries = (await feed(api))["entries"]
    assert {one["path"] for one in entries} == {"/note/create", "/note/{noteId}"}


async def test_another_merchant_and_the_other_mode_see_nothing(
    api: Api, kept: RequestLog, database: Database
) -> None:
    await api.get("/api/v1/note/prd_1")
    await kept.write()
    async with database.begin() as tx:
        stranger = await accounts.create_merchant(tx, "Other Ltd")
        tenant = Tenant(stranger.merchant_id, Mode.LIVE)
        _, other = await accounts.issue_key(tx, tenant, Access.READ, "other")
    for secret in (other, await api.key(mode=Mode.TEST)):
        for cursor in ("begin", "tail", "start", "0"):
            found = await feed(api, cursor, authorization=f"Bearer {secret}")
            assert found == {"entries": [], "cursor": "0"}
    restricted = await api.key(Access.READ)
    assert len((await feed(api, authorization=f"Bearer {restricted}"))["entries"]) == 1


async def test_the_feed_is_read_on_from_its_cursor(api: Api, kept: RequestLog) -> None:
    for number in range(5):
        await api.get(f"/api/v1/note/prd_{number}")
    await kept.write()
    paths = [f"/note/prd_{number}" for number in range(5)]

    seen, cursor = [], "begin"
    for _ in range(3):
        page = await feed(api, cursor, 2)
        seen += [one["path"] for one in page["entries"]]
        cursor = page["cursor"]
    assert seen == paths
    assert await feed(api, cursor) == {"entries": [], "cursor": cursor}
    assert await feed(api, "start") == {"entries": [], "cursor": cursor}
    tail = await feed(api, "tail", 2)
    assert [one["path"] for one in tail["entries"]] == paths[3:]
    assert tail["cursor"] == cursor

    await api.get("/api/v1/note/prd_9")
    await kept.write()
    assert [one["path"] for one in (await feed(api, cursor))["entries"]] == ["/note/prd_9"]


@pytest.mark.parametrize("cursor", ["soon", "-1", "1e3", "9" * 19])
async def test_a_cursor_that_was_never_answered_is_refused(api: Api, cursor: str) -> None:
    answer = (await api.get(f"/api/v1/log/feed/{cursor}/10")).json()
    assert answer["code"] == 400101
    assert "cursor" in answer["message"]


async def test_what_comes_too_fast_is_dropped_and_counted(database: Database) -> None:
    kept = RequestLog(database, rows_max=2)
    with structlog.testing.capture_logs() as told:
        for number in range(5):
            kept.add(request(number))
        await kept.write()
        await kept.write()
    assert kept.dropped == 3
    assert told == [{"event": "request log rows dropped", "rows": 3, "log_level": "warning"}]
    kept.add(request(9))
    await kept.write()
    assert await numbers(database) == ["0", "1", "9"]


async def test_rows_wait_while_the_database_is_away(database: Database, database_url: str) -> None:
    kept = RequestLog(database)
    kept.add(request(1))
    async with database.begin() as tx:
        await tx.execute("ALTER TABLE request_log RENAME TO request_log_away")
    with structlog.testing.capture_logs() as told:
        await kept.write()
    assert [one["event"] for one in told] == ["request log not written"]
    async with database.begin() as tx:
        await tx.execute("ALTER TABLE request_log_away RENAME TO request_log")
    kept.add(request(2))
    await kept.write()
    assert await numbers(database) == ["1", "2"]


async def test_trouble_of_the_driver_ends_neither_the_writing_nor_the_readiness_check(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> NoReturn:
        raise asyncpg.InternalClientError("got a result in an unknown state")

    kept = RequestLog(database)
    kept.add(request(1))
    monkeypatch.setattr(database, "pool", SimpleNamespace(acquire=broken))
    await kept.write()
    assert not await database.answers(within_seconds=1)
    monkeypatch.undo()
    await kept.write()
    assert await numbers(database) == ["1"]


async def test_a_reader_misses_no_row_of_two_writers(database: Database) -> None:
    writers = [RequestLog(database), RequestLog(database)]
    seen: list[str] = []
    last = 0
    for turn in range(20):
        for each, writer in enumerate(writers):
            for number in range(50):
                writer.add(request(turn * 100 + each * 50 + number))
        writing = asyncio.gather(*(writer.write() for writer in writers))
        for _ in range(3):
            async with database.read() as tx:
                found = await request_log.after(tx, TENANT, last, 100)
            seen += [one.request_id for _, one in found]
            last = found[-1][0] if found else last
        await writing
    seen += [f"req_{number}" for number in await numbers(database, last)]
    assert len(seen) == 2_000
    assert len(set(seen)) == 2_000


async def test_what_is_left_is_written_at_the_end(database: Database) -> None:
    kept = RequestLog(database)
    async with kept.kept():
        for number in range(request_log.BATCH_ROWS + 1):
            kept.add(request(number))
    assert len(await numbers(database)) == request_log.BATCH_ROWS + 1


async def test_rows_are_kept_for_seven_days(database: Database, clock: FakeClock) -> None:
    kept = RequestLog(database)
    week = timedelta(days=7)
    for number, age in enumerate((week + timedelta(seconds=1), week, timedelta(0))):
        kept.add(request(number, clock.now() - age))
    await kept.write()
    async with database.begin() as tx:
        await request_log.purge(tx)
    assert await numbers(database) == ["1", "2"]


async def test_a_refused_request_says_what_was_wrong(
    api: Api, kept: RequestLog, database: Database
) -> None:
    await api.post("/api/v1/note/create", {"noteName": "a", "notedNaem": "b"})
    await kept.write()
    async with database.read() as tx:
        [row] = await tx.fetch("SELECT status, code, detail FROM request_log")
    assert tuple(row) == (200, 400101, "notedNaem is not a known field")


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, 0, Outcome.ANSWERED),
        (200, None, Outcome.ANSWERED),
        (200, 100101, Outcome.REFUSED),
        (404, 400101, Outcome.REFUSED),
        (404, None, Outcome.REFUSED),
        (500, 999999, Outcome.FAILED),
        (0, None, Outcome.HUNG_UP),
    ],
)
async def test_an_outcome_is_found_as_it_is_shown(
    database: Database, status: int, code: int | None, outcome: Outcome
) -> None:
    log = RequestLog(database)
    log.add(replace(request(1), status=status, code=code))
    await log.write()
    async with database.read() as tx:
        for wanted in Outcome:
            found, _ = await request_log.page(tx, TENANT, Wanted(wanted), 2**62, 5)
            assert [one.outcome for _, one in found] == [outcome] * (wanted is outcome)


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ("lineItems[0].quantity must be between 1 and 20", None),
        ("tokenId polygon::usdc cannot pay for this session", None),
        (f"{'a' * 60} is not a known field", "… is not a known field"),
        ("sk_live_x is not a known field", "… is not a known field"),
        (f"0x{'ab' * 32} must be short", "… must be short"),
        ("paymentId pay_4t8mN2xQ names no payment", None),
        ("x" * 9 + " y" * 400, ("x" * 9 + " y" * 400)[:300]),
    ],
)
def test_what_could_be_a_key_is_left_out_of_a_refusal(detail: str, shown: str | None) -> None:
    assert request_log.without_secrets(detail) == (detail if shown is None else shown)
