"""The team's pages as people use them: inviting, joining, roles, sign-ins, the log."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts.audit import operations as audit
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.console import EMAIL, PASSWORD, Browser, browser_on, reader
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

TEAM = "/dashboard/test/team"
SECURITY = "/dashboard/test/security"
WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
NEW = "new@example.com"


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Browser]:
    async with browser_on(database, new_desk(), sends_mail=True) as browser:
        await browser.register()
        await browser.get(TEAM)
        yield browser


@pytest.fixture
async def guest(database: Database) -> AsyncIterator[Browser]:
    async with browser_on(database, new_desk()) as browser:
        yield browser


async def invited(owner: Browser, role: str = "viewer", email: str = NEW) -> str:
    """The path of an invitation's link, as the page shows it."""
    answer = await owner.post(TEAM, email=email, role=role)
    assert answer.status_code == 200
    text = reader(answer).text
    link = next(word for word in text.split() if "/dashboard/join/" in word)
    assert link not in (await owner.get(TEAM)).text
    return link[link.index("/dashboard") :]


async def joined(owner: Browser, guest: Browser, role: str = "viewer") -> None:
    path = await invited(owner, role)
    answer = await guest.post(path, password=PASSWORD, passwordAgain=PASSWORD)
    assert answer.headers["location"] == "/dashboard/test"
    await guest.get(SECURITY)


async def test_an_invited_person_joins_and_sees_what_the_role_permits(
    owner: Browser, guest: Browser, database: Database
) -> None:
    path = await invited(owner)
    assert "new@example.com is invited with the role Viewer" in reader(await guest.get(path)).text
    wrong = await guest.post(path, password=PASSWORD, passwordAgain="other")
    assert (wrong.status_code, "not the same" in wrong.text) == (422, True)
    short = await guest.post(path, password="short", passwordAgain="short")
    assert (short.status_code, "Must have 12" in short.text) == (422, True)
    made = await guest.post(path, password=PASSWORD, passwordAgain=PASSWORD)
    assert made.headers["location"] == "/dashboard/test"
    links = reader(await guest.get("/dashboard/test")).links()
    assert "/dashboard/test/sessions" in links
    assert "/dashboard/test/keys" not in links
    assert (await guest.get("/dashboard/test/keys")).status_code == 403
    assert (await guest.get(path)).status_code == 404
    async with database.read() as tx:
        row = await tx.fetchrow("SELECT email, body FROM notices")
    assert row is not None
    assert row["email"] == NEW
    assert path in row["body"]


async def test_a_known_person_joins_a_second_business_and_switches(
    owner: Browser, guest: Browser, database: Database
) -> None:
    await joined(owner, guest)
    await owner.get(SECURITY)
    made = await owner.post(f"{SECURITY}/businesses", name="Second Ltd")
    assert made.headers["location"] == f"{SECURITY}?done=merchant-created"
    assert "Second Ltd" in (await owner.get(TEAM)).text
    path = await invited(owner, "admin")
    async with browser_on(database, new_desk()) as stranger:
        told = await stranger.get(path)
        assert "Sign in as" in reader(told).text
        assert (await stranger.post(path)).status_code == 403
    assert (await guest.post(path)).headers["location"] == f"{TEAM}?done=joined"
    page = reader(await guest.get(SECURITY))
    assert "Second Ltd" in page.text
    other = page.field("merchantId")["value"]
    stale = guest.form_token
    await guest.post(f"{SECURITY}/switch", merchantId=other)
    assert "Blue Door Books" in (await guest.get(TEAM)).text
    # A page of the business that was shown before cannot act for the one that is shown now.
    answer = await guest.post(f"{SECURITY}/logins", formToken=stale)
    assert answer.status_code == 403


async def test_roles_are_changed_and_members_removed_on_the_page(
    owner: Browser, guest: Browser, database: Database
) -> None:
    await joined(owner, guest)
    async with database.read() as tx:
        member_id = await tx.fetchval("SELECT member_id FROM members WHERE email = $1", NEW)
    await owner.get(TEAM)
    changed = await owner.post(f"{TEAM}/members/{member_id}", role="developer")
    assert changed.headers["location"] == f"{TEAM}?done=member-changed"
    assert (await guest.get("/dashboard/test/keys")).status_code == 200
    for role in ("", "king", "OWNER"):
        assert (await owner.post(f"{TEAM}/members/{member_id}", role=role)).status_code == 422
    assert "Remove" in (await owner.get(f"{TEAM}/members/{member_id}/remove")).text
    await owner.post(f"{TEAM}/members/{member_id}/remove")
    assert (await guest.get("/dashboard/test")).headers["location"] == "/dashboard/login"


async def test_a_role_that_is_given_again_is_written_down_too(
    owner: Browser, guest: Browser, database: Database
) -> None:
    await joined(owner, guest, "viewer")
    async with database.read() as tx:
        member_id = await tx.fetchval("SELECT member_id FROM members WHERE email = $1", NEW)
    await owner.get(TEAM)
    assert (await owner.post(f"{TEAM}/members/{member_id}", role="viewer")).status_code == 303


async def test_a_password_is_changed_once_for_all_of_ones_businesses(
    owner: Browser, database: Database
) -> None:
    await owner.get(SECURITY)
    assert (await owner.post(f"{SECURITY}/businesses", name="Second")).status_code == 303
    await owner.get(SECURITY)
    new = "another long password"
    answer = await owner.post(
        f"{SECURITY}/password", passwordNow=PASSWORD, password=new, passwordAgain=new
    )
    assert answer.status_code == 303
    async with database.read() as tx:
        told = await tx.fetch(
            "SELECT merchant_id FROM audit_entries WHERE what = 'password.changed'"
        )
    assert len({row["merchant_id"] for row in told}) == len(told) == 2


async def test_the_last_owner_is_told_why_they_stay(owner: Browser, database: Database) -> None:
    async with database.read() as tx:
        member_id = await tx.fetchval("SELECT member_id FROM members")
    for path in (f"{TEAM}/members/{member_id}/remove", f"{SECURITY}/leave"):
        answer = await owner.post(path)
        assert answer.status_code == 422
        assert "last owner stays" in reader(answer).text


async def test_an_invitation_is_withdrawn_and_a_wrong_one_says_what_is_wrong(
    owner: Browser, guest: Browser, database: Database
) -> None:
    path = await invited(owner)
    async with database.read() as tx:
        invitation_id = await tx.fetchval("SELECT invitation_id FROM invitations")
    await owner.post(f"{TEAM}/invitations/{invitation_id}/withdraw")
    assert (await guest.get(path)).status_code == 404
    for email, text in (("x", "Must be an e-mail"), (EMAIL, "Belongs to a member")):
        answer = await owner.post(TEAM, email=email, role="viewer")
        assert (answer.status_code, text in answer.text) == (422, True)
        assert reader(answer).field("email")["value"] == email


async def test_browsers_are_listed_and_signed_out(
    owner: Browser, database: Database, clock: FakeClock
) -> None:
    async with browser_on(database, new_desk()) as second:
        await second.login()
        async with browser_on(database, new_desk()) as third:
            await third.login()
            page = reader(await owner.get(SECURITY))
            [*_, other] = [
                at.get("action", "")
                for tag, at in page.tags
                if tag == "form" and "/logins/" in at.get("action", "")
            ]
            answer = await owner.post(other)
            assert answer.headers["location"] == f"{SECURITY}?done=login-ended"
            assert (await owner.post(other)).status_code == 404
            await owner.post(f"{SECURITY}/logins")
            for gone in (second, third):
                there = await gone.get("/dashboard/test")
                assert there.headers["location"] == "/dashboard/login"
    assert (await owner.get("/dashboard/test")).status_code == 200


async def test_dsh_04_a_login_that_lay_about_asks_for_the_password_and_keeps_what_was_typed(
    owner: Browser, database: Database, clock: FakeClock
) -> None:
    clock.advance(15 * 60)
    accounts = "/dashboard/test/accounts"
    fields = {"accountName": 'Thief\'s "wallet"', "accountAddress": WALLET}
    asked = await owner.post(accounts, **fields)
    page = reader(asked)
    assert asked.status_code == 403
    assert page.field("accountName")["value"] == fields["accountName"]
    assert page.field("accountAddress")["value"] == WALLET
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM receiving_accounts") == 0
    wrong = await owner.post(accounts, **fields, confirmPassword="a wrong password")
    assert (wrong.status_code, "This is not right" in wrong.text) == (422, True)
    assert "a wrong password" not in wrong.text
    right = await owner.post(accounts, **fields, confirmPassword=PASSWORD)
    assert right.status_code == 303
    # And for some minutes nothing is asked again.
    made = await owner.post("/dashboard/test/keys", name="K", mode="test", access="read")
    assert made.status_code == 200
    assert (await owner.post(TEAM, email=NEW, role="viewer")).status_code == 200


async def test_dsh_04_a_stolen_login_cannot_guess_the_password(
    owner: Browser, clock: FakeClock
) -> None:
    clock.advance(15 * 60)
    fields = {"email": NEW, "role": "owner"}
    for _ in range(5):
        await owner.post(TEAM, **fields, confirmPassword="a wrong password")
    answer = await owner.post(TEAM, **fields, confirmPassword=PASSWORD)
    assert (answer.status_code, "Too many tries" in answer.text) == (429, True)


async def test_every_act_is_in_the_log_and_no_secret_is(
    owner: Browser, guest: Browser, database: Database
) -> None:
    await joined(owner, guest, "admin")
    await owner.post("/dashboard/test/accounts", accountName="Main", accountAddress=WALLET)
    async with database.read() as tx:
        account_id = await tx.fetchval("SELECT account_id FROM receiving_accounts")
    await owner.post(f"/dashboard/test/accounts/{account_id}", accountName="Spare")
    await owner.post(f"/dashboard/test/accounts/{account_id}/remove")
    made = await owner.post("/dashboard/test/keys", name="K", mode="live", access="write")
    secret = next(word for word in reader(made).text.split() if word.startswith("sk_live_"))
    async with database.read() as tx:
        key_id = await tx.fetchval("SELECT key_id FROM api_keys")
    await owner.post(f"/dashboard/live/keys/{key_id}/revoke")
    page = await owner.get("/dashboard/test/audit")
    assert page.status_code == 200
    for what in (
        "merchant.created", "member.invited", "member.joined", "login.opened", "account.created",
        "account.renamed", "account.removed", "key.created", "key.revoked",
    ):  # fmt: skip
        assert what in page.text, what
    assert "Main" in page.text
    assert WALLET in page.text
    async with database.read() as tx:
        kept = await tx.fetchval("SELECT string_agg(e::text, ' ') FROM audit_entries e")
        token_hash = await tx.fetchval("SELECT string_agg(token_hash::text, ' ') FROM invitations")
    assert secret not in kept
    assert PASSWORD not in kept
    assert token_hash not in kept
    assert (await audit.verify(database)).problem == ""
    only = reader(await owner.get("/dashboard/test/audit?action=keys.change")).text
    assert "key.created" in only
    assert "account.created" not in only
    assert "Nothing like that" in (await owner.get("/dashboard/test/audit?email=x%00")).text


async def test_dsh_01_names_in_the_log_are_inert(owner: Browser) -> None:
    hostile = "<script>alert(1)</script>"
    await owner.post("/dashboard/test/accounts", accountName=hostile, accountAddress=WALLET)
    page = await owner.get("/dashboard/test/audit")
    assert hostile not in page.text
    assert hostile in reader(page).text


async def test_a_long_log_is_shown_in_pages(owner: Browser) -> None:
    for _ in range(51):
        await owner.post(TEAM, email=NEW, role="viewer")
    page = reader(await owner.get("/dashboard/test/audit?action=team.change"))
    [older] = [link for link in page.links() if "before=" in link]
    rest = reader(await owner.get(older))
    assert rest.text.count("member.invited") == 1
    assert not [link for link in rest.links() if "before=" in link]


async def test_dsh_04_a_thief_adds_a_wallet_and_is_stopped(
    owner: Browser, guest: Browser, database: Database, clock: FakeClock
) -> None:
    """Somebody who has an admin's login adds a wallet of theirs; finance sees it and cancels."""
    accounts = "/dashboard/live/accounts"
    ours = {"accountName": "Main", "accountAddress": WALLET}
    assert (await owner.post(accounts, **ours)).headers["location"].endswith("account-created")
    await joined(owner, guest, "finance")
    thiefs = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
    asked = await owner.post(accounts, accountName="New", accountAddress=thiefs)
    assert asked.headers["location"] == f"{accounts}?done=payout-asked"
    async with database.read() as tx:
        told = await tx.fetch("SELECT email FROM notices WHERE body LIKE '%' || $1 || '%'", thiefs)
    assert {row["email"] for row in told} == {EMAIL, NEW}
    page = reader(await guest.get(accounts))
    assert thiefs in page.text
    [cancel] = [
        at.get("action", "")
        for tag, at in page.tags
        if tag == "form" and "payouts" in at.get("action", "")
    ]
    answer = await guest.post(cancel)
    assert answer.headers["location"] == f"{accounts}?done=payout-cancelled"
    assert thiefs not in (await guest.get(accounts)).text
    assert (await guest.post(cancel)).status_code == 404


async def test_a_limited_key_is_made_by_choosing_and_a_wrong_choice_says_so(
    owner: Browser, database: Database
) -> None:
    keys = "/dashboard/test/keys"
    fields = {"name": "Reports", "mode": "test", "access": "limited"}
    for change, text in (
        ({}, "for one kind at least"),
        ({"scope-session": "all"}, "one of those"),
        ({"scope-session": "read", "addresses": "home"}, "IP addresses or networks"),
        ({"scope-session": "read", "expiresIn": "7"}, "one of those"),
    ):
        answer = await owner.post(keys, **fields, **change)
        assert (answer.status_code, text in answer.text) == (422, True), change
    chosen = {"scope-session": "write", "scope-event": "read", "expiresIn": "30"}
    made = await owner.post(keys, **fields, **chosen, addresses="203.0.113.0/24")
    assert "sk_test_" in made.text
    page = reader(await owner.get(keys)).text
    assert "event:read, session:write" in page
    assert "ends 31 Jan 2026" in page
    assert "from 203.0.113.0/24" in page
