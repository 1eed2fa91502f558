"""A merchant is paid: by link, by session, with an amount of the payer's choice."""

from __future__ import annotations

import pytest

from gstable import GStableError
from tests.e2e.shop import Shop
from tests.running import eventually

CREATED_PAID_COMPLETED = ("session.created", "session.paid", "session.completed")


def test_a_link_is_paid(shop: Shop) -> None:
    # Given a link for 9 USD, whose fee the merchant bears
    before = shop.balance("polygon::usdt")
    link_url = shop.link("polygon::usdt")
    # When a payer opens it and pays with USDT
    session_id = shop.opens(link_url)
    paid = shop.pays(session_id, "polygon::usdt")
    # Then the merchant's own wallet has the money less 0.2 %
    found = shop.reaches(session_id, "completed")
    assert shop.balance("polygon::usdt") - before == 9_000_000 - 18_000
    assert paid.total == 9_000_000
    # And the session says so, and the signed webhooks
    assert found.session.session_type == "payment_link"
    assert found.transaction is not None
    assert found.transaction.source_tx == paid.tx_hash_hex
    assert (found.transaction.net_value, found.transaction.fee_value) == (8_982_000, 18_000)
    shop.is_told(session_id, *CREATED_PAID_COMPLETED)


@pytest.mark.parametrize("token_id", ["polygon::usdc", "base::usdc"])
def test_a_session_is_paid_and_the_payer_bears_the_fee(shop: Shop, token_id: str) -> None:
    # Given a session for 10 USD, the fee on top
    before = shop.balance(token_id)
    session_id = shop.session(token_id, fee_model=2, metadata={"orderId": "ORD_7"})
    # When it is paid
    paid = shop.pays(session_id, token_id)
    # Then the merchant has the full price
    found = shop.reaches(session_id, "completed")
    assert paid.total == 10_020_000
    assert shop.balance(token_id) - before == 10_000_000
    assert found.session.metadata == {"orderId": "ORD_7"}
    assert found.session.paid_token == token_id
    shop.is_told(session_id, *CREATED_PAID_COMPLETED)


def test_the_letters_carry_the_state_of_their_moment(shop: Shop) -> None:
    session_id = shop.session()
    shop.pays(session_id)
    shop.is_told(session_id, *CREATED_PAID_COMPLETED)
    letters = shop.running.letters(session_id)
    assert [letter["payload"]["sessionData"]["status"] for letter in letters] == [
        "initialized",
        "paid",
        "completed",
    ]
    assert letters[0]["payload"]["transaction"] is None
    assert letters[2]["payload"]["sessionData"]["currency"] == "polygon::usdc"
    assert letters[2]["businessType"] == "session"


def test_a_custom_amount_is_paid(shop: Shop) -> None:
    # Given a link that leaves the amount to the payer
    before = shop.balance()
    link_url = shop.link(link_type="custom", custom=True)
    # When the payer types 12.34 USD and pays
    session_id = shop.opens(link_url, amount="12.34")
    shop.pays(session_id)
    # Then exactly that arrives, less the fee rounded up
    shop.reaches(session_id, "completed")
    assert shop.balance() - before == 12_340_000 - 24_680


def test_a_cancelled_session_cannot_be_paid(shop: Shop) -> None:
    session_id = shop.session()
    assert shop.client.checkout_session.cancel(session_id=session_id).success
    assert shop.detail(session_id).session.status == "cancelled"
    with pytest.raises(Exception, match="withdrawn"):
        shop.pays(session_id)
    shop.is_told(session_id, "session.created", "session.cancelled")


def test_a_session_that_a_payer_started_to_pay_cannot_be_cancelled(shop: Shop) -> None:
    session_id = shop.session()
    shop.pays(session_id)
    with pytest.raises(GStableError) as refused:
        shop.client.checkout_session.cancel(session_id=session_id)
    assert refused.value.code in {100204, 100207, 100209}
    shop.reaches(session_id, "completed")


def test_paying_twice_is_refused_by_the_page(shop: Shop) -> None:
    session_id = shop.session()
    shop.pays(session_id)
    shop.reaches(session_id, "completed")
    before = shop.balance()
    with pytest.raises(Exception, match="already been made"):
        shop.pays(session_id)
    assert shop.balance() == before


def test_the_lists_show_a_paid_session(shop: Shop) -> None:
    session_id = shop.session()
    shop.pays(session_id)
    shop.reaches(session_id, "completed")
    for listed in (
        shop.client.checkout_session.list_all(1, 10),
        shop.client.checkout_session.list_completed(1, 10),
    ):
        assert eventually(
            lambda listed=listed: session_id in [one.session.session_id for one in listed.items],
            "the list names the session",
            1,
        )
