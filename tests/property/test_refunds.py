"""Whatever merchants ask, send, give up and have taken back: what is set aside and given back of a
payment never exceeds what arrived, but for what was sent after it had been given up."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import RefundId, SessionId
from gstable_server.kernel.money import Asset, MicroUsd
from gstable_server.sessions.model import Payment
from gstable_server.sessions.refunds import machine
from gstable_server.sessions.refunds.model import (
    COUNTED,
    LIFETIME,
    WATCHED_AFTER,
    Refund,
    RefundState,
    Terms,
    remaining,
)
from tests.unit.sessions.payments import NOW, PAYMENT

FACTS = [
    machine.Fact.TRANSFER_SEEN,
    machine.Fact.TRANSFER_FINAL,
    machine.Fact.TRANSFER_REVERTED,
    machine.Fact.TIME_PASSED,
    machine.Fact.CANCEL_REQUESTED,
]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("prepare"), st.integers(1, 120)),
        st.tuples(st.sampled_from(FACTS), st.integers(0, 8)),
    ),
    max_size=60,
)


def payment_of(received: int) -> Payment:
    return replace(PAYMENT, amount=received, promised=received, merchant_received=received)


def refund_of(number: int, amount: int) -> Refund:
    asset = Asset("polygon::usdc", 6)
    return Refund(
        refund_id=RefundId(f"rfd_{number}"),
        session_id=SessionId("sess_1"),
        payment_id=PAYMENT.payment_id,
        terms=Terms(
            network="polygon",
            chain_id=1337137,
            token_id=asset.token_id,
            token=Address(b"\x0c" * 20),
            decimals=asset.decimals,
            sender=Address(b"\x77" * 20),
            receiver=Address(b"\x01" * 20),
            amount=amount,
        ),
        amount=MicroUsd(amount),
        reason=None,
        state=RefundState.PREPARED,
        expires_at=NOW + LIFETIME,
        watched_until=NOW + LIFETIME + WATCHED_AFTER,
        created_at=NOW,
    )


@settings(max_examples=300, deadline=None)
@given(received=st.integers(1, 200), steps=STEPS)
def test_given_back_is_never_more_than_arrived(received: int, steps: list[tuple[str, int]]) -> None:
    payment, refunds = payment_of(received), list[Refund]()
    sent_after_giving_up: set[str] = set()
    for what, number in steps:
        if what == "prepare":
            if number <= remaining(payment, refunds):
                refunds.append(refund_of(len(refunds), number))
        elif number < len(refunds):
            refund = refunds[number]
            assert isinstance(what, machine.Fact)
            try:
                answer = machine.decide(refund.state, what)
            except machine.IllegalMove:
                continue
            if isinstance(answer, machine.Move):
                if refund.state in {RefundState.EXPIRED, RefundState.CANCELLED}:
                    sent_after_giving_up.add(refund.refund_id)
                refunds[number] = replace(refund, state=answer.state)
        counted = [refund for refund in refunds if refund.state in COUNTED]
        regular = [one for one in counted if one.refund_id not in sent_after_giving_up]
        assert sum(refund.terms.amount for refund in regular) <= received
        total = sum(refund.terms.amount for refund in counted)
        assert remaining(payment, refunds) == max(received - total, 0)
