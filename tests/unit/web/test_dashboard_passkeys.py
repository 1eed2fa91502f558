"""The pages of passkeys, with a security key in software."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.accounts.authenticator import Authenticator
from tests.unit.web.console import PASSWORD, Browser, Reader, browser_on, reader
from tests.unit.web.shop import PUBLIC_URL, new_desk

pytestmark = pytest.mark.anyio

SECURITY = "/dashboard/test/security"
PASSKEYS = f"{SECURITY}/passkeys"
DOOR = "/dashboard/passkey"
WRITTEN = """
SELECT (SELECT count(*) FROM login_challenges) + (SELECT count(*) FROM sign_in_answers)
  + (SELECT count(*) FROM login_failures) + (SELECT count(*) FROM audit_entries)
"""


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Browser]:
    async with browser_on(database, new_desk()) as browser:
        await browser.register()
        await browser.get(SECURITY)
        yield browser


def _options(html: str) -> str:
    """What the page's script asks the browser for."""
    return next(at["data-options"] for tag, at in Reader(html).tags if "data-options" in at)


async def _added(owner: Browser, name: str = "Laptop") -> tuple[Authenticator, list[str]]:
    begun = await owner.post(f"{PASSKEYS}/begin")
    assert begun.headers["location"] == f"{PASSKEYS}/new"
    page = await owner.get(f"{PASSKEYS}/new")
    key = Authenticator(PUBLIC_URL)
    made = await owner.post(PASSKEYS, name=name, credential=key.create(_options(page.text)))
    assert made.status_code == 200, made.text
    words = reader(made).text.split()
    return key, [word for word in words if len(word) == 16 and word.isalnum()]


async def test_a_passkey_is_added_used_renamed_and_removed(
    owner: Browser, database: Database
) -> None:
    key, codes = await _added(owner)
    assert len(codes) == 10
    page = await owner.get(SECURITY)
    assert "Laptop" in page.text
    async with browser_on(database, new_desk()) as browser:
        asked = await browser.get(DOOR)
        wrong = await browser.post(DOOR, credential="{}")
        assert (wrong.status_code, "was not accepted" in wrong.text) == (422, True)
        stale = await browser.post(DOOR, credential=key.get(_options(asked.text)))
        assert stale.status_code == 422
        answer = key.get(_options(stale.text))
        let_in = await browser.post(DOOR, credential=answer)
        assert let_in.headers["location"] == "/dashboard/test"
        assert (await browser.get("/dashboard/test")).status_code == 200
        assert (await browser.post(DOOR, credential=answer)).status_code == 422
    renames = [
        at["action"]
        for tag, at in reader(page).tags
        if tag == "form" and f"{PASSKEYS}/pky_" in at.get("action", "")
    ]
    one = renames[0]
    assert (await owner.post(one, name="Phone")).headers["location"].endswith("passkey-renamed")
    assert (await owner.post(one, name="")).status_code == 422
    assert "Phone" in (await owner.get(SECURITY)).text
    removed = await owner.post(f"{one}/remove")
    assert removed.headers["location"].endswith("passkey-removed")
    assert (await owner.post(f"{one}/remove")).status_code == 404
    assert "Phone" not in (await owner.get(SECURITY)).text


async def test_asking_to_sign_in_costs_the_database_nothing(
    owner: Browser, database: Database
) -> None:
    async with database.read() as tx:
        before = await tx.fetchval(WRITTEN)
    async with browser_on(database, new_desk()) as stranger:
        for _ in range(3):
            assert (await stranger.get(DOOR)).status_code == 200
            assert (await stranger.post(DOOR, credential="{}")).status_code == 422
    async with database.read() as tx:
        assert await tx.fetchval(WRITTEN) == before


async def test_behind_the_password_the_code_page_asks_for_the_passkey(
    owner: Browser, database: Database
) -> None:
    key, codes = await _added(owner)
    async with browser_on(database, new_desk()) as browser:
        assert (await browser.login()).headers["location"] == "/dashboard/code"
        wrong = await browser.post("/dashboard/code/passkey", credential="{}")
        assert (wrong.status_code, "was not accepted" in wrong.text) == (422, True)
        answer = key.get(_options(wrong.text))
        let_in = await browser.post("/dashboard/code/passkey", credential=answer)
        assert let_in.headers["location"] == "/dashboard/test"
        again = await browser.post("/dashboard/code/passkey", credential=answer)
        assert again.headers["location"] == "/dashboard/login"
    async with browser_on(database, new_desk()) as browser:
        await browser.login()
        let_in = await browser.post("/dashboard/code", code=codes[0])
        assert let_in.headers["location"] == "/dashboard/test"


async def test_what_is_asked_again_is_answered_by_the_passkey_too(
    owner: Browser, clock: FakeClock
) -> None:
    key, _ = await _added(owner)
    clock.advance(16 * 60)
    team = "/dashboard/test/team"
    fields = {"email": "ben@example.com", "role": "viewer"}
    asked = await owner.post(team, **fields)
    assert asked.status_code == 403
    assert reader(asked).field("email")["value"] == "ben@example.com"
    wrong = await owner.post(team, **fields, confirmPasskey="{}")
    assert wrong.status_code == 422
    invited = await owner.post(team, **fields, confirmPasskey=key.get(_options(wrong.text)))
    assert (invited.status_code, "ben@example.com" in invited.text) == (200, True)


async def test_without_a_question_or_a_name_nothing_is_kept(owner: Browser) -> None:
    assert (await owner.get(f"{PASSKEYS}/new")).headers["location"] == SECURITY
    late = await owner.post(PASSKEYS, name="Laptop", credential="{}")
    assert (late.status_code, "begin again" in late.text) == (422, True)
    key = Authenticator(PUBLIC_URL)
    nameless = await owner.post(PASSKEYS, name="", credential=key.create(_options(late.text)))
    assert nameless.status_code == 422
    assert reader(nameless).field("name")["aria-invalid"] == "true"


async def test_a_server_without_a_name_offers_none(database: Database) -> None:
    desk = new_desk(public_url="http://127.0.0.1:8000")
    async with browser_on(database, desk) as browser:
        await browser.register()
        assert "Browsers make passkeys only" in (await browser.get(SECURITY)).text
        assert (await browser.get(DOOR)).status_code == 404
        assert (await browser.post(f"{PASSKEYS}/begin")).status_code == 404
        assert "passkey" not in (await browser.login("wrong")).text
        assert (await browser.login(PASSWORD)).status_code == 303
