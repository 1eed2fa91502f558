"""How a crossing moves: pure functions of what is known and one fact, with their tables as data.

Each end has a small table of its own (``ENDS``), because the two networks know nothing of each
other; what a pair of ends means is another (``STAGES``). Whatever the order in which facts are
heard, the same facts lead to the same stage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gstable_server.chain.facts import (
    DeliveryLog,
    EscrowLog,
    EscrowWhat,
    Fact,
    FactWhat,
    PaymentLog,
    RailName,
)
from gstable_server.settlement.model import (
    STANDING,
    Case,
    Delivers,
    Ends,
    Leg,
    Settlement,
    Stage,
)


class IllegalMove(AssertionError):
    """A fact reached a state that it cannot reach: a bug of ours, or of the indexer."""


_SEEN, _FINAL, _REORGED, _LOST = FactWhat

ENDS: dict[tuple[FactWhat | None, FactWhat], FactWhat | None] = {
    (None, _SEEN): _SEEN,
    (None, _FINAL): None,
    (None, _REORGED): None,
    (None, _LOST): None,
    (_SEEN, _SEEN): _SEEN,
    (_SEEN, _FINAL): _FINAL,
    (_SEEN, _REORGED): _REORGED,
    (_SEEN, _LOST): None,
    (_FINAL, _SEEN): _FINAL,
    (_FINAL, _FINAL): _FINAL,
    (_FINAL, _REORGED): None,
    (_FINAL, _LOST): None,
    (_REORGED, _SEEN): _SEEN,
    (_REORGED, _FINAL): None,
    (_REORGED, _REORGED): _REORGED,
    (_REORGED, _LOST): _LOST,
    (_LOST, _SEEN): _SEEN,
    (_LOST, _FINAL): None,
    (_LOST, _REORGED): None,
    (_LOST, _LOST): _LOST,
}
"""(the last fact about a log, the new one) → the state of that log; the same state for a fact that
is told again. None is impossible: the indexer tells of one log in order, and halts before it takes
a final one back."""

STAGES: dict[tuple[FactWhat, FactWhat | None], Stage] = {
    (_SEEN, None): Stage.CROSSING,
    (_SEEN, _SEEN): Stage.DELIVERED,
    (_SEEN, _FINAL): Stage.DELIVERED,
    (_FINAL, None): Stage.CROSSING,
    (_FINAL, _SEEN): Stage.DELIVERED,
    (_FINAL, _FINAL): Stage.COMPLETED,
    (_REORGED, None): Stage.INTERRUPTED,
    (_REORGED, _SEEN): Stage.INTERRUPTED,
    (_REORGED, _FINAL): Stage.INTERRUPTED,
    (_LOST, None): Stage.ABANDONED,
    (_LOST, _SEEN): Stage.ABANDONED,
    (_LOST, _FINAL): Stage.ABANDONED,
}
"""(the payment, the delivery that stands) → the stage. A final return to the payer makes CROSSING
into RETURNED."""


@dataclass(frozen=True, slots=True)
class News:
    """An event to tell of a crossing, with what is known of it now."""

    event: str
    ends: Ends


def moved(state: FactWhat | None, what: FactWhat) -> FactWhat:
    """The state of a log after ``what``. Raises ``IllegalMove``."""
    after = ENDS[state, what]
    if after is None:
        raise IllegalMove(f"{what} after {state}")
    return after


def decide(case: Case, fact: Fact, delivers: Delivers, now: datetime) -> tuple[Case, list[News]]:
    """What is known after ``fact``, and what is to be told, in order."""
    known = _with_fact(case, fact, now)
    joined = replace(known, legs=tuple(_joined(known, leg, delivers) for leg in known.legs))
    settlements, news = [], []
    for settlement in joined.settlements:
        before = case.settlement(settlement.name)
        told_before = ends(case, before) if before else None
        after, told = _told(told_before, ends(joined, settlement), now)
        settlements.append(after)
        news += told
    return replace(joined, settlements=tuple(settlements)), news


def _with_fact(case: Case, fact: Fact, now: datetime) -> Case:
    log = fact.log
    if isinstance(log, PaymentLog):
        found = case.settlement(log.object_id) or Settlement(log, None, progress_at=now)
        settled = _source_moved(found, log, fact.what)
        others = tuple(one for one in case.settlements if one.name != settled.name)
        if len(others) == len(case.settlements):
            return replace(case, settlements=(*others, settled))
        place = case.settlements.index(found)
        return replace(case, settlements=(*others[:place], settled, *others[place:]))
    assert isinstance(log, (DeliveryLog, EscrowLog)), "flow hands over nothing else"
    known = next((leg for leg in case.legs if leg.log.object_id == log.object_id), Leg(log))
    leg = _leg_moved(known, log, fact.what)
    return replace(case, legs=(*(one for one in case.legs if one is not known), leg))


def _source_moved(found: Settlement, log: PaymentLog, what: FactWhat) -> Settlement:
    state = moved(found.source, what)
    again = state is FactWhat.SEEN and found.source is not FactWhat.SEEN
    # What a block says of the payment is what counts, and each block may say something else.
    return replace(
        found,
        payment=log if again else found.payment,
        source=state,
        times_mined=found.times_mined + again,
    )


def _leg_moved(known: Leg, log: DeliveryLog | EscrowLog, what: FactWhat) -> Leg:
    state = moved(known.state, what)
    again = state is FactWhat.SEEN and known.state is not FactWhat.SEEN
    return replace(
        known,
        log=log if again else known.log,
        state=state,
        times_mined=known.times_mined + again,
    )


def _joined(case: Case, leg: Leg, delivers: Delivers) -> Leg:
    """The leg with the crossing that it belongs to. Of several, as after a payment was replaced
    by another, the one whose payment stands; else the newest."""
    owners = [one for one in case.settlements if _belongs(leg, one, delivers)]
    standing = [one for one in owners if one.source in STANDING]
    names = [one.name for one in standing or owners]
    return replace(leg, payment=names[-1] if names else None)


def _belongs(leg: Leg, settlement: Settlement, delivers: Delivers) -> bool:
    payment, log = settlement.payment, leg.log
    if log.session_key != payment.session_key:
        return False
    if isinstance(log, EscrowLog):
        return payment.rail is RailName.ESCROW and log.network == payment.network
    # Anybody may burn or fill for a session that is not theirs: only the money that was promised
    # is its delivery.
    return (
        log.rail is payment.rail
        and log.chain_id == payment.settlement_chain_id
        and log.token == payment.settlement_token
        and log.merchant == payment.merchant
        and delivers(payment, log)
    )


def ends(case: Case, settlement: Settlement) -> Ends:
    """What the logs say of one crossing."""
    assert settlement.source is not None, "a crossing begins with a payment"
    legs = [leg for leg in case.legs_of(settlement.name) if leg.stands]
    delivery = _best(leg for leg in legs if isinstance(leg.log, DeliveryLog))
    stage = STAGES[settlement.source, delivery.state if delivery else None]
    taken = [leg for leg in legs if leg.is_escrow(EscrowWhat.RECLAIMED)]
    if stage is Stage.CROSSING and any(leg.state is FactWhat.FINAL for leg in taken):
        stage = Stage.RETURNED
    released = any(leg.is_escrow(EscrowWhat.RELEASED) for leg in legs)
    return Ends(settlement, stage, delivery, released)


def _best(legs: Iterable[Leg]) -> Leg | None:
    return max(legs, key=lambda leg: (leg.state is FactWhat.FINAL, leg.cause), default=None)


def _told(before: Ends | None, after: Ends, now: datetime) -> tuple[Settlement, list[News]]:
    """The crossing with its clock set, and what is to be told of its move."""
    if after == before:
        return after.settlement, []
    settlement = replace(after.settlement, done=False, waits=0)
    events = []
    if before is None:
        events.append("settlement.started")
    if _came_closer(before, after):
        if settlement.stalled_at and after.stage is not Stage.RETURNED:
            events.append("settlement.resumed")
        settlement = replace(settlement, progress_at=now, stalled_at=None)
    elif settlement.source not in STANDING:
        # Off the chain nothing is expected of the rail; a return starts its time anew.
        settlement = replace(settlement, stalled_at=None)
    events += _of_delivery(before.delivery if before else None, after.delivery)
    if after.stage is not (before.stage if before else None) and after.stage in _ENDINGS:
        events.append(_ENDINGS[after.stage])
    known = replace(after, settlement=settlement)
    return settlement, [News(event, known) for event in events]


_ENDINGS = {
    Stage.COMPLETED: "settlement.completed",
    Stage.RETURNED: "settlement.returned",
}


def _came_closer(before: Ends | None, after: Ends) -> bool:
    """Whether the payment or the delivery stands better, or starts anew, than before."""
    if before is None or after.stage is Stage.RETURNED:
        return True
    was, is_now = before.settlement, after.settlement
    if is_now.source in STANDING and is_now.source is not was.source:
        return True
    if before.delivery and not after.delivery:
        return True
    return after.delivery is not None and after.delivery != before.delivery


def _of_delivery(before: Leg | None, after: Leg | None) -> list[str]:
    if (before.cause if before else None) == (after.cause if after else None):
        return []
    taken = ["settlement.delivery_reverted"] if before else []
    return [*taken, "settlement.delivered"] if after else taken


# --- the rail's work ------------------------------------------------------------------------------

WAIT_FIRST = timedelta(milliseconds=250)
WAIT_MAX = timedelta(seconds=5)
WAIT_STALLED = timedelta(seconds=60)
RETRY_MAX = timedelta(seconds=60)


def is_tended(known: Ends) -> bool:
    """Whether the rail is to be asked for the next step."""
    settlement = known.settlement
    if settlement.done or known.stage is Stage.RETURNED:
        return False
    return settlement.source in STANDING


def wait(settlement: Settlement) -> timedelta:
    """How long until the rail is asked again, after it only said to wait: longer each time."""
    if settlement.stalled_at:
        return WAIT_STALLED
    # The bound only keeps the power small.
    return min(WAIT_MAX, WAIT_FIRST * (1 << min(settlement.waits, 8)))


def retry(attempt: int) -> timedelta:
    """How long after a transaction of ours failed until the rail is asked whether somebody else
    was faster; ``attempt`` failures so far."""
    return min(RETRY_MAX, timedelta(seconds=1) * (1 << min(attempt, 8)))


def is_stalled(known: Ends, now: datetime, limit: timedelta) -> bool:
    """Whether a rail had ``limit`` time to deliver a final payment, and did not.

    Confirmations of either network are not the rail's to give, so their time does not count.
    """
    settlement = known.settlement
    return (
        known.stage is Stage.CROSSING
        and settlement.source is FactWhat.FINAL
        and settlement.stalled_at is None
        and now - settlement.progress_at >= limit
    )


def stalled(known: Ends, now: datetime) -> tuple[Settlement, News]:
    """The crossing as one that hangs, and the event that tells of it, once."""
    settlement = replace(known.settlement, stalled_at=now)
    return settlement, News("settlement.stalled", replace(known, settlement=settlement))
