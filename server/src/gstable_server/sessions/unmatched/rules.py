"""What is unusual about money, and what can be done about it: pure functions of what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gstable_server.chain.deposits import NATIVE
from gstable_server.chain.inbound import DUST
from gstable_server.kernel.money import Asset, Money, micro_usd_rounded_down
from gstable_server.sessions.deposits.model import Deposit
from gstable_server.sessions.model import Flag, Payment, PaymentState, Session, SessionState
from gstable_server.sessions.refunds.model import COUNTED, Refund, RefundState, obstacle, remaining
from gstable_server.sessions.unmatched import machine
from gstable_server.sessions.unmatched.machine import Fact
from gstable_server.sessions.unmatched.model import Act, How, Inflow, Source, State, Why

_OFF_CHAIN = frozenset({PaymentState.REVERTED, PaymentState.LOST})
TOOK = frozenset({PaymentState.SEEN, PaymentState.FINAL, PaymentState.RETURNED})
"""The states of a payment that took what was at a deposit address: what a rail gives back comes
there anew."""
AT_A_CONTRACT = "is at a contract of ours, of which no function gives it out"
NOT_AT_AN_ADDRESS = "is not at a deposit address"


def spread(inflows: Sequence[Inflow], collected: int, returned: int) -> list[Inflow]:
    """What left one deposit address in one token, told apart by what came in: first come, first
    gone. What left beyond all that came in is nobody's, because dust is not always told of."""
    told = []
    for inflow in inflows:
        taken = min(inflow.amount, collected)
        back = min(inflow.amount - taken, returned)
        collected, returned = collected - taken, returned - back
        told.append(replace(inflow, collected=taken, returned=back))
    return told


# --- flags ----------------------------------------------------------------------------------------


def flags_of_payment(payment: Payment) -> frozenset[Why]:
    """A payment's own flags, but for that it was accepted."""
    return frozenset(Why(flag.value) for flag in payment.flags - {Flag.ACCEPTED})


def flags_of_stray(inflow: Inflow) -> frozenset[Why]:
    """Of what somebody sent to a contract of ours."""
    return frozenset({Why.STRAY, Why.UNMATCHED}) | _worth(inflow)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a session asks of a transfer: ``due`` atomic units of the token pay it, None where
    nothing in that token does; ``network_pays`` whether any token of that network would."""

    due: int | None
    network_pays: bool


def flags_of_deposit(
    inflow: Inflow, there: int, session: Session, ask: Ask, *, paid: bool
) -> frozenset[Why]:
    """Of what came to a deposit address, of which ``there`` is in all. ``paid``: whether a payment
    stands that pays the session."""
    flags = set(_worth(inflow))
    if inflow.token == NATIVE:
        return frozenset(flags)
    if ask.due is None:
        known = inflow.decimals is not None
        flags.add(Why.WRONG_CHAIN if known and not ask.network_pays else Why.WRONG_TOKEN)
    if inflow.arrived_at > session.expires_at or session.state is SessionState.CANCELLED:
        flags.add(Why.LATE)
    if ask.due is None:
        return frozenset(flags)
    if paid:
        flags.add(Why.OVER if inflow.collected else Why.DUPLICATE)
    elif there < ask.due:
        flags.add(Why.UNDER)
    return frozenset(flags)


def _worth(inflow: Inflow) -> set[Why]:
    if inflow.token == NATIVE:
        return {Why.COIN}
    if inflow.decimals is None:
        return {Why.UNKNOWN_TOKEN}
    money = Money(inflow.amount, Asset(inflow.token_id, inflow.decimals))
    return {Why.DUST} if micro_usd_rounded_down(money) < DUST else set()


# --- what is the case -----------------------------------------------------------------------------


def fact_of_payment(payment: Payment, refunds: Sequence[Refund]) -> tuple[Fact, How | None]:
    """Where an unusual payment stands, and what became of it."""
    if payment.state in _OFF_CHAIN:
        return Fact.TAKEN_BACK, None
    if payment.state is PaymentState.RETURNED or _went_back_from_hold(payment):
        return Fact.USED_UP, How.RETURNED
    if Flag.ACCEPTED in payment.flags:
        return Fact.USED_UP, How.ACCEPTED
    if not payment.flags:
        return Fact.USED_UP, How.COLLECTED
    given = sum(one.terms.amount for one in _of(payment, refunds) if _is_done(one))
    if given and given >= payment.received:
        return Fact.USED_UP, How.REFUNDED
    return Fact.LEFT_OVER, None


def _went_back_from_hold(payment: Payment) -> bool:
    """Whether all of a held payment was given back to its payer."""
    return payment.hold is not None and not payment.hold.captured and not payment.remaining


def fact_of_deposit(inflow: Inflow, session: Session, ask: Ask) -> tuple[Fact, How | None]:
    """Where money at a deposit address stands, that is in a block."""
    if not inflow.left:
        went_back = inflow.returned or inflow.source is Source.COIN
        return Fact.USED_UP, How.RETURNED if went_back else How.COLLECTED
    awaited = session.state is SessionState.INITIALIZED and ask.due is not None
    return (Fact.AWAITED if awaited else Fact.LEFT_OVER), None


def _of(payment: Payment, refunds: Sequence[Refund]) -> list[Refund]:
    return [one for one in refunds if one.payment_id == payment.payment_id]


def _is_done(refund: Refund) -> bool:
    return refund.state is RefundState.COMPLETED


# --- what can be done -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides about the resolutions of an inflow; ``owner_known``: whether it is known whose
    wallet a payment without a session went to; ``on_its_way``: a return is staged."""

    payment: Payment | None = None
    refunds: Sequence[Refund] = ()
    deposit: Deposit | None = None
    owner_known: bool = False
    on_its_way: bool = False


def resolutions(inflow: Inflow, known: Circumstances, now: datetime) -> Mapping[Act, str | None]:
    """Every resolution with what stands in its way, None where it is possible."""
    found = {
        Act.ACCEPT: _why_not_accept(inflow, known),
        Act.REFUND: _why_not_refund(inflow, known),
        Act.SWEEP: _why_not_sweep(inflow, known, now),
        Act.DISMISS: None,
    }
    asked = {
        Act.ACCEPT: Fact.ACCEPT_ASKED,
        Act.REFUND: Fact.BEGUN,
        Act.SWEEP: Fact.BEGUN,
        Act.DISMISS: Fact.DISMISS_ASKED,
    }
    for act, fact in asked.items():
        answer = machine.decide(inflow.state, fact)
        if isinstance(answer, machine.Refuse):
            found[act] = answer.reason
    return found


def _elsewhere(inflow: Inflow) -> str:
    if inflow.session_id is None:
        return AT_A_CONTRACT
    return "is at the session's deposit address, not in the merchant's wallet"


def _why_not_accept(inflow: Inflow, known: Circumstances) -> str | None:
    payment = known.payment
    if payment is None:
        return _elsewhere(inflow)
    if payment.session_id is None and not known.owner_known:
        return "went to a wallet that is no merchant's here"
    if any(one.state in COUNTED for one in _of(payment, known.refunds)):
        return "goes back, or went back in part"
    return _obstacle(payment)


def _why_not_refund(inflow: Inflow, known: Circumstances) -> str | None:
    payment = known.payment
    if payment is None:
        return _elsewhere(inflow)
    if payment.session_id is None:
        return "belongs to no session: only the wallet's owner can send it back"
    if problem := _obstacle(payment):
        return problem
    return None if remaining(payment, known.refunds) else "was given back"


def _obstacle(payment: Payment) -> str | None:
    problem = obstacle(payment) or ""
    return (
        problem.removeprefix("names a payment that ").replace("names a payment whose", "its")
        or None
    )


def _why_not_sweep(inflow: Inflow, known: Circumstances, now: datetime) -> str | None:
    if inflow.source is Source.PAYMENT:
        return NOT_AT_AN_ADDRESS
    deposit = known.deposit
    if deposit is None:
        return AT_A_CONTRACT
    if now <= deposit.refundable_after:
        return f"can go back only after {deposit.refundable_after:%Y-%m-%d %H:%M:%S} UTC"
    return "is on its way back" if known.on_its_way else None


def is_waiting(inflow: Inflow) -> bool:
    """Whether a person has to look at it."""
    return inflow.state in {State.OPEN, State.RESOLVING}
