"""Capturing and letting go in the dashboard: the sums, the two forms, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from gstable_server.chain.networks import Contract, Contracts, Networks
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from gstable_server.sessions.model import Session
from gstable_server.sessions.operations import Desk
from tests.unit.web.console import Browser, Reader, browser_on, reader, registered
from tests.unit.web.shop import add_payment, new_desk
from tests.unit.web.test_dashboard_pages import stocked

pytestmark = pytest.mark.anyio


def holding_desk() -> Desk:
    desk = new_desk()
    contracts = Contracts(hold_rail=Contract(Address(b"\x1a" * 20), None))
    networks = tuple(replace(one, contracts=contracts) for one in desk.networks.all)
    return replace(desk, networks=Networks(networks), relays=True)


@dataclass
class Console:
    """The owner's browser, and a session of which 100 USDC are held and 30 were captured."""

    browser: Browser
    db: Database
    session: Session

    @property
    def place(self) -> str:
        return f"/dashboard/test/sessions/{self.session.session_id}"

    async def page(self) -> Reader:
        return reader(await self.browser.get(self.place))

    async def asked(self) -> list[tuple[str, int]]:
        async with self.db.read() as tx:
            rows = await tx.fetch("SELECT kind, amount FROM hold_instructions ORDER BY sequence")
        return [(row["kind"], int(row["amount"])) for row in rows]


@pytest.fixture
async def console(database: Database) -> AsyncIterator[Console]:
    desk = holding_desk()
    async with browser_on(database, desk) as browser:
        owner = await stocked(await registered(database, desk, browser))
        session = await owner.session()
        await add_payment(database, session, given=(100_000_000, 0))
        async with database.begin() as tx:
            await tx.execute("UPDATE sessions SET capture_method = 'manual', state = 'paid'")
            await tx.execute(
                "UPDATE payments SET rail = 'hold', merchant_received = 0, "
                "hold_capture_before = $1, hold_captured = 30000000",
                tx.now + timedelta(days=7),
            )
        yield Console(browser, database, session)


async def test_what_is_held_is_shown_and_captured_in_part_and_then_in_full(
    console: Console,
) -> None:
    shown = await console.page()
    assert "100.00 USD" in shown.text
    assert "30.00 USD" in shown.text
    assert "70.00 USD" in shown.text
    for fields in ({"captureAmount": "4.50"}, {}):
        answer = await console.browser.post(f"{console.place}/capture", **fields)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].endswith("?done=capture-asked")
    assert await console.asked() == [("capture", 4_500_000), ("capture", 65_500_000)]
    said = reader(await console.browser.get(f"{console.place}?done=capture-asked"))
    assert "on its way" in said.text


async def test_the_rest_is_given_back(console: Console) -> None:
    await console.page()
    answer = await console.browser.post(f"{console.place}/void")
    assert answer.status_code == 303, answer.text
    assert await console.asked() == [("void", 70_000_000)]


@pytest.mark.parametrize(
    ("verb", "fields", "text"),
    [
        ("capture", {"captureAmount": "4,500"}, "with a point"),
        ("capture", {"captureAmount": "70.01"}, "only 70.00 USD remain"),
        ("capture", {"captureAmount": "0"}, "above zero"),
    ],
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    console: Console, verb: str, fields: dict[str, str], text: str
) -> None:
    await console.page()
    answer = await console.browser.post(f"{console.place}/{verb}", **fields)
    assert answer.status_code == 422
    assert text in reader(answer).text
    assert await console.asked() == []


async def test_nothing_is_offered_once_nothing_is_held(console: Console) -> None:
    async with console.db.begin() as tx:
        await tx.execute("UPDATE payments SET hold_returned = amount - hold_captured")
    assert "Give back all" not in (await console.page()).text
    answer = await console.browser.post(f"{console.place}/void")
    assert answer.status_code == 422
    assert "nothing is held any more" in reader(answer).text
