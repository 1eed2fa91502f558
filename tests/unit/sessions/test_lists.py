"""Lists of sessions: pages by key, filters, and whatever somebody has of a session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from bench.reads.seed import seed
from gstable_server.chain.networks import Networks
from gstable_server.chain.testing import fake_network
from gstable_server.kernel.ids import LinkId, MerchantId, ProductId, RefundId, SessionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.lists import operations as lists
from gstable_server.sessions.lists import store
from gstable_server.sessions.lists.model import (
    Asked,
    Filter,
    Found,
    Kind,
    Place,
    Way,
    understood,
)
from gstable_server.sessions.model import Flag, SessionState
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import RefundState
from tests.conftest import Databases

pytestmark = pytest.mark.anyio

TENANT = Tenant(MerchantId("ab" * 32), Mode.TEST)
STRANGER = Tenant(MerchantId("cd" * 32), Mode.TEST)
NETWORKS = Networks((fake_network(name="polygon"),))
MANY = 6_000


async def fill(url: str, count: int, tenant: Tenant = TENANT) -> None:
    line = await asyncpg.connect(url)
    try:
        await line.execute(
            "INSERT INTO merchants (merchant_id, name, created_at) VALUES ($1, 'Shop', now())",
            tenant.merchant_id,
        )
        await seed(line, tenant, ("acc_measured", b"\x01" * 20), count)
    finally:
        await line.close()


@pytest.fixture
async def shop(database_url: str, database: Database) -> Database:
    """A database with 300 sessions of a year."""
    await fill(database_url, 300)
    return database


async def browse(
    db: Database, wanted: Filter | None = None, place: Place | None = None, size: int = 25
) -> Found:
    async with db.read() as tx:
        return await lists.browse(tx, NETWORKS, TENANT, wanted or Filter(), place, size)


async def all_pages(db: Database, wanted: Filter) -> list[SessionId]:
    """Every session that passes, page by page."""
    found: list[SessionId] = []
    place = None
    for _ in range(100):
        page = await browse(db, wanted, place, 7)
        found += [view.session.session_id for view in page.views]
        place = page.older
        if place is None:
            return found
    raise AssertionError("the list has no end")


async def by_hand(db: Database, condition: str) -> list[str]:
    async with db.read() as tx:
        rows = await tx.fetch(
            f"SELECT session_id FROM sessions WHERE {condition} ORDER BY sequence DESC"
        )
    return [row["session_id"] for row in rows]


async def open_more(url: str, count: int) -> None:
    """Newer sessions, like the oldest one."""
    line = await asyncpg.connect(url)
    await line.execute(
        "SET session_replication_role = replica;"
        "CREATE TEMPORARY TABLE more AS SELECT * FROM sessions ORDER BY sequence LIMIT 1;"
        "ALTER TABLE more DROP COLUMN sequence"
    )
    for number in range(count):
        await line.execute(
            "UPDATE more SET session_id = $1, session_key = sha256($2), created_at = now()",
            f"sess_more{number}",
            b"more%d" % number,
        )
        names = await line.fetchval(
            "SELECT string_agg(attname, ', ') FROM pg_attribute"
            " WHERE attrelid = 'more'::regclass AND attnum > 0 AND NOT attisdropped"
        )
        await line.execute(f"INSERT INTO sessions ({names}) SELECT {names} FROM more")
    await line.close()


def ids(page: Found) -> list[str]:
    return [view.session.session_id for view in page.views]


async def test_pages_go_forward_and_back_and_move_for_nothing_new(
    shop: Database, database_url: str
) -> None:
    expected = await by_hand(shop, "true")
    first = await browse(shop)
    assert ids(first) == expected[:25]
    assert (first.newer, first.older) == (None, Place(Way.OLDER, SessionId(expected[24])))
    second = await browse(shop, place=first.older)
    await open_more(database_url, 3)
    assert ids(second) == expected[25:50]
    assert second.newer is not None
    back = await browse(shop, place=second.newer)
    assert ids(back) == expected[:25]
    assert back.newer == Place(Way.NEWER, SessionId(expected[0]))
    assert len(ids(await browse(shop, place=back.newer))) == 3
    assert (await all_pages(shop, Filter()))[3:] == expected


async def test_filters_pass_what_they_say_and_nothing_else(shop: Database) -> None:
    now = datetime.now(UTC)
    since, until = now - timedelta(days=200), now - timedelta(days=100)
    link, product = "lnk_" + "0" * 8, "prd_0"
    async with shop.read() as tx:
        link = await tx.fetchval(
            "SELECT business_id FROM sessions WHERE business_type = 'payment_link' LIMIT 1"
        )
        product = await tx.fetchval("SELECT product_id FROM session_products LIMIT 1")
    of_payment = "EXISTS (SELECT FROM payments p WHERE p.session_id = sessions.session_id AND {})"
    times = f"created_at >= '{since.isoformat()}' AND created_at < '{until.isoformat()}'"
    for wanted, condition in [
        (Filter(state=SessionState.EXPIRED), "state = 'expired'"),
        (Filter(token_id="base::usdc"), "settlement_token = 'base::usdc'"),
        (Filter(network="base"), of_payment.format("network = 'base'")),
        (
            Filter(amount_min=MicroUsd(100_000_000), amount_max=MicroUsd(200_000_000)),
            "amount BETWEEN 100000000 AND 200000000",
        ),
        (Filter(since=since, until=until), times),
        (
            Filter(until=until, state=SessionState.COMPLETED),
            f"created_at < '{until.isoformat()}' AND state = 'completed'",
        ),
        (Filter(link_id=LinkId(link)), f"business_id = '{link}'"),
        (Filter(product_id=ProductId(product)), f"line_items::text LIKE '%{product}%'"),
        (Filter(flag=Flag.OVER), of_payment.format("'over' = ANY(flags)")),
        (Filter(is_unusual=True), of_payment.format("flags <> '{}'")),
        (Filter(flag=Flag.LATE), "false"),
        (
            Filter(token_id="base::usdc", state=SessionState.COMPLETED, since=since),
            f"settlement_token = 'base::usdc' AND state = 'completed' AND created_at >= '{since}'",
        ),
    ]:
        expected = await by_hand(shop, condition)
        assert await all_pages(shop, wanted) == expected, wanted
        assert expected or wanted.flag is Flag.LATE, wanted


async def test_whatever_somebody_has_of_a_session_finds_it(shop: Database) -> None:
    async with shop.read() as tx:
        row = await tx.fetchrow(
            "SELECT s.*, p.payer, p.tx_hash, p.payment_id FROM sessions s JOIN payments p"
            " USING (session_id) WHERE p.network = 'polygon' AND payer_email IS NOT NULL"
            " AND metadata IS NOT NULL LIMIT 1"
        )
    assert row is not None
    for typed in (
        row["session_id"],
        f"http://shop.test/pay/{row['session_id']}?x=1",
        f"  {row['payment_id']} ",
        "0x" + row["payer"].hex(),
        row["payer"].hex().upper(),
        "0x" + row["tx_hash"].hex(),
        f"https://explorer.example/tx/0x{row['tx_hash'].hex()}",
        "0x" + row["session_key"].hex(),
        row["payer_email"].upper(),
        row["metadata"]["orderId"],
    ):
        asked = understood(typed)
        assert asked is not None
        page = await browse(shop, Filter(asked=asked))
        assert row["session_id"] in ids(page), typed
        async with shop.read() as tx:
            others = await lists.browse(tx, NETWORKS, STRANGER, Filter(asked=asked), None, 25)
        assert ids(others) == [], "of nobody else"


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("prd_abc", Kind.PRODUCT),
        ("https://shop.test/dashboard/test/links/lnk_abc", Kind.LINK),
        ("evt_abc", Kind.EVENT),
        ("req_abc123", Kind.REQUEST),
        ("0x" + "Ab" * 20, Kind.WALLET),
        ("cd" * 32, Kind.TRANSACTION),
        ("Payer@Example.com", Kind.EMAIL),
        ("ORD-2201", Kind.REFERENCE),
        ("sess_", Kind.REFERENCE),
        ("0x" + "a" * 39, Kind.REFERENCE),
        ("' OR 1=1 --", Kind.REFERENCE),
    ],
)
def test_a_text_is_understood_by_its_form(typed: str, kind: Kind) -> None:
    asked = understood(typed)
    assert asked is not None
    assert asked.kind is kind


def test_nothing_is_asked_by_nothing() -> None:
    assert understood(" \0 ") is None
    assert understood("") is None


async def test_a_page_that_looked_far_enough_says_how_far(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "WINDOW", 50)
    wanted = Filter(amount_min=MicroUsd(490_000_000))
    expected = await by_hand(shop, "amount >= 490000000")
    first = await browse(shop, wanted)
    assert len(first.views) < len(expected)
    assert first.looked_back_to is not None
    assert first.older is not None
    assert await all_pages(shop, wanted) == expected


async def test_a_place_of_somebody_else_is_as_none(shop: Database) -> None:
    strange = Place(Way.OLDER, SessionId("sess_strange"))
    assert ids(await browse(shop, place=strange)) == ids(await browse(shop))


Ask = Callable[[Tx], Awaitable[object]]


def _browsing(wanted: Filter, place: Place | None = None) -> Ask:
    return lambda tx: lists.browse(tx, NETWORKS, TENANT, wanted, place, 25)


_SOME = Filter(
    token_id="base::usdc", network="base", amount_min=MicroUsd(1), amount_max=MicroUsd(10**12),
    is_unusual=True,
)  # fmt: skip
_PLACE = Place(Way.OLDER, SessionId("sess_e4774cdda0793f86414e8b9140bb6db4"))
_REFUND = RefundId("rfd_c4ca4238a0b923820dcc509a")
_DEEP = datetime.now(UTC) - timedelta(days=300)


@pytest.fixture
async def counted(databases: Databases, clock: FakeClock) -> AsyncIterator[Database]:
    """A shop of ``MANY`` sessions, of which the server knows how many rows there are. Of tables
    that are empty here it knows nothing, as before any row is written to them."""
    url = databases.unwritten()
    await fill(url, MANY)
    db = await Database.connect(url, clock=clock, ids=SystemIdMint())
    yield db
    await db.close()


async def test_dsh_05_every_list_and_search_reads_as_much_as_a_page(counted: Database) -> None:
    """By its plans on a filled table: rows come from indexes, and from each as many as a page, or
    its window, asks for. No times: those are those of the machine."""
    for ask in (
        _browsing(Filter()),
        _browsing(Filter(), _PLACE),
        _browsing(Filter(), replace(_PLACE, way=Way.NEWER)),
        _browsing(Filter(state=SessionState.COMPLETED)),
        _browsing(Filter(state=SessionState.INITIALIZED)),
        _browsing(_SOME),
        _browsing(replace(_SOME, since=_DEEP, until=_DEEP + timedelta(days=1))),
        _browsing(Filter(link_id=LinkId("lnk_" + "c4ca4238a0b923820dcc509a6f75849b"))),
        _browsing(Filter(product_id=ProductId("prd_c4ca4238a0b923820dcc509a"))),
        lambda tx: refunds.newest(tx, TENANT, 51),
        lambda tx: refunds.newest(tx, TENANT, 51, state=RefundState.COMPLETED, before=_REFUND),
        *(
            _browsing(Filter(asked=Asked(kind, text, key)))
            for kind, text, key in (
                (Kind.EMAIL, "payer1@example.com", b""),
                (Kind.REFERENCE, "ORD-1", b""),
                (Kind.WALLET, "", b"\x01" * 20),
                (Kind.TRANSACTION, "", b"\x01" * 32),
                (Kind.PAYMENT, "pay_1", b""),
            )
        ),
    ):
        for plan in await plans(counted, ask):
            assert "Seq Scan" not in plan, plan
            assert "Bitmap" not in plan, plan
            assert rows_read(plan) <= 3 * store.WINDOW, plan


async def plans(db: Database, ask: Ask) -> list[str]:
    """The plans of the statements that ``ask`` makes, as they ran."""
    asked: list[tuple[str, tuple[object, ...]]] = []
    async with db.begin() as tx:
        with tx.connection.query_logger(lambda query: asked.append((query.query, query.args))):
            await ask(tx)
            # The driver tells of a statement in the loop's next turn.
            await asyncio.sleep(0)
        found = []
        for sql, values in asked:
            if sql.lstrip().startswith(("SELECT", "WITH")):
                rows = await tx.fetch(f"EXPLAIN (ANALYZE, TIMING off) {sql}", *values)
                found.append("\n".join(row[0] for row in rows))
    assert found
    return found


def rows_read(plan: str) -> int:
    """The rows that scans gave, those included that a filter took away."""
    total = 0
    lines = plan.splitlines()
    for number, line in enumerate(lines):
        if found := re.search(r"Scan.*actual rows=(\d+) loops=(\d+)", line):
            loops = int(found[2])
            total += int(found[1]) * loops
            for below in lines[number + 1 : number + 4]:
                if removed := re.search(r"Rows Removed by Filter: (\d+)", below):
                    total += int(removed[1]) * loops
                if "->" in below:
                    break
    return total
