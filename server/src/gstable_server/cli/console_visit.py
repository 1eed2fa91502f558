"""A visit to the dashboard over HTTP, as a browser without scripts makes it."""

from __future__ import annotations

from html.parser import HTMLParser
from http.cookies import SimpleCookie

import aiohttp

from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.address import Address

FORM_TOKEN = "formToken"  # noqa: S105


class ConsoleFailed(Exception):
    """The dashboard did not do what its form is for; the text is one line that says what."""


async def create_account(
    http: aiohttp.ClientSession, base: str, email: str, password: str, name: str, wallet: Address
) -> str:
    """Sign in at ``base`` and add ``wallet`` as a receiving account in test mode.

    Returns the new account's id, ``acc_…``, as the account's page shows it. Raises
    ``ConsoleFailed`` when signing in or the form is refused.
    """
    visitor = _Visitor(http, base)
    await visitor.read("/dashboard/login")
    await visitor.send("/dashboard/login", {"email": email, "password": password})
    accounts = "/dashboard/test/accounts"
    page = await visitor.read(accounts)
    if not page.form_token:
        raise ConsoleFailed(f"{accounts} shows no form")
    place = await visitor.send(
        accounts,
        {
            FORM_TOKEN: page.form_token,
            "accountName": name,
            "accountAddress": to_checksum(wallet),
        },
    )
    made = await visitor.read(place)
    if not made.account_id:
        raise ConsoleFailed(f"{place} shows no account")
    return made.account_id


class _Visitor:
    """Keeps the cookies itself: the client's own jar takes none from a bare IP address."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self._http = http
        self._base = base
        self._cookies: SimpleCookie = SimpleCookie()

    async def read(self, path: str) -> _Page:
        """The page at ``path``, without following a redirect."""
        async with self._http.get(
            self._base + path, headers=self._headers(), allow_redirects=False
        ) as response:
            if response.status != 200:
                raise ConsoleFailed(f"GET {path} was answered {response.status}")
            return _page(await response.text())

    async def send(self, path: str, fields: dict[str, str]) -> str:
        """Send a form and return the path that it leads to."""
        async with self._http.post(
            self._base + path,
            data=fields,
            headers={**self._headers(), "Origin": self._base},
            allow_redirects=False,
        ) as response:
            if response.status != 303:
                reason = _page(await response.text()).problem
                raise ConsoleFailed(f"POST {path} was answered {response.status}: {reason}")
            self._cookies.update(response.cookies)
            return response.headers["Location"].partition("?")[0]

    def _headers(self) -> dict[str, str]:
        pairs = [f"{morsel.key}={morsel.value}" for morsel in self._cookies.values()]
        return {"Cookie": "; ".join(pairs)} if pairs else {}


def _page(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    page.close()
    return page


class _Page(HTMLParser):
    """What a visit needs of a page: its form's token, its account, and what it complains of."""

    def __init__(self) -> None:
        super().__init__()
        self.form_token = ""
        self.account_id = ""
        self.problem = ""
        self._in_problem = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "input" and values.get("name") == FORM_TOKEN:
            self.form_token = values.get("value", "")
        self.account_id = values.get("data-account-id") or self.account_id
        self._in_problem = tag == "p" and bool(
            {"error", "notice-danger"} & set(values.get("class", "").split())
        )

    def handle_endtag(self, tag: str) -> None:
        self._in_problem = False

    def handle_data(self, data: str) -> None:
        if self._in_problem:
            self.problem = f"{self.problem} {data.strip()}".strip()
