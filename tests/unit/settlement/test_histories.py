"""Histories of crossings, fact by fact: what is told, what counts as coming closer, and whose each
log is. Pure: the machine alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    EscrowWhat,
    Fact,
    FactWhat,
    PaymentLog,
    RailName,
)
from gstable_server.kernel.address import Address
from gstable_server.settlement import machine
from gstable_server.settlement.machine import News
from gstable_server.settlement.model import Case, Ends, Settlement, Stage

S, F, R, L = FactWhat.SEEN, FactWhat.FINAL, FactWhat.REORGED, FactWhat.LOST
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MERCHANT, RECEIVED = Address(b"\x05" * 20), Address(b"\x08" * 20)
SOURCE, TARGET = 1337137, 1338453
KEY = b"\x03" * 32


def _at(number: int) -> dict[str, Any]:
    """The place of a log, all of it named by one number."""
    name = number.to_bytes(32, "big")
    return {
        "tx_hash": name,
        "log_position": 0,
        "block_number": number,
        "block_hash": name,
        "block_time": START,
        "session_key": KEY,
    }


def payment(number: int = 1, rail: RailName = RailName.ESCROW) -> PaymentLog:
    return PaymentLog(
        network="polygon",
        chain_id=SOURCE,
        **_at(number),
        payer=Address(b"\x04" * 20),
        merchant=MERCHANT,
        token=Address(b"\x06" * 20),
        amount=100,
        fee_received=1,
        fee_receiver=Address(b"\x07" * 20),
        rail=rail,
        rail_data=b"",
        settlement_chain_id=TARGET,
        settlement_token=RECEIVED,
        merchant_amount=99,
        merchant_received=0,
    )


def delivery(number: int, rail: RailName = RailName.ESCROW) -> DeliveryLog:
    return DeliveryLog(
        network="base",
        chain_id=TARGET,
        **_at(number),
        rail=rail,
        merchant=MERCHANT,
        token=RECEIVED,
        amount=99,
        fee=0,
        reference=b"\x0c" * 32,
        solver=None,
        source_chain_id=SOURCE,
    )


def escrow(number: int, what: EscrowWhat, network: str = "polygon") -> EscrowLog:
    return EscrowLog(
        network=network,
        chain_id=SOURCE,
        **_at(number),
        order_id=b"\x0d" * 32,
        what=what,
        receiver=Address(b"\x04" * 20),
        token=Address(b"\x06" * 20),
        amount=100,
    )


class History:
    """Facts of one session a minute apart, and what was told after the last one."""

    def __init__(self) -> None:
        self.case = Case()
        self.now = START
        self.news: list[News] = []

    def hear(self, what: FactWhat, log: ChainLog) -> list[str]:
        self.now += timedelta(minutes=1)
        self.case, self.news = machine.decide(self.case, Fact(what, log), lambda *_: True, self.now)
        return [one.event for one in self.news]

    def set(self, **changes: object) -> None:
        """As the rail's work leaves the first crossing between two facts."""
        first = replace(self.case.settlements[0], **changes)  # type: ignore[arg-type]
        self.case = replace(self.case, settlements=(first, *self.case.settlements[1:]))

    @property
    def first(self) -> Settlement:
        return self.case.settlements[0]

    def hangs(self) -> bool:
        return self.first.stalled_at is not None

    @property
    def ends(self) -> Ends:
        return machine.ends(self.case, self.first)


@pytest.fixture
def history() -> History:
    return History()


def test_a_crossing_from_its_payment_to_its_end(history: History) -> None:
    paid, brought = payment(), delivery(2)
    assert history.hear(S, paid) == ["settlement.started"]
    assert history.hear(S, brought) == ["settlement.delivered"]
    assert history.hear(F, brought) == []
    assert history.ends.stage is Stage.DELIVERED
    assert history.hear(F, paid) == ["settlement.completed"]
    assert history.hear(S, escrow(3, EscrowWhat.RELEASED)) == []
    assert (history.ends.stage, history.ends.released) == (Stage.COMPLETED, True)


def test_the_clock_is_set_by_what_comes_closer_and_by_nothing_else(history: History) -> None:
    paid, brought = payment(), delivery(2)
    released = escrow(3, EscrowWhat.RELEASED)
    history.hear(S, paid)
    assert history.first.progress_at == history.now
    closer: list[tuple[FactWhat, ChainLog]] = [(F, paid), (S, brought), (F, brought)]
    for what, log in closer:
        history.hear(what, log)
        assert history.first.progress_at == history.now, (what, log)
    at = history.now
    others: list[tuple[FactWhat, ChainLog]] = [
        (F, paid),
        (F, brought),
        (S, released),
        (F, released),
    ]
    for what, log in others:
        history.hear(what, log)
        assert history.first.progress_at == at, (what, log)


def test_a_delivery_that_is_taken_back_starts_the_time_anew(history: History) -> None:
    history.hear(S, payment())
    history.hear(S, delivery(2))
    assert history.hear(R, delivery(2)) == ["settlement.delivery_reverted"]
    assert history.first.progress_at == history.now
    assert history.ends.stage is Stage.CROSSING


def test_news_end_the_waiting_of_the_rail_and_what_is_told_again_does_not(
    history: History,
) -> None:
    history.hear(S, payment())
    history.set(waits=4, done=True)
    history.hear(S, payment())
    assert (history.first.waits, history.first.done) == (4, True)
    history.hear(F, payment())
    assert (history.first.waits, history.first.done) == (0, False)


def test_a_crossing_that_hangs_resumes_once_when_it_is_delivered(history: History) -> None:
    history.hear(S, payment())
    history.hear(F, payment())
    settlement, told = machine.stalled(history.ends, history.now)
    assert told == News("settlement.stalled", replace(history.ends, settlement=settlement))
    assert settlement.stalled_at == history.now
    history.set(stalled_at=settlement.stalled_at)
    assert history.hear(S, escrow(3, EscrowWhat.RELEASED)) == []
    assert history.hangs()
    assert history.hear(S, delivery(2)) == ["settlement.resumed", "settlement.delivered"]
    assert not history.hangs()
    assert [one.ends.settlement for one in history.news] == [history.first] * 2
    assert history.hear(F, delivery(2)) == ["settlement.completed"]


def test_a_return_ends_the_hanging_without_resuming(history: History) -> None:
    taken = escrow(3, EscrowWhat.RECLAIMED)
    history.hear(S, payment())
    history.hear(F, payment())
    history.set(stalled_at=history.now)
    assert history.hear(S, taken) == []
    assert history.hangs()
    assert history.hear(F, taken) == ["settlement.returned"]
    assert not history.hangs()
    assert history.first.progress_at == history.now


def test_a_payment_that_is_off_the_chain_does_not_hang(history: History) -> None:
    history.hear(S, payment())
    at = history.now
    history.set(stalled_at=history.now)
    assert history.hear(R, payment()) == []
    assert not history.hangs()
    assert history.first.progress_at == at
    assert history.hear(L, payment()) == []
    assert history.ends.stage is Stage.ABANDONED
    history.hear(S, payment())
    assert history.first.progress_at == history.now


def test_each_block_that_a_payment_comes_into_counts_and_says_what_counts(
    history: History,
) -> None:
    paid = payment()
    again = replace(paid, block_number=9, block_hash=b"\x09" * 32, amount=101)
    history.hear(S, paid)
    history.hear(S, again)
    assert (history.first.times_mined, history.first.payment) == (1, paid)
    history.hear(R, paid)
    history.hear(S, again)
    assert (history.first.times_mined, history.first.payment) == (2, again)
    history.hear(F, paid)
    assert (history.first.times_mined, history.first.payment) == (2, again)


def test_the_same_of_a_delivery_and_the_book_can_tell_the_two_apart(history: History) -> None:
    brought = delivery(2)
    again = replace(brought, block_number=9, block_hash=b"\x09" * 32)
    history.hear(S, payment())
    history.hear(S, brought)
    first = history.ends.delivery
    history.hear(R, brought)
    assert history.hear(S, again) == ["settlement.delivered"]
    second = history.ends.delivery
    assert first is not None
    assert second is not None
    assert (first.log, first.times_mined) == (brought, 1)
    assert (second.log, second.times_mined) == (again, 2)
    assert first.cause != second.cause
    history.hear(F, brought)
    [leg] = history.case.legs
    assert (leg.log, leg.times_mined) == (again, 2)


def test_of_two_deliveries_the_final_one_counts_else_the_later_name(history: History) -> None:
    early, late = delivery(2), delivery(3)
    history.hear(S, payment())
    history.hear(S, late)
    history.hear(S, early)
    assert history.ends.delivery is not None
    assert history.ends.delivery.log == late
    history.hear(F, early)
    assert history.ends.delivery.log == early


def test_a_payment_that_replaces_another_takes_its_delivery_over(history: History) -> None:
    one, other = payment(1), payment(2)
    history.hear(S, one)
    history.hear(S, delivery(3))
    assert history.hear(S, other) == [
        "settlement.delivery_reverted",
        "settlement.started",
        "settlement.delivered",
    ]
    assert [known.name for known in history.case.settlements] == [one.object_id, other.object_id]
    history.hear(R, other)
    assert history.case.legs[0].payment == one.object_id
    history.hear(R, one)
    assert history.case.legs[0].payment == other.object_id
    assert [known.name for known in history.case.settlements] == [one.object_id, other.object_id]


@pytest.mark.parametrize(
    ("rail", "network", "belongs"),
    [
        (RailName.ESCROW, "polygon", True),
        (RailName.ESCROW, "base", False),
        (RailName.CCTP, "polygon", False),
    ],
)
def test_money_leaves_the_escrow_of_a_crossing_only_where_it_lies(
    history: History, rail: RailName, network: str, belongs: bool
) -> None:
    history.hear(S, payment(rail=rail))
    history.hear(S, escrow(3, EscrowWhat.RELEASED, network))
    assert history.ends.released is belongs
