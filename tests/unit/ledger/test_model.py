"""What each kind of transfer books: the accounts, the amounts, and whom it is about."""

from __future__ import annotations

from typing import Any

import pytest

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import MerchantId, SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.ledger import model as book
from gstable_server.ledger.model import Entry, Kind, Transfer
from gstable_server.plumbing.system import SystemIdMint

USDC = "base::usdc"
MERCHANT = MerchantId("ab" * 32)
TENANT = Tenant(MERCHANT, Mode.TEST)
SESSION = SystemIdMint().mint(SessionId)
ABOUT: Any = {"tenant": TENANT, "session_id": SESSION}


def booked(transfer: Transfer) -> dict[str, int]:
    return {entry.account: entry.amount for entry in transfer.entries}


def test_the_names_of_the_accounts() -> None:
    assert book.merchant_pending(MERCHANT) == f"merchant:{MERCHANT}:pending"
    assert book.merchant_settled(MERCHANT) == f"merchant:{MERCHANT}"
    assert book.merchant_exceptional(MERCHANT) == f"merchant:{MERCHANT}:exceptional"
    assert book.in_rail("cctp") == "rail:cctp"
    assert book.conversion("swap") == "conversion:swap"
    assert book.solver(Address(b"\x0a" * 20)) == "solver:0x" + "0a" * 20
    assert book.rail_costs("cctp") == "costs:cctp"


def test_entries_that_do_not_cancel_out_are_no_transfer() -> None:
    with pytest.raises(ValueError, match=r"^the entries of odd do not sum to zero$"):
        Transfer("odd", Kind.PAYMENT, USDC, (Entry("a", 2), Entry("b", -1)))


def test_a_payment_takes_from_the_payers_what_the_others_get() -> None:
    transfer = book.payment("p", USDC, receiver="m", amount=100, fee_amount=3, **ABOUT)
    assert booked(transfer) == {"payers": -103, "m": 100, "fees:pending": 3}
    assert transfer == Transfer("p", Kind.PAYMENT, USDC, transfer.entries, TENANT, SESSION)


def test_a_delivery_with_and_without_costs() -> None:
    transfer = book.delivery(
        "d", USDC, giver="rail:cctp", receiver="m", amount=100, costs=2, rail="cctp", **ABOUT
    )
    assert booked(transfer) == {"rail:cctp": -102, "m": 100, "costs:cctp": 2}
    assert transfer == Transfer("d", Kind.DELIVERY, USDC, transfer.entries, TENANT, SESSION)
    free = book.delivery("d", USDC, giver="g", receiver="m", amount=100, rail="cctp")
    assert booked(free) == {"g": -100, "m": 100}
    assert (free.tenant, free.session_id) == (None, None)


def test_a_final_fee_and_a_final_payment() -> None:
    fee = book.fee_settled("f", USDC, 3, **ABOUT)
    assert booked(fee) == {"fees:pending": -3, "fees": 3}
    assert fee == Transfer("f", Kind.SETTLEMENT, USDC, fee.entries, TENANT, SESSION)
    paid = book.settled("s", USDC, pending="m:pending", final="m", amount=100, **ABOUT)
    assert booked(paid) == {"m:pending": -100, "m": 100}
    assert paid == Transfer("s", Kind.SETTLEMENT, USDC, paid.entries, TENANT, SESSION)
    nothing = book.settled("s", USDC, pending="m", final="m", amount=100, **ABOUT)
    assert nothing == Transfer("s", Kind.SETTLEMENT, USDC, (), TENANT, SESSION)


def test_entries_of_nothing_are_left_out() -> None:
    entries = (Entry("a", -1), Entry("b", 0), Entry("c", 1))
    transfer = book.moved("m", Kind.RELEASE, USDC, *entries, **ABOUT)
    assert transfer == Transfer(
        "m", Kind.RELEASE, USDC, (Entry("a", -1), Entry("c", 1)), TENANT, SESSION
    )


def test_a_reversal_takes_back_every_entry_and_names_what_it_reverses() -> None:
    transfer = book.payment("p", USDC, receiver="m", amount=100, fee_amount=3, **ABOUT)
    assert transfer.reversed_by("r") == Transfer(
        "r",
        Kind.REVERSAL,
        USDC,
        (Entry("payers", 103), Entry("m", -100), Entry("fees:pending", -3)),
        TENANT,
        SESSION,
        "p",
    )
