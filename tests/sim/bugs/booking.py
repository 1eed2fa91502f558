"""Bugs of whoever keeps the book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gstable_server.ledger import operations as ledger
from gstable_server.sessions import booking
from tests.sim.planting import bug, replaced


@bug("reversal-not-booked")
def books_no_reversal() -> Iterator[None]:
    with replaced(booking, "unseen", lambda _session, _payment: ()):
        yield


@bug("fee-booked-twice")
def books_the_fee_twice() -> Iterator[None]:
    right = booking.final

    def twice(session: Any, payment: Any) -> Any:
        fee, *rest = right(session, payment)
        return (fee, replace(fee, cause=f"{fee.cause}:again"), *rest)

    with replaced(booking, "final", twice):
        yield


@bug("unusual-money-booked-as-pending")
def books_unusual_money_as_pending() -> Iterator[None]:
    """Late and short money is booked as if it were on its way to become the merchant's."""
    right = booking.merchant_account

    def account(session: Any, payment: Any) -> str:
        return right(session, replace(payment, pays=True))

    with replaced(booking, "merchant_account", account):
        yield


@bug("booked-after-the-change")
def books_in_another_commit() -> Iterator[None]:
    """What cannot be booked at once is left out: the payment stands, its rows do not."""
    right = ledger.post_all

    async def most(tx: Any, transfers: Any) -> Any:
        return await right(tx, [one for one in transfers if not one.cause.endswith(":2")])

    with replaced(ledger, "post_all", most):
        yield


@bug("unsealed-for-ever")
def seals_nothing() -> Iterator[None]:
    async def nothing(_tx: Any) -> int:
        return 0

    with replaced(ledger, "seal", nothing):
        yield
