"""When an emptied hold ends its session, and how."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.chain.facts import HoldLog, HoldWhat, RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.sessions.holds.machine import outcome
from gstable_server.sessions.holds.model import Move, MoveState
from gstable_server.sessions.machine import Fact
from gstable_server.sessions.model import Hold, PaymentState
from tests.unit.sessions.payments import NOW, PAYMENT

SESSION = SessionId("sess_1")
MERCHANT, PAYER = Address(b"\x01" * 20), Address(b"\x02" * 20)
CAPTURED = Hold(capture_before=NOW, captured=100)
HELD = replace(PAYMENT, rail=RailName.HOLD, merchant_received=0, hold=CAPTURED)


def move(state: MoveState) -> Move:
    log = HoldLog(
        network="polygon",
        chain_id=1337137,
        tx_hash=b"\x01" * 32,
        log_position=0,
        block_number=2,
        block_hash=bytes(32),
        block_time=NOW,
        session_key=b"\x07" * 32,
        what=HoldWhat.CAPTURED,
        receiver=MERCHANT,
        token=Address(b"\x0c" * 20),
        amount=100,
        merchant_received=99,
        fee_received=1,
        remaining=0,
    )
    return Move(log, SESSION, state, "merchant")


@pytest.mark.parametrize(
    ("captured", "returned", "fact"),
    [
        (100, 0, Fact.HOLD_CAPTURED),
        (1, 99, Fact.HOLD_CAPTURED),
        (0, 100, Fact.HOLD_RETURNED),
        (99, 0, None),
        (0, 99, None),
    ],
)
def test_all_of_it_has_to_be_gone(captured: int, returned: int, fact: Fact | None) -> None:
    hold = Hold(capture_before=NOW, captured=captured, returned=returned)
    assert outcome(replace(HELD, hold=hold), [move(MoveState.FINAL)]) is fact


def test_a_payment_that_pays_nothing_or_is_not_final_ends_nothing() -> None:
    assert outcome(replace(HELD, pays=False), [move(MoveState.FINAL)]) is None
    for state in set(PaymentState) - {PaymentState.FINAL}:
        assert outcome(replace(HELD, state=state), [move(MoveState.FINAL)]) is None


@pytest.mark.parametrize(
    ("states", "fact"),
    [
        ([MoveState.FINAL, MoveState.FINAL], Fact.HOLD_CAPTURED),
        ([MoveState.FINAL, MoveState.SEEN], None),
        ([MoveState.SEEN], None),
        ([MoveState.FINAL, MoveState.REVERTED, MoveState.LOST], Fact.HOLD_CAPTURED),
    ],
)
def test_what_can_be_taken_back_is_waited_for(states: list[MoveState], fact: Fact | None) -> None:
    assert outcome(HELD, [move(state) for state in states]) is fact
