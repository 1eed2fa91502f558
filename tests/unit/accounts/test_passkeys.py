"""Passkeys: what opens a login, what does not, and that each question is answered once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.operations import Filter
from gstable_server.accounts.members import factors, passkeys, team
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import Browser, By, Login, LoginRefused
from gstable_server.accounts.members.passkeys import TOKEN_LENGTH, Party
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import PasskeyId
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.stamps import Stamps
from gstable_server.plumbing.testing import FakeClock
from tests.unit.accounts.authenticator import USER_PRESENT, Authenticator

pytestmark = pytest.mark.anyio

EMAIL, PASSWORD = "owner@example.com", "correct horse battery"
HERE = Browser("192.0.2.1", "Test")
ORIGIN = "https://pay.example.com"
PARTY = Party("pay.example.com", ORIGIN)
TOKEN = "what this browser holds"
STAMPS = Stamps(bytes(range(32)))


@pytest.fixture
async def owner(database: Database) -> By:
    return By(
        await database.run(members.register_owner, "Example Ltd", EMAIL, PASSWORD), "192.0.2.1"
    )


async def _options(db: Database, by: By, token: str = TOKEN) -> str:
    await db.run(passkeys.begin_registration, token)
    options = await db.run(passkeys.registration_options, PARTY, by, token)
    assert options is not None
    return options


async def _register(
    db: Database, by: By, key: Authenticator, name: str = "Laptop", **changes: Any
) -> list[str] | Refused:
    answer = key.create(await _options(db, by), **changes)
    return await db.run(passkeys.register, PARTY, by, TOKEN, answer, name)


async def _added(db: Database, by: By) -> tuple[Authenticator, list[str]]:
    key = Authenticator(ORIGIN)
    codes = await _register(db, by, key)
    assert isinstance(codes, list), codes
    return key, codes


def _asked(db: Database) -> str:
    """What a browser without a login holds while it is asked."""
    return passkeys.sign_in_token(STAMPS, db.ids.token(TOKEN_LENGTH), db.clock.now())


async def _sign_in(db: Database, answer: str, token: str) -> Login | LoginRefused:
    return await db.run(
        members.login_by_passkey, PARTY, STAMPS, token=token, credential=answer, browser=HERE
    )


async def _signed_in(db: Database, key: Authenticator, **changes: Any) -> Login | LoginRefused:
    token = _asked(db)
    return await _sign_in(db, key.get(passkeys.sign_in_options(PARTY, token), **changes), token)


async def _ask(db: Database, by: By, token: str = TOKEN) -> str:
    return await db.run(passkeys.begin_proof, PARTY, token, by.member.member_id)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pay.example.com", PARTY),
        ("http://localhost:8000", Party("localhost", "http://localhost:8000")),
        ("http://127.0.0.1:8000", None),
        ("https://[2001:db8::1]", None),
    ],
)
def test_keys_are_bound_to_a_name(url: str, expected: Party | None) -> None:
    assert Party.of(url) == expected


async def test_a_passkey_signs_in_alone_and_once_for_each_question(
    database: Database, owner: By
) -> None:
    key, codes = await _added(database, owner)
    assert len(codes) == 10
    token = _asked(database)
    answer = key.get(passkeys.sign_in_options(PARTY, token))
    login = await _sign_in(database, answer, token)
    assert isinstance(login, Login)
    assert not login.awaits_code
    assert await database.run(members.presence_of, login.token) is not None
    assert await _sign_in(database, answer, token) == LoginRefused(0)
    async with database.read() as tx:
        [kept] = await passkeys.of_member(tx, owner.member.member_id)
        log = await audit.entries(tx, owner.member.merchant_id, Filter(about=kept.passkey_id))
    assert (kept.name, kept.sign_count, kept.transports) == ("Laptop", 1, ("internal",))
    assert [one.act.note.what for one in log] == ["passkey.added"]


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "https://pay.example.com.thief.example"},
        {"origin": "http://pay.example.com"},
        {"origin": f"{ORIGIN}:8443"},
        {"rp_id": "thief.example"},
        {"flags": USER_PRESENT},
        {"challenge": "AAAA"},
        {"kind": "webauthn.create"},
        {"signature": b"\x30\x06\x02\x01\x01\x02\x01\x01"},
        {"user_handle": b"mem_somebodyElse1"},
        {"sign_count": 0},
    ],
    ids=lambda one: "-".join(one),
)
async def test_what_is_no_answer_of_this_key_opens_nothing(
    database: Database, owner: By, changes: dict[str, Any]
) -> None:
    key, _ = await _added(database, owner)
    assert isinstance(await _signed_in(database, key), Login)
    assert await _signed_in(database, key, **changes) == LoginRefused(0)
    assert isinstance(await _signed_in(database, key), Login)


async def test_an_answer_is_for_one_browser_one_purpose_and_five_minutes(
    database: Database, owner: By, clock: FakeClock
) -> None:
    key, _ = await _added(database, owner)
    token = _asked(database)
    answer = key.get(passkeys.sign_in_options(PARTY, token))
    for other in (_asked(database), "", TOKEN, f"{token}x", token.replace(".1", ".2", 1)):
        assert await _sign_in(database, answer, other) == LoginRefused(0)
    proof = key.get(await _ask(database, owner))
    assert await _sign_in(database, proof, TOKEN) == LoginRefused(0)
    clock.advance(5 * 60)
    assert await _sign_in(database, answer, token) == LoginRefused(0)
    assert await database.run(passkeys.prove, PARTY, TOKEN, proof) is None
    assert isinstance(await _signed_in(database, key), Login)
    clock.advance(5 * 60)
    await database.run(passkeys.purge)
    assert (await _rows(database))[1] == 1, "it may still be under way"
    clock.advance(60)
    await database.run(passkeys.purge)
    assert await _rows(database) == (0, 0)


async def _rows(db: Database) -> tuple[int, int]:
    async with db.read() as tx:
        asked: int = await tx.fetchval("SELECT count(*) FROM login_challenges")
        answered: int = await tx.fetchval("SELECT count(*) FROM sign_in_answers")
    return asked, answered


async def test_strangers_write_nothing(database: Database, owner: By) -> None:
    key, _ = await _added(database, owner)
    before = await _rows(database)
    stranger = Authenticator(ORIGIN, b"\x07" * 32)
    assert await _signed_in(database, stranger) == LoginRefused(0)
    assert await _signed_in(database, key, signature=b"\x30\x00") == LoginRefused(0)
    assert await _sign_in(database, "{}", _asked(database)) == LoginRefused(0)
    assert await _rows(database) == before


async def test_an_answer_that_comes_twice_at_once_counts_once(
    database: Database, owner: By
) -> None:
    # Keys that several devices share count nothing, so a counter tells nobody of a second use.
    key = Authenticator(ORIGIN, counts=False)
    await _register(database, owner, key)
    token = _asked(database)
    answer = key.get(passkeys.sign_in_options(PARTY, token))
    logins = await asyncio.gather(*(_sign_in(database, answer, token) for _ in range(5)))
    assert sum(isinstance(one, Login) for one in logins) == 1
    assert (await _rows(database))[1] == 1


@pytest.mark.parametrize(
    "answer",
    ["", "{}", "[]", "null", '{"rawId": 1}', '{"rawId": "AA", "response": []}', "x" * 9_000],
)
async def test_nonsense_is_refused(database: Database, owner: By, answer: str) -> None:
    assert await _sign_in(database, answer, _asked(database)) == LoginRefused(0)
    await _options(database, owner)
    refused = await database.run(passkeys.register, PARTY, owner, TOKEN, answer, "Laptop")
    assert isinstance(refused, Refused)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "https://thief.example"},
        {"rp_id": "thief.example"},
        {"flags": USER_PRESENT},
        {"challenge": "AAAA"},
    ],
    ids=lambda one: "-".join(one),
)
async def test_only_what_was_asked_for_is_kept(
    database: Database, owner: By, changes: dict[str, Any]
) -> None:
    refused = await _register(database, owner, Authenticator(ORIGIN), **changes)
    assert isinstance(refused, Refused)
    assert not await database.run(factors.is_on, owner.member.member_id)


async def test_a_key_belongs_to_one_person(database: Database, owner: By) -> None:
    key, _ = await _added(database, owner)
    options = json.loads(await _options(database, owner))
    assert len(options["excludeCredentials"]) == 1
    _, token = await database.run(team.invite, owner, "ben@example.com", Role.VIEWER)
    login = await database.run(team.join_anew, token, PASSWORD, HERE)
    refused = await _register(database, By(login.member, ""), key)
    assert isinstance(refused, Refused)
    nameless = await _register(database, owner, Authenticator(ORIGIN, b"\x08" * 32), "")
    assert isinstance(nameless, Refused)
    assert nameless.detail.startswith("name ")


async def test_behind_the_password_comes_the_passkey_or_a_recovery_code(
    database: Database, owner: By
) -> None:
    key, codes = await _added(database, owner)

    async def half() -> Login:
        login = await database.run(members.login, email=EMAIL, password=PASSWORD, browser=HERE)
        assert isinstance(login, Login)
        assert login.awaits_code
        return login

    token = (await half()).token
    assert await database.run(members.presence_of, token) is None
    options = await _ask(database, owner, token)
    login = await database.run(members.show_passkey, PARTY, token, key.get(options), HERE)
    assert isinstance(login, Login)
    again = await database.run(members.show_passkey, PARTY, token, key.get(options), HERE)
    assert again is None
    for code, kind in ((codes[0], Login), (codes[0], LoginRefused), ("000000", LoginRefused)):
        token = (await half()).token
        typed = await database.run(members.type_code, token, code, HERE, None)
        assert isinstance(typed, kind)
    wrong = await database.run(members.show_passkey, PARTY, token, "{}", HERE)
    assert wrong == LoginRefused(0)


async def test_somebody_elses_passkey_is_no_second_factor_of_mine(
    database: Database, owner: By
) -> None:
    await _added(database, owner)
    _, invitation = await database.run(team.invite, owner, "ben@example.com", Role.VIEWER)
    ben = await database.run(team.join_anew, invitation, PASSWORD, HERE)
    thief = Authenticator(ORIGIN, b"\x09" * 32)
    assert isinstance(await _register(database, By(ben.member, ""), thief), list)
    login = await database.run(members.login, email=EMAIL, password=PASSWORD, browser=HERE)
    assert isinstance(login, Login)
    options = await _ask(database, owner, login.token)
    shown = await database.run(members.show_passkey, PARTY, login.token, thief.get(options), HERE)
    assert shown == LoginRefused(0)


async def test_a_passkey_confirms_in_place_of_the_password(
    database: Database, owner: By, clock: FakeClock
) -> None:
    key, _ = await _added(database, owner)
    login = await _signed_in(database, key)
    assert isinstance(login, Login)
    clock.advance(16 * 60)
    presence = await database.run(members.presence_of, login.token)
    assert presence is not None
    assert not presence.is_fresh(clock.now())
    answer = key.get(await _ask(database, owner, login.token))

    async def confirmed() -> LoginRefused | None:
        assert presence is not None
        return await database.run(
            members.confirm_by_passkey, PARTY, owner, presence.login_id, login.token, answer
        )

    assert await confirmed() is None
    assert await confirmed() == LoginRefused(0)
    presence = await database.run(members.presence_of, login.token)
    assert presence is not None
    assert presence.is_fresh(clock.now())


async def test_keys_are_renamed_and_removed_by_their_person_only(
    database: Database, owner: By
) -> None:
    key, _ = await _added(database, owner)
    async with database.read() as tx:
        [kept] = await passkeys.of_member(tx, owner.member.member_id)
    _, token = await database.run(team.invite, owner, "ben@example.com", Role.ADMIN)
    ben = By((await database.run(team.join_anew, token, PASSWORD, HERE)).member, "")
    for by, passkey_id in ((ben, kept.passkey_id), (owner, PasskeyId(f"pky_{'0' * 16}"))):
        with pytest.raises(Refused):
            await database.run(passkeys.rename, by, passkey_id, "Mine")
        with pytest.raises(Refused):
            await database.run(passkeys.remove, by, passkey_id)
    await database.run(passkeys.rename, owner, kept.passkey_id, "Phone")
    async with database.read() as tx:
        [renamed] = await passkeys.of_member(tx, owner.member.member_id)
    assert renamed.name == "Phone"
    await database.run(passkeys.remove, owner, kept.passkey_id)
    assert await _signed_in(database, key) == LoginRefused(0)
    login = await database.run(members.login, email=EMAIL, password=PASSWORD, browser=HERE)
    assert isinstance(login, Login)
    assert not login.awaits_code
    async with database.read() as tx:
        assert await factors.codes_left(tx, owner.member.member_id) == 0


async def test_who_left_every_team_is_let_in_nowhere(database: Database, owner: By) -> None:
    key, _ = await _added(database, owner)
    async with database.begin() as tx:
        await tx.execute("DELETE FROM memberships")
    assert await _signed_in(database, key) == LoginRefused(0)
