"""Sessions counted by the day they were opened (UTC): pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gstable_server.sessions.model import SessionState

PAID = frozenset(
    {
        SessionState.PAID,
        SessionState.SETTLING,
        SessionState.SETTLEMENT_PENDING,
        SessionState.COMPLETED,
    }
)
"""Somebody paid, whether or not it is final yet."""
FAILED = frozenset({SessionState.EXPIRED, SessionState.CANCELLED})
"""Nobody paid, and nobody will."""


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many sessions that were opened on ``day`` are in ``state`` now."""

    day: date
    state: SessionState
    sessions: int
