"""The health page: networks for everybody who may look, and the installation for who runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser as From
from gstable_server.accounts.members.model import By
from gstable_server.chain.operations import NetworkState
from gstable_server.plumbing.db import Database
from gstable_server.reconciliation.model import Difference, Outcome, Reading
from gstable_server.web.dashboard.guard import form_token
from gstable_server.web.dashboard.settings import health_presenter as shown
from tests.unit.sessions.payments import NOW
from tests.unit.web.console import Browser, reader, registered
from tests.unit.web.shop import Merchant, new_desk

pytestmark = pytest.mark.anyio

HEALTH = "/dashboard/test/health"
STATE = NetworkState("polygon", 100, 100, None, NOW)


@pytest.fixture
async def owner(database: Database, browser: Browser) -> Merchant:
    first = await registered(database, new_desk(), browser)
    # The test's clock stands still: who came first would be left to the ids.
    async with database.begin() as tx:
        await tx.execute(
            "UPDATE merchants SET created_at = created_at - interval '1 second'"
            " WHERE merchant_id = $1",
            first.tenant.merchant_id,
        )
    return first


async def test_whoever_runs_the_installation_sees_all_of_it(
    browser: Browser, owner: Merchant
) -> None:
    text = reader(await browser.get(HEALTH)).text
    for part in ("Polygon (local)", "Jobs that failed for good", "book compared", "Crossings"):
        assert part in text
    # Nothing runs here, and it says what to do about that.
    assert "no indexer runs" in text
    assert "network-behind.md" in text


async def test_another_merchant_sees_the_networks_and_nothing_of_everybody(
    browser: Browser, owner: Merchant, database: Database
) -> None:
    async with database.begin() as tx:
        [member] = await team.members_of(tx, owner.tenant.merchant_id)
        login = await members.open_login(tx, member, From())
        presence = await members.presence_of(tx, login.token)
        assert presence is not None
        other = await team.create_merchant(tx, By(member, ""), presence.login_id, "Elsewhere")
    browser.client.cookies.clear()
    browser.client.cookies.set("gstable", login.token)
    browser.form_token = form_token(login.token, other.merchant_id)
    text = reader(await browser.get(HEALTH)).text
    assert "Elsewhere" in text
    assert "Polygon (local)" in text
    assert "This installation" not in text
    assert "Jobs that failed" not in text


@pytest.mark.parametrize(
    ("state", "badge", "runbook"),
    [
        (STATE, "Good", ""),
        (replace(STATE, head=200), "Good", ""),
        (replace(STATE, head=201), "Behind", "network-behind.md"),
        (replace(STATE, updated_at=NOW - timedelta(seconds=61)), "Not read", "network-behind.md"),
        (replace(STATE, halted_reason="it lied"), "Halted", "network-halted.md"),
        (None, "Not read", "network-behind.md"),
    ],
)
def test_a_network_is_judged_by_how_it_is_read(
    state: NetworkState | None, badge: str, runbook: str
) -> None:
    [network] = new_desk().networks.all
    row = shown.network_row(network, state, None, NOW)
    assert (row.badge.text, row.runbook) == (badge, runbook)
    assert bool(row.todo) is (badge != "Good")
    assert shown.network_row(network, STATE, False, NOW).todo


def _outcome(count: int, unread: str | None = None, hours: int = 0) -> Outcome:
    one = Difference(None, "polygon::usdc", "fees", 2**200, 1)
    readings = (Reading("polygon", 5, unread),)
    return Outcome(NOW - timedelta(hours=hours), readings, 3, 0, count, (one,) * count)


@pytest.mark.parametrize(
    ("outcome", "is_good"),
    [
        (None, False),
        (_outcome(0), True),
        (_outcome(1), False),
        (_outcome(0, "no node answers"), False),
        (_outcome(0, hours=4), False),
    ],
)
def test_a_comparison_is_good_when_it_is_new_complete_and_without_difference(
    outcome: Outcome | None, is_good: bool
) -> None:
    assert shown.comparison(outcome, NOW).is_good is is_good


def test_amounts_of_differences_are_exact() -> None:
    rows = shown.comparison_rows(_outcome(1), NOW)
    assert rows.differences == (("–", "polygon::usdc", "fees", str(2**200), "1"),)


@pytest.mark.parametrize(
    ("look", "is_good"),
    [
        (lambda: shown.letters(shown.Backlog(0, None, 0, 0), NOW), True),
        (lambda: shown.letters(shown.Backlog(9, NOW, 0, 0), NOW), True),
        (lambda: shown.letters(shown.Backlog(9, NOW - timedelta(hours=1), 0, 0), NOW), False),
        (lambda: shown.crossings((3, 0)), True),
        (lambda: shown.crossings((3, 1)), False),
        (lambda: shown.seals((1, NOW - timedelta(hours=1)), NOW), False),
    ],
)
def test_what_waits_for_long_is_not_good(look: Callable[[], shown.Check], is_good: bool) -> None:
    check = look()
    assert check.is_good is is_good
    assert bool(check.todo and check.runbook) is not is_good
