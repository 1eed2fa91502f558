"""Large refunds, which two people of the team stand behind before they may be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import By
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import MemberId, RefundId
from gstable_server.kernel.roles import Action
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import store as session_store
from gstable_server.sessions.refunds import approval, machine, store
from gstable_server.sessions.refunds.approval import PEOPLE, digest_of
from gstable_server.sessions.refunds.model import LIFETIME, WATCHED_AFTER, Approval, Refund
from gstable_server.sessions.refunds.operations import detail

__all__ = ["PEOPLE", "Standing", "approve", "digest_of", "standing_of"]


async def approve(tx: Tx, tenant: Tenant, by: By, refund_id: RefundId, digest: bytes) -> Refund:
    """Stand behind a refund of the terms that ``digest`` is of. It may be sent, for 24 hours from
    now, once two people do.

    The team is held, so that nobody counts who is being removed. Raises ``Refused``: 100501, and
    100502 for who prepared it, approved it already, may not, or saw other terms.
    """
    able = frozenset(
        await team.members_able(tx, tenant.merchant_id, Action.REFUNDS_APPROVE, lock=True)
    )
    await session_store.lock(tx, (await detail(tx, tenant, refund_id)).session_id)
    refund = await store.lock(tx, refund_id)
    member_id = by.member.member_id
    answer = approval.decide(refund, await store.votes_on(tx, refund_id), able, member_id, digest)
    if isinstance(answer, approval.Refuse):
        raise Refused(Code.REFUND_IMPOSSIBLE, f"approval {answer.reason}")
    await store.insert_vote(tx, refund_id, approval.Vote(member_id, digest, tx.now))
    if isinstance(answer, approval.Waits):
        return refund
    moved = machine.decide(refund.state, machine.Fact.APPROVED)
    assert isinstance(moved, machine.Move), "what waits for nobody was refused before"
    approved = replace(
        refund,
        state=moved.state,
        approval=Approval.GIVEN,
        expires_at=tx.now + LIFETIME,
        watched_until=tx.now + LIFETIME + WATCHED_AFTER,
    )
    await store.move(tx, refund, approved)
    return approved


@dataclass(frozen=True, slots=True)
class Standing:
    """Who stands behind a refund that waits, and who else of the team could; e-mail addresses.
    ``missing`` counts the people that it still takes."""

    prepared_by: str
    approved_by: tuple[str, ...]
    missing: int
    could: Mapping[MemberId, str]


async def standing_of(tx: Tx, tenant: Tenant, refund: Refund) -> Standing:
    """For the page of a refund that waits for approval."""
    members = await team.members_able(tx, tenant.merchant_id, Action.REFUNDS_APPROVE)
    people = approval.standing(
        refund, await store.votes_on(tx, refund.refund_id), frozenset(members)
    )
    return Standing(
        prepared_by=members.get(refund.prepared_by, "") if refund.prepared_by else "",
        approved_by=tuple(members[one] for one in people if one != refund.prepared_by),
        missing=max(approval.PEOPLE - len(people), 0),
        could={
            member_id: email
            for member_id, email in members.items()
            if member_id not in people and member_id != refund.prepared_by
        },
    )
