"""Time passes: sessions expire, and money that comes too late is kept and shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.shop import Shop
from tests.running import eventually, running_stack

SECONDS = "6"


@pytest.fixture(scope="module")
def hasty() -> Iterator[Shop]:
    """An installation whose sessions live for seconds."""
    with (
        running_stack(GSTABLE_SESSION_SECONDS=SECONDS) as running,
        running.client() as client,
    ):
        yield Shop(running, client)


def test_an_unpaid_session_expires(hasty: Shop) -> None:
    session_id = hasty.session()
    found = hasty.reaches(session_id, "expired")
    assert found.transaction is None
    hasty.is_told(session_id, "session.created", "session.expired")
    with pytest.raises(Exception, match=r"expired|over"):
        hasty.pays(session_id)


def test_chn_07_late_money_reaches_the_merchant_and_is_told(hasty: Shop) -> None:
    # Given a payer who holds signed terms when the session expires
    before = hasty.balance()
    session_id = hasty.session()
    prepared = hasty.visits(
        lambda payer: payer.prepare(hasty.payment_url(session_id), "polygon::usdc")
    )
    hasty.reaches(session_id, "expired")
    # When the payment is sent all the same
    hasty.visits(lambda payer: payer.send(prepared))
    # Then the merchant has the money, is told that it was late, and the session stays expired
    hasty.is_told(session_id, "session.created", "session.expired", "session.paid_late")
    assert hasty.balance() - before == 9_980_000
    assert hasty.detail(session_id).session.status == "expired"


def test_a_link_opened_again_gives_a_fresh_session(hasty: Shop) -> None:
    link_url = hasty.link()
    first = hasty.opens(link_url)
    hasty.reaches(first, "expired")
    second = hasty.opens(link_url)
    assert second != first
    hasty.pays(second)
    eventually(
        lambda: hasty.detail(second).session.status in {"paid", "completed"}, "the second is paid"
    )
