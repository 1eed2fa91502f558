"""Open pages of the console: told of their own merchant's sessions, as long as the login lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser as From
from gstable_server.kernel.errors import Passing, Refused
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.sessions import operations as sessions
from gstable_server.web import news as live
from gstable_server.web.news import MerchantNews, Watch
from tests.unit.web.shop import Merchant, new_desk

pytestmark = pytest.mark.anyio

WAIT_SECONDS = 60.0


@pytest.fixture
async def news(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MerchantNews]:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(live, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.0)
    made = MerchantNews(database)
    yield made
    await made.close()


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    return await Merchant.open(database, new_desk())


async def signed_in(database: Database, merchant: Merchant) -> str:
    """The token of somebody who owns that merchant."""

    async with database.begin() as tx:
        await members.register_owner(tx, "Own", "o@example.com", "correct horse battery")
        await tx.execute("UPDATE memberships SET merchant_id = $1", merchant.tenant.merchant_id)
        [member] = await team.members_of(tx, merchant.tenant.merchant_id)
        return (await members.open_login(tx, member, From())).token


async def told(watch: Watch) -> list[str]:
    return [*await watch.next(WAIT_SECONDS)]


async def test_a_page_hears_of_new_and_changed_sessions_of_its_own_merchant_only(
    database: Database, news: MerchantNews, merchant: Merchant
) -> None:
    token = await signed_in(database, merchant)
    watch = await news.open(token, merchant.tenant)
    elsewhere = await Merchant.open(database, new_desk(), "Somebody else")
    await elsewhere.session()
    live_mode = await news.open(token, Tenant(merchant.tenant.merchant_id, Mode.LIVE))
    session = await merchant.session()
    assert await told(watch) == [session.session_id]
    await database.run(sessions.cancel, merchant.desk, merchant.tenant, session.session_id)
    assert await told(watch) == [session.session_id]
    assert live_mode.changed == set()
    news.leave(watch)
    news.leave(live_mode)
    assert news.count == 0


async def test_signing_out_ends_the_pages_of_that_browser_wherever_it_was_done(
    database: Database, news: MerchantNews, merchant: Merchant
) -> None:
    token = await signed_in(database, merchant)
    here, there = await news.open(token, merchant.tenant), await news.open(token, merchant.tenant)
    news.end_login("another")
    assert not here.is_ended
    # By another process: this one finds out.
    await database.run(members.logout, token)
    while not there.is_ended:
        await there.next(WAIT_SECONDS)
    assert here.is_ended
    assert not here.may_ask_again
    news.leave(here)
    news.leave(there)


async def test_a_login_has_so_many_pages_and_a_process_that_ends_has_none(
    database: Database, news: MerchantNews, merchant: Merchant
) -> None:
    token = await signed_in(database, merchant)
    watches = [await news.open(token, merchant.tenant) for _ in range(live.PER_LOGIN)]
    with pytest.raises(Refused):
        await news.open(token, merchant.tenant)
    await news.close()
    assert all(one.is_ended and one.may_ask_again for one in watches)
    with pytest.raises(Passing):
        await news.open(token, merchant.tenant)
    for one in watches:
        news.leave(one)
