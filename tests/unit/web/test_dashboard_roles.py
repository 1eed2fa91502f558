"""Every role at every place of the dashboard: made from its own table of places, so that a new one
cannot be forgotten."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from httpx2 import Response
from starlette.routing import Route

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser as From
from gstable_server.accounts.members.model import By, Login, Member
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.accounts.payouts.model import PayoutChange
from gstable_server.accounts.payouts.operations import Policy
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import ItemType, ProductTerms
from gstable_server.kernel.ids import PasskeyId
from gstable_server.kernel.roles import FRESH, PERMITTED, ROLE_WORDS, Action, Role, may, may_assign
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.links import operations as links
from gstable_server.links.model import LineTerms, LinkTerms, LinkType
from gstable_server.links.operations import Shop
from gstable_server.plumbing.db import Database, Tx
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.wire import PrepareRefund
from gstable_server.web.base import Pages
from gstable_server.web.dashboard import routes as dashboard
from gstable_server.web.dashboard.guard import Guard, form_token
from gstable_server.web.dashboard.place import UNAUDITED, Place
from gstable_server.web.dashboard.routes import places
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import Target
from tests.unit.web.console import Browser, reader, registered
from tests.unit.web.shop import Merchant, new_desk
from tests.unit.web.test_dashboard_unmatched import late

pytestmark = pytest.mark.anyio

FORBIDDEN = "Your role in this team does not permit it."
_WEBHOOK = {
    "webhookName": "Mine",
    "webhookUrl": "https://shop.example/mine",
    "event-session.paid": "on",
    "since": "2026-01-01T00:00",
    "until": "2026-01-02T00:00",
}
WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
BEFORE_SIGNING_IN = {
    ("GET", "/dashboard"),
    ("GET", "/dashboard/"),
    ("GET", "/dashboard/setup"),
    ("POST", "/dashboard/setup"),
    ("GET", "/dashboard/login"),
    ("POST", "/dashboard/login"),
    ("GET", "/dashboard/code"),
    ("POST", "/dashboard/code"),
    ("POST", "/dashboard/code/passkey"),
    ("GET", "/dashboard/passkey"),
    ("POST", "/dashboard/passkey"),
    ("GET", "/dashboard/openid"),
    ("GET", "/dashboard/openid/return"),
    ("GET", "/dashboard/forgotten"),
    ("POST", "/dashboard/forgotten"),
    ("GET", "/dashboard/reset/{token}"),
    ("POST", "/dashboard/reset/{token}"),
    ("GET", "/dashboard/join/{token}"),
    ("POST", "/dashboard/join/{token}"),
}
NO_OBJECTS = {"mode", "act", "what", "token"}
"""What stands in addresses and is nobody's: choices, and links that are their own proof."""
IN_LIVE_MODE = {"change_id", "limit_change_id"}
OTHER_WALLET = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
UPLOADS = ("/branding", "/branding/preview", "/picture")
"""Forms that may carry files."""
VALUES = {
    "product_id": f"prd_{'a' * 24}",
    "link_id": f"lnk_{'a' * 32}",
    "mode": "test",
    "act": "dismiss",
    "session_id": f"sess_{'a' * 32}",
    "refund_id": f"rfd_{'a' * 24}",
    "inflow_id": f"inf_{'a' * 24}",
    "account_id": f"acc_{'a' * 24}",
    "key_id": f"key_{'a' * 16}",
    "member_id": f"mem_{'a' * 16}",
    "invitation_id": f"inv_{'a' * 16}",
    "webhook_id": f"wkid_{'a' * 24}",
    "event_id": f"evt_{'a' * 16}",
    "change_id": f"pch_{'a' * 16}",
    "limit_change_id": f"lch_{'a' * 16}",
    "what": "sessions",
    "request_id": f"req_{'a' * 24}",
    "passkey_id": f"pky_{'a' * 16}",
    "login_id": f"lgn_{'a' * 16}",
}


@pytest.fixture
async def merchant(database: Database, browser: Browser) -> Merchant:
    return await registered(database, new_desk(), browser)


def _places(database: Database) -> list[Place]:
    return places(Guard(database, new_desk(), Pages.load()))


def _address(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: VALUES[match[1]], path)


async def _join(tx: Tx, by: By, role: Role, name: str = "member") -> Member:
    _, token = await team.invite(tx, by, f"{name}@example.com", role)
    login = await team.join_anew(tx, token, "correct horse battery", From())
    return login.member


async def _owner(database: Database) -> By:
    async with database.read() as tx:
        merchant_id = await tx.fetchval("SELECT merchant_id FROM memberships")
        [owner] = await team.members_of(tx, merchant_id)
    return By(owner, "")


def _let_in(browser: Browser, login: Login, merchant_id: str) -> None:
    browser.client.cookies.clear()
    browser.client.cookies.set("gstable", login.token)
    browser.form_token = form_token(login.token, merchant_id)


async def _ask(browser: Browser, place: Place, address: str, **fields: str) -> Response:
    if place.method == "GET":
        return await browser.get(address)
    if not address.endswith(UPLOADS):
        return await browser.post(address, **fields)
    return await browser.client.post(
        address,
        files={"formToken": (None, browser.form_token)},
        headers={"sec-fetch-site": "same-origin"},
    )


async def _asked(
    browser: Browser, database: Database, member: Member, place: Place, table: list[Place]
) -> str:
    """What a member with a login of its own is answered there: "forbidden", "login" or "in"."""
    login = await database.run(members.open_login, member, From())
    _let_in(browser, login, member.merchant_id)
    address = _address(place.path)
    answer = await _ask(browser, place, address)
    assert answer.status_code < 500, (place.method, address, answer.text)
    if FORBIDDEN in answer.text:
        assert answer.status_code == 403
        return "forbidden"
    assert answer.status_code != 403, (place.method, address, answer.text)
    if answer.status_code == 200:
        _offers_only_what_is_permitted(answer, member.role, table)
    is_sent_away = answer.headers.get("location") == "/dashboard/login"
    leaves = place.path.endswith(("/logout", "/leave"))
    return "login" if is_sent_away and not leaves else "in"


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/?]+", re.escape(path)))


def _offers_only_what_is_permitted(answer: Response, role: Role, table: list[Place]) -> None:
    """No page has a link or form that its reader's role does not permit."""
    offered = set()
    for tag, at in reader(answer).tags:
        method = "POST" if at.get("method") == "post" else "GET"
        address = at.get("href" if tag == "a" else "action" if tag == "form" else "", "")
        offered.add((method, address.partition("?")[0]))
    for place in table:
        if place.action is None or may(role, place.action):
            continue
        pattern = _pattern(place.path)
        wrong = [one for one in offered if one[0] == place.method and pattern.fullmatch(one[1])]
        assert not wrong, (place.path, wrong)


@pytest.mark.parametrize("role", list(Role))
async def test_dsh_02_every_place_lets_in_the_roles_of_its_action_and_no_other(
    browser: Browser, database: Database, merchant: Merchant, role: Role
) -> None:
    owner = await _owner(database)
    await database.run(_objects, owner, new_desk())
    member = await database.run(_join, owner, role)
    answers, expected = {}, {}
    table = _places(database)
    for place in table:
        if place.action is None:
            continue
        if place.path.endswith(("/leave", "/live")):
            # Whoever leaves is not asked again: the last of the places. And a stream has no end.
            continue
        key = place.method, place.path
        answers[key] = await _asked(browser, database, member, place, table)
        expected[key] = "in" if may(role, place.action) else "forbidden"
    assert answers == expected
    [leave] = [one for one in table if one.path.endswith("/leave")]
    assert await _asked(browser, database, member, leave, table) == "in"


async def test_dsh_02_what_answers_is_what_the_table_of_places_has(database: Database) -> None:
    """A route that does not come from the table, and so names no action, fails here."""
    *listed, rest = dashboard.routes(database, new_desk(), Pages.load())
    assert isinstance(rest, Route)
    assert rest.path == "/dashboard/{rest:path}"
    served = set()
    for route in listed:
        assert isinstance(route, Route)
        served |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    table = _places(database)
    assert served == {(one.method, one.path) for one in table}
    assert len(served) == len(table)
    assert {(one.method, one.path) for one in table if one.action is None} == BEFORE_SIGNING_IN


async def test_every_act_is_audited_or_named_with_its_reason(database: Database) -> None:
    """That an act writes exactly one entry is asked at each act, by ``guard.audited``."""
    acts = {
        one.path.removeprefix("/dashboard/{mode}")
        for one in _places(database)
        if one.method == "POST" and one.action is not None
    }
    assert set(UNAUDITED) <= acts
    assert all(len(reason.split()) >= 3 for reason in UNAUDITED.values())


async def test_dsh_02_nobody_is_let_in_without_a_login(
    browser: Browser, database: Database, merchant: Merchant
) -> None:
    browser.client.cookies.clear()
    for place in _places(database):
        if place.action is not None and not place.path.endswith(UPLOADS):
            address = _address(place.path)
            ask = browser.get if place.method == "GET" else browser.post
            answer = await ask(address)
            assert answer.headers.get("location") == "/dashboard/login", address


async def test_dsh_02_another_merchants_objects_are_not_found(
    browser: Browser, database: Database, merchant: Merchant
) -> None:
    """Every place whose address names an object, with the objects of another merchant."""
    owner = await _owner(database)
    desk = new_desk()
    objects = await database.run(_objects, owner, desk)
    objects |= await _money(merchant, owner, objects["member_id"])
    async with database.begin() as tx:
        login = await members.open_login(tx, owner.member, From())
        presence = await members.presence_of(tx, login.token)
        assert presence is not None
        other = await team.create_merchant(tx, owner, presence.login_id, "Elsewhere")
    tried = set()
    await _owner_finds(browser, database, login, owner, objects)
    _let_in(browser, login, other.merchant_id)
    for place in _places(database):
        named = set(re.findall(r"\{(\w+)\}", place.path)) & set(objects)
        if place.action is not None and named:
            mode = "live" if named & IN_LIVE_MODE else "test"
            path = place.path.replace("{mode}", mode).replace("{act}", "dismiss")
            for name in named:
                path = path.replace(f"{{{name}}}", objects[name])
                tried.add(name)
            fields = {"role": "admin", "accountName": "Mine", "grace": "0", "network": "polygon"}
            fields |= {"name": "Mine", "reason": "None", **_WEBHOOK}
            answer = await _ask(browser, place, path, **fields)
            assert answer.status_code == 404, (place.method, path, answer.text)
    named = {name for place in _places(database) for name in re.findall(r"{(\w+)}", place.path)}
    assert tried == set(objects) == named - NO_OBJECTS


async def _owner_finds(
    browser: Browser, database: Database, login: Login, owner: By, objects: dict[str, str]
) -> None:
    """The pages of the very same objects are there for whose they are."""
    async with database.begin() as tx:
        presence = await members.presence_of(tx, login.token)
        assert presence is not None
        there = presence.member.merchant_id
        await team.switch(tx, owner, presence.login_id, owner.member.merchant_id)
    _let_in(browser, login, owner.member.merchant_id)
    for place in _places(database):
        named = set(re.findall(r"\{(\w+)\}", place.path)) & set(objects)
        if place.action is not None and place.method == "GET" and named:
            path = place.path.replace("{mode}", "test").replace("{act}", "dismiss")
            for name in named:
                path = path.replace(f"{{{name}}}", objects[name])
            answer = await browser.get(path)
            assert answer.status_code in {200, 303}, (path, answer.text)
    async with database.begin() as tx:
        await team.switch(tx, owner, presence.login_id, there)


async def _money(merchant: Merchant, owner: By, viewer_id: str) -> dict[str, str]:
    """The same of payments, of what waits, and of another person of the team."""
    db, tenant, live = merchant.db, merchant.tenant, replace(merchant.tenant, mode=Mode.LIVE)
    networks, policy = merchant.desk.networks, Policy(timedelta(hours=24), False, "")
    async with db.begin() as tx:
        account = await accounts.create_account(tx, tenant, networks, "Money", WALLET)
    owned = replace(merchant, account=account)
    session, inflow_page = await late(owned)
    request = PrepareRefund.model_validate(
        {"sessionId": session.session_id, "amount": 1_000_000, "to": OTHER_WALLET}
    )
    async with db.begin() as tx:
        refund = await refunds.prepare(tx, merchant.desk, tenant, request, owner)
        for _ in range(2):
            change = await payouts.add_account(tx, owner, live, networks, policy, "New", WALLET)
        assert isinstance(change, PayoutChange)
        for amount in (0, None):
            await limits.change(tx, owner, live, policy, amount)
        limit = await limits.waiting(tx, live)
        assert limit is not None
        passkey_id = tx.mint(PasskeyId)
        await tx.execute(
            "INSERT INTO passkeys (passkey_id, member_id, credential_id, public_key, sign_count,"
            " transports, name, created_at) VALUES ($1, $2, $3, $3, 0, '{}', 'Theirs', $4)",
            passkey_id,
            viewer_id,
            b"1",
            tx.now,
        )
    return {
        "session_id": session.session_id,
        "refund_id": refund.refund_id,
        "inflow_id": inflow_page.rpartition("/")[2],
        "change_id": change.change_id,
        "limit_change_id": limit.change_id,
        "passkey_id": passkey_id,
    }


async def _objects(tx: Tx, owner: By, desk: Desk) -> dict[str, str]:
    """One object of each kind that the owner's merchant has."""
    tenant = Tenant(owner.member.merchant_id, Mode.TEST)
    viewer = await _join(tx, owner, Role.VIEWER, "somebody")
    invitation, _ = await team.invite(tx, owner, "open@example.com", Role.VIEWER)
    account = await accounts.create_account(tx, tenant, desk.networks, "Main", WALLET)
    terms = ProductTerms("Map", None, None, (1_000_000,), ())
    product = await catalog.create(tx, tenant, desk.public_url, terms)
    line = LineTerms(ItemType.PRODUCT, product.product_id, 1, 1_000_000)
    link = await links.create(
        tx,
        Shop(desk.networks, desk.public_url),
        tenant,
        LinkTerms(
            link_type=LinkType.FIXED,
            name="Maps",
            account_id=account.account_id,
            settlement_token="polygon::usdc",
            fee_model=1,
            lines=(line,),
            payer_email_required=False,
            success_url=None,
            custom_success_text=None,
            custom_disabled_text=None,
        ),
    )
    key, _ = await accounts.issue_key(tx, tenant, Access.READ, "Shop")
    target = Target("Shop", "https://shop.example/hook", None, ("session.paid",))
    endpoint = await webhooks.create(tx, tenant, target)
    event_id = await webhooks.send_test(tx, tenant, endpoint.webhook_id)
    await members.open_login(tx, viewer, From())
    [login, *_] = await members.logins_of(tx, viewer.member_id)
    request_id = f"req_{'b' * 24}"
    await tx.execute(
        "INSERT INTO request_log (merchant_id, mode, key_id, request_id, at, method, path, status,"
        " duration_ms) VALUES ($1, 'test', $2, $3, $4, 'GET', '/product/list', 200, 1)",
        tenant.merchant_id,
        key.key_id,
        request_id,
        tx.now,
    )
    return {
        "request_id": request_id,
        "member_id": viewer.member_id,
        "invitation_id": invitation.invitation_id,
        "account_id": account.account_id,
        "product_id": product.product_id,
        "link_id": link.link.link_id,
        "key_id": key.key_id,
        "webhook_id": endpoint.webhook_id,
        "event_id": event_id,
        "login_id": login.login_id,
    }


def test_every_action_and_role_is_in_the_table_and_what_is_not_is_denied() -> None:
    assert set(PERMITTED) == set(Action)
    assert set(ROLE_WORDS) == set(Role)
    assert all(Role.OWNER in roles for roles in PERMITTED.values())
    assert not any(may(role, "no.such") for role in Role)  # type: ignore[arg-type]
    assert {one for one in Action if not one.endswith(".read")} >= FRESH
    for role in Role:
        assert may_assign(role, Role.VIEWER) == (role in {Role.OWNER, Role.ADMIN})
        assert may_assign(role, Role.VIEWER, Role.OWNER) == (role is Role.OWNER)


def test_the_guide_has_the_same_table(repository: Path) -> None:
    """Written down apart from the code, so that a slip in either is seen."""
    text = (repository / "docs/guide/team.md").read_text(encoding="utf-8")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    [head] = [line for line in lines if line[0] == "Action"]
    assert head[1:] == [role.capitalize() for role in Role]
    written = {
        line[0].strip("`"): {role for role, cell in zip(Role, line[1:], strict=True) if cell}
        for line in lines[lines.index(head) + 2 :]
    }
    assert written == {action.value: set(roles) for action, roles in PERMITTED.items()}
