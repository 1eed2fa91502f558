"""Time passes: sessions expire, and money that comes too late is kept and shown."""

from __future__ import annotations

import pytest

from tests.e2e.shop import Shop
from tests.running import eventually

HOUR = 3600


def passes(shop: Shop, session_id: str) -> None:
    """The session's time passes, by its test clock, and the timetable closes it; a block of Polygon
    that is mined after this is too late.

    By the chain's own time, which is behind after a reorganisation: a local chain goes on from the
    time of the block that it went back to."""
    assert shop.client.checkout_session.advance(session_id, seconds=HOUR).success
    found = shop.reaches(session_id, "expired")
    eventually(lambda: _chain_time(shop) > found.session.expiration_time, "a later block")


def _chain_time(shop: Shop) -> int:
    newest = shop.running.rpc("polygon", "eth_getBlockByNumber", "latest", False)
    return int(newest["timestamp"], 16)


def test_an_unpaid_session_expires(shop: Shop) -> None:
    session_id = shop.session()
    passes(shop, session_id)
    assert shop.detail(session_id).transaction is None
    shop.is_told(session_id, "session.created", "session.expired")
    with pytest.raises(Exception, match=r"expired|over"):
        shop.pays(session_id)


def test_chn_07_late_money_reaches_the_merchant_and_is_told(shop: Shop) -> None:
    # Given a payer who holds signed terms when the session expires
    before = shop.balance()
    session_id = shop.session()
    prepared = shop.visits(
        lambda payer: payer.prepare(shop.payment_url(session_id), "polygon::usdc")
    )
    passes(shop, session_id)
    # When the payment is sent all the same
    shop.visits(lambda payer: payer.send(prepared))
    # Then the merchant has the money, is told that it was late, and the session stays expired
    shop.is_told(session_id, "session.created", "session.expired", "session.paid_late")
    assert shop.balance() - before == 9_980_000
    assert shop.detail(session_id).session.status == "expired"


def test_a_link_opened_again_gives_a_fresh_session(shop: Shop) -> None:
    link_url = shop.link()
    first = shop.opens(link_url)
    passes(shop, first)
    second = shop.opens(link_url)
    assert second != first
    shop.pays(second)
    eventually(
        lambda: shop.detail(second).session.status in {"paid", "completed"}, "the second is paid"
    )
