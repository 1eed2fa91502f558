"""Exports: every row once, exact, harmless in a spreadsheet, and gone when nobody reads on."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg
import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from bench.reads.seed import seed
from gstable_server.kernel.tenant import Tenant
from gstable_server.ledger import operations as ledger
from gstable_server.web.base import Pages
from gstable_server.web.dashboard import routes as dashboard
from gstable_server.web.dashboard.payments.export_columns import COLUMNS, VERSION, Figure, What
from gstable_server.web.dashboard.payments.export_formats import Format, harmless, head, line
from tests.unit.web.console import FROM_OUR_PAGE, Browser
from tests.unit.web.shop import PUBLIC_URL, Merchant, new_desk

pytestmark = pytest.mark.anyio

EXPORTS = "/dashboard/test/exports"
FORMULAS = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "＋1", "－1", "＠A",
    " =1", "\u3000=1", "\u200b=1", '=HYPERLINK("http://x","y")',
)  # fmt: skip


async def fill(url: str, tenant: Tenant, count: int) -> None:
    link = await asyncpg.connect(url)
    try:
        await seed(link, tenant, ("acc_measured", b"\x01" * 20), count)
    finally:
        await link.close()


async def table(browser: Browser, what: str, **fields: str) -> list[dict[str, str]]:
    await browser.get(EXPORTS)
    answer = await browser.post(f"{EXPORTS}/{what}", **fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["x-gstable-export"] == f"{what}/{VERSION}"
    assert f'filename="{what}-v{VERSION}-test.csv"' in answer.headers["content-disposition"]
    text = answer.content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if rows:
        assert tuple(rows[0]) == COLUMNS[What(what)]
    return rows


async def test_dsh_07_exports_and_shown_totals_equal_the_book_to_the_unit(
    browser: Browser, owner: Merchant, database_url: str
) -> None:
    await fill(database_url, owner.tenant, 200)
    async with owner.db.snapshot() as tx:
        totals = await ledger.holdings(tx, owner.tenant)
    entries = await table(browser, "ledger")
    fees = await table(browser, "fees")
    sessions = await table(browser, "sessions")
    page = (await browser.get(EXPORTS)).text
    account = f"merchant:{owner.tenant.merchant_id}"
    assert totals
    for token_id, total in totals.items():
        of_token = [row for row in entries if row["token"] == token_id]
        for name, pocket in ((account, total.settled), (f"{account}:pending", total.pending)):
            booked = sum(int(row["amount_atomic"]) for row in of_token if row["account"] == name)
            assert booked == pocket
        assert total.fees == sum(int(row["fee_atomic"]) for row in fees if row["token"] == token_id)
        of_sessions = [row for row in sessions if row["settlement_token"] == token_id]
        assert total.settled == sum(int(row["received_atomic"] or 0) for row in of_sessions)
        assert total.pending == sum(int(row["not_final_atomic"] or 0) for row in of_sessions)
        if token_id == "polygon::usdc":
            assert f"{total.settled // 10**6:,}.{total.settled % 10**6:06d}"[:-4] in page
    assert len({row["session_id"] for row in sessions}) == len(sessions) == 200


async def test_an_export_has_what_its_list_has(
    browser: Browser, owner: Merchant, database_url: str
) -> None:
    await fill(database_url, owner.tenant, 100)
    async with owner.db.read() as tx:
        expected = await tx.fetch(
            "SELECT session_id FROM sessions WHERE state = 'expired' ORDER BY sequence DESC"
        )
        refunds = await tx.fetchval("SELECT count(*) FROM refunds")
    rows = await table(browser, "sessions", state="expired")
    assert [row["session_id"] for row in rows] == [row["session_id"] for row in expected]
    page = await browser.get(f"{EXPORTS}?state=expired")
    assert '<input type="hidden" name="state" value="expired">' in page.text
    mistyped = await browser.post(f"{EXPORTS}/sessions", state="expired", to="tomorrow")
    assert "Write a day like" in mistyped.text
    assert len(await table(browser, "refunds")) == refunds > 0
    lines = await browser.post(f"{EXPORTS}/sessions", state="expired", format="jsonl")
    records = [json.loads(one) for one in lines.text.splitlines()]
    assert [one["session_id"] for one in records] == [row["session_id"] for row in expected]
    assert tuple(records[0]) == COLUMNS[What.SESSIONS]
    assert isinstance(records[0]["amount_usd"], str)
    assert (await browser.post(f"{EXPORTS}/secrets")).status_code == 404


async def test_who_took_an_export_is_in_the_audit_log(browser: Browser, owner: Merchant) -> None:
    await table(browser, "fees")
    await table(browser, "sessions", state="paid", format="plain-csv")
    async with owner.db.read() as tx:
        rows = await tx.fetch(
            "SELECT action, what, about, after FROM audit_entries WHERE what = 'exported'"
            " ORDER BY number"
        )
    assert [tuple(row) for row in rows] == [
        ("exports.read", "exported", "fees", {"format": "csv"}),
        ("exports.read", "exported", "sessions", {"format": "plain-csv", "state": "paid"}),
    ]


def test_dsh_01_cells_that_would_be_formulas_are_text_and_numbers_stay_numbers() -> None:
    for text in FORMULAS:
        assert harmless(text) == f"'{text}", text
        row = line(Format.CSV, ("a", "b"), (text, Figure("-5.00"))).decode()
        [cells] = csv.reader(io.StringIO(row, newline=""))
        assert cells == [f"'{text}", "-5.00"]
    for text in ("ORD-1", "a=b", "", "5", "Müller & Söhne", "a\nb", 'say "x"'):
        assert harmless(text) == text
    assert line(Format.CSV, ("a",), ('x,"y"\r\n',)) == b'"x,""y""\r\n"\r\n'
    assert head(Format.CSV, ("a", "b")) == b"\xef\xbb\xbfa,b\r\n"
    assert head(Format.PLAIN_CSV, ("a",)) == b"a\r\n"


async def test_dsh_01_what_merchants_and_payers_typed_is_text_in_exports(
    browser: Browser, owner: Merchant, database_url: str
) -> None:
    await fill(database_url, owner.tenant, 1)
    async with owner.db.begin() as tx:
        await tx.execute(
            "UPDATE sessions SET payer_email = '=a@example.com', metadata = $1,"
            " line_items = jsonb_set(line_items, '{0,product,name}', to_jsonb('＝1+1'::text))",
            {"orderId": "@SUM(A1)"},
        )
    [row] = await table(browser, "sessions")
    assert row["payer_email"] == "'=a@example.com"
    assert row["order_reference"] == "'@SUM(A1)"
    assert row["product"] == "'＝1+1"
    assert not row["amount_usd"].startswith("'")


@dataclass
class SlowReader:
    """A browser that asks for the ledger, takes the first part, and then waits to hang up."""

    browser: Browser
    sent: list[MutableMapping[str, Any]] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    hangs_up: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: bool = False

    async def read(self, app: Starlette) -> None:
        await self.browser.get(EXPORTS)
        cookies = self.browser.client.cookies.items()
        headers = {
            "host": "shop.test",
            "cookie": "; ".join(f"{name}={value}" for name, value in cookies),
            "content-type": "application/x-www-form-urlencoded",
            **FROM_OUR_PAGE,
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"{EXPORTS}/ledger",
            "raw_path": f"{EXPORTS}/ledger".encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("shop.test", 80),
        }
        await app(scope, self._receive, self._send)

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._asked:
            self._asked = True
            typed = {"formToken": self.browser.form_token, "format": "csv"}
            return {"type": "http.request", "body": urlencode(typed).encode(), "more_body": False}
        await self.began.wait()
        await self.hangs_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.began.set()
            await asyncio.Event().wait()


async def test_dsh_05_a_client_that_hangs_up_ends_the_export(
    browser: Browser, owner: Merchant, database_url: str
) -> None:
    await fill(database_url, owner.tenant, 3_000)
    reader = SlowReader(browser)
    reader.hangs_up.set()
    async with asyncio.timeout(60):
        await reader.read(Starlette(routes=dashboard.routes(owner.db, new_desk(), Pages.load())))
        assert [one["type"] for one in reader.sent] == ["http.response.start", "http.response.body"]
        assert reader.sent[1]["more_body"]
        async with owner.db.read() as tx:
            while await tx.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gstable export'"
                " AND datname = current_database()"
            ):
                await asyncio.sleep(0.05)


async def test_a_slow_reader_keeps_only_its_own_merchant_waiting(
    browser: Browser, owner: Merchant, database_url: str
) -> None:
    await fill(database_url, owner.tenant, 3_000)
    app = Starlette(routes=dashboard.routes(owner.db, new_desk(), Pages.load()))
    reader = SlowReader(browser)
    reading = asyncio.create_task(reader.read(app))
    async with (
        asyncio.timeout(60),
        AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as client,
    ):
        await reader.began.wait()
        same = Browser(client)
        client.cookies.update(browser.client.cookies)
        await same.get(EXPORTS)
        assert (await same.post(f"{EXPORTS}/fees", format="csv")).status_code == 503
        await same.get("/dashboard/test/security")
        made = await same.post("/dashboard/test/security/businesses", name="Another")
        assert made.status_code == 303
        await same.get(EXPORTS)
        assert (await same.post(f"{EXPORTS}/fees", format="csv")).status_code == 200
        reader.hangs_up.set()
        await reading


def test_every_column_is_described(repository: Path) -> None:
    text = (repository / "docs" / "reference" / "exports.md").read_text()
    for what, columns in COLUMNS.items():
        section = text.split(f"## {what.value}\n", 1)[1].split("\n## ", 1)[0]
        described = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert tuple(described) == tuple(columns), what
    assert f"version {VERSION}" in text
