"""Where a payment stands in the words of the protocol, from its session's state (spec 15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.sessions.model import Session, SessionState


class Stage(StrEnum):
    """``workflow.stage``."""

    LINK_READY = "link_ready"
    SESSION_READY = "session_ready"
    PAYMENT_PREPARED = "payment_prepared"
    PAYMENT_SUBMITTED = "payment_submitted"
    PAYMENT_COMPLETED = "payment_completed"
    SESSION_EXPIRED = "session_expired"


@dataclass(frozen=True, slots=True)
class NextAction:
    """``workflow.nextAction``."""

    action: str
    authorization_required: bool
    description: str


NEXT_ACTION = {
    Stage.LINK_READY: NextAction(
        "create_payment_session",
        True,
        "Choose a token, and have the payer sign a message that creates a session for it.",
    ),
    Stage.SESSION_READY: NextAction(
        "prepare_payment", True, "Have the payer sign a message that prepares the payment."
    ),
    Stage.PAYMENT_PREPARED: NextAction(
        "execute_payment",
        False,
        "Let the executor contract take the amount (ERC-20 approve), then send the transaction.",
    ),
    Stage.PAYMENT_SUBMITTED: NextAction(
        "wait", False, "The payment was seen on chain. Do not pay again; ask later."
    ),
    Stage.PAYMENT_COMPLETED: NextAction(
        "none", False, "The merchant has the money. Nothing is left to do."
    ),
    Stage.SESSION_EXPIRED: NextAction(
        "create_payment_session", True, "This session cannot be paid any more. Create a new one."
    ),
}


def stage_of(session: Session, now: datetime, *, prepared: bool) -> Stage:
    """``prepared``: an order was signed that can still be paid. A cancelled session is told as an
    expired one: the protocol has one word for what cannot be paid any more."""
    match session.state:
        case SessionState.INITIALIZED:
            if session.expires_at <= now:
                return Stage.SESSION_EXPIRED
            return Stage.PAYMENT_PREPARED if prepared else Stage.SESSION_READY
        case SessionState.PAID | SessionState.SETTLING | SessionState.SETTLEMENT_PENDING:
            return Stage.PAYMENT_SUBMITTED
        case SessionState.COMPLETED:
            return Stage.PAYMENT_COMPLETED
        case SessionState.EXPIRED | SessionState.CANCELLED:
            return Stage.SESSION_EXPIRED
