"""Signing in with another server: who is let in, and which tokens are none."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from httpx2 import Response
from joserfc import jwk, jwt

from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import By
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.openid import Client, OpenId, is_trusted
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.console import EMAIL, Browser, browser_on
from tests.unit.web.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    Provider,
    Spoil,
    provider_at,
    signed,
)
from tests.unit.web.shop import PUBLIC_URL, new_desk

pytestmark = pytest.mark.anyio

DOOR = "/dashboard/openid"
OWNER = {"sub": "owner-1", "email": EMAIL, "email_verified": True}
HOME = "/dashboard/test"
OTHER = jwk.RSAKey.generate_key(2048)


@dataclass
class Office:
    """The console of a business, and the server that its people have a sign-in at."""

    db: Database
    provider: Provider
    openid: OpenId
    browser: Browser

    async def there(self) -> str:
        """The address that the browser is sent back to, as the provider says it."""
        away = await self.browser.get(DOOR)
        assert away.status_code == 303, away.text
        async with (
            aiohttp.ClientSession() as session,
            session.get(away.headers["location"], allow_redirects=False) as answer,
        ):
            assert answer.status == 302
            return str(answer.headers["location"]).removeprefix(PUBLIC_URL)

    async def sign_in(self, **claims: Any) -> Response:
        self.provider.claims = {**OWNER, **claims}
        return await self.browser.get(await self.there())

    async def is_let_in(self, **claims: Any) -> bool:
        answer = await self.sign_in(**claims)
        if answer.status_code == 303:
            assert answer.headers["location"] == HOME
            assert (await self.browser.get(HOME)).status_code == 200
            return True
        assert answer.status_code == 403
        assert (await self.browser.get(HOME)).headers["location"] == "/dashboard/login"
        return False


@pytest.fixture
async def office(database: Database, clock: FakeClock) -> AsyncIterator[Office]:
    async with (
        browser_on(database, new_desk()) as owner,
        provider_at(lambda: int(clock.now().timestamp())) as provider,
    ):
        await owner.register()
        back = f"{PUBLIC_URL}{DOOR}/return"
        openid = OpenId(Client(provider.issuer, CLIENT_ID, CLIENT_SECRET, back, "Example SSO"))
        async with browser_on(database, new_desk(), openid=openid) as browser:
            yield Office(database, provider, openid, browser)


async def _invited(office: Office, email: str, role: Role) -> None:
    async with office.db.begin() as tx:
        merchant_id = await tx.fetchval("SELECT merchant_id FROM memberships")
        [owner, *_] = await team.members_of(tx, merchant_id)
        await team.invite(tx, By(owner, ""), email, role)


async def test_a_member_is_let_in_by_the_verified_address_and_then_by_the_subject(
    office: Office,
) -> None:
    assert "Sign in with Example SSO" in (await office.browser.get("/dashboard/login")).text
    assert await office.is_let_in()
    assert await office.is_let_in(email="elsewhere@example.com", email_verified=False)
    async with office.db.read() as tx:
        words = [row["what"] for row in await tx.fetch("SELECT what FROM audit_entries")]
    assert words.count("identity.bound") == 1
    office.browser.client.cookies.clear()
    # The address is somebody else's there now.
    assert not await office.is_let_in(sub="another")


NOBODY: tuple[dict[str, Any], ...] = (
    {"email": "nobody@example.com"},
    {"email_verified": False},
    {"email_verified": "true"},
    {"email_verified": None},
    {"email": None},
    {"email": "no address"},
    {"email": ["owner@example.com"]},
)


async def test_nobody_else_is_let_in(office: Office) -> None:
    for claims in NOBODY:
        assert not await office.is_let_in(**claims), claims


async def test_an_invited_person_joins_with_the_role_of_the_invitation(office: Office) -> None:
    new = {"sub": "new-1", "email": "New@Example.com", "role": "owner", "groups": ["admins"]}
    assert not await office.is_let_in(**new)
    await _invited(office, "new@example.com", Role.SUPPORT)
    assert await office.is_let_in(**new)
    async with office.db.read() as tx:
        rows = await tx.fetch("SELECT role FROM memberships ORDER BY joined_at, role DESC")
    assert sorted(row["role"] for row in rows) == ["owner", "support"]
    async with office.db.begin() as tx:
        await tx.execute("DELETE FROM login_sessions")
        await tx.execute("DELETE FROM memberships WHERE role = 'support'")
    assert not await office.is_let_in(**new)


async def test_who_has_a_second_factor_here_shows_it_too(office: Office) -> None:
    async with office.db.begin() as tx:
        await tx.execute(
            "INSERT INTO authenticators (member_id, secret, confirmed_at, last_step)"
            " SELECT member_id, $1, $2, 0 FROM members",
            bytes(57),
            tx.now,
        )
    assert (await office.sign_in()).headers["location"] == "/dashboard/code"
    assert (await office.browser.get(HOME)).headers["location"] == "/dashboard/login"


def _unsigned(_: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = ({**head, "alg": "none"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts]
    return b".".join([*texts, b""]).decode()


def _by_the_public_key(provider: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
    """RS256 swapped for HS256: the public key as if it were a shared secret."""
    return _by_hmac(provider.key.as_pem(private=False), head, claims)


def _by_hmac(secret: bytes, head: dict[str, Any], claims: dict[str, Any]) -> str:
    """By hand, since libraries refuse to."""
    parts = ({**head, "alg": "HS256"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts]
    seal = hmac.digest(secret, b".".join(texts), "sha256")
    return b".".join([*texts, base64.urlsafe_b64encode(seal).rstrip(b"=")]).decode()


def _by_the_secret(_: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
    return _by_hmac(CLIENT_SECRET.encode(), head, claims)


def _by_another_key(_: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(head, claims, OTHER, algorithms=["RS256"])


def _naming(key_id: str) -> Spoil:
    def make(provider: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
        return signed(provider, {**head, "kid": key_id}, claims)

    return make


def _with_its_own_key(_: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
    head = {**head, "jwk": OTHER.as_dict(private=False)}
    return jwt.encode(head, claims, OTHER, algorithms=["RS256"])


def _changed(provider: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
    first, _, last = signed(provider, head, claims).split(".")
    other = json.dumps({**claims, "sub": "owner-2"}).encode()
    return f"{first}.{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}.{last}"


ANOTHER_MAKE: tuple[Spoil, ...] = (
    _unsigned,
    _by_the_public_key,
    _by_the_secret,
    _by_another_key,
    _with_its_own_key,
    _changed,
    _naming("../../../../dev/null"),
    _naming("/etc/passwd"),
    _naming("x' UNION SELECT 'secret' --"),
    lambda *_: "no.token",
    lambda *_: "",
)


async def test_aut_16_tokens_of_another_make_sign_nobody_in(office: Office) -> None:
    for make in ANOTHER_MAKE:
        office.provider.make = make
        assert not await office.is_let_in(), make
    office.provider.make = signed
    assert await office.is_let_in()


SOMETHING_ELSE: tuple[dict[str, Any], ...] = (
    {"iss": "https://thief.example"},
    {"aud": "another client"},
    {"aud": [CLIENT_ID, "another client"]},
    {"azp": "another client"},
    {"exp": 1_000_000_000},
    {"exp": None},
    {"exp": "9999999999"},
    {"iat": 99_999_999_999},
    {"nonce": "another"},
    {"nonce": None},
    {"sub": None},
    {"sub": ""},
)


async def test_aut_16_tokens_that_say_something_else_sign_nobody_in(office: Office) -> None:
    for claims in SOMETHING_ELSE:
        assert not await office.is_let_in(**claims), claims
    assert await office.is_let_in(aud=[CLIENT_ID], azp=CLIENT_ID)


async def test_an_answer_counts_once_in_the_browser_that_asked(
    office: Office, clock: FakeClock
) -> None:
    office.provider.claims = OWNER
    back = await office.there()
    async with browser_on(office.db, new_desk(), openid=office.openid) as thief:
        assert (await thief.get(back)).status_code == 403
    other = back.partition("state=")[0] + "state=another"
    assert (await office.browser.get(other)).status_code == 403
    assert (await office.browser.get(back)).status_code == 403
    back = await office.there()
    assert (await office.browser.get(back)).status_code == 303
    assert (await office.browser.get(back)).status_code == 403
    back = await office.there()
    clock.advance(10 * 60)
    assert (await office.browser.get(back)).status_code == 403
    for strange in ("?error=access_denied", "", "?code=1&iss=https://thief.example"):
        assert (await office.browser.get(f"{DOOR}/return{strange}")).status_code == 403


async def test_only_who_is_let_in_is_written_down(office: Office) -> None:
    for claims in NOBODY:
        await office.sign_in(**claims)
    async with office.db.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM login_challenges") == 0
        assert await tx.fetchval("SELECT count(*) FROM sign_in_answers") == 0
    office.provider.claims = OWNER
    back = await office.there()
    codes, kept = dict(office.provider.asked), dict(office.browser.client.cookies)
    assert (await office.browser.get(back)).status_code == 303
    # Whoever kept the cookie cannot answer again, whatever the provider gives for the same code.
    office.provider.asked.update(codes)
    office.browser.client.cookies.clear()
    office.browser.client.cookies.update(kept)
    assert (await office.browser.get(back)).status_code == 403
    async with office.db.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM sign_in_answers") == 1
        assert await tx.fetchval("SELECT count(*) FROM login_sessions") == 2


async def test_keys_that_were_changed_are_asked_for_again_and_not_for_ever(
    office: Office,
) -> None:
    assert await office.is_let_in()
    office.provider.key = jwk.RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
    office.provider.make = _naming("two")
    # Asked for a moment ago: an attacker who names unknown keys does not make us ask each time.
    office.browser.client.cookies.clear()
    assert not await office.is_let_in()
    assert office.provider.keys_read == 1
    openid = OpenId(office.openid.client)
    async with browser_on(office.db, new_desk(), openid=openid) as browser:
        assert await Office(office.db, office.provider, openid, browser).is_let_in()


UNTRUSTED: tuple[dict[str, Any], ...] = (
    {"issuer": "https://thief.example"},
    {"token_endpoint": "http://thief.example/token"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"jwks_uri": None},
)


async def test_a_description_that_cannot_be_trusted_sends_nobody_away(office: Office) -> None:
    for document in UNTRUSTED:
        office.provider.document = document
        assert (await office.browser.get(DOOR)).status_code == 403, document


async def test_a_server_that_is_away_is_said_to_be(database: Database) -> None:
    client = Client("http://127.0.0.1:1", CLIENT_ID, CLIENT_SECRET, PUBLIC_URL, "Away")
    async with browser_on(database, new_desk(), openid=OpenId(client)) as browser:
        assert (await browser.get(DOOR)).status_code == 503


async def test_without_another_server_there_is_no_such_door(database: Database) -> None:
    async with browser_on(database, new_desk()) as browser:
        assert (await browser.get(DOOR)).status_code == 404
        assert (await browser.get(f"{DOOR}/return")).status_code == 404


def test_which_addresses_can_be_trusted() -> None:
    assert is_trusted("https://id.example.com/realm")
    assert is_trusted("http://127.0.0.1:8080")
    for bad in (
        "http://id.example.com",
        "https://user@id.example.com",
        "https://id.example.com?x",
        "https://id.example.com#x",
        "id.example.com",
        "",
    ):
        assert not is_trusted(bad)
    with pytest.raises(ValueError, match="https"):
        OpenId(Client("http://id.example.com", "", "", "", ""))
