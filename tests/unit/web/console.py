"""The dashboard as a browser without scripts uses it: pages, forms and a cookie."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette
from structlog.testing import capture_logs

from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.openid import OpenId
from gstable_server.plumbing.sealing import Sealer
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import Pages
from gstable_server.web.dashboard import routes as dashboard
from gstable_server.web.dashboard.guard import SignIn
from gstable_server.web.dashboard.requests import MISWRITTEN
from tests.unit.web.shop import PUBLIC_URL, Merchant

EMAIL = "owner@example.com"
PASSWORD = "correct horse battery"
OWNER = {"name": "Blue Door Books", "email": EMAIL, "password": PASSWORD}
SEALER = Sealer([bytes(range(32))])
FROM_OUR_PAGE = {"sec-fetch-site": "same-origin"}


class Reader(HTMLParser):
    """What stands in a page: its tags, its text and its fields."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def field(self, name: str) -> dict[str, str]:
        return next(at for tag, at in self.tags if tag == "input" and at.get("name") == name)

    def links(self) -> list[str]:
        return [at["href"] for tag, at in self.tags if tag == "a"]


def reader(response: Response) -> Reader:
    return Reader(response.text)


@dataclass
class Browser:
    """One browser; ``form_token`` is that of the last page with a form."""

    client: AsyncClient
    form_token: str = field(default="")

    async def get(self, path: str, **headers: str) -> Response:
        response = await self.client.get(path, headers=headers)
        for tag, at in reader(response).tags:
            if tag == "input" and at.get("name") == "formToken":
                self.form_token = at["value"]
        return response

    async def post(
        self, path: str, headers: dict[str, str] | None = None, /, **fields: str
    ) -> Response:
        """Send a form from one of our pages, unless ``headers`` say otherwise."""
        return await self.client.post(
            path,
            data={"formToken": self.form_token, **fields},
            headers=FROM_OUR_PAGE if headers is None else headers,
        )

    async def register(self) -> Response:
        return await self.post("/dashboard/setup", **OWNER, passwordAgain=PASSWORD)

    async def login(self, password: str = PASSWORD, email: str = EMAIL) -> Response:
        return await self.post("/dashboard/login", email=email, password=password)


@asynccontextmanager
async def browser_on(
    db: Database,
    desk: Desk,
    url: str = PUBLIC_URL,
    *,
    sends_mail: bool = False,
    openid: OpenId | None = None,
) -> AsyncIterator[Browser]:
    """A fresh browser in front of the dashboard alone. Fails for acts that were done in it and not
    written down once, which people are not to suffer from."""
    pages = Pages.load()
    routes = dashboard.routes(
        db, desk, pages, sends_mail=sends_mail, sign_in=SignIn(sealer=SEALER, openid=openid)
    )
    app = Starlette(routes=[*routes, *pages.routes()])
    with capture_logs() as told:
        async with AsyncClient(transport=ASGITransport(app=app), base_url=url) as client:
            yield Browser(client)
    assert [one for one in told if one["event"] == MISWRITTEN] == []


async def registered(db: Database, desk: Desk, browser: Browser) -> Merchant:
    """The business that ``browser`` owns from now on, in test mode, with nothing to sell."""
    await browser.register()
    await browser.get("/dashboard/test")
    async with db.read() as tx:
        merchant_id = await tx.fetchval("SELECT merchant_id FROM memberships")
    other = await Merchant.open(db, desk, "Somebody else")
    return replace(other, tenant=Tenant(merchant_id, Mode.TEST))
