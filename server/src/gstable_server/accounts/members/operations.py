"""First run, signing in and out of the dashboard."""

from __future__ import annotations

import hashlib
import math

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import store
from gstable_server.accounts.members.model import (
    BROWSER_LENGTH_MAX,
    FAILURES_PER_ADDRESS,
    FAILURES_PER_EMAIL,
    FAILURES_REMEMBERED,
    LOGIN_IDLE,
    LOGIN_LIFETIME,
    Browser,
    By,
    Login,
    LoginRefused,
    LoginRow,
    Member,
    Presence,
    back_off,
    email_from_text,
    require_password,
)
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import LoginId, MemberId
from gstable_server.kernel.roles import Action, Role
from gstable_server.plumbing import passwords
from gstable_server.plumbing.db import Tx

LOGIN_TOKEN_LENGTH = 43


async def owner_is_wanted(tx: Tx) -> bool:
    """True on a fresh installation: the first visitor of the dashboard becomes its owner."""
    return not await store.any_member(tx)


async def register_owner(
    tx: Tx, merchant_name: str, email: str, password: str, client_address: str = ""
) -> Member:
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
    member = Member(tx.mint(MemberId), merchant.merchant_id, member_email, Role.OWNER, tx.now)
    password_hash = await passwords.hash_password(password)
    await store.insert_person(tx, member.member_id, member_email, password_hash)
    await store.insert_membership(tx, member)
    note = Note("merchant.created", merchant.merchant_id, after={"name": merchant.name})
    await audit.record(tx, By(member, client_address).actor, Action.SELF, note)
    return member


async def login(
    tx: Tx, *, email: str, password: str, browser: Browser, previous_token: str = ""
) -> Login | LoginRefused:
    """Sign a member in with a new token; ``previous_token`` of the same browser dies.

    A refusal is an answer and not an exception, because its counting has to be committed. Wrong
    e-mail and wrong password are refused alike, after the same work; so is who is in no team.
    """
    email = _email_or_nobodys(email)
    found = await store.find_person(tx, email)
    refused = await _prove(tx, email, found[1] if found else None, password, browser.address)
    if refused is not None:
        return refused
    assert found is not None, "nothing matches the password of nobody"
    teams = await store.memberships_of(tx, found[0])
    if not teams:
        return LoginRefused(0)
    if previous_token:
        await logout(tx, previous_token)
    return await open_login(tx, teams[0], browser)


async def open_login(tx: Tx, member: Member, browser: Browser) -> Login:
    """Let a browser in whose person has proved to be that member."""
    token, login_id = tx.ids.token(LOGIN_TOKEN_LENGTH), tx.mint(LoginId)
    expires_at = tx.now + LOGIN_LIFETIME
    name = "".join(letter for letter in browser.name if letter.isprintable())
    browser = Browser(browser.address, name[:BROWSER_LENGTH_MAX])
    await store.insert_login(tx, _token_hash(token), login_id, member, browser, expires_at)
    note = Note("login.opened", login_id, after={"browser": browser.name})
    await audit.record(tx, By(member, browser.address).actor, Action.SELF, note)
    return Login(member, token, expires_at)


async def confirm(tx: Tx, by: By, login_id: LoginId, password: str) -> LoginRefused | None:
    """Have the member of a login type the password again: None if it is right. Guesses are
    counted like those at the door."""
    found = await store.find_person(tx, by.member.email)
    password_hash = found[1] if found else None
    refused = await _prove(tx, by.member.email, password_hash, password, by.address)
    if refused is None:
        await store.confirm_login(tx, login_id)
        await audit.record(tx, by.actor, Action.SELF, Note("login.confirmed", login_id))
    return refused


async def _prove(
    tx: Tx, email: str, password_hash: str | None, password: str, client_address: str
) -> LoginRefused | None:
    """None for the right password; a wrong one is counted, and waits are due after some."""
    subjects = {
        f"email {email}": FAILURES_PER_EMAIL,
        f"address {client_address}": FAILURES_PER_ADDRESS,
    }
    wait = await _login_wait(tx, subjects)
    if wait:
        return LoginRefused(wait)
    if not await passwords.password_matches(password, password_hash):
        for subject in subjects:
            await store.insert_failure(tx, subject)
        return LoginRefused(0)
    await store.forget_failures(tx, f"email {email}")
    return None


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


async def presence_of(tx: Tx, token: str) -> Presence | None:
    """Who signed in with ``token``: for 12 hours at most, and 2 hours after the last visit."""
    return await store.touch_login(tx, _token_hash(token), tx.now - LOGIN_IDLE)


async def logins_of(tx: Tx, member_id: MemberId) -> list[LoginRow]:
    """Where a person is signed in, the latest visit first."""
    return await store.logins_of(tx, member_id, tx.now - LOGIN_IDLE)


async def end_login(tx: Tx, by: By, login_id: LoginId) -> None:
    """Sign oneself out in another browser. Raises ``Refused`` (404) if it is not one's own."""
    if not await store.delete_login_of(tx, by.member.member_id, login_id):
        raise Refused(Code.ROUTE_UNKNOWN)
    await audit.record(tx, by.actor, Action.SELF, Note("login.ended", login_id))


async def end_other_logins(tx: Tx, by: By, login_id: LoginId) -> int:
    """Sign oneself out everywhere but in this browser; says in how many others one was."""
    ended = await store.delete_logins_of(tx, by.member.member_id, but=login_id)
    note = Note("logins.ended", by.member.member_id, after={"ended": str(ended)})
    await audit.record(tx, by.actor, Action.SELF, note)
    return ended


async def logout(tx: Tx, token: str) -> None:
    """End the login of ``token``, if there is one."""
    await store.delete_login(tx, _token_hash(token))


async def purge(tx: Tx) -> None:
    """Forget logins that are over and failures that no longer count; for the timetable."""
    await store.purge(tx, tx.now - FAILURES_REMEMBERED, tx.now - LOGIN_IDLE)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
