"""The pages of the second factor and of forgotten passwords."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts.members.totp import code_at, step_of
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.console import EMAIL, PASSWORD, Browser, browser_on, reader
from tests.unit.web.shop import PUBLIC_URL, new_desk

pytestmark = pytest.mark.anyio

SECURITY = "/dashboard/test/security"
FACTOR = f"{SECURITY}/factor"


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Browser]:
    async with browser_on(database, new_desk(), sends_mail=True) as browser:
        await browser.register()
        await browser.get(SECURITY)
        yield browser


async def _turned_on(owner: Browser, clock: FakeClock) -> tuple[bytes, list[str]]:
    begun = await owner.post(f"{FACTOR}/begin")
    assert begun.headers["location"] == FACTOR
    page = reader(await owner.get(FACTOR))
    groups = [word for word in page.text.split() if len(word) == 4 and word.isupper()]
    secret = base64.b32decode("".join(groups[-8:]))
    wrong = await owner.post(FACTOR, code="000000")
    assert (wrong.status_code, "Is not the one" in wrong.text) == (422, True)
    on = await owner.post(FACTOR, code=code_at(secret, step_of(clock.now())))
    codes = [word for word in reader(on).text.split() if len(word) == 16 and word.isalnum()]
    assert len(codes) == 10
    return secret, codes


async def test_aut_07_signing_in_takes_the_code_of_the_app(
    owner: Browser, database: Database, clock: FakeClock
) -> None:
    secret, codes = await _turned_on(owner, clock)
    assert codes[0] not in (await owner.get(SECURITY)).text
    clock.advance(30)
    async with browser_on(database, new_desk()) as browser:
        assert (await browser.login()).headers["location"] == "/dashboard/code"
        assert (await browser.get("/dashboard/test")).headers["location"] == "/dashboard/login"
        assert "authenticator app" in (await browser.get("/dashboard/code")).text
        wrong = await browser.post("/dashboard/code", code="000000")
        assert (wrong.status_code, "code is wrong" in wrong.text) == (422, True)
        code = code_at(secret, step_of(clock.now()))
        right = await browser.post("/dashboard/code", code=code)
        assert right.headers["location"] == "/dashboard/test"
        assert (await browser.get("/dashboard/test")).status_code == 200
        # Without the half login the code's page leads back to the password.
        again = await browser.post("/dashboard/code", code=code)
        assert again.headers["location"] == "/dashboard/login"


async def test_turning_the_factor_off_asks_for_it_after_a_while(
    owner: Browser, clock: FakeClock
) -> None:
    secret, _ = await _turned_on(owner, clock)
    clock.advance(15 * 60)
    asked = await owner.post(f"{FACTOR}/off")
    assert asked.status_code == 403
    assert reader(asked).field("confirmCode")
    without = await owner.post(f"{FACTOR}/off", confirmPassword=PASSWORD)
    assert without.status_code == 422
    code = code_at(secret, step_of(clock.now()))
    off = await owner.post(f"{FACTOR}/off", confirmPassword=PASSWORD, confirmCode=code)
    assert off.headers["location"] == f"{SECURITY}?done=factor-off"


async def test_a_password_is_changed_by_who_knows_it(owner: Browser) -> None:
    fields = {"passwordNow": PASSWORD, "password": "a new long password"}
    for change, status, text in (
        ({"passwordAgain": "other"}, 422, "not the same"),
        ({"password": "short", "passwordAgain": "short"}, 422, "Must have 12"),
        ({"passwordNow": "wrong", "passwordAgain": fields["password"]}, 422, "is not right"),
    ):
        answer = await owner.post(f"{SECURITY}/password", **{**fields, **change})
        assert (answer.status_code, text in answer.text) == (status, True)
    done = await owner.post(f"{SECURITY}/password", **fields, passwordAgain=fields["password"])
    assert done.headers["location"] == f"{SECURITY}?done=password-changed"
    assert (await owner.get(SECURITY)).status_code == 200
    assert (await owner.login()).status_code == 422


async def test_aut_10_a_forgotten_password_is_set_by_a_link_of_our_own_address(
    owner: Browser, database: Database
) -> None:
    async with browser_on(database, new_desk(), sends_mail=True) as browser:
        thief = {"sec-fetch-site": "same-origin", "host": "thief.example"}
        known = await browser.post("/dashboard/forgotten", thief, email=EMAIL)
        unknown = await browser.post("/dashboard/forgotten", thief, email="x@example.com")
        assert known.status_code == unknown.status_code == 200
        assert known.text.replace(EMAIL, "") == unknown.text.replace("x@example.com", "")
        async with database.read() as tx:
            [row] = await tx.fetch("SELECT body FROM notices")
        [link] = [word for word in row["body"].split() if "/reset/" in word]
        assert link.startswith(f"{PUBLIC_URL}/dashboard/reset/")
        path = link.removeprefix(PUBLIC_URL)
        assert (await browser.get(path)).status_code == 200
        new = "a new long password"
        wrong = await browser.post(path, password=new, passwordAgain="other")
        assert wrong.status_code == 422
        short = await browser.post(path, password="short", passwordAgain="short")
        assert short.status_code == 422
        done = await browser.post(path, password=new, passwordAgain=new)
        assert done.headers["location"] == "/dashboard/login"
        assert (await browser.get(path)).status_code == 404
        assert (await browser.login(new)).headers["location"] == "/dashboard/test"
    assert (await owner.get(SECURITY)).headers["location"] == "/dashboard/login"


async def test_without_a_mail_server_the_page_says_so(database: Database) -> None:
    async with browser_on(database, new_desk()) as browser:
        await browser.register()
        answer = await browser.post("/dashboard/forgotten", email=EMAIL)
        assert "sends no e-mail" in answer.text
        async with database.read() as tx:
            assert await tx.fetchval("SELECT count(*) FROM password_resets") == 0
