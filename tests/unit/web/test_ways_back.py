"""What the page says when there is nothing more to pay here: where to go, and what came back."""

from __future__ import annotations

import pytest

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.model import Session
from gstable_server.sessions.model import SessionState as S
from gstable_server.web.checkout.gathering import gather, heights, networks_of, status_of
from gstable_server.web.checkout.status import Status
from gstable_server.web.language import ENGLISH, Languages
from tests.browser.studio import DEPTH, Studio
from tests.unit.web.shop import PUBLIC_URL

pytestmark = pytest.mark.anyio

THANKS = "https://bluedoor.example:8443/thanks?order=7"


@pytest.fixture
async def studio(database: Database, clock: FakeClock) -> Studio:
    return await Studio.open(database, clock, PUBLIC_URL)


async def status(studio: Studio, session: Session) -> Status:
    desk = studio.merchant.desk
    async with studio.db.read() as tx:
        known = (await gather(tx, desk, [session.session_id]))[session.session_id]
        tall = await heights(tx, networks_of(known))
    return status_of(known, desk, tall, studio.clock.now(), Languages.load().words(ENGLISH))


async def test_an_expired_session_leads_to_the_shop_and_not_to_its_thanks(studio: Studio) -> None:
    session = await studio.past_session(successUrl=THANKS)
    await studio.expire()
    shown = await status(studio, session)
    assert (shown.phase, shown.redirect_url) == ("closed", "https://bluedoor.example:8443/")
    nowhere = await studio.past_session()
    assert (await status(studio, nowhere)).redirect_url is None


async def test_who_paid_too_late_is_not_sent_away(studio: Studio) -> None:
    session = await studio.past_session(successUrl=THANKS)
    today = studio.clock.now()
    studio.clock.set(session.created_at)
    log = await studio.payment(session, block_time=today)
    studio.clock.set(today)
    await studio.hear(("seen", log))
    await studio.expire()
    shown = await status(studio, session)
    assert (shown.state, shown.redirect_url) == (S.EXPIRED, None)
    assert "Ask Blue Door Books to accept or return it" in shown.notices[0]


async def test_what_went_back_is_said(studio: Studio) -> None:
    session = await studio.session()
    await studio.paid(session)
    assert (await status(studio, session)).notices == ()
    await studio.refund(session, 24_500_000)
    [said] = (await status(studio, session)).notices
    assert said == (
        "24.50 USDC went back to 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC on Polygon."
    )


async def test_what_is_final_is_not_counted_any_more(studio: Studio) -> None:
    """It goes on to another network: no block here adds to it."""
    session = await studio.session(settlementToken="base::usdc")
    log = await studio.paid(session, "seen", token_id="polygon::usdc")
    await studio.blocks(log, DEPTH - 1)
    counted = (await status(studio, session)).confirmations
    assert counted is not None
    assert (counted.count, counted.needed) == (DEPTH - 1, DEPTH)
    await studio.hear(("final", log))
    shown = await status(studio, session)
    assert (shown.state, shown.confirmations) == (S.SETTLING, None)
    assert "from Polygon to Base" in shown.detail
