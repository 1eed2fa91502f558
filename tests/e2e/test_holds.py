"""Payments that are captured later: what is held, what is taken in parts, and what goes back."""

from __future__ import annotations

import asyncio

import pytest

from gstable import GStableError
from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.networks import Network
from gstable_server.cli.payer import Payer, token_balance
from gstable_server.kernel.address import Address
from gstable_server.routing.model import Way
from tests.e2e.reconciled import reconciled
from tests.e2e.shop import Shop
from tests.running import Running, eventually

USDC = "polygon::usdc"


async def _address(payer: Payer) -> Address:
    return payer.address


def balance_of(shop: Shop, wallet: Address) -> int:
    return asyncio.run(token_balance(shop.running.networks, USDC, wallet))


def polygon(running: Running) -> Network:
    return running.networks.network("polygon")


def in_hold(running: Running) -> int:
    """What all holds of the network have together."""
    rail = polygon(running).contracts.hold_rail
    assert rail is not None
    return asyncio.run(token_balance(running.networks, USDC, rail.address))


def sent_by(running: Running, wallet: Address) -> int:
    async def count() -> int:
        async with open_rpc(polygon(running)) as rpc:
            return await rpc.transaction_count(wallet)

    return asyncio.run(count())


def amounts(shop: Shop, session_id: str) -> tuple[int, int, int, int]:
    """Authorised, captured, returned and remaining, in Micro-USD."""
    hold = shop.detail(session_id).session.hold
    assert hold is not None
    return hold.authorized, hold.captured, hold.returned, hold.remaining


def is_left(shop: Shop, session_id: str, remaining: int) -> None:
    eventually(lambda: amounts(shop, session_id)[3] == remaining, f"{remaining} remain")


def refused(code: int, words: str, call: object) -> None:
    with pytest.raises(GStableError, match=words) as failure:
        call()  # type: ignore[operator]
    assert failure.value.code == code


def test_a_signature_is_held_captured_twice_in_part_and_the_rest_voided(shop: Shop) -> None:
    # Given a session of 10 USD that is captured by hand, and a payer who only signs
    payer = shop.visits(_address)
    had, received = balance_of(shop, payer), shop.balance()
    held, sent = in_hold(shop.running), sent_by(shop.running, payer)
    session_id = shop.session(capture_method="manual")
    opened = shop.detail(session_id).session
    assert (opened.capture_method, opened.hold) == ("manual", None)
    calls = shop.client.checkout_session
    refused(100601, "nobody has authorized", lambda: calls.capture(session_id))
    refused(100602, "nobody has authorized", lambda: calls.void(session_id))
    # When the payer signs, the money waits in the contract and nobody else has any of it
    shop.pays(session_id, USDC, Way.ERC3009)
    shop.reaches(session_id, "paid")
    assert amounts(shop, session_id) == (10_000_000, 0, 0, 10_000_000)
    assert sent_by(shop.running, payer) == sent
    assert had - balance_of(shop, payer) == in_hold(shop.running) - held == 10_000_000
    assert shop.balance() == received
    # And the merchant captures 4 USD, twice asked under one key and once done
    for _ in range(2):
        calls.capture(session_id, amount=4_000_000, idempotency_key=f"first {session_id}")
    is_left(shop, session_id, 6_000_000)
    refused(100601, "amount is more", lambda: calls.capture(session_id, amount=6_000_001))
    calls.capture(session_id, amount=2_500_000)
    is_left(shop, session_id, 3_500_000)
    assert shop.detail(session_id).session.status == "paid"
    # And lets the rest go
    calls.void(session_id)
    found = shop.reaches(session_id, "completed")
    # Then to the unit: 0.2 % of what was captured is the fee, and the payer has the rest again
    assert amounts(shop, session_id) == (10_000_000, 6_500_000, 3_500_000, 0)
    assert shop.balance() - received == 3_992_000 + 2_495_000
    assert had - balance_of(shop, payer) == 6_500_000
    assert in_hold(shop.running) == held
    assert found.transaction is not None
    assert (found.transaction.net_value, found.transaction.fee_value) == (6_487_000, 13_000)
    assert found.transaction.target_tx == found.session.complete_tx != ""
    refused(100601, "nothing remains", lambda: calls.capture(session_id))
    refused(100602, "nothing is held", lambda: calls.void(session_id))
    # And all of it was told
    shop.is_told(
        session_id,
        "session.created",
        "session.paid",
        "session.captured",
        "session.captured",
        "session.voided",
        "session.completed",
    )
    told = [letter["payload"].get("holdData") for letter in shop.running.letters(session_id)]
    moves = [(one["what"], one["amount"], one["fee"]) for one in told if one]
    assert moves == [
        ("captured", 4_000_000, 8_000),
        ("captured", 2_500_000, 5_000),
        ("voided", 3_500_000, 0),
    ]


@pytest.mark.parametrize("way", [Way.APPROVE, Way.PERMIT, Way.PERMIT2])
def test_the_price_is_the_merchants_when_the_fee_is_on_top(shop: Shop, way: Way) -> None:
    received = shop.balance()
    session_id = shop.session(capture_method="manual", fee_model=2)
    paid = shop.pays(session_id, USDC, way)
    assert paid.total == 10_020_000
    shop.reaches(session_id, "paid")
    shop.client.checkout_session.capture(session_id)
    shop.reaches(session_id, "completed")
    assert shop.balance() - received >= 10_000_000


def test_the_book_is_what_the_chains_say_of_holds(shop: Shop) -> None:
    outcome = asyncio.run(reconciled(shop.running))
    assert (outcome.differences, outcome.unread) == ((), ())
    assert outcome.sessions


def test_what_nobody_captured_goes_back_whole(shop: Shop) -> None:
    payer = shop.visits(_address)
    had, received = balance_of(shop, payer), shop.balance()
    session_id = shop.session(capture_method="manual")
    shop.pays(session_id, USDC, Way.ERC3009)
    shop.reaches(session_id, "paid")
    shop.client.checkout_session.void(session_id)
    shop.reaches(session_id, "cancelled")
    assert amounts(shop, session_id) == (10_000_000, 0, 10_000_000, 0)
    assert (balance_of(shop, payer), shop.balance()) == (had, received)
    shop.is_told(
        session_id, "session.created", "session.paid", "session.voided", "session.cancelled"
    )
    account = shop.client.account.detail(shop.running.account_id)
    assert address_from_text(account.account_address) != payer
