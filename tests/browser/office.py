"""The merchant's console with a business in it, made by the product's own operations: a team, two
weeks of payments of every kind, links, products, webhooks and keys; and the address of each page.

The pages are those of the console's own table of places, so that none can be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from playwright.sync_api import BrowserContext

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members import forgotten, team
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import Browser as From
from gstable_server.accounts.members.model import By, Member
from gstable_server.kernel.roles import Action, Role
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.wire import PrepareRefund
from gstable_server.web.base import Pages
from gstable_server.web.dashboard.guard import TYPED, Guard
from gstable_server.web.dashboard.people.openid import OPENID
from gstable_server.web.dashboard.people.second_doors import RESET
from gstable_server.web.dashboard.place import IN_MODE
from gstable_server.web.dashboard.routes import places
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.wire import CreateWebhook
from tests.browser import condition
from tests.browser.gallery import Gallery
from tests.browser.studio import MEMBER, WEBHOOK_URL, Studio
from tests.unit.web.shop import new_desk

PASSWORD = "correct horse battery"
TEAM = {
    Role.ADMIN: "bilal@bluedoor.example",
    Role.DEVELOPER: "chen@bluedoor.example",
    Role.FINANCE: "dora@bluedoor.example",
    Role.SUPPORT: "emil@bluedoor.example",
    Role.VIEWER: "fatou@bluedoor.example",
}
BROWSER = From("203.0.113.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
NO_PAGES = ("/status", "/live")
"""What ends so is asked by scripts."""

SETUP = "/dashboard/setup"
OUTSIDE = ("/dashboard", "/dashboard/", SETUP, f"{IN_MODE}{TYPED}", OPENID, f"{OPENID}/return")
"""Places that lead to others once there is an owner and nothing was typed in vain."""

QUERIES = {
    "search": "?q=nobody@nowhere.example",
    "unusual-many": "?act=dismiss&{inflow_id}=on&{other_inflow_id}=on",
}
"""What a page is asked for, where it leads elsewhere without."""

_INFLOW = "SELECT inflow_id FROM inflows WHERE state = 'open' ORDER BY 1 LIMIT 1 OFFSET {}"
BEGUN_BY = {"security-factor": "Set it up", "security-passkeys-new": "Add a passkey"}
"""Pages that show a secret which a button of the page before makes."""


@dataclass(frozen=True)
class Shown:
    """A page of the console, with the name of its pictures."""

    name: str
    path: str
    action: Action | None


def shown_places(guard: Guard) -> list[tuple[str, Action | None]]:
    """The addresses of all pages, with the names of their parameters."""
    return [
        (place.path, place.action)
        for place in places(guard)
        if place.method == "GET"
        and place.path not in OUTSIDE
        and not place.path.endswith(NO_PAGES)
        and not re.search(r"\.\w+$|\{format\}", place.path)
    ]


def name_of(path: str) -> str:
    """``/dashboard/{mode}/sessions/{session_id}`` as ``sessions-one``."""
    rest = path.removeprefix(IN_MODE) if path.startswith(IN_MODE) else path
    parts = [re.sub(r"\{\w+\}", "one", one) for one in rest.strip("/").split("/") if one]
    return "-".join(parts) or "overview"


class Office:
    """``gallery`` serves it; ``member`` is who has a role."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.studio: Studio = gallery.studio
        self.members: dict[Role, Member] = {}
        self._logins: dict[Role, str] = {}
        self.values: dict[str, str] = {"mode": "test", "act": "dismiss"}

    @classmethod
    def open(cls, gallery: Gallery) -> Office:
        """Fill the gallery's merchant, which has nobody yet."""
        office = cls(gallery)
        gallery.run(office._fill())
        return office

    @staticmethod
    def nobodys_guard() -> Guard:
        """For a look at the table of places: it answers nothing."""
        nothing: Any = object()
        return Guard(nothing, new_desk(), Pages.load())

    def pages(self) -> Iterator[Shown]:
        """Every page with the address of something that there is."""
        for path, action in shown_places(self.nobodys_guard()):
            named = path.replace("{token}", "{reset}") if path.startswith(RESET) else path
            asked = named + QUERIES.get(name_of(path), "")
            address = re.sub(r"\{(\w+)\}", lambda match: self.values[match[1]], asked)
            yield Shown(name_of(path), address, action)

    def sign_in(self, context: BrowserContext, role: Role = Role.OWNER) -> None:
        """Let a browser in, as if somebody of that role had signed in there. All browsers of one
        share a login, or the list of their sign-ins would be of nothing else."""
        if role not in self._logins:
            opening = self.studio.db.run(members.open_login, self.members[role], BROWSER)
            self._logins[role] = self.gallery.run(opening).token
        token = self._logins[role]
        context.add_cookies([{"name": "gstable", "value": token, "url": self.gallery.base_url}])

    @staticmethod
    def begun() -> set[str]:
        """Pages for which ``let_in`` does something before."""
        return {*BEGUN_BY}

    def let_in(self, context: BrowserContext, page: Shown, role: Role = Role.OWNER) -> None:
        """The same where ``page`` is for people who are signed in."""
        if page.action is None:
            return
        if page.name in BEGUN_BY:
            # What was begun belongs to its login, and is not begun twice.
            self._logins.pop(role, None)
        self.sign_in(context, role)
        if page.name in BEGUN_BY:
            begin = context.new_page()
            begin.goto(f"{self.gallery.base_url}/dashboard/test/security")
            begin.get_by_role("button", name=BEGUN_BY[page.name]).click()
            begin.close()

    # --- what stands in it ------------------------------------------------------------------------

    async def _fill(self) -> None:
        studio = self.studio
        today = studio.clock.now()
        await studio.db.run(self._found)
        await studio.db.run(self._settle_in)
        for days_ago in range(13, -1, -1):
            studio.clock.set(today - timedelta(days=days_ago))
            await self._day(days_ago)
        studio.clock.set(today)
        await self._odd_money()
        await self._open_things()
        await studio.relay()
        await studio.deliver()
        await condition.all_is_well(studio)
        async with studio.db.read() as tx:
            await self._look_around(tx)

    async def _found(self, tx: Tx) -> None:
        """The owner of the studio's merchant, whose people come by invitation."""
        merchant_id = self.studio.merchant.tenant.merchant_id
        owner = await members.register_owner(tx, "Anna's workshop", MEMBER, PASSWORD)
        await tx.execute("UPDATE memberships SET merchant_id = $1", merchant_id)
        # The clock stands still: which merchant came first would be left to the ids.
        await tx.execute(
            "UPDATE merchants SET created_at = created_at - interval '1 second'"
            " WHERE merchant_id = $1",
            merchant_id,
        )
        [self.members[Role.OWNER]] = await team.members_of(tx, merchant_id)
        assert owner.member_id == self.members[Role.OWNER].member_id

    async def _settle_in(self, tx: Tx) -> None:
        studio, tenant = self.studio, self.studio.merchant.tenant
        by = By(self.members[Role.OWNER], BROWSER.address)
        for role, email in TEAM.items():
            _, token = await team.invite(tx, by, email, role)
            self.members[role] = (await team.join_anew(tx, token, PASSWORD, BROWSER)).member
        invitation, token = await team.invite(tx, by, "greta@bluedoor.example", Role.FINANCE)
        self.values["invitation_id"] = invitation.invitation_id
        self.values["member_id"] = self.members[Role.VIEWER].member_id
        networks = studio.merchant.desk.networks
        savings = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
        await accounts.create_account(tx, tenant, networks, "Savings", savings)
        self.values["account_id"] = studio.merchant.account.account_id
        key, _ = await accounts.issue_key(tx, tenant, Access.WRITE, "Web shop")
        self.values["key_id"] = key.key_id
        await accounts.issue_key(tx, tenant, Access.READ, "Bookkeeping")
        settings = CreateWebhook.model_validate(
            {
                "webhookName": "Shop",
                "webhookUrl": WEBHOOK_URL,
                "subscribedEvents": ["session.completed"],
            }
        )
        endpoint = await webhooks.create(tx, tenant, settings.target())
        self.values["webhook_id"] = endpoint.webhook_id

    async def _day(self, days_ago: int) -> None:
        """One or two payments, and what comes with them."""
        studio = self.studio
        lines = {"itemType": "one_time", "quantity": 1 + days_ago % 3, "unitPrice": 18_500_000}
        names = ("Workshop ticket", "Spring catalogue", "Harbour map", "Gift card")
        for number in range(1 + days_ago % 2):
            name = names[(days_ago + number) % len(names)]
            line = {**lines, "productData": {"productName": name}}
            tokens = ("polygon::usdc", "base::usdc")
            session = await studio.session(lineItems=[line])
            if days_ago % 5 == 3 and number:
                continue
            await studio.paid(session, token_id=tokens[0])
            self.values["session_id"] = session.session_id
        if days_ago == 0:
            await studio.paid(await studio.session(), "seen")
        await studio.deliver()

    async def _odd_money(self) -> None:
        studio = self.studio
        short = await studio.session()
        log = await studio.payment(short)
        less = log.merchant_received - 30_000_000
        await studio.paid(short, merchant_received=less, amount=less, merchant_amount=less)
        for unusual in ("session-late", "session-overpaid"):
            await self.gallery.state(unusual).make(studio)
        paid = await studio.session()
        await studio.paid(paid)
        await studio.refund(paid, 24_500_000)
        body = {"sessionId": paid.session_id, "amount": 10_000_000, "reason": "One was damaged"}
        request = PrepareRefund.model_validate(body)
        desk, tenant = studio.merchant.desk, studio.merchant.tenant
        await studio.db.run(refunds.prepare, desk, tenant, request)
        self.values["session_id"] = paid.session_id

    async def _open_things(self) -> None:
        studio = self.studio
        merchant = studio.merchant
        link = await merchant.link()
        await merchant.link(linkType="custom", linkName="Pay what you want")
        self.values["link_id"] = link.link_id
        self.values["product_id"] = merchant.product.product_id
        await merchant.link_session(link)
        cancelled = await studio.session()
        async with studio.db.begin() as tx:
            await sessions.cancel(tx, merchant.desk, merchant.tenant, cancelled.session_id)
            by = By(self.members[Role.OWNER], BROWSER.address)
            _, self.values["token"] = await team.invite(tx, by, "hana@else.example", Role.VIEWER)
            await forgotten.ask(tx, TEAM[Role.VIEWER], BROWSER.address, "https://pay.example")
            letter = await tx.fetchval("SELECT body FROM notices WHERE body LIKE '%pay.example/%'")
            self.values["reset"] = letter.partition("pay.example/")[2].split()[0]

    async def _look_around(self, tx: Tx) -> None:
        """Identifiers that only the database knows."""
        await tx.execute(
            "INSERT INTO request_log (merchant_id, mode, key_id, request_id, at, method, path,"
            " status, code, duration_ms) SELECT s.merchant_id, s.mode, k.key_id,"
            " 'req_' || left(md5(s.session_id), 24), s.created_at, 'GET',"
            " '/session/' || s.session_id, 200, 0, 4 FROM sessions s JOIN api_keys k"
            " USING (merchant_id, mode)"
        )
        await tx.execute(
            "UPDATE request_log SET method = 'POST', path = '/session/create', code = 400101,"
            " detail = 'lineItems[0].quantity must be between 1 and 1000000'"
            " WHERE sequence % 7 = 3"
        )
        for name, query in (
            ("refund_id", "SELECT refund_id FROM refunds ORDER BY created_at LIMIT 1"),
            ("request_id", "SELECT request_id FROM request_log WHERE code > 0 ORDER BY 1 LIMIT 1"),
            ("inflow_id", _INFLOW.format(0)),
            ("other_inflow_id", _INFLOW.format(1)),
            ("event_id", "SELECT event_id FROM events WHERE type = 'session.completed' LIMIT 1"),
        ):
            self.values[name] = str(await tx.fetchval(query))


__all__ = ["PASSWORD", "SETUP", "TEAM", "Office", "Shown", "name_of", "shown_places"]
