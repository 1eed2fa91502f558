"""Reading and changing the limit above which a refund needs two people.

Changes of one merchant take turns by its team's lock, so that a limit cannot be approved by
somebody who is being removed, nor twice.
"""

from __future__ import annotations

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.limits import store
from gstable_server.accounts.limits.model import (
    Fact,
    Limit,
    LimitChange,
    Outcome,
    Refuse,
    decide,
    is_higher,
)
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import By
from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.notices.operations import Said
from gstable_server.accounts.payouts.operations import Policy
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.fields import TOTAL_MAX
from gstable_server.kernel.ids import LimitChangeId
from gstable_server.kernel.money import MicroUsd, usd_text
from gstable_server.kernel.roles import Action
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.kernel.words import N_
from gstable_server.plumbing.db import Tx

DUE_TOGETHER = 50
NO_LIMIT = N_("none")
SUBJECT = N_("%(merchant)s: The limit of refunds")
ASKED = N_("""%(who)s wants one person alone to be able to give back more money of %(merchant)s:

from %(before)s to %(after)s, for each payment session

It counts from %(due)s on (UTC), or as soon as another owner or admin approves it. If this is not
right, cancel it before then:
%(link)s
""")
CHANGED = N_("""How much money of %(merchant)s one person alone can give back was changed by
%(who)s:

from %(before)s to %(after)s, for each payment session
""")
CANCELLED = N_("""%(who)s cancelled that one person alone can give back more of %(merchant)s. It
stays %(before)s for each payment session.
""")


async def current(tx: Tx, tenant: Tenant) -> Limit:
    """What one person alone may give back of a session, in Micro-USD; None for any amount."""
    return await store.find(tx, tenant)


async def waiting(tx: Tx, tenant: Tenant) -> LimitChange | None:
    """The higher limit that waits, if there is one."""
    return await store.waiting(tx, tenant)


async def change(tx: Tx, by: By, tenant: Tenant, policy: Policy, amount: int | None) -> bool:
    """Have ``amount`` (Micro-USD, None for no limit) count: at once if it is not higher than the
    one of now, in test mode, and where nothing waits; else later, which is told by True. What
    waited before is replaced.

    Raises ``Refused`` (400101) naming ``limit``.
    """
    if amount is not None and not 0 <= amount <= TOTAL_MAX:
        raise invalid_field("limit", f"must be between 0 and {TOTAL_MAX} Micro-USD")
    await team.members_able(tx, tenant.merchant_id, Action.LIMITS_CHANGE, lock=True)
    wanted = None if amount is None else MicroUsd(amount)
    before = await store.find(tx, tenant)
    known = await store.waiting(tx, tenant, lock=True)
    if known is not None:
        await store.end(tx, known, Outcome.REPLACED)
    waits = is_higher(before, wanted) and tenant.mode is Mode.LIVE and bool(policy.delay)
    if waits:
        due_at = tx.now + policy.delay
        asked = LimitChange(
            tx.mint(LimitChangeId), tenant, wanted, by.member.member_id, tx.now, due_at
        )
        await store.insert(tx, asked)
    else:
        await store.write(tx, tenant, wanted)
    what = "limit.asked" if waits else "limit.changed"
    await _record(tx, by, tenant, what, before, wanted)
    if before != wanted:
        due = wire_time(tx.now + policy.delay)
        text = ASKED if waits else CHANGED
        await _tell(tx, tenant, policy, text, by.member.email, before, wanted, due)
    return waits


async def approve(
    tx: Tx, by: By, tenant: Tenant, policy: Policy, change_id: LimitChangeId
) -> LimitChange:
    """Have a limit that waits count now, as a second person. Raises ``Refused``: 404 if it does
    not wait any more, 400101 naming ``approval``."""
    members = await team.members_able(tx, tenant.merchant_id, Action.LIMITS_CHANGE, lock=True)
    known = await _waiting(tx, tenant, change_id)
    answer = decide(known, Fact.APPROVED, frozenset(members), by.member.member_id)
    if isinstance(answer, Refuse):
        raise invalid_field("approval", answer.reason)
    before = await store.find(tx, tenant)
    await store.write(tx, tenant, known.amount)
    await store.end(tx, known, answer.outcome)
    await _record(tx, by, tenant, "limit.approved", before, known.amount)
    await _tell(tx, tenant, policy, CHANGED, by.member.email, before, known.amount)
    return known


async def cancel(tx: Tx, by: By, tenant: Tenant, policy: Policy, change_id: LimitChangeId) -> None:
    """Have a limit that waits never count. Raises ``Refused`` (404) if it does not wait."""
    await team.members_able(tx, tenant.merchant_id, Action.LIMITS_CANCEL, lock=True)
    known = await _waiting(tx, tenant, change_id)
    before = await store.find(tx, tenant)
    await store.end(tx, known, Outcome.CANCELLED)
    await _record(tx, by, tenant, "limit.cancelled", before, known.amount)
    await _tell(tx, tenant, policy, CANCELLED, by.member.email, before, known.amount)


async def carry_out(tx: Tx, *, sends_mail: bool) -> None:
    """Have the limits count whose time has come; for the timetable."""
    for tenant in await store.due(tx, DUE_TOGETHER):
        members = await team.members_able(tx, tenant.merchant_id, Action.LIMITS_CHANGE, lock=True)
        known = await store.waiting(tx, tenant, lock=True)
        if known is None or known.due_at > tx.now:
            # Somebody ended it while we waited for the team's lock.
            continue
        answer = decide(known, Fact.TIME_PASSED, frozenset(members))
        assert not isinstance(answer, Refuse), "time asks nobody"
        await store.end(tx, known, answer.outcome)
        if answer.counts:
            before = await store.find(tx, tenant)
            await store.write(tx, tenant, known.amount)
            if sends_mail:
                who = members[known.asked_by]
                await _letter(tx, tenant, CHANGED, who, before, known.amount)


async def _waiting(tx: Tx, tenant: Tenant, change_id: LimitChangeId) -> LimitChange:
    known = await store.waiting(tx, tenant, lock=True)
    if known is None or known.change_id != change_id:
        raise Refused(Code.ROUTE_UNKNOWN)
    return known


def limit_text(limit: Limit) -> str:
    """As letters and the audit log say it."""
    return NO_LIMIT if limit is None else f"{usd_text(limit)} USD"


async def _record(tx: Tx, by: By, tenant: Tenant, what: str, before: Limit, after: Limit) -> None:
    action = Action.LIMITS_CANCEL if what == "limit.cancelled" else Action.LIMITS_CHANGE
    note = Note(what, "refunds", {"limit": limit_text(before)}, {"limit": limit_text(after)})
    await audit.record(tx, by.actor, action, note, tenant.mode)


async def _tell(
    tx: Tx,
    tenant: Tenant,
    policy: Policy,
    text: str,
    who: str,
    before: Limit,
    after: Limit,
    due: str = "",
) -> None:
    if policy.sends_mail:
        link = f"{policy.public_url}/dashboard/{tenant.mode}/limits"
        await _letter(tx, tenant, text, who, before, after, due=due, link=link)


async def _letter(
    tx: Tx,
    tenant: Tenant,
    text: str,
    who: str,
    before: Limit,
    after: Limit,
    *,
    due: str = "",
    link: str = "",
) -> None:
    """To everybody in the team."""
    merchant = await accounts.merchant(tx, tenant.merchant_id)
    emails = [one.email for one in await team.members_of(tx, tenant.merchant_id)]
    await notices.write(
        tx,
        emails,
        SUBJECT,
        text,
        who=who,
        merchant=merchant.name,
        before=_said(before),
        after=_said(after),
        due=due,
        link=link,
    )


def _said(limit: Limit) -> str:
    return Said(NO_LIMIT) if limit is None else limit_text(limit)
