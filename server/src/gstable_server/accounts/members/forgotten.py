"""Passwords that are set anew: by who knows the old one, or by a link to the e-mail address.

Asking for a link answers the same whether or not the address is anybody's.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import store
from gstable_server.accounts.members import store_factors as resets
from gstable_server.accounts.members.guessing import guarded
from gstable_server.accounts.members.model import By, require_password
from gstable_server.accounts.members.operations import prove_password
from gstable_server.accounts.notices import operations as notices
from gstable_server.kernel.email import email_from_text
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LoginId, MemberId
from gstable_server.kernel.roles import Action
from gstable_server.kernel.words import N_
from gstable_server.plumbing import passwords
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.limits import address_subject

RESET_TOKEN_LENGTH = 43
RESET_FOR = timedelta(hours=1)
RESETS_PER_EMAIL = 3
RESETS_PER_ADDRESS = 20
SUBJECT = N_("Set your password anew")
CHANGED_SUBJECT = N_("Your password was changed")
LETTER = N_("""Somebody asked to set the password of %(email)s anew.

If it was you, open this link within an hour. It works once:
%(link)s

If it was not you, do nothing: your password stays as it is.
""")
CHANGED = N_("""The password of %(email)s was set anew. Other browsers were signed out.

If it was not you, tell an owner of your team now.
""")


async def ask(tx: Tx, email: str, client_address: str, link: str) -> None:
    """Send a link that begins with ``link``, if the address is somebody's and not too many were
    asked for. Says nothing of it. Raises ``Refused`` (400101) naming ``email``."""
    address = email_from_text(email)
    subjects = {
        f"reset {address}": RESETS_PER_EMAIL,
        f"reset address {address_subject(client_address)}": RESETS_PER_ADDRESS,
    }

    async def never() -> bool:
        # Each counts, for nobody may fill somebody's mailbox.
        return False

    refused = await guarded(tx, subjects, never)
    token = tx.ids.token(RESET_TOKEN_LENGTH)
    found = await store.find_person(tx, address)
    if found is None or (refused is not None and refused.retry_after):
        return
    await resets.insert_reset(tx, found[0], _token_hash(token), tx.now + RESET_FOR)
    values = {"email": address, "link": f"{link}/{token}"}
    await notices.write(tx, [address], SUBJECT, LETTER, **values)


async def is_usable(tx: Tx, token: str) -> bool:
    """Whether the link still works."""
    return await resets.find_reset(tx, _token_hash(token)) is not None


async def reset(tx: Tx, token: str, password: str, client_address: str) -> None:
    """Set the password by a link, which works no more, and end every login of the person. A second
    factor stays. Raises ``Refused``: 404 for the link, 400101 naming ``password``."""
    member_id = await resets.find_reset(tx, _token_hash(token))
    if member_id is None:
        raise Refused(Code.ROUTE_UNKNOWN)
    require_password(password)
    await _set(tx, member_id, password, client_address, None)


async def change(tx: Tx, by: By, login_id: LoginId, current: str, password: str) -> int | None:
    """Set one's own password by the one of now, and end one's other logins. None when it was done;
    else the current one was wrong, or could not be tried for so many seconds.

    Raises ``Refused`` (400101) naming ``password``.
    """
    require_password(password)
    refused = await prove_password(tx, by.member.email, current, by.address)
    if refused is not None:
        return refused.retry_after
    await _set(tx, by.member.member_id, password, by.address, login_id)
    return None


async def _set(
    tx: Tx, member_id: MemberId, password: str, client_address: str, but: LoginId | None
) -> None:
    await store.set_password(tx, member_id, await passwords.hash_password(password))
    await store.delete_logins_of(tx, member_id, but=but)
    await resets.delete_resets(tx, member_id)
    teams = await store.memberships_of(tx, member_id)
    for member in teams:
        by, note = By(member, client_address), Note("password.changed", member_id)
        await audit.record(tx, by.actor, Action.SELF_SECURE, note)
    if teams:
        email = teams[0].email
        await notices.write(tx, [email], CHANGED_SUBJECT, CHANGED, email=email)


async def purge(tx: Tx) -> None:
    """Forget links that are too old; for the timetable."""
    await resets.purge_resets(tx)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
