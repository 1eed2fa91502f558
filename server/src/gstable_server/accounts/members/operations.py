"""First run, signing in and out of the dashboard."""

from __future__ import annotations

import hashlib

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import factors, passkeys, store
from gstable_server.accounts.members.guessing import guarded
from gstable_server.accounts.members.model import (
    BROWSER_LENGTH_MAX,
    CODE_AWAITED,
    FAILURES_PER_ADDRESS,
    FAILURES_PER_EMAIL,
    FAILURES_REMEMBERED,
    LOGIN_IDLE,
    LOGIN_LIFETIME,
    VISIT_NOTED,
    Browser,
    By,
    Login,
    LoginRefused,
    LoginRow,
    Member,
    Presence,
    require_password,
)
from gstable_server.kernel.email import EMAIL_LENGTH_MAX, email_from_text
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import LoginId, MemberId
from gstable_server.kernel.roles import Action, Role
from gstable_server.plumbing import passwords
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.limits import address_subject
from gstable_server.plumbing.sealing import Sealer
from gstable_server.plumbing.stamps import Stamps

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
    refused = await prove_password(tx, email, password, browser.address)
    if refused is not None:
        return refused
    assert found is not None, "nothing matches the password of nobody"
    teams = await store.memberships_of(tx, found[0])
    if not teams:
        return LoginRefused(0)
    if previous_token:
        await logout(tx, previous_token)
    return await open_or_await(tx, teams[0], browser)


async def open_or_await(tx: Tx, member: Member, browser: Browser) -> Login:
    """Let a browser in, or only to where the second factor is asked for, if there is one."""
    if await factors.is_on(tx, member.member_id):
        return await _await_code(tx, member, browser)
    return await open_login(tx, member, browser)


async def _await_code(tx: Tx, member: Member, browser: Browser) -> Login:
    """A login that opens nothing but the page where the code is typed."""
    token, expires_at = tx.ids.token(LOGIN_TOKEN_LENGTH), tx.now + CODE_AWAITED
    login_id, known = tx.mint(LoginId), _token_hash(token)
    await store.insert_login(tx, known, login_id, member, browser, expires_at, awaits_code=True)
    return Login(member, token, expires_at, awaits_code=True)


async def half_presence_of(tx: Tx, token: str) -> Presence | None:
    """Who typed the right password in the browser of ``token``, and still has to prove more."""
    since = tx.now - CODE_AWAITED
    return await store.lock_awaiting(tx, _token_hash(token), since)


async def type_code(
    tx: Tx, token: str, code: str, browser: Browser, sealer: Sealer | None
) -> Login | LoginRefused | None:
    """Go on from a right password to a login, by the code of the second factor. None when the
    password has to be typed again first."""
    presence = await half_presence_of(tx, token)
    if presence is None:
        return None
    refused = await factors.prove(tx, presence.member.member_id, code, sealer)
    if refused is not None:
        return refused
    await logout(tx, token)
    return await open_login(tx, presence.member, browser)


async def show_passkey(
    tx: Tx, party: passkeys.Party, token: str, credential: str, browser: Browser
) -> Login | LoginRefused | None:
    """The same by a passkey of that person."""
    presence = await half_presence_of(tx, token)
    if presence is None:
        return None
    proven = await passkeys.prove(tx, party, token, credential)
    if proven != presence.member.member_id:
        return LoginRefused(0)
    await logout(tx, token)
    return await open_login(tx, presence.member, browser)


async def login_by_passkey(
    tx: Tx,
    party: passkeys.Party,
    stamps: Stamps,
    *,
    token: str,
    credential: str,
    browser: Browser,
    previous_token: str = "",
) -> Login | LoginRefused:
    """Sign in by a passkey alone: the device has verified its person. ``token`` is what the
    browser was given with the question; ``previous_token`` as in ``login``."""
    proven = await passkeys.sign_in(tx, party, stamps, token, credential)
    teams = await store.memberships_of(tx, proven) if proven is not None else []
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
    known = _token_hash(token)
    await store.insert_login(tx, known, login_id, member, browser, expires_at, awaits_code=False)
    note = Note("login.opened", login_id, after={"browser": browser.name})
    await audit.record(tx, By(member, browser.address).actor, Action.SELF, note)
    return Login(member, token, expires_at)


async def confirm_by_passkey(
    tx: Tx, party: passkeys.Party, by: By, login_id: LoginId, token: str, credential: str
) -> LoginRefused | None:
    """As ``confirm``, by a passkey in place of password and code; ``token`` is the login's."""
    proven = await passkeys.prove(tx, party, token, credential)
    if proven != by.member.member_id:
        return LoginRefused(0)
    await store.confirm_login(tx, login_id)
    await audit.record(tx, by.actor, Action.SELF, Note("login.confirmed", login_id))
    return None


async def confirm(
    tx: Tx, by: By, login_id: LoginId, password: str, code: str, sealer: Sealer | None
) -> LoginRefused | None:
    """Have the member of a login type the password again, and the code if there is a second
    factor: None if all is right. Guesses are counted like those at the door."""
    refused = await prove_password(tx, by.member.email, password, by.address)
    if refused is None and await factors.is_on(tx, by.member.member_id):
        refused = await factors.prove(tx, by.member.member_id, code, sealer)
    if refused is None:
        await store.confirm_login(tx, login_id)
        await audit.record(tx, by.actor, Action.SELF, Note("login.confirmed", login_id))
    return refused


async def prove_password(
    tx: Tx, email: str, password: str, client_address: str
) -> LoginRefused | None:
    """None for the right password of that address; a wrong one is counted, and waits are due after
    some. An address of nobody is refused alike, after the same work."""
    found = await store.find_person(tx, email)
    subjects = {
        f"email {email}": FAILURES_PER_EMAIL,
        f"address {address_subject(client_address)}": FAILURES_PER_ADDRESS,
    }

    async def is_right() -> bool:
        return await passwords.password_matches(password, found[1] if found else None)

    refused = await guarded(tx, subjects, is_right)
    if refused is None:
        await store.forget_failures(tx, f"email {email}")
    return refused


def _email_or_nobodys(text: str) -> str:
    """As it is compared with those of members; "" for text that cannot be anybody's, which is
    refused like a wrong one. Not by today's grammar: members may have joined under another."""
    email = text.strip().lower()
    return email if email.isprintable() and len(email) <= EMAIL_LENGTH_MAX else ""


async def presence_of(tx: Tx, token: str) -> Presence | None:
    """Who signed in with ``token``: for 12 hours at most, and 2 hours after the last visit, by a
    minute less at most."""
    since, noted = tx.now - LOGIN_IDLE, tx.now - VISIT_NOTED
    return await store.visit_login(tx, _token_hash(token), since, noted)


async def choose_language(tx: Tx, member_id: MemberId, language: str) -> None:
    """Have a person read the console, in whatever browser, and its letters in that language (a tag
    of BCP 47 of those that there are)."""
    await store.set_language(tx, member_id, language)


async def member_behind(tx: Tx, token: str) -> Member | None:
    """Who is signed in with ``token`` now, without counting as a visit of theirs."""
    return await store.peek_login(tx, _token_hash(token), tx.now - LOGIN_IDLE)


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
    await passkeys.purge(tx)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
