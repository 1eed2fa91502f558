"""Open pages of the console: told of their own merchant's sessions, as long as the login lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser as From
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing, Refused
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.event_log import Position, position_from_text
from gstable_server.sessions import news as feed
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.operations import Desk
from gstable_server.web import news as live
from gstable_server.web.news import MerchantNews, Watch
from tests.settling import settled
from tests.unit.web.console import Browser, browser_on, reader, registered
from tests.unit.web.shop import Merchant, new_desk

pytestmark = pytest.mark.anyio

WAIT_SECONDS = 60.0
WALLET = Address(b"\x77" * 20)


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


async def test_nothing_between_the_page_and_its_stream_goes_unheard(
    database: Database, news: MerchantNews, merchant: Merchant
) -> None:
    token = await signed_in(database, merchant)
    old = await merchant.session()
    await settled(database)
    async with database.read() as tx:
        made_at = await feed.position(tx)
    new = await merchant.session()
    await database.run(sessions.cancel, merchant.desk, merchant.tenant, old.session_id)
    await settled(database)
    watch = await news.open(token, merchant.tenant, made_at)
    assert await told(watch) == sorted([new.session_id, old.session_id])
    # The connection is lost: the browser comes back with the last place that it was told.
    heard = watch.position
    news.leave(watch)
    assert heard > made_at
    last = await merchant.session()
    await settled(database)
    again = await news.open(token, merchant.tenant, position_from_text(str(heard)))
    assert await told(again) == [last.session_id]
    news.leave(again)


async def seller(database: Database, desk: Desk, browser: Browser) -> Merchant:
    """The business that ``browser`` owns, with an account to be paid to."""
    owner = await registered(database, desk, browser)
    values = owner.tenant, desk.networks, "Main", to_checksum(WALLET)
    return replace(owner, account=await database.run(accounts.create_account, *values))


async def _first_news(app: Any, path: str, headers: dict[str, str]) -> str:
    """What a stream says until its first sessions, read as it comes."""
    said, come = "", asyncio.Event()

    async def receive() -> dict[str, Any]:
        await come.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal said
        said += message.get("body", b"").decode()
        if "event: sessions" in said:
            come.set()

    place, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": place,
        "query_string": query.encode(),
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    async with asyncio.timeout(WAIT_SECONDS):
        await app(scope, receive, send)
    return said


@pytest.mark.parametrize("page", ["", "/sessions", "/sessions/{session_id}"])
async def test_pages_say_at_which_place_they_were_made(database: Database, page: str) -> None:
    desk = new_desk()
    async with browser_on(database, desk) as browser:
        owner = await seller(database, desk, browser)
        old = await owner.session()
        await settled(database)
        path = f"/dashboard/test{page.format(session_id=old.session_id)}"
        tags = reader(await browser.get(path)).tags
        stream = next(at["data-live"] for _, at in tags if "data-live" in at)
        new = await owner.session()
        await settled(database)
        cookies = "; ".join(f"{name}={text}" for name, text in browser.client.cookies.items())
        app = browser.client._transport.app  # type: ignore[attr-defined]
        said = await _first_news(app, stream, {"cookie": cookies})
        assert f'data: ["{new.session_id}"]' in said
        # As browsers ask again: the place that was told last counts, not the page's.
        place = [line for line in said.splitlines() if line.startswith("id: ")][-1][4:]
        last = await owner.session()
        await settled(database)
        headers = {"cookie": cookies, "last-event-id": place}
        said = await _first_news(app, stream, headers)
        assert f'data: ["{last.session_id}"]' in said
        assert new.session_id not in said


async def test_places_that_were_never_given_are_taken_for_now(
    database: Database, news: MerchantNews, merchant: Merchant
) -> None:
    token = await signed_in(database, merchant)
    await merchant.session()
    for strange in (Position(2**59, 1), position_from_text("x"), None):
        await settled(database)
        watch = await news.open(token, merchant.tenant, strange)
        assert watch.changed == set()
        new = await merchant.session()
        assert await told(watch) == [new.session_id]
        news.leave(watch)


async def test_a_session_whose_transaction_commits_late_is_told_of(
    database: Database, news: MerchantNews, merchant: Merchant
) -> None:
    token = await signed_in(database, merchant)
    watch = await news.open(token, merchant.tenant)
    async with database.begin() as tx:
        # The older transaction numbers its session first, and commits last.
        early = await sessions.create_checkout(
            tx, merchant.desk, merchant.tenant, merchant.wanted()
        )
        late = await merchant.session()
    expected = {early.session.session_id, late.session_id}
    heard: set[str] = set()
    while heard != expected:
        heard |= set(await told(watch))
    news.leave(watch)


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
