"""Signing in with another server (OpenID Connect): who may, and as whom.

The other server says who somebody is, this one what they may do: a person is let in only as a
member, or by an open invitation, for a verified e-mail address. From the first time on the
subject counts, and no longer the address, which may become somebody else's.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import store, store_identities, team
from gstable_server.accounts.members import store_passkeys as answers
from gstable_server.accounts.members.model import (
    Browser,
    By,
    Login,
    LoginRefused,
    Member,
)
from gstable_server.kernel.email import email_from_text
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import MemberId
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.openid import Identity, OpenIdRefused
from gstable_server.plumbing.stamps import Stamps

ANSWERED_WITHIN = timedelta(minutes=10)
TOKEN_LENGTH = 43
PURPOSE = "openid"


def token_of(stamps: Stamps, letters: str, now: datetime) -> str:
    """What the browser is to hold while it is away; nothing is stored of it. ``letters`` are
    ``TOKEN_LENGTH`` random ones."""
    return stamps.token(PURPOSE, letters, now + ANSWERED_WITHIN)


def is_asked(stamps: Stamps, token: str, now: datetime) -> bool:
    """Whether the browser of that token was sent away, and not too long ago."""
    return stamps.end_of(PURPOSE, token, now) is not None


async def login(
    tx: Tx,
    stamps: Stamps,
    token: str,
    identity: Identity,
    browser: Browser,
    previous_token: str = "",
) -> Login | LoginRefused:
    """Let the person in whom ``identity`` is of; one who has a second factor here shows it too.
    ``previous_token`` of the same browser dies.

    Raises ``OpenIdRefused`` unless the browser of ``token`` was sent away and comes back for the
    first time. Only somebody who is let in is written down, so that strangers fill no table.
    """
    until = stamps.end_of(PURPOSE, token, tx.now)
    if until is None:
        raise OpenIdRefused("this browser was asked nothing, or too long ago")
    await store.lock_members(tx)
    member_id = await store_identities.find(tx, identity.issuer, identity.subject)
    if member_id is None:
        member_id = await _bound(tx, identity, browser)
    teams = await store.memberships_of(tx, member_id) if member_id is not None else []
    if not teams:
        return LoginRefused(0)
    if not await answers.answer_once(tx, _token_hash(token), until):
        raise OpenIdRefused("this browser answered already")
    if previous_token:
        await members.logout(tx, previous_token)
    return await members.open_or_await(tx, teams[0], browser)


async def _bound(tx: Tx, identity: Identity, browser: Browser) -> MemberId | None:
    """Whose the identity is from now on, None for nobody of this server."""
    if not identity.is_verified:
        return None
    try:
        email = email_from_text(identity.email)
    except Refused:
        return None
    found = await store.find_person(tx, email)
    if found is None:
        joined = await team.join_by_email(tx, email, browser.address)
        member_id = joined.member_id if joined is not None else None
    else:
        member_id = found[0]
        if await store_identities.has_one(tx, identity.issuer, member_id):
            # The address is somebody else's there now.
            return None
    if member_id is not None:
        await store_identities.bind(tx, identity.issuer, identity.subject, member_id)
        for member in await store.memberships_of(tx, member_id):
            await _record(tx, member, identity, browser)
    return member_id


async def _record(tx: Tx, member: Member, identity: Identity, browser: Browser) -> None:
    after = {"issuer": identity.issuer, "subject": identity.subject}
    note = Note("identity.bound", member.member_id, after=after)
    await audit.record(tx, By(member, browser.address).actor, Action.SELF, note)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
