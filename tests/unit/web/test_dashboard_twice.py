"""What is done twice, by two people or two clicks, is done and written down once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.operations import Filter
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import By
from gstable_server.catalog import operations as catalog
from gstable_server.kernel.roles import Role
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.db import Database
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import Target
from tests.unit.web.console import Browser, browser_on
from tests.unit.web.shop import Merchant, new_desk

pytestmark = pytest.mark.anyio

BASE = "/dashboard/test"


@dataclass(frozen=True)
class Room:
    """An owner's browser, and what there is to be done twice."""

    browser: Browser
    shop: Merchant
    paths: dict[str, str]


@pytest.fixture
async def room(database: Database) -> AsyncIterator[Room]:
    desk = new_desk()
    async with browser_on(database, desk) as browser:
        shop = await Merchant.open(database, desk)
        await browser.register()
        async with database.begin() as tx:
            await tx.execute("UPDATE memberships SET merchant_id = $1", shop.tenant.merchant_id)
            await tx.execute("UPDATE login_sessions SET merchant_id = $1", shop.tenant.merchant_id)
        link = await shop.link()
        async with database.begin() as tx:
            key, _ = await accounts.issue_key(tx, shop.tenant, Access.READ, "Till")
            target = Target("Shop", "https://shop.example/hook", None, ("session.paid",))
            endpoint = await webhooks.create(tx, shop.tenant, target)
            off = await webhooks.create(tx, shop.tenant, target)
            await webhooks.disable(tx, shop.tenant, off.webhook_id)
            product = await catalog.duplicate(
                tx, shop.tenant, desk.public_url, shop.product.product_id, "Another"
            )
            await catalog.archive(tx, shop.tenant, desk.public_url, product.product_id)
            [owner] = await team.members_of(tx, shop.tenant.merchant_id)
            invitation, _ = await team.invite(tx, By(owner, ""), "ben@example.com", Role.VIEWER)
        await browser.get(f"{BASE}/security")
        paths = {
            "key.revoked": f"/keys/{key.key_id}/revoke",
            "webhook.disabled": f"/webhooks/{endpoint.webhook_id}/disable",
            "webhook.enabled": f"/webhooks/{off.webhook_id}/enable",
            "product.archived": f"/products/{shop.product.product_id}/archive",
            "product.unarchived": f"/products/{product.product_id}/unarchive",
            "link.disabled": f"/links/{link.link_id}/disable",
            "link.archived": f"/links/{link.link_id}/archive",
            "invitation.withdrawn": f"/team/invitations/{invitation.invitation_id}/withdraw",
            "account.removed": f"/accounts/{shop.account.account_id}/remove",
        }
        yield Room(browser, shop, paths)


async def _written(room: Room, what: str) -> int:
    async with room.shop.db.read() as tx:
        found = await audit.entries(tx, room.shop.tenant.merchant_id, Filter())
    return sum(one.act.note.what == what for one in found)


SAID = {
    "key.revoked": "This key was revoked already.",
    "webhook.disabled": "This webhook was off already.",
    "webhook.enabled": "This webhook was on already.",
    "product.archived": "This product was archived already.",
    "product.unarchived": "This product was sold again already.",
    "link.disabled": "This link was off already",
    "link.archived": "",
    "invitation.withdrawn": "",
    "account.removed": "",
}
"""Where it is "", the page says that nothing is there any more, or what else is the matter."""


async def test_what_was_done_before_is_said_and_written_down_once(room: Room) -> None:
    assert set(SAID) == set(room.paths)
    for what, path in room.paths.items():
        first = await room.browser.post(BASE + path)
        assert first.status_code == 303, (what, first.text)
        again = await room.browser.post(BASE + path)
        assert again.status_code in ({409} if SAID[what] else {404, 422}), what
        assert SAID[what] in again.text
        assert await _written(room, what) == 1, what


async def test_two_clicks_at_once_are_written_down_once(room: Room) -> None:
    for what, path in room.paths.items():
        answers = await asyncio.gather(*(room.browser.post(BASE + path) for _ in range(3)))
        assert sorted(one.status_code for one in answers)[0] == 303, what
        assert sum(one.status_code == 303 for one in answers) == 1, what
        assert await _written(room, what) == 1, what
