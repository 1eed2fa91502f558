"""Who is in a merchant's team: inviting, joining, roles, leaving; and further merchants.

A team always has an owner. Whoever is removed is out at once, in every browser.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import store
from gstable_server.accounts.members import store_invitations as invitations
from gstable_server.accounts.members.model import (
    INVITATIONS_MAX,
    INVITED_FOR,
    Browser,
    By,
    Invitation,
    Login,
    Member,
    require_password,
)
from gstable_server.accounts.members.operations import open_login
from gstable_server.accounts.model import Merchant
from gstable_server.kernel.email import email_from_text
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import InvitationId, LoginId, MemberId, MerchantId
from gstable_server.kernel.roles import Action, Role, may, may_assign
from gstable_server.plumbing import passwords
from gstable_server.plumbing.db import Tx

INVITATION_TOKEN_LENGTH = 43


async def members_of(tx: Tx, merchant_id: MerchantId) -> list[Member]:
    """Everybody of a team, the oldest first."""
    return await store.team_of(tx, merchant_id)


async def members_able(
    tx: Tx, merchant_id: MerchantId, action: Action, *, lock: bool = False
) -> dict[MemberId, str]:
    """The members whose role permits ``action`` now, with their e-mail addresses. Locked, nobody
    of the team is removed or given another role until the transaction ends."""
    members = await store.team_of(tx, merchant_id, lock=lock)
    return {one.member_id: one.email for one in members if may(one.role, action)}


async def invitations_of(tx: Tx, merchant_id: MerchantId) -> list[Invitation]:
    """Invitations that can still be accepted, the newest first."""
    return await invitations.list_open(tx, merchant_id)


async def teams_of(tx: Tx, member_id: MemberId) -> list[tuple[Member, Merchant]]:
    """Every team that a person is in."""
    return [
        (member, await accounts.merchant(tx, member.merchant_id))
        for member in await store.memberships_of(tx, member_id)
    ]


def role_from_text(text: str) -> Role:
    """Raises ``Refused`` (400101) naming ``role``."""
    if text not in set(Role):
        raise invalid_field("role", f"must be one of {', '.join(Role)}")
    return Role(text)


def _require_assignable(team: list[Member], by: By, *roles: Role) -> None:
    """By what the actor is now, not when the page was opened."""
    now = next((one for one in team if one.member_id == by.member.member_id), None)
    if now is None or not may_assign(now.role, *roles):
        raise invalid_field("role", "of an owner is given and taken by owners only")


async def invite(tx: Tx, by: By, email: str, role: Role) -> tuple[Invitation, str]:
    """A new invitation and its link's token, which is kept only as a hash; an earlier one for the
    same address ends.

    Raises ``Refused`` (400101) naming ``email`` or ``role``.
    """
    address, merchant_id = email_from_text(email), by.member.merchant_id
    team = await store.team_of(tx, merchant_id, lock=True)
    _require_assignable(team, by, role)
    if any(one.email == address for one in team):
        raise invalid_field("email", "belongs to a member of this team already")
    await invitations.withdraw_of(tx, merchant_id, address)
    if len(await invitations.list_open(tx, merchant_id)) >= INVITATIONS_MAX:
        raise invalid_field("email", f"is one too many: {INVITATIONS_MAX} invitations are open")
    token = tx.ids.token(INVITATION_TOKEN_LENGTH)
    invitation = Invitation(
        tx.mint(InvitationId),
        merchant_id,
        address,
        role,
        by.member.member_id,
        tx.now,
        tx.now + INVITED_FOR,
    )
    await invitations.insert(tx, invitation, _token_hash(token))
    note = Note("member.invited", address, after={"role": role})
    await audit.record(tx, by.actor, Action.TEAM_CHANGE, note)
    return invitation, token


async def withdraw(tx: Tx, by: By, invitation_id: InvitationId) -> None:
    """Have an invitation's link work no more. Raises ``Refused`` (404)."""
    email = await invitations.withdraw(tx, by.member.merchant_id, invitation_id)
    if email is None:
        raise Refused(Code.ROUTE_UNKNOWN)
    await audit.record(tx, by.actor, Action.TEAM_CHANGE, Note("invitation.withdrawn", email))


async def invitation_of(tx: Tx, token: str) -> tuple[Invitation, Merchant, bool]:
    """What a link invites to, and whether the address is a person's here already. Raises
    ``Refused`` (404) for a link that was used or withdrawn or is too old, as for one never made."""
    found = await invitations.find_open(tx, _token_hash(token))
    if found is None:
        raise Refused(Code.ROUTE_UNKNOWN)
    merchant = await accounts.merchant(tx, found.merchant_id)
    return found, merchant, await store.find_person(tx, found.email) is not None


async def join_anew(tx: Tx, token: str, password: str, browser: Browser) -> Login:
    """Accept an invitation as somebody new. Raises ``Refused``: 404 as ``invitation_of``, 400101
    naming ``password``."""
    require_password(password)
    await store.lock_members(tx)
    found, _, is_known = await invitation_of(tx, token)
    if is_known:
        raise Refused(Code.ROUTE_UNKNOWN)
    member_id = tx.mint(MemberId)
    await store.insert_person(tx, member_id, found.email, await passwords.hash_password(password))
    member = await _enter(tx, found, member_id, browser.address)
    return await open_login(tx, member, browser)


async def join_by_email(tx: Tx, email: str, address: str) -> Member | None:
    """Accept the newest open invitation for an address that is proven to be the visitor's, as
    somebody new without a password. None if there is no invitation."""
    found = await invitations.newest_open_for(tx, email)
    if found is None:
        return None
    member_id = tx.mint(MemberId)
    nobody_knows = await passwords.hash_password(tx.ids.token(INVITATION_TOKEN_LENGTH))
    await store.insert_person(tx, member_id, email, nobody_knows)
    return await _enter(tx, found, member_id, address)


async def join(tx: Tx, token: str, by: By, login_id: LoginId) -> Member:
    """Accept an invitation as who is signed in. Raises ``Refused`` (404) as ``invitation_of``, and
    if it is for somebody else."""
    found, _, _ = await invitation_of(tx, token)
    if found.email != by.member.email:
        raise Refused(Code.ROUTE_UNKNOWN)
    member = await _enter(tx, found, by.member.member_id, by.address)
    await store.show_merchant(tx, login_id, member.merchant_id)
    return member


async def _enter(tx: Tx, found: Invitation, member_id: MemberId, address: str) -> Member:
    member = Member(member_id, found.merchant_id, found.email, found.role, tx.now)
    await invitations.mark_accepted(tx, found.invitation_id)
    await store.insert_membership(tx, member)
    note = Note("member.joined", found.email, after={"role": found.role})
    await audit.record(tx, By(member, address).actor, Action.SELF, note)
    return member


async def change_role(tx: Tx, by: By, member_id: MemberId, role: Role) -> Member:
    """Give a member another role. Raises ``Refused``: 404 if the team has none such, 400101 naming
    ``role`` for the last owner's and for what the actor may not give."""
    member = await _locked(tx, by, member_id, role)
    if member.role is not role:
        await store.set_role(tx, member, role)
        await _withdraw_sent_by(tx, member, role)
    # Also the one that they have already: somebody gave it.
    note = Note("member.role_changed", member.email, {"role": member.role}, {"role": role})
    await audit.record(tx, by.actor, Action.TEAM_CHANGE, note)
    return replace(member, role=role)


async def remove(tx: Tx, by: By, member_id: MemberId) -> Member:
    """Take a member out of the team, at once. Raises ``Refused`` as ``change_role``."""
    member = await _locked(tx, by, member_id, None)
    await store.delete_membership(tx, member)
    await _withdraw_sent_by(tx, member, None)
    note = Note("member.removed", member.email, before={"role": member.role})
    await audit.record(tx, by.actor, Action.TEAM_CHANGE, note)
    return member


async def leave(tx: Tx, by: By) -> None:
    """Take oneself out of the team. Raises ``Refused`` (400101) for its last owner."""
    team = await store.team_of(tx, by.member.merchant_id, lock=True)
    _require_owner_left(team, by.member)
    await store.delete_membership(tx, by.member)
    await _withdraw_sent_by(tx, by.member, None)
    note = Note("member.left", by.member.email, before={"role": by.member.role})
    await audit.record(tx, by.actor, Action.SELF, note)


async def _withdraw_sent_by(tx: Tx, member: Member, role: Role | None) -> None:
    """Have the member's invitations work no more that could not be sent with ``role``, or out of
    the team: else who is thrown out comes back by a link of their own."""
    lost = [one for one in Role if role is None or not may_assign(role, one)]
    await invitations.withdraw_sent_by(tx, member.merchant_id, member.member_id, lost)


async def _locked(tx: Tx, by: By, member_id: MemberId, role: Role | None) -> Member:
    """A member of the actor's team whom the actor may give that role, or remove for None."""
    team = await store.team_of(tx, by.member.merchant_id, lock=True)
    for member in team:
        if member.member_id == member_id:
            _require_assignable(team, by, member.role, *([role] if role else []))
            if role is not Role.OWNER:
                _require_owner_left(team, member)
            return member
    raise Refused(Code.ROUTE_UNKNOWN)


def _require_owner_left(team: list[Member], without: Member) -> None:
    if not any(one.role is Role.OWNER and one.member_id != without.member_id for one in team):
        raise invalid_field("role", "of the last owner stays: make somebody else owner first")


async def create_merchant(tx: Tx, by: By, login_id: LoginId, name: str) -> Merchant:
    """A further business, fully apart from the others, owned by who makes it and shown from now on
    in this browser. Raises ``Refused`` (400101) naming ``name``."""
    merchant = await accounts.create_merchant(tx, name)
    owner = replace(by.member, merchant_id=merchant.merchant_id, role=Role.OWNER, joined_at=tx.now)
    await store.insert_membership(tx, owner)
    await store.show_merchant(tx, login_id, merchant.merchant_id)
    note = Note("merchant.created", merchant.merchant_id, after={"name": merchant.name})
    await audit.record(tx, By(owner, by.address).actor, Action.MERCHANTS_CREATE, note)
    return merchant


async def switch(tx: Tx, by: By, login_id: LoginId, merchant_id: str) -> None:
    """Show another of one's teams in this browser. Raises ``Refused`` (404) for any other."""
    for member in await store.memberships_of(tx, by.member.member_id):
        if member.merchant_id == merchant_id:
            await store.show_merchant(tx, login_id, member.merchant_id)
            return
    raise Refused(Code.ROUTE_UNKNOWN)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
