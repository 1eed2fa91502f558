"""Bugs of whoever looks after deposit addresses and holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gstable_server.chain import operations as chain
from gstable_server.sessions.deposits import machine as deposit_machine
from gstable_server.sessions.deposits.machine import Step
from gstable_server.sessions.holds import booking as hold_booking
from gstable_server.sessions.holds import machine as hold_machine
from gstable_server.sessions.holds import operations as holds
from gstable_server.sessions.machine import Fact
from tests.sim.planting import bug, replaced


@bug("collected-while-being-collected")
def collects_again() -> Iterator[None]:
    """What is at an address on two networks is collected on both."""

    def sweeping(_sent: Any, *, wanted: bool, funded: bool, covered: bool) -> Step:
        return Step.SEND if wanted and covered else Step.WAIT

    with replaced(deposit_machine, "sweeping", sweeping):
        yield


@bug("deposit-not-sent-back")
def keeps_what_does_not_pay() -> Iterator[None]:
    def returning(_sent: Any, *, worth: bool) -> Step:
        return Step.WAIT

    with replaced(deposit_machine, "returning", returning):
        yield


@bug("address-not-watched")
def watches_no_address() -> Iterator[None]:
    async def nothing(*_: Any) -> None:
        return None

    with replaced(chain, "watch_receiver", nothing):
        yield


@bug("hold-not-given-back")
def keeps_what_nobody_captured() -> Iterator[None]:
    async def nothing(*_: Any) -> int:
        return 0

    with replaced(holds, "reclaim_due", nothing):
        yield


@bug("completed-while-money-is-held")
def completes_at_the_first_capture() -> Iterator[None]:
    right = hold_machine.outcome

    def outcome(payment: Any, moves: Any) -> Fact | None:
        captured = payment.pays and payment.hold is not None and payment.hold.captured
        return Fact.HOLD_CAPTURED if captured else right(payment, moves)

    with replaced(hold_machine, "outcome", outcome):
        yield


@bug("capture-settled-when-seen")
def settles_what_can_be_taken_back() -> Iterator[None]:
    """What is captured is the merchant's for good as soon as a block has it."""
    right, final = hold_booking.book_seen, hold_booking.book_final

    async def seen(tx: Any, session: Any, token_id: str, move: Any) -> None:
        await right(tx, session, token_id, move)
        await final(tx, session, token_id, move)

    async def nothing(*_: Any) -> None:
        return None

    with (
        replaced(hold_booking, "book_seen", seen),
        replaced(hold_booking, "book_final", nothing),
    ):
        yield


@bug("reverted-capture-not-booked")
def books_no_reverted_capture() -> Iterator[None]:
    async def nothing(*_: Any) -> None:
        return None

    with replaced(hold_booking, "reverse_seen", nothing):
        yield
