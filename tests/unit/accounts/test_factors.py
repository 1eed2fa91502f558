"""Codes of authenticator apps, recovery codes, and passwords that are set anew."""

from __future__ import annotations

import asyncio

import pytest

from gstable_server.accounts.members import factors, forgotten
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import Browser, By, Login, LoginRefused
from gstable_server.accounts.members.totp import (
    code_at,
    matching_step,
    secret_text,
    step_of,
    uri,
)
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.sealing import Sealer
from gstable_server.plumbing.testing import FakeClock

pytestmark = pytest.mark.anyio

EMAIL = "owner@example.com"
PASSWORD = "correct horse battery"
HERE = Browser("192.0.2.1", "Test")
SEALER = Sealer([bytes(range(32))])
RFC_SECRET = b"12345678901234567890"
LINK = "https://pay.example.com/dashboard/reset"


@pytest.fixture
async def owner(database: Database) -> By:
    return By(
        await database.run(members.register_owner, "Example Ltd", EMAIL, PASSWORD), "192.0.2.1"
    )


async def _on(db: Database, by: By, clock: FakeClock) -> tuple[bytes, list[str]]:
    secret = await db.run(factors.begin, by, SEALER)
    return secret, await db.run(factors.turn_on, by, code_at(secret, step_of(clock.now())), SEALER)


async def _half(db: Database) -> Login:
    login = await db.run(members.login, email=EMAIL, password=PASSWORD, browser=HERE)
    assert isinstance(login, Login)
    assert login.awaits_code
    return login


async def _type(db: Database, token: str, code: str) -> Login | LoginRefused | None:
    return await db.run(members.type_code, token, code, HERE, SEALER)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(RFC_SECRET, seconds // 30) == code


def test_aut_07_a_code_is_good_one_step_around_now_and_never_again() -> None:
    for step in (99, 100, 101):
        assert matching_step(RFC_SECRET, code_at(RFC_SECRET, step), 100, 0) == step
    for step in (98, 102):
        assert matching_step(RFC_SECRET, code_at(RFC_SECRET, step), 100, 0) is None
    assert matching_step(RFC_SECRET, code_at(RFC_SECRET, 100), 100, 100) is None
    assert matching_step(RFC_SECRET, code_at(RFC_SECRET, 99), 100, 100) is None
    for wrong in ("", "ö", "12345", code_at(RFC_SECRET, 100) + "0"):
        assert matching_step(RFC_SECRET, wrong, 100, 0) is None


def test_an_app_is_told_the_secret_as_text_and_as_uri() -> None:
    assert secret_text(RFC_SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
    assert uri(RFC_SECRET, "A & B", "a+b@example.com") == (
        "otpauth://totp/A%20%26%20B:a%2Bb@example.com"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=A%20%26%20B"
    )


async def test_aut_07_a_right_password_opens_nothing_without_the_code(
    database: Database, owner: By, clock: FakeClock
) -> None:
    secret, _ = await _on(database, owner, clock)
    clock.advance(30)
    half = await _half(database)
    assert await database.run(members.presence_of, half.token) is None
    async with database.begin() as tx:
        assert await members.logins_of(tx, owner.member.member_id) == []
    code = code_at(secret, step_of(clock.now()))
    login = await _type(database, half.token, f" {code[:3]} {code[3:]}")
    assert isinstance(login, Login)
    assert login.token != half.token
    assert await database.run(members.presence_of, login.token) is not None
    # Neither the half login nor the code is good for a second one.
    assert await _type(database, half.token, code) is None
    assert await _type(database, (await _half(database)).token, code) == LoginRefused(0)


async def test_aut_07_of_a_race_with_one_code_one_wins(
    database: Database, owner: By, clock: FakeClock
) -> None:
    secret, _ = await _on(database, owner, clock)
    clock.advance(30)
    halves = [await _half(database) for _ in range(4)]
    code = code_at(secret, step_of(clock.now()))
    outcomes = await asyncio.gather(*(_type(database, one.token, code) for one in halves))
    assert sum(isinstance(one, Login) for one in outcomes) == 1


async def test_aut_07_guesses_wait_longer_and_longer_whatever_the_password(
    database: Database, owner: By, clock: FakeClock
) -> None:
    secret, _ = await _on(database, owner, clock)
    clock.advance(30)
    half = await _half(database)
    for _ in range(5):
        assert await _type(database, half.token, "000000") == LoginRefused(0)
    # A right password does not set the count back, and another browser does not either.
    other = await _half(database)
    code = code_at(secret, step_of(clock.now()))
    refused = await _type(database, other.token, code)
    assert isinstance(refused, LoginRefused)
    assert refused.retry_after == 1
    waits = []
    for _ in range(12):
        clock.advance(refused.retry_after)
        half = await _half(database)
        assert await _type(database, half.token, "000000") == LoginRefused(0)
        again = await _type(database, half.token, "000000")
        assert isinstance(again, LoginRefused)
        waits.append(again.retry_after)
        refused = again
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


async def test_recovery_codes_are_good_once_each_and_kept_as_hashes(
    database: Database, owner: By, clock: FakeClock
) -> None:
    _, codes = await _on(database, owner, clock)
    assert len(set(codes)) == 10
    assert isinstance(await _type(database, (await _half(database)).token, codes[3]), Login)
    again = await _type(database, (await _half(database)).token, codes[3])
    assert again == LoginRefused(0)
    async with database.read() as tx:
        assert await factors.codes_left(tx, owner.member.member_id) == 9
        kept = await tx.fetchval("SELECT string_agg(c::text, '') FROM recovery_codes c")
    assert not any(code in kept for code in codes)


async def test_the_code_is_awaited_for_ten_minutes(
    database: Database, owner: By, clock: FakeClock
) -> None:
    _, codes = await _on(database, owner, clock)
    half = await _half(database)
    clock.advance(600)
    assert await _type(database, half.token, codes[0]) is None
    assert await _type(database, "", codes[0]) is None


async def test_an_app_counts_from_its_first_code_on_and_is_turned_off(
    database: Database, owner: By, clock: FakeClock
) -> None:
    first = await database.run(factors.begin, owner, SEALER)
    second = await database.run(factors.begin, owner, SEALER)
    assert first != second
    assert not await database.run(factors.is_on, owner.member.member_id)
    now = step_of(clock.now())
    for wrong in ("", "000000", code_at(first, now)):
        with pytest.raises(Refused, match="code is not the one"):
            await database.run(factors.turn_on, owner, wrong, SEALER)
    await database.run(factors.turn_on, owner, code_at(second, now), SEALER)
    with pytest.raises(Refused, match="turn it off first"):
        await database.run(factors.begin, owner, SEALER)
    with pytest.raises(Refused, match="begin again"):
        await database.run(factors.turn_on, owner, code_at(second, now + 1), SEALER)
    await database.run(factors.turn_off, owner)
    login = await database.run(members.login, email=EMAIL, password=PASSWORD, browser=HERE)
    assert isinstance(login, Login)
    assert not login.awaits_code


async def test_a_confirmation_takes_the_code_too(
    database: Database, owner: By, clock: FakeClock
) -> None:
    _, codes = await _on(database, owner, clock)
    login = await _type(database, (await _half(database)).token, codes[0])
    assert isinstance(login, Login)
    presence = await database.run(members.presence_of, login.token)
    assert presence is not None
    for code in ("", codes[0]):
        refused = await database.run(
            members.confirm, owner, presence.login_id, PASSWORD, code, SEALER
        )
        assert refused == LoginRefused(0)
    refused = await database.run(
        members.confirm, owner, presence.login_id, "wrong", codes[1], SEALER
    )
    assert refused == LoginRefused(0)
    assert await database.run(
        members.confirm, owner, presence.login_id, PASSWORD, codes[1], SEALER
    ) is None  # fmt: skip


async def _asked(db: Database, email: str = EMAIL) -> list[str]:
    """The tokens in the letters so far."""
    await db.run(forgotten.ask, email, "192.0.2.1", LINK)
    async with db.read() as tx:
        bodies = await tx.fetch("SELECT body FROM notices ORDER BY written_at, notice_id")
    return [
        word.removeprefix(f"{LINK}/")
        for row in bodies
        for word in row["body"].split()
        if word.startswith(f"{LINK}/")
    ]


async def test_aut_10_a_reset_link_works_once_and_signs_out_everywhere(
    database: Database, owner: By
) -> None:
    login = await database.run(members.login, email=EMAIL, password=PASSWORD, browser=HERE)
    assert isinstance(login, Login)
    [token] = await _asked(database)
    with pytest.raises(Refused, match="password must have"):
        await database.run(forgotten.reset, token, "short", "")
    await database.run(forgotten.reset, token, "another long password", "")
    assert await database.run(members.presence_of, login.token) is None
    for again in (token, "", "x" * 43):
        with pytest.raises(Refused) as refused:
            await database.run(forgotten.reset, again, "a third long password", "")
        assert refused.value.code is Code.ROUTE_UNKNOWN
    old = await database.run(members.login, email=EMAIL, password=PASSWORD, browser=HERE)
    assert old == LoginRefused(0)
    new = await database.run(
        members.login, email=EMAIL, password="another long password", browser=HERE
    )
    assert isinstance(new, Login)


async def test_aut_10_nobody_learns_whose_address_it_is_nor_fills_a_mailbox(
    database: Database, owner: By, clock: FakeClock
) -> None:
    assert await _asked(database, "nobody@example.com") == []
    for _ in range(20):
        await _asked(database)
    assert len(await _asked(database)) == 3


async def test_aut_10_a_link_ends_after_an_hour_and_with_another_that_was_used(
    database: Database, owner: By, clock: FakeClock
) -> None:
    await _asked(database)
    first, second = await _asked(database)
    await database.run(forgotten.reset, first, "another long password", "")
    assert not await database.run(forgotten.is_usable, second)
    clock.advance(3600)
    [*_, third] = await _asked(database)
    assert await database.run(forgotten.is_usable, third)
    clock.advance(3600)
    assert not await database.run(forgotten.is_usable, third)
    await database.run(forgotten.purge)
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM password_resets") == 0


async def test_a_reset_leaves_the_second_factor(
    database: Database, owner: By, clock: FakeClock
) -> None:
    _, codes = await _on(database, owner, clock)
    [token] = await _asked(database)
    await database.run(forgotten.reset, token, "another long password", "")
    login = await database.run(
        members.login, email=EMAIL, password="another long password", browser=HERE
    )
    assert isinstance(login, Login)
    assert login.awaits_code
    assert isinstance(await _type(database, login.token, codes[0]), Login)


async def test_secrets_are_sealed_and_a_lost_key_is_said_and_does_not_lock_out(
    database: Database, owner: By, clock: FakeClock
) -> None:
    secret, codes = await _on(database, owner, clock)
    async with database.read() as tx:
        assert secret not in await tx.fetchval("SELECT secret FROM authenticators")
    clock.advance(30)
    member_id, code = owner.member.member_id, code_at(secret, step_of(clock.now()))
    other = Sealer([bytes(range(1, 33))])
    for sealer in (other, None):
        refused = await database.run(factors.prove, member_id, code, sealer)
        assert refused == LoginRefused(0, is_key_lost=True)
    assert await database.run(factors.prove, member_id, codes[0], None) is None
    assert await database.run(factors.prove, member_id, code, SEALER) is None


async def test_a_new_key_seals_everything_anew(
    database: Database, owner: By, clock: FakeClock
) -> None:
    secret, _ = await _on(database, owner, clock)
    old, new = bytes(range(32)), bytes(range(1, 33))
    assert await database.run(factors.reseal, Sealer([new])) == (0, 1)
    assert await database.run(factors.reseal, Sealer([new, old])) == (1, 0)
    assert await database.run(factors.reseal, Sealer([new, old])) == (0, 0)
    clock.advance(30)
    code = code_at(secret, step_of(clock.now()))
    assert await database.run(factors.prove, owner.member.member_id, code, Sealer([new])) is None


async def test_without_a_key_no_app_is_set_up(database: Database, owner: By) -> None:
    with pytest.raises(Refused, match="GSTABLE_SECRETS_KEY"):
        await database.run(factors.begin, owner, None)
