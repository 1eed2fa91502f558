"""Whether money on chain pays a session: pure, and strict in the merchant's favour."""

from __future__ import annotations

from collections.abc import Collection

from gstable_server.chain.facts import PaymentLog, RailName
from gstable_server.sessions.model import CROSSING, Flag, Session, SessionState

PAYING = frozenset({Flag.OVER})
"""Flags that a payment may carry and still pay its session."""


def flags_of(
    session: Session,
    attested: Collection[int],
    log: PaymentLog,
    *,
    paid_already: bool,
) -> frozenset[Flag]:
    """Everything that is unusual about ``log`` for ``session``; empty for an exact payment.

    ``attested`` are the merchant's amounts in all orders that were signed for the log's token on
    its network by its rail, in atomic units of what the merchant gets: a payer may hold any of
    them. In time is decided by the block's time, never by when we heard of it.
    """
    flags = set(amount_flags(attested, log))
    if log.merchant != session.recipient:
        flags.add(Flag.WRONG_RECIPIENT)
    if log.block_time > session.expires_at or session.state is SessionState.CANCELLED:
        flags.add(Flag.LATE)
    if paid_already:
        flags.add(Flag.DUPLICATE)
    return frozenset(flags)


def amount_flags(attested: Collection[int], log: PaymentLog) -> frozenset[Flag]:
    """What is unusual about the amount that arrived, or that no order was signed for its token."""
    if not attested:
        return frozenset({Flag.WRONG_TOKEN})
    # What crosses or is held arrives later: until then the order's own promise stands for it.
    later = log.rail in CROSSING or log.rail is RailName.HOLD
    arrived = log.merchant_amount if later else log.merchant_received
    if arrived in attested:
        return frozenset()
    return frozenset({Flag.UNDER if arrived < min(attested) else Flag.OVER})


def delivery_flags(promised: int, received: int) -> frozenset[Flag]:
    """What is unusual about an amount that arrived on another network, by what was promised."""
    if received == promised:
        return frozenset()
    return frozenset({Flag.UNDER if received < promised else Flag.OVER})


def pays(flags: frozenset[Flag]) -> bool:
    """True when a payment with these flags pays its session."""
    return flags <= PAYING


EVENT_OF_FLAG = {
    Flag.UNDER: "session.underpaid",
    Flag.OVER: "session.overpaid",
    Flag.DUPLICATE: "session.overpaid",
    Flag.LATE: "session.paid_late",
}
"""What the merchant is told of unusual money (spec 15, Session events)."""


def events_of(flags: frozenset[Flag]) -> tuple[str, ...]:
    """The events that tell of these flags, each once, in a fixed order."""
    told = [EVENT_OF_FLAG[flag] for flag in Flag if flag in flags and flag in EVENT_OF_FLAG]
    return tuple(dict.fromkeys(told))
