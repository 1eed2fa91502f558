"""The tables of unmatched money: every state with every fact, and what is unusual about what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from gstable_server.chain.facts import RailName
from gstable_server.sessions.model import Flag, Hold, Payment, PaymentState
from gstable_server.sessions.unmatched.machine import TABLE, Fact, Move, Refuse, Stay, decide
from gstable_server.sessions.unmatched.model import How, State
from gstable_server.sessions.unmatched.rules import fact_of_payment, flags_of_payment
from tests.unit.sessions.payments import NOW, PAYMENT

E, O, R = State.EXPECTED, State.OPEN, State.RESOLVING  # noqa: E741
D, X, G = State.RESOLVED, State.DISMISSED, State.GONE
SAME, NO = "same", "no"
#             awaited  left  used  back  begun nothing accept dismiss
EXPECTED: dict[State, tuple[State | str, ...]] = {
    E: (SAME, O, D, G, NO, SAME, NO, NO),
    O: (E, SAME, D, G, R, SAME, D, X),
    R: (SAME, SAME, D, G, NO, O, NO, NO),
    D: (E, O, SAME, G, NO, SAME, NO, NO),
    X: (SAME, SAME, D, G, R, SAME, D, NO),
    G: (E, O, D, SAME, NO, SAME, NO, NO),
}


@pytest.mark.parametrize(("state", "fact"), list(product(State, Fact)))
def test_every_cell_of_the_table(state: State, fact: Fact) -> None:
    expected = EXPECTED[state][list(Fact).index(fact)]
    answer = decide(state, fact)
    if expected == SAME:
        assert answer == Stay()
    elif expected == NO:
        assert isinstance(answer, Refuse)
        assert answer.reason.split()[0] in {"is", "has"}
    else:
        assert answer == Move(State(expected))


def test_the_chain_and_the_sessions_are_never_refused() -> None:
    told = [Fact.AWAITED, Fact.LEFT_OVER, Fact.USED_UP, Fact.TAKEN_BACK, Fact.CAME_TO_NOTHING]
    assert set(TABLE) == set(State)
    assert all(not isinstance(decide(state, fact), Refuse) for state in State for fact in told)


def payment(**changes: object) -> Payment:
    one = replace(PAYMENT, amount=10, promised=10, merchant_received=10, pays=False)
    one = replace(one, session_id=None, flags=frozenset({Flag.LATE}))
    return replace(one, **changes)  # type: ignore[arg-type]


def held(captured: int, returned: int) -> Payment:
    hold = Hold(capture_before=NOW + timedelta(days=7), captured=captured, returned=returned)
    return payment(rail=RailName.HOLD, merchant_received=0, hold=hold)


@pytest.mark.parametrize(
    ("one", "fact", "how"),
    [
        (payment(), Fact.LEFT_OVER, None),
        (payment(state=PaymentState.SEEN), Fact.LEFT_OVER, None),
        (payment(state=PaymentState.REVERTED), Fact.TAKEN_BACK, None),
        (payment(state=PaymentState.LOST), Fact.TAKEN_BACK, None),
        (payment(state=PaymentState.RETURNED), Fact.USED_UP, How.RETURNED),
        (payment(flags=frozenset({Flag.LATE, Flag.ACCEPTED})), Fact.USED_UP, How.ACCEPTED),
        # Mined again, and simply the payment that was asked for.
        (payment(flags=frozenset()), Fact.USED_UP, How.COLLECTED),
        (held(0, 0), Fact.LEFT_OVER, None),
        (held(0, 10), Fact.USED_UP, How.RETURNED),
        (held(4, 6), Fact.LEFT_OVER, None),
    ],
)
def test_where_a_payment_stands(one: Payment, fact: Fact, how: How | None) -> None:
    assert fact_of_payment(one, ()) == (fact, how)


def test_the_flags_of_payments_are_flags_here() -> None:
    every = payment(flags=frozenset(Flag))
    assert {flag.value for flag in flags_of_payment(every)} == {flag.value for flag in Flag} - {
        "accepted"
    }
