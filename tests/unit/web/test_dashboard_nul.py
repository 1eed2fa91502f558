"""NUL, which PostgreSQL stores in no text: whoever sends it is told so, and nothing fails."""

from __future__ import annotations

import pytest

from gstable_server.plumbing.db import Database
from tests.unit.web.console import browser_on, registered
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

ASKED = (
    "/links?q=%00",
    "/products?q=%00",
    "/search?q=%00",
    "/sessions?q=%00",
    "/sessions?link=%00&product=%00&token=%00&network=%00&state=%00&flag=%00&older=%00",
    "/requests?q=%00",
    "/requests?q=%00&path=%00&status=%00&method=%00&before=%00&key=%00",
    "/events?type=%00&before=%00&q=%00",
    "/audit?who=%00&what=%00&about=%00&member=%00&before=%00&action=%00&from=%00&to=%00",
    "/unusual?flag=%00&state=%00&before=%00",
    "/links/new?product=%00",
)


async def test_no_page_fails_for_it(database: Database) -> None:
    async with browser_on(database, new_desk()) as browser:
        await registered(database, new_desk(), browser)
        for path in ASKED:
            assert (await browser.get(f"/dashboard/test{path}")).status_code < 500, path
