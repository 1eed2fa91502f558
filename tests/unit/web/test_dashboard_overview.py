"""The overview of the console: what it shows is what the book says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import KeyLimits
from gstable_server.kernel.tenant import Access
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.ledger.days import by_token
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.model import SessionState
from gstable_server.web.dashboard.charts import Series, nested, stacked
from gstable_server.web.dashboard.overview_presenter import compared
from gstable_server.web.dashboard.periods import period_of
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import Target
from tests.unit.web.console import Browser, Reader, reader, registered
from tests.unit.web.shop import WALLET, Merchant, new_desk, set_state

pytestmark = pytest.mark.anyio

HOME = "/dashboard/test"


@pytest.fixture
async def merchant(database: Database, browser: Browser) -> Merchant:
    return await registered(database, new_desk(), browser)


async def _sold(tx: Tx, merchant: Merchant, cause: str, amount: int, token: str = "usdc") -> None:
    """A payment of so many atomic units that is final."""
    pending = book.merchant_pending(merchant.tenant.merchant_id)
    final = book.merchant_settled(merchant.tenant.merchant_id)
    token_id = f"polygon::{token}"
    await ledger.post_all(
        tx,
        (
            book.payment(
                f"seen:{cause}",
                token_id,
                receiver=pending,
                amount=amount,
                fee_amount=1000,
                tenant=merchant.tenant,
                session_id=None,
            ),
            book.settled(
                f"final:{cause}",
                token_id,
                pending=pending,
                final=final,
                amount=amount,
                tenant=merchant.tenant,
                session_id=None,
            ),
        ),
    )


async def _seen(tx: Tx, merchant: Merchant, cause: str, amount: int) -> None:
    """A payment that a chain can still undo."""
    given = book.payment(
        f"seen:{cause}",
        "polygon::usdc",
        receiver=book.merchant_pending(merchant.tenant.merchant_id),
        amount=amount,
        fee_amount=1000,
        tenant=merchant.tenant,
        session_id=None,
    )
    await ledger.post(tx, given)


def _words(page: Reader) -> str:
    return " ".join(page.text.split())


async def test_dsh_07_what_is_shown_is_the_book_to_the_unit(
    browser: Browser, merchant: Merchant, clock: FakeClock
) -> None:
    async with merchant.db.begin() as tx:
        await _sold(tx, merchant, "a", 12_345_678)
        await _sold(tx, merchant, "b", 1_000_000, "usdt")
        await ledger.seal(tx)
        await _sold(tx, merchant, "c", 1)
    async with merchant.db.snapshot() as tx:
        totals = by_token(await ledger.totals(tx, merchant.tenant))
    assert totals["polygon::usdc"].settled == 12_345_679
    page = _words(reader(await browser.get(HOME)))
    assert "Completed volume 13.345679 USD" in page
    assert "USDC on Polygon (local) 12.345679 USDC" in page
    assert "USDT on Polygon (local) 1.00 USDT" in page
    # And by day in the table beside the chart.
    assert f"{clock.now():%m-%d}12.3456791.00" in page
    by_network = _words(reader(await browser.get(f"{HOME}?by=network")))
    assert f"{clock.now():%m-%d}13.345679" in by_network


async def test_dsh_09_money_that_is_not_final_is_in_no_sum(
    browser: Browser, merchant: Merchant
) -> None:
    async with merchant.db.begin() as tx:
        await _sold(tx, merchant, "a", 10_000_000)
        await _seen(tx, merchant, "b", 7_000_000)
    page = _words(reader(await browser.get(HOME)))
    assert "Completed volume 10.00 USD" in page
    assert "Not final yet 7.00 USD" in page
    assert "17.00" not in page


async def test_the_time_before_is_compared_and_days_can_be_chosen(
    browser: Browser, merchant: Merchant, clock: FakeClock
) -> None:
    first = clock.now().date()
    async with merchant.db.begin() as tx:
        await _sold(tx, merchant, "a", 10_000_000)
    clock.advance(24 * 3600)
    await browser.login()
    async with merchant.db.begin() as tx:
        await _sold(tx, merchant, "b", 15_000_000)
    today = _words(reader(await browser.get(f"{HOME}?days=1")))
    assert "Completed volume 15.00 USD +50% from the time before" in today
    week = _words(reader(await browser.get(f"{HOME}?days=7")))
    assert "Completed volume 25.00 USD Nothing in the time before" in week
    own = _words(reader(await browser.get(f"{HOME}?from={first}&to={first}")))
    assert "Completed volume 10.00 USD" in own
    wrong = await browser.get(f"{HOME}?from=2026-02-31&to=x")
    assert "Choose days that there are." in wrong.text


async def test_sessions_are_counted_by_what_became_of_them(
    browser: Browser, merchant: Merchant
) -> None:
    async with merchant.db.begin() as tx:
        account = await accounts.create_account(
            tx, merchant.tenant, merchant.desk.networks, "Till", WALLET
        )
    seller = replace(merchant, account=account)
    made = [await seller.session() for _ in range(5)]
    for session, state in zip(
        made,
        (SessionState.COMPLETED, SessionState.COMPLETED, SessionState.EXPIRED, SessionState.PAID),
        strict=False,
    ):
        await set_state(merchant.db, session, state)
    page = _words(reader(await browser.get(HOME)))
    for text in ("Sessions opened 5", "Completed 2", "Pending 1", "Failed 1"):
        assert text in page
    assert made[0].session_id in page


async def test_a_new_owner_is_led_from_step_to_step(browser: Browser, merchant: Merchant) -> None:
    page = reader(await browser.get(HOME))
    assert f"{HOME}/accounts" in page.links()
    assert _words(page).count("Done") == 0
    async with merchant.db.begin() as tx:
        account = await accounts.create_account(
            tx, merchant.tenant, merchant.desk.networks, "Till", WALLET
        )
    await browser.post(f"{HOME}/products", **{"name": "Map", "commonPrices[0]": "5"})
    product_id = reader(await browser.get(f"{HOME}/products")).links()
    [path] = [one for one in product_id if "/products/prd_" in one]
    await browser.post(
        f"{HOME}/links",
        **{
            "linkName": "Map",
            "linkType": "fixed",
            "lineItems[0].productId": path.rpartition("/")[2],
            "accountId": account.account_id,
            "settlementToken": "polygon::usdc",
        },
    )
    page = reader(await browser.get(HOME))
    assert _words(page).count("Done") == 3
    assert any("/links/lnk_" in one for one in page.links())
    async with merchant.db.begin() as tx:
        await _sold(tx, merchant, "a", 5_000_000)
        target = Target("Shop", "https://shop.example.com/hook", None, ("session.paid",))
        await webhooks.create(tx, merchant.tenant, target)
    assert "Your first payment" not in (await browser.get(HOME)).text


async def test_what_needs_somebody_is_said_with_the_way_there(
    browser: Browser, merchant: Merchant
) -> None:
    assert "Needs your attention" not in (await browser.get(HOME)).text
    async with merchant.db.begin() as tx:
        account = await accounts.create_account(
            tx, merchant.tenant, merchant.desk.networks, "Till", WALLET
        )
        soon = KeyLimits(None, tx.now + timedelta(days=3), ())
        await accounts.issue_key(tx, merchant.tenant, Access.READ, "Web shop", soon)
        target = Target("Shop", "https://shop.example.com/hook", None, ("session.paid",))
        endpoint = await webhooks.create(tx, merchant.tenant, target)
        await tx.execute(
            "UPDATE webhook_endpoints SET status = 'paused' WHERE webhook_id = $1",
            endpoint.webhook_id,
        )
    session = await replace(merchant, account=account).session()
    await set_state(merchant.db, session, SessionState.SETTLEMENT_PENDING)
    page = _words(reader(await browser.get(HOME)))
    assert "The API key Web shop ends within two weeks." in page
    assert "Your webhook Shop does not answer as it should." in page
    assert "One settlement takes longer than it should." in page


def test_bars_stand_on_each_other_and_little_is_not_nothing() -> None:
    series = (Series("a", (100, 0, 1)), Series("b", (300, 0, 0)))
    chart = stacked("Sum", ["1", "2", "3"], series, str)
    assert [tick.text for tick in chart.ticks] == ["0", "100", "200", "300", "400"]
    low, high, small = chart.bars
    assert low.y == high.y + high.height
    assert abs(high.height - 3 * low.height) <= 3
    assert small.height == 1
    assert chart.rows[0] == ("1", ("100", "300"))
    assert stacked("Sum", ["1"], (Series("a", (0,)),), str).is_empty


def test_bars_stand_inside_of_each_other_and_fit_the_drawing() -> None:
    days = [str(at) for at in range(92)]
    series = tuple(Series(name, tuple(range(92))) for name in ("a", "b", "c"))
    chart = nested("Funnel", days, series, str)
    for bar in chart.bars:
        assert bar.width >= 1
        assert chart.left <= bar.x
        assert bar.x + bar.width <= chart.right
        assert bar.y >= 0
        assert bar.y + bar.height == chart.floor
    assert len(chart.marks) <= 7


def test_a_long_time_is_drawn_by_month() -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)
    year = period_of({"from": "2025-03-20", "to": "2026-03-05"}, now)
    buckets = year.buckets()
    assert len(buckets) == 13
    assert (buckets[0].since, buckets[0].until) == (date(2025, 3, 20), date(2025, 3, 31))
    assert (buckets[-1].since, buckets[-1].until) == (date(2026, 3, 1), date(2026, 3, 5))
    assert year.before.until == date(2025, 3, 19)
    assert year.before.days == year.days
    assert period_of({"from": "2020-01-01"}, now).problem
    assert period_of({"from": "2026-03-09", "to": "2026-03-01"}, now).problem


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (15, 10, "+50% from the time before"),
        (5, 10, "−50% from the time before"),
        (10, 10, "As in the time before"),
        (1, 0, "Nothing in the time before"),
        (0, 0, ""),
    ],
)
def test_figures_are_compared_in_whole_per_cent(now: int, before: int, text: str) -> None:
    assert compared(now, before) == text
