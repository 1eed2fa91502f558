"""Who has to stand behind a refund before it may be sent: pure.

Above the merchant's limit it takes two people of the team. Who prepared it is one of them; an API
key is nobody. Everybody counts only while their role permits it, and an approval only for exactly
the terms that were approved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from gstable_server.kernel.ids import MemberId
from gstable_server.kernel.money import MicroUsd
from gstable_server.sessions.refunds.model import COUNTED, Approval, Refund, RefundState

PEOPLE = 2
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Vote:
    """One member's approval of the terms of ``digest``."""

    member_id: MemberId
    digest: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Enough:
    """The refund may be sent."""


@dataclass(frozen=True, slots=True)
class Waits:
    """So many more people have to approve."""

    missing: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """This person cannot approve it, and why."""

    reason: str


Decision = Enough | Waits | Refuse


def is_needed(limit: MicroUsd | None, known: Iterable[Refund], amount: MicroUsd) -> bool:
    """Whether ``amount`` more is above the limit of a session, together with what of ``known`` one
    person alone gave back: else a large refund would be made in small parts."""
    if limit is None:
        return False
    alone = sum(
        one.amount for one in known if one.state in COUNTED and one.approval is Approval.NOT_NEEDED
    )
    return alone + amount > limit


def digest_of(refund: Refund) -> bytes:
    """SHA-256 over all that a wallet is asked to send, and for which refund."""
    terms = refund.terms
    parts = (
        refund.refund_id.encode(),
        terms.network.encode(),
        str(terms.chain_id).encode(),
        terms.token,
        terms.sender,
        terms.receiver,
        str(terms.amount).encode(),
    )
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(_LENGTH_BYTES))
        digest.update(part)
    return digest.digest()


def standing(
    refund: Refund, votes: Iterable[Vote], able: frozenset[MemberId]
) -> frozenset[MemberId]:
    """Who stands behind the terms of ``refund``; ``able`` are those who may approve now."""
    digest = digest_of(refund)
    people = {vote.member_id for vote in votes if vote.digest == digest}
    if refund.prepared_by is not None:
        people.add(refund.prepared_by)
    return frozenset(people & able)


def decide(
    refund: Refund,
    votes: Iterable[Vote],
    able: frozenset[MemberId],
    member_id: MemberId,
    digest: bytes,
) -> Decision:
    """What it means that ``member_id`` approves the terms of ``digest``."""
    before = standing(refund, votes, able)
    if refund.state is not RefundState.AWAITING:
        return Refuse("waits for nobody's approval")
    if member_id not in able:
        return Refuse("is approved by owners, admins and finance of the team only")
    if member_id == refund.prepared_by:
        return Refuse("needs somebody else: you prepared this refund yourself")
    if digest != digest_of(refund):
        return Refuse("was for other terms: look at the refund again")
    if member_id in before:
        return Refuse("is yours already: it needs somebody else")
    missing = PEOPLE - len(before | {member_id})
    return Waits(missing) if missing > 0 else Enough()
