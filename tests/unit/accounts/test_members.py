from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from argon2 import PasswordHasher, extract_parameters

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import (
    Browser,
    Login,
    LoginRefused,
    Member,
    back_off,
)
from gstable_server.kernel.errors import Refused
from gstable_server.plumbing import passwords
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock

pytestmark = pytest.mark.anyio

EMAIL = "owner@example.com"
PASSWORD = "correct horse battery"


async def _register(db: Database, email: str = EMAIL, password: str = PASSWORD) -> Member:
    return await db.run(members.register_owner, "Example Ltd", email, password)


async def _login(
    db: Database,
    password: str = PASSWORD,
    email: str = EMAIL,
    address: str = "192.0.2.1",
    previous: str = "",
) -> Login | LoginRefused:
    return await db.run(
        members.login,
        email=email,
        password=password,
        browser=Browser(address),
        previous_token=previous,
    )


async def _signed_in(db: Database, previous: str = "") -> Login:
    login = await _login(db, previous=previous)
    assert isinstance(login, Login)
    return login


async def test_the_first_visitor_becomes_the_owner(database: Database) -> None:
    assert await database.run(members.owner_is_wanted)
    owner = await _register(database, "  Owner@Example.com ")
    assert owner.email == EMAIL
    assert not await database.run(members.owner_is_wanted)
    merchant = await database.run(accounts.merchant, owner.merchant_id)
    assert merchant.name == "Example Ltd"


async def test_aut_11_of_a_race_one_owner_wins_and_the_door_stays_shut(database: Database) -> None:
    outcomes = await asyncio.gather(
        *(_register(database, f"admin{n}@example.com") for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Member) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 7
    with pytest.raises(Refused, match="owner exists already"):
        await _register(database)
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM members") == 1
        assert await tx.fetchval("SELECT count(*) FROM merchants") == 1


async def test_unusable_registrations_are_refused_by_field(database: Database) -> None:
    for email in ("", "x", "a@b", "a b@example.com", "a@exa\nmple.com", "a\0@example.com"):
        with pytest.raises(Refused, match="email must be an e-mail address"):
            await _register(database, email)
    for password in ("", "x" * 11, "x" * 129):
        with pytest.raises(Refused, match="password must have 12 to 128 characters"):
            await _register(database, password=password)
    assert await database.run(members.owner_is_wanted)


async def test_the_password_is_stored_as_argon2id_only(database: Database) -> None:
    await _register(database)
    async with database.read() as tx:
        stored = await tx.fetchval("SELECT password_hash FROM members")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.password_matches(PASSWORD, stored)
    assert not await passwords.password_matches(PASSWORD + " ", stored)


async def test_a_login_is_known_by_its_token_until_it_is_ended(database: Database) -> None:
    owner = await _register(database)
    login = await _signed_in(database)
    presence = await database.run(members.presence_of, login.token)
    assert presence is not None
    assert presence.member == owner
    for other in ("", login.token[:-1], "x" * 43):
        assert await database.run(members.presence_of, other) is None
    async with database.read() as tx:
        assert login.token.encode() != await tx.fetchval("SELECT token_hash FROM login_sessions")
    await database.run(members.logout, login.token)
    assert await database.run(members.presence_of, login.token) is None


async def test_signing_in_again_changes_the_token(database: Database) -> None:
    await _register(database)
    first = await _signed_in(database)
    second = await _signed_in(database, previous=first.token)
    assert first.token != second.token
    assert await database.run(members.presence_of, first.token) is None
    assert await database.run(members.presence_of, second.token) is not None


async def test_a_login_ends_after_2_idle_hours_and_after_12_hours(
    database: Database, clock: FakeClock
) -> None:
    await _register(database)
    idle = await _signed_in(database)
    busy = await _signed_in(database)
    for _ in range(12):
        clock.advance(3600 - 1)
        assert await database.run(members.presence_of, busy.token) is not None
    assert await database.run(members.presence_of, idle.token) is None
    clock.advance(12)
    assert await database.run(members.presence_of, busy.token) is None


async def test_an_address_that_could_not_join_any_more_still_signs_in(database: Database) -> None:
    await _register(database)
    async with database.begin() as tx:
        await tx.execute("UPDATE members SET email = 'jürgen@exämple.com'")
    assert isinstance(await _login(database, email=" Jürgen@Exämple.com"), Login)
    assert await _login(database, "wrong", "jürgen@exämple.com") == LoginRefused(0)


async def test_unknown_e_mail_and_wrong_password_are_refused_alike(database: Database) -> None:
    await _register(database)
    for email, password in ((EMAIL, "wrong"), ("nobody@example.com", PASSWORD), ("\0", PASSWORD)):
        assert await _login(database, password, email) == LoginRefused(0)


async def test_an_unknown_e_mail_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = await passwords.hash_password(PASSWORD)
    verified: list[str] = []
    verify = PasswordHasher.verify

    def noted(hasher: PasswordHasher, hash_: str, password: str) -> bool:
        verified.append(hash_)
        return verify(hasher, hash_, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    assert not await passwords.password_matches("wrong", stored)
    assert not await passwords.password_matches("nobody", None)
    # The work is what the parameters in a hash say.
    assert [extract_parameters(one) for one in verified] == [extract_parameters(stored)] * 2


async def test_guessing_one_account_is_slowed_down_from_any_address(
    database: Database, clock: FakeClock
) -> None:
    await _register(database)
    for n in range(5):
        assert await _login(database, "wrong", address=f"192.0.2.{n}") == LoginRefused(0)
    # Even the right password has to wait, or guessing on would still pay.
    assert await _login(database, address="198.51.100.1") == LoginRefused(1)
    clock.advance(1)
    assert await _login(database, "wrong", address="198.51.100.1") == LoginRefused(0)
    assert await _login(database) == LoginRefused(2)
    clock.advance(2)
    assert isinstance(await _login(database), Login)
    assert await _login(database, "wrong") == LoginRefused(0)


async def test_guessing_many_accounts_from_one_address_is_slowed_down(database: Database) -> None:
    await _register(database)
    for n in range(20):
        # Whoever has one IPv6 address has 2^64 of them.
        refused = await _login(database, "wrong", f"n{n}@example.com", address=f"2001:db8::{n:x}")
        assert refused == LoginRefused(0)
    assert await _login(database, address="2001:db8:0:0:ffff::1") == LoginRefused(1)
    assert isinstance(await _login(database, address="2001:db8:0:1::1"), Login)


async def test_guesses_sent_at_once_are_counted_too(database: Database) -> None:
    await _register(database)
    outcomes = await asyncio.gather(
        *(_login(database, f"wrong{n}", address=f"192.0.2.{n}") for n in range(30))
    )
    assert sum(outcome == LoginRefused(0) for outcome in outcomes) <= 5
    async with database.read() as tx:
        failed = await tx.fetchval(
            "SELECT count(*) FROM login_failures WHERE subject LIKE 'email %'"
        )
    assert failed <= 5


def test_the_back_off_doubles_up_to_15_minutes() -> None:
    waits = [back_off(failures, 5).total_seconds() for failures in range(4, 18)]
    assert waits == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert back_off(10**6, 5) == timedelta(minutes=15)


async def test_purging_keeps_what_still_counts(database: Database, clock: FakeClock) -> None:
    await _register(database)
    await _login(database, "wrong")
    await _signed_in(database)
    clock.advance(3600)
    current = await _signed_in(database)
    await _login(database, "wrong", "nobody@example.com")
    clock.advance(3600)
    await database.run(members.purge)
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM login_sessions") == 1
        assert await tx.fetchval("SELECT count(*) FROM login_failures") == 0
    assert await database.run(members.presence_of, current.token) is not None
