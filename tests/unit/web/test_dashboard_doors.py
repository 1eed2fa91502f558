"""First run, signing in and out, and what a form must carry."""

from __future__ import annotations

import asyncio

import pytest

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.console import (
    EMAIL,
    OWNER,
    PASSWORD,
    Browser,
    browser_on,
    reader,
)
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


async def rows(db: Database, table: str) -> int:
    async with db.read() as tx:
        count: int = await tx.fetchval(f"SELECT count(*) FROM {table}")
    return count


async def test_the_first_visitor_becomes_the_owner(browser: Browser) -> None:
    assert (await browser.get("/dashboard")).headers["location"] == "/dashboard/setup"
    assert (await browser.get("/dashboard/login")).headers["location"] == "/dashboard/setup"
    assert (await browser.get("/dashboard/setup")).status_code == 200
    made = await browser.register()
    assert (made.status_code, made.headers["location"]) == (303, "/dashboard/test")
    overview = await browser.get("/dashboard/test")
    # Its length must not tell of the secrets in it (BREACH).
    assert "content-encoding" not in overview.headers
    page = reader(overview)
    assert "Blue Door Books" in page.text
    assert (await browser.get("/dashboard")).headers["location"] == "/dashboard/test"


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("name", " ", "Must have 1 to 100 characters."),
        ("email", "owner", "Must be an e-mail address."),
        ("password", "eleven char", "Must have 12 to 128 characters."),
        ("passwordAgain", "correct horse batterY", "The two passwords are not the same."),
    ],
)
async def test_setup_names_the_wrong_field_and_keeps_the_rest(
    browser: Browser, database: Database, field: str, value: str, text: str
) -> None:
    fields = {**OWNER, "passwordAgain": PASSWORD, field: value}
    if field == "password":
        fields["passwordAgain"] = value
    answer = await browser.post("/dashboard/setup", **fields)
    page = reader(answer)
    assert answer.status_code == 422
    assert page.field(field)["aria-invalid"] == "true"
    assert text in page.text
    assert page.field("email")["value"] == fields["email"]
    assert page.field("password")["value"] == ""
    assert await rows(database, "members") == 0
    assert await rows(database, "merchants") == 0


async def test_aut_11_setup_is_closed_once_there_is_an_owner(
    browser: Browser, database: Database
) -> None:
    await browser.register()
    assert (await browser.get("/dashboard/setup")).status_code == 404
    again = await browser.post(
        "/dashboard/setup", **{**OWNER, "email": "x@example.com"}, passwordAgain=PASSWORD
    )
    assert again.status_code == 404
    assert await rows(database, "members") == 1


async def test_aut_11_one_of_several_first_visitors_wins(database: Database) -> None:
    async def try_it(number: int) -> int:
        async with browser_on(database, new_desk()) as browser:
            fields = {**OWNER, "email": f"owner{number}@example.com"}
            answer = await browser.post("/dashboard/setup", **fields, passwordAgain=PASSWORD)
            return answer.status_code

    codes = await asyncio.gather(*(try_it(number) for number in range(4)))
    assert sorted(codes) == [303, 404, 404, 404]
    assert await rows(database, "members") == 1
    assert await rows(database, "merchants") == 1


async def test_aut_09_a_form_of_another_site_changes_nothing(
    browser: Browser, database: Database
) -> None:
    await browser.register()
    await browser.get("/dashboard/test/accounts")
    fields = {"accountName": "Thief", "accountAddress": WALLET}
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://shop.test"},
        {"origin": "http://elsewhere.test"},
        {"origin": "null"},
        {},
    ):
        for path in ("/dashboard/test/accounts", "/dashboard/test/keys", "/dashboard/logout"):
            answer = await browser.post(path, headers, **fields, name="x")
            assert answer.status_code == 403, (headers, path)
    assert await rows(database, "receiving_accounts") == 0
    assert await rows(database, "api_keys") == 0
    assert await rows(database, "login_sessions") == 1


async def test_aut_09_a_form_without_this_logins_token_changes_nothing(
    browser: Browser, database: Database
) -> None:
    await browser.register()
    await browser.get("/dashboard/test/accounts")
    old_token = browser.form_token
    await browser.login()
    assert len(old_token) == 64
    for token in ("", "x" * 64, "ö", old_token):
        answer = await browser.post(
            "/dashboard/test/accounts",
            formToken=token,
            accountName="Main",
            accountAddress=WALLET,
        )
        assert answer.status_code == 403, token
    assert await rows(database, "receiving_accounts") == 0


async def test_aut_09_a_form_in_a_simple_type_is_refused(
    browser: Browser, database: Database
) -> None:
    await browser.register()
    await browser.get("/dashboard/test/accounts")
    body = f"formToken={browser.form_token}&accountName=Main&accountAddress={WALLET}"
    for content_type in ("text/plain", "multipart/form-data; boundary=x", "application/json"):
        answer = await browser.client.post(
            "/dashboard/test/accounts",
            content=body,
            headers={"sec-fetch-site": "same-origin", "content-type": content_type},
        )
        assert answer.status_code == 403, content_type
    assert await rows(database, "receiving_accounts") == 0


async def test_aut_09_signing_in_from_another_site_is_refused(browser: Browser) -> None:
    await browser.register()
    browser.client.cookies.clear()
    answer = await browser.post(
        "/dashboard/login", {"sec-fetch-site": "cross-site"}, email=EMAIL, password=PASSWORD
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_aut_10_wrong_e_mail_and_wrong_password_are_answered_alike(
    browser: Browser,
) -> None:
    await browser.register()
    browser.client.cookies.clear()
    wrong = await browser.login("not the password")
    nobody = await browser.login("not the password", "nobody@example.com")
    assert wrong.status_code == nobody.status_code == 422
    assert wrong.text == nobody.text.replace("nobody@example.com", EMAIL)
    assert "The e-mail address or the password is wrong." in wrong.text
    assert "not the password" not in wrong.text


async def test_signing_in_slows_down_after_failures(browser: Browser, clock: FakeClock) -> None:
    await browser.register()
    browser.client.cookies.clear()
    for _ in range(7):
        await browser.login("not the password")
    answer = await browser.login("not the password")
    assert answer.status_code == 429
    assert answer.headers["retry-after"].isdecimal()
    assert "Too many tries" in answer.text
    clock.advance(7200)
    assert (await browser.login()).status_code == 303


async def test_aut_14_every_page_asks_for_a_login(browser: Browser) -> None:
    await browser.register()
    browser.client.cookies.clear()
    for path in (
        "",
        "/sessions",
        "/sessions/sess_x",
        "/unusual",
        "/links",
        "/products",
        "/accounts",
        "/accounts/acc_x",
        "/accounts/acc_x/remove",
        "/keys",
        "/keys/key_x/revoke",
    ):
        answer = await browser.get(f"/dashboard/test{path}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/login"), path
    for path in ("/accounts", "/accounts/acc_x", "/accounts/acc_x/remove", "/keys"):
        answer = await browser.post(f"/dashboard/test{path}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/login"), path


async def test_aut_14_what_is_no_page_is_not_found(browser: Browser) -> None:
    await browser.register()
    for path in ("prod", "Test", ".env", "test/..%2f..%2fkey.pem", "test/nothing", "logout"):
        assert (await browser.get(f"/dashboard/{path}")).status_code == 404, path


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    browser: Browser, database: Database
) -> None:
    cookie = (await browser.register()).headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    assert name == "gstable"
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(rest.split("; "))
    url = "https://pay.example.com"
    async with browser_on(database, new_desk(public_url=url), url) as secure:
        cookie = (await secure.login()).headers["set-cookie"]
        assert cookie.startswith("__Host-gstable=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        assert (await secure.get("/dashboard/test")).status_code == 200


async def test_the_login_is_new_every_time_and_stored_as_a_hash(
    browser: Browser, database: Database
) -> None:
    await browser.register()
    first = browser.client.cookies["gstable"]
    await browser.login()
    second = browser.client.cookies["gstable"]
    assert first != second
    assert await rows(database, "login_sessions") == 1
    async with database.read() as tx:
        stored = await tx.fetchval("SELECT token_hash FROM login_sessions")
    assert second.encode() not in stored


async def test_signing_out_ends_the_login_everywhere(browser: Browser) -> None:
    await browser.register()
    await browser.get("/dashboard/test")
    token = browser.client.cookies["gstable"]
    answer = await browser.post("/dashboard/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/login")
    assert "gstable" not in browser.client.cookies
    kept = await browser.get("/dashboard/test", cookie=f"gstable={token}")
    assert kept.headers["location"] == "/dashboard/login"


async def test_a_login_ends_when_nobody_comes_for_two_hours(
    browser: Browser, clock: FakeClock
) -> None:
    await browser.register()
    clock.advance(7201)
    assert (await browser.get("/dashboard/test")).headers["location"] == "/dashboard/login"


async def test_pages_are_never_kept_and_run_no_script_but_the_consoles_own(
    browser: Browser,
) -> None:
    await browser.register()
    for path in ("/dashboard/login", "/dashboard/test", "/dashboard/test/keys"):
        answer = await browser.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        tags = reader(answer).tags
        assert not [at for tag, at in tags if tag == "style" or "style" in at], path
        scripts = [at for tag, at in tags if tag == "script"]
        assert len(scripts) == (path != "/dashboard/login"), path
        assert all(at["src"].startswith("/static/console-") and at["integrity"] for at in scripts)
