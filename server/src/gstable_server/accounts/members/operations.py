"""First run, signing in and out of the dashboard."""

from __future__ import annotations

import hashlib
import math

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members import store
from gstable_server.accounts.members.model import (
    FAILURES_PER_ADDRESS,
    FAILURES_PER_EMAIL,
    FAILURES_REMEMBERED,
    LOGIN_IDLE,
    LOGIN_LIFETIME,
    Login,
    LoginRefused,
    Member,
    back_off,
    email_from_text,
    require_password,
)
from gstable_server.kernel.errors import Refused, invalid_field
from gstable_server.kernel.ids import MemberId
from gstable_server.plumbing import passwords
from gstable_server.plumbing.db import Tx

LOGIN_TOKEN_LENGTH = 43


async def owner_is_wanted(tx: Tx) -> bool:
    """True on a fresh installation: the first visitor of the dashboard becomes its owner."""
    return not await store.any_member(tx)


async def register_owner(tx: Tx, merchant_name: str, email: str, password: str) -> Member:
    """The first member, and the merchant with that name. Of a race one wins.

    Raises ``Refused`` (400101) naming ``email``, ``password`` or ``name``, and ``owner`` once
    there is a member.
    """
    member_email = email_from_text(email)
    require_password(password)
    await store.lock_members(tx)
    if await store.any_member(tx):
        raise invalid_field("owner", "exists already: sign in")
    merchant = await accounts.create_merchant(tx, merchant_name)
    member = Member(tx.mint(MemberId), merchant.merchant_id, member_email, tx.now)
    await store.insert_member(tx, member, await passwords.hash_password(password))
    return member


async def login(
    tx: Tx, *, email: str, password: str, client_address: str, previous_token: str = ""
) -> Login | LoginRefused:
    """Sign a member in with a new token; ``previous_token`` of the same browser dies.

    A refusal is an answer and not an exception, because its counting has to be committed. Wrong
    e-mail and wrong password are refused alike, after the same work.
    """
    email = _email_or_nobodys(email)
    subjects = {
        f"email {email}": FAILURES_PER_EMAIL,
        f"address {client_address}": FAILURES_PER_ADDRESS,
    }
    wait = await _login_wait(tx, subjects)
    if wait:
        return LoginRefused(wait)
    found = await store.find_member(tx, email)
    if not await passwords.password_matches(password, found[1] if found else None):
        for subject in subjects:
            await store.insert_failure(tx, subject)
        return LoginRefused(0)
    assert found is not None, "nothing matches the password of nobody"
    await store.forget_failures(tx, f"email {email}")
    if previous_token:
        await logout(tx, previous_token)
    token = tx.ids.token(LOGIN_TOKEN_LENGTH)
    expires_at = tx.now + LOGIN_LIFETIME
    await store.insert_login(tx, _token_hash(token), found[0].member_id, expires_at)
    return Login(found[0], token, expires_at)


def _email_or_nobodys(text: str) -> str:
    """Text that is no e-mail address signs nobody in, but is refused like a wrong one."""
    try:
        return email_from_text(text)
    except Refused:
        return ""


async def _login_wait(tx: Tx, subjects: dict[str, int]) -> int:
    """Seconds until the next try may be made, 0 for now. Tries for one subject take turns, else a
    hundred at once would all be the first."""
    waits = [0]
    for subject, allowed in subjects.items():
        if not await store.try_lock_login(tx, subject):
            waits.append(1)
            continue
        many, last = await store.failures(tx, subject, tx.now - FAILURES_REMEMBERED)
        if last is not None:
            remaining = last + back_off(many, allowed) - tx.now
            waits.append(math.ceil(remaining.total_seconds()))
    return max(waits)


async def member_of(tx: Tx, token: str) -> Member | None:
    """Who signed in with ``token``: for 12 hours at most, and 2 hours after the last visit."""
    return await store.touch_login(tx, _token_hash(token), tx.now - LOGIN_IDLE)


async def logout(tx: Tx, token: str) -> None:
    """End the login of ``token``, if there is one."""
    await store.delete_login(tx, _token_hash(token))


async def purge(tx: Tx) -> None:
    """Forget logins that are over and failures that no longer count; for the timetable."""
    await store.purge(tx, tx.now - FAILURES_REMEMBERED, tx.now - LOGIN_IDLE)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
