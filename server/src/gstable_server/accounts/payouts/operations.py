"""Adding a wallet to be paid to: at once where nothing can be stolen, else after a delay in which
the team hears of it and can cancel it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import By
from gstable_server.accounts.model import ReceivingAccount
from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.payouts import store
from gstable_server.accounts.payouts.model import WAITING_MAX, Outcome, PayoutChange
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import PayoutChangeId
from gstable_server.kernel.roles import Action
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.kernel.words import N_
from gstable_server.plumbing.db import Tx

DUE_TOGETHER = 50
ASKED_SUBJECT = N_("%(merchant)s: Payments are to go to another wallet")
DONE_SUBJECT = N_("%(merchant)s: Payments can go to another wallet now")
CANCELLED_SUBJECT = N_("%(merchant)s: A wallet was cancelled")
ASKED = N_("""%(who)s wants payments of %(merchant)s to go to another wallet too:

%(name)s
%(address)s

It can be used from %(due)s on (UTC). If this is not right, cancel it before then:
%(link)s
""")
DONE = N_("""Payments of %(merchant)s can go to this wallet from now on:

%(name)s
%(address)s
""")
CANCELLED = N_("""%(who)s cancelled that payments of %(merchant)s can go to this wallet:

%(name)s
%(address)s
""")

LAPSED = N_("""Payments of %(merchant)s do not go to this wallet, because %(who)s asked for it and
may no longer do so:

%(name)s
%(address)s
""")


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a wallet waits, and whether the team is told by e-mail; ``public_url`` is where
    the letters' link leads."""

    delay: timedelta
    sends_mail: bool
    public_url: str


async def add_account(
    tx: Tx, by: By, tenant: Tenant, networks: Networks, policy: Policy, name: str, address: str
) -> ReceivingAccount | PayoutChange:
    """The account, in test mode and where it is the first; else what waits to become one.

    Raises ``Refused``: 400101 naming ``accountName`` or ``accountAddress``, 100402 at 20 accounts.
    """
    account_name, wallet = accounts.parse_account(networks, name, address)
    is_free = tenant.mode is Mode.TEST or not policy.delay
    if is_free or not await accounts.has_had_account(tx, tenant):
        account = await accounts.create_account(tx, tenant, networks, name, address)
        after = {"name": account.name, "address": to_checksum(account.address)}
        note = Note("account.created", account.account_id, after=after)
        await audit.record(tx, by.actor, Action.ACCOUNTS_CHANGE, note, tenant.mode)
        return account
    if len(await store.waiting(tx, tenant)) >= WAITING_MAX:
        raise invalid_field("accountAddress", f"is one too many: {WAITING_MAX} are waiting")
    change = PayoutChange(
        change_id=tx.mint(PayoutChangeId),
        tenant=tenant,
        name=account_name,
        address=wallet,
        asked_by=by.member.email,
        asked_at=tx.now,
        due_at=tx.now + policy.delay,
    )
    await store.insert(tx, change)
    await _record(tx, by, change, "payout.asked", Action.ACCOUNTS_CHANGE)
    if policy.sends_mail:
        link = f"{policy.public_url}/dashboard/{tenant.mode}/accounts"
        await _tell(tx, change, ASKED_SUBJECT, ASKED, link=link)
    return change


async def waiting(tx: Tx, tenant: Tenant) -> list[PayoutChange]:
    """Wallets that wait, the one that is due first at the top."""
    return await store.waiting(tx, tenant)


async def cancel(tx: Tx, by: By, tenant: Tenant, policy: Policy, change_id: PayoutChangeId) -> None:
    """Have a wallet that waits never become an account. Raises ``Refused`` (404) once it has."""
    change = await store.lock_waiting(tx, tenant, change_id)
    if change is None:
        raise Refused(Code.ROUTE_UNKNOWN)
    await store.end(tx, change, Outcome.CANCELLED)
    await _record(tx, by, change, "payout.cancelled", Action.PAYOUTS_CANCEL)
    if policy.sends_mail:
        await _tell(tx, change, CANCELLED_SUBJECT, CANCELLED, who=by.member.email)


async def carry_out(tx: Tx, networks: Networks, *, sends_mail: bool) -> None:
    """Make accounts of the wallets whose time has come; for the timetable. What was asked by
    somebody who may no more never counts."""
    for change in await store.lock_due(tx, DUE_TOGETHER):
        able = await team.members_able(tx, change.tenant.merchant_id, Action.ACCOUNTS_CHANGE)
        if change.asked_by not in able.values():
            await store.end(tx, change, Outcome.CANCELLED)
            if sends_mail:
                await _tell(tx, change, CANCELLED_SUBJECT, LAPSED)
            continue
        try:
            await accounts.create_account(
                tx, change.tenant, networks, change.name, to_checksum(change.address)
            )
        except Refused:
            # Refused before anything was written: there are 20, or the network's contracts are
            # others by now. It must not keep those behind it waiting.
            await store.end(tx, change, Outcome.REFUSED)
            continue
        await store.end(tx, change, Outcome.DONE)
        if sends_mail:
            await _tell(tx, change, DONE_SUBJECT, DONE)


async def _record(tx: Tx, by: By, change: PayoutChange, what: str, action: Action) -> None:
    after = {
        "name": change.name,
        "address": to_checksum(change.address),
        "dueAt": wire_time(change.due_at),
    }
    note = Note(what, change.change_id, after=after)
    await audit.record(tx, by.actor, action, note, change.tenant.mode)


async def _tell(
    tx: Tx, change: PayoutChange, subject: str, text: str, *, who: str = "", link: str = ""
) -> None:
    """A letter to everybody in the team."""
    merchant = await accounts.merchant(tx, change.tenant.merchant_id)
    emails = [one.email for one in await team.members_of(tx, change.tenant.merchant_id)]
    await notices.write(
        tx,
        emails,
        subject,
        text,
        who=who or change.asked_by,
        merchant=merchant.name,
        name=change.name,
        address=to_checksum(change.address),
        due=wire_time(change.due_at),
        link=link,
    )
