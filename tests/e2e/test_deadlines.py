"""What happens when time is over, at an installation where that is soon.

What has to be done before a deadline is done for all tests at the beginning, so that they wait
together, and the time is long enough on a busy machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gstable import GStableError, LineItemInput
from gstable_server.chain.checksum import to_checksum
from gstable_server.cli.payer import PaymentFailed
from gstable_server.cli.robot.scenarios import Scenario, play
from gstable_server.cli.robot.stage import open_stage
from gstable_server.kernel.address import Address
from gstable_server.reconciliation.model import Outcome
from gstable_server.routing.model import Way
from tests.e2e.operator import Operator
from tests.e2e.reconciled import reconciled
from tests.e2e.shop import Shop
from tests.e2e.test_deposits import PAID, address_of, balance_of, deposit, transfer
from tests.e2e.test_holds import amounts, is_left
from tests.e2e.test_test_mode import environment, types_told
from tests.running import eventually, running_stack

POLYGON, BASE = "polygon::usdc", "base::usdc"
BISCUIT: LineItemInput = {
    "item_type": "one_time",
    "quantity": 1,
    "unit_price": 500_000,
    "product_data": {"product_name": "Biscuit"},
}
SETTINGS = {
    "GSTABLE_SESSION_SECONDS": "40",
    "GSTABLE_ORDER_GRACE_SECONDS": "5",
    "GSTABLE_CAPTURE_SECONDS": "5",
    "GSTABLE_STALL_SECONDS": "1",
}


@dataclass(frozen=True)
class Begun:
    """What a payer did for a session while there was time, and what he had before."""

    payer: Address
    had: tuple[int, int]
    """On Polygon and on Base, in atomic units."""
    session_id: str
    found: dict[str, Any]
    """The deposit that the page told of."""


@pytest.fixture(scope="module")
def hasty() -> Iterator[Shop]:
    with running_stack(**SETTINGS) as running, running.client() as client:
        yield Shop(running, client)


@pytest.fixture(scope="module")
def received(hasty: Shop) -> int:
    """What the merchant had on Polygon at the beginning, in atomic units."""
    return hasty.balance()


@pytest.fixture(scope="module")
def begun(hasty: Shop, received: int) -> dict[str, Begun]:
    """Everything that must not be too late."""
    second, third = replace(hasty, payer_number=1), replace(hasty, payer_number=2)
    return {
        "captured in part": _captures_in_part(third),
        "too much": _sends_too_much(second),
        "elsewhere": _sends_elsewhere(hasty),
        "nothing": _opens(hasty),
    }


def has(shop: Shop, payer: Address) -> tuple[int, int]:
    return balance_of(shop, payer, POLYGON), balance_of(shop, payer, BASE)


def _captures_in_part(shop: Shop) -> Begun:
    payer = shop.visits(address_of)
    had = has(shop, payer)
    session_id = shop.session(capture_method="manual")
    shop.pays(session_id, POLYGON, Way.ERC3009)
    shop.reaches(session_id, "paid")
    shop.client.checkout_session.capture(session_id, amount=3_000_000)
    is_left(shop, session_id, 7_000_000)
    return Begun(payer, had, session_id, {})


def _sends_too_much(shop: Shop) -> Begun:
    """Twice what is due, and the same on another network."""
    payer = shop.visits(address_of)
    had = has(shop, payer)
    session_id = shop.session(fee_model=2)
    found = deposit(shop, session_id, POLYGON)
    transfer(shop, found, POLYGON, 20_040_000)
    shop.reaches(session_id, "completed")
    transfer(shop, found, BASE, 10_060_000)
    return Begun(payer, had, session_id, found)


def _sends_elsewhere(shop: Shop) -> Begun:
    """The right amount on another network, for a session too small to be paid from there."""
    payer = shop.visits(address_of)
    had = has(shop, payer)
    session_id = shop.client.checkout_session.create(
        account_id=shop.running.account_id, settlement_token=POLYGON, line_items=[BISCUIT]
    ).session_id
    found = deposit(shop, session_id, POLYGON)
    with pytest.raises(PaymentFailed):
        deposit(shop, session_id, BASE)
    transfer(shop, found, BASE, 500_000)
    assert had[1] - has(shop, payer)[1] == 500_000
    return Begun(payer, had, session_id, found)


def _opens(shop: Shop) -> Begun:
    payer = shop.visits(address_of)
    session_id = shop.session(fee_model=2)
    return Begun(payer, has(shop, payer), session_id, deposit(shop, session_id, POLYGON))


def test_the_wrong_network_comes_back(hasty: Shop, begun: dict[str, Begun]) -> None:
    # Given a payer who sent the right amount on the wrong network, when the deadline has passed
    one = begun["elsewhere"]
    # Then it comes back, and the session expires unpaid
    eventually(lambda: has(hasty, one.payer)[1] == one.had[1], "the payer has it again")
    row = Operator(hasty).finds("session_id", one.session_id, "resolved")
    assert (set(row["flags"]) & {"wrong_chain", "late"}, row["how"]) == (
        {"wrong_chain"},
        "returned",
    )
    assert hasty.detail(one.session_id).session.status == "expired"
    assert one.found["refundTo"] == to_checksum(one.payer)


def test_what_was_paid_too_much_and_a_second_time_comes_back(
    hasty: Shop, begun: dict[str, Begun]
) -> None:
    # Given a payer who sent twice what was due, and the same on another network
    one = begun["too much"]
    # Then the merchant is paid once, and the rest comes back
    eventually(
        lambda: has(hasty, one.payer) == (one.had[0] - 10_020_000, one.had[1]),
        "the payer has the rest again",
    )
    hasty.is_told(one.session_id, *PAID)


def test_when_time_is_over_the_payer_has_the_rest_again_without_asking(
    hasty: Shop, begun: dict[str, Begun]
) -> None:
    # Given a payment of which 3 USD were captured, when nobody does anything any more
    one = begun["captured in part"]
    hasty.reaches(one.session_id, "completed")
    # Then the rest is with the payer, and nothing can be captured
    assert amounts(hasty, one.session_id) == (10_000_000, 3_000_000, 7_000_000, 0)
    assert one.had[0] - has(hasty, one.payer)[0] == 3_000_000
    told = [letter["payload"].get("holdData") for letter in hasty.running.letters(one.session_id)]
    assert [each["what"] for each in told if each] == ["captured", "reclaimed"]
    with pytest.raises(GStableError, match="could be captured before") as refusal:
        hasty.client.checkout_session.capture(one.session_id)
    assert refusal.value.code == 100601


def test_chn_07_what_comes_to_an_old_address_is_sent_back_by_the_operator(
    hasty: Shop, begun: dict[str, Begun]
) -> None:
    # Given a payer who sends less than is worth the gas, to the address of a session that is over
    one, operator = begun["nothing"], Operator(hasty)
    hasty.reaches(one.session_id, "expired")
    transfer(hasty, one.found, POLYGON, 50_000)
    had, _ = has(hasty, one.payer)
    row = operator.finds("session_id", one.session_id, "open")
    # The block of that very second is not late yet.
    assert set(row["flags"]) | {"late"} == {"late", "under"}

    # When the operator has it sent back, as soon as the address allows
    def allowed() -> bool:
        shown = operator.asks("show", row["inflow_id"])
        return bool(shown["resolutions"]["sweep"]["possible"])

    eventually(allowed, "it can go back")
    operator.asks("sweep", row["inflow_id"], "--reason", "the payer wrote to us")
    # Then the payer has it
    assert operator.finds("session_id", one.session_id, "resolved")["how"] == "returned"
    assert has(hasty, one.payer)[0] - had == 50_000


def test_the_book_is_what_the_chains_say_of_what_went_back(
    hasty: Shop, begun: dict[str, Begun], received: int
) -> None:
    # The merchant has what was captured, and the price of what was paid too much for, once
    assert hasty.balance() - received == 2_994_000 + 10_000_000

    def compared() -> Outcome | None:
        found = asyncio.run(reconciled(hasty.running))
        return None if found.left_out or found.unread else found

    outcome: Outcome = eventually(compared, "all is read and heard")
    assert outcome.differences == ()
    assert outcome.sessions


def test_a_delayed_settlement_is_told_as_pending(hasty: Shop) -> None:
    # Given a server that waits for a rail for a second only
    settings = {**environment(hasty.running), **SETTINGS}
    # When a crossing is attested later than that

    async def delay() -> str:
        async with open_stage(settings) as stage:
            return (await play(Scenario.SETTLEMENT_DELAYED, stage)).session_id

    session_id = asyncio.run(delay())
    # Then the session waits, and says so; later it goes on
    pending = "session.settlement_pending"
    eventually(lambda: pending in types_told(hasty.client, session_id), "it is told")
    told = types_told(hasty.client, session_id)
    assert told[:4] == ["session.created", "session.paid", "session.settling", pending]
