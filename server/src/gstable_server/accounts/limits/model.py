"""The limit above which a refund needs two people, and what a change of it means: pure.

A limit is in Micro-USD of one session; None is no limit. Who lowers it takes nothing but their own
freedom, so it counts at once. A higher one is what a stolen login would want: it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from gstable_server.kernel.ids import LimitChangeId, MemberId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Tenant

Limit = MicroUsd | None


class Outcome(StrEnum):
    """How the waiting of a higher limit ended."""

    APPROVED = "approved"
    DUE = "due"
    CANCELLED = "cancelled"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A higher limit that waits. From ``due_at`` on it counts without a second person."""

    change_id: LimitChangeId
    tenant: Tenant
    amount: Limit
    asked_by: MemberId
    asked_at: datetime
    due_at: datetime


class Fact(Enum):
    """What can happen to a limit that waits."""

    APPROVED = "somebody of the team approved it"
    TIME_PASSED = "its time has come"
    CANCELLED = "somebody of the team cancelled it"
    REPLACED = "another limit was asked for"


@dataclass(frozen=True, slots=True)
class End:
    """The waiting is over, and the limit counts from now on if ``counts``."""

    outcome: Outcome
    counts: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """What was asked cannot be done, and why."""

    reason: str


Decision = End | Refuse


def is_higher(now: Limit, wanted: Limit) -> bool:
    """Whether ``wanted`` lets one person give back more than ``now`` does."""
    return now is not None and (wanted is None or wanted > now)


def decide(
    change: LimitChange, fact: Fact, able: frozenset[MemberId], actor: MemberId | None = None
) -> Decision:
    """What ``fact`` means for a limit that waits. ``able`` are the members who may change limits
    now, and ``actor`` is who acts. What was asked by somebody who may no more never counts."""
    match fact:
        case Fact.CANCELLED:
            return End(Outcome.CANCELLED, counts=False)
        case Fact.REPLACED:
            return End(Outcome.REPLACED, counts=False)
        case Fact.TIME_PASSED if change.asked_by in able:
            return End(Outcome.DUE, counts=True)
        case Fact.TIME_PASSED:
            return End(Outcome.CANCELLED, counts=False)
    if change.asked_by not in able:
        return Refuse("was asked for by somebody who may no longer change it: ask for it anew")
    if actor not in able:
        return Refuse("is approved by owners and admins of the team only")
    if actor == change.asked_by:
        return Refuse("needs somebody else: you asked for it yourself")
    return End(Outcome.APPROVED, counts=True)
