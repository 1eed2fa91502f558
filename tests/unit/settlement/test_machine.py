"""The tables of a crossing, every cell of them, and its clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from gstable_server.chain.facts import DeliveryLog, Fact, FactWhat, PaymentLog, RailName
from gstable_server.kernel.address import Address
from gstable_server.settlement import machine
from gstable_server.settlement.machine import IllegalMove, is_stalled, is_tended, moved, retry, wait
from gstable_server.settlement.model import Case, Ends, Settlement, Stage

S, F, R, L = FactWhat.SEEN, FactWhat.FINAL, FactWhat.REORGED, FactWhat.LOST
BUG = None
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LIMIT = timedelta(seconds=120)

# One row a state, one column a fact: seen, final, reorged, lost.
ENDS: dict[FactWhat | None, tuple[FactWhat | None, ...]] = {
    None: (S, BUG, BUG, BUG),
    S: (S, F, R, BUG),
    F: (F, F, BUG, BUG),
    R: (S, BUG, R, L),
    L: (S, BUG, BUG, L),
}
# One row a payment, one column a delivery: none, seen, final.
STAGES: dict[FactWhat, tuple[Stage, ...]] = {
    S: (Stage.CROSSING, Stage.DELIVERED, Stage.DELIVERED),
    F: (Stage.CROSSING, Stage.DELIVERED, Stage.COMPLETED),
    R: (Stage.INTERRUPTED,) * 3,
    L: (Stage.ABANDONED,) * 3,
}


@pytest.mark.parametrize(("state", "what"), list(product(ENDS, FactWhat)))
def test_every_cell_of_an_end(state: FactWhat | None, what: FactWhat) -> None:
    expected = ENDS[state][list(FactWhat).index(what)]
    if expected is BUG:
        with pytest.raises(IllegalMove):
            moved(state, what)
    else:
        assert moved(state, what) is expected


@pytest.mark.parametrize(("source", "delivered"), list(product(FactWhat, (None, S, F))))
def test_every_cell_of_the_stages(source: FactWhat, delivered: FactWhat | None) -> None:
    assert machine.STAGES[source, delivered] is STAGES[source][(None, S, F).index(delivered)]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("session_key", b"\x0f" * 32),
        ("merchant", Address(b"\x0f" * 20)),
        ("token", Address(b"\x0f" * 20)),
        ("chain_id", 5),
        ("rail", RailName.ESCROW),
        ("amount", 99),
    ],
)
def test_only_what_was_promised_is_its_delivery_even_for_a_rail_that_always_says_yes(
    member: str, value: object
) -> None:
    """The rail's word comes on top of the comparison here, not in its place."""
    payment = known().settlement.payment
    log = DeliveryLog(
        network="base",
        chain_id=payment.settlement_chain_id,
        tx_hash=b"\x0a" * 32,
        log_position=0,
        block_number=1,
        block_hash=b"\x0b" * 32,
        block_time=NOW,
        session_key=payment.session_key,
        rail=RailName.CCTP,
        merchant=payment.merchant,
        token=payment.settlement_token,
        amount=99,
        fee=1,
        reference=b"\x0c" * 32,
        solver=None,
        source_chain_id=payment.chain_id,
    )
    changed = replace(log, **{member: value})  # type: ignore[arg-type]
    case, _ = machine.decide(Case(), Fact(S, payment), lambda *_: True, NOW)
    case, _ = machine.decide(case, Fact(S, changed), lambda *_: True, NOW)
    assert (case.legs[0].payment is not None) is (changed == log)


def test_the_tables_have_no_other_cells() -> None:
    assert set(machine.ENDS) == set(product((None, *FactWhat), FactWhat))
    assert set(machine.STAGES) == set(product(FactWhat, (None, S, F)))


def known(source: FactWhat = F, stage: Stage = Stage.CROSSING, **changes: object) -> Ends:
    payment = PaymentLog(
        network="polygon",
        chain_id=1337137,
        tx_hash=b"\x01" * 32,
        log_position=0,
        block_number=1,
        block_hash=b"\x02" * 32,
        block_time=NOW,
        session_key=b"\x03" * 32,
        payer=Address(b"\x04" * 20),
        merchant=Address(b"\x05" * 20),
        token=Address(b"\x06" * 20),
        amount=100,
        fee_received=1,
        fee_receiver=Address(b"\x07" * 20),
        rail=RailName.CCTP,
        rail_data=b"",
        settlement_chain_id=1338453,
        settlement_token=Address(b"\x08" * 20),
        merchant_amount=99,
        merchant_received=0,
    )
    settlement = Settlement(payment, source, progress_at=NOW, **changes)  # type: ignore[arg-type]
    return Ends(settlement, stage, None, released=False)


@pytest.mark.parametrize(
    ("ends", "tended"),
    [
        (known(S), True),
        (known(F), True),
        (known(R, Stage.INTERRUPTED), False),
        (known(L, Stage.ABANDONED), False),
        (known(F, Stage.RETURNED), False),
        (known(F, Stage.COMPLETED), True),
        (known(F, Stage.COMPLETED, done=True), False),
    ],
)
def test_a_rail_is_asked_while_the_payment_stands_and_something_is_left(
    ends: Ends, tended: bool
) -> None:
    assert is_tended(ends) is tended


@pytest.mark.parametrize(
    ("ends", "seconds", "stalls"),
    [
        (known(), 119, False),
        (known(), 120, True),
        (known(S), 10_000, False),
        (known(F, Stage.DELIVERED), 10_000, False),
        (known(F, Stage.RETURNED), 10_000, False),
        (known(R, Stage.INTERRUPTED), 10_000, False),
        (known(stalled_at=NOW), 10_000, False),
    ],
)
def test_only_a_final_payment_that_is_not_delivered_hangs(
    ends: Ends, seconds: int, stalls: bool
) -> None:
    assert is_stalled(ends, NOW + timedelta(seconds=seconds), LIMIT) is stalls


def test_a_waiting_rail_is_asked_less_and_less_often() -> None:
    waits = [wait(known(waits=number).settlement).total_seconds() for number in range(8)]
    assert waits == [0.25, 0.5, 1, 2, 4, 5, 5, 5]
    assert wait(known(waits=10**6).settlement).total_seconds() == 5
    assert wait(known(stalled_at=NOW).settlement).total_seconds() == 60


def test_a_failed_transaction_is_looked_at_again_later_each_time() -> None:
    assert [retry(number).total_seconds() for number in (1, 2, 5, 6, 10**6)] == [2, 4, 32, 60, 60]
