"""Payment links as payers reach them."""

from __future__ import annotations

import pytest

from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import LinkId
from gstable_server.links import operations
from gstable_server.plumbing.db import Database
from tests.unit.links.support import Shop

pytestmark = pytest.mark.anyio

UNKNOWN = "lnk_00000000000000000000000000000000"


async def test_payers_see_any_link_and_open_active_ones(shop: Shop, database: Database) -> None:
    link_id = LinkId(await shop.link())
    for find in (operations.view, operations.require_open):
        link = await database.run(find, link_id)
        assert [item.product and item.product.name for item in link.line_items] == [
            "Green tea",
            "Cup",
        ]
        with pytest.raises(Refused) as unknown:
            await database.run(find, LinkId(UNKNOWN))
        assert unknown.value.code.number == 100101


async def test_payers_are_told_why_a_link_is_closed(shop: Shop, database: Database) -> None:
    link_id = LinkId(await shop.link())

    async def code() -> int:
        with pytest.raises(Refused) as caught:
            await database.run(operations.require_open, link_id)
        assert (await database.run(operations.view, link_id)).link_id == link_id
        return caught.value.code.number

    await shop.caller.data("/product/archive", {"productId": shop.tea})
    assert await code() == 100303
    await shop.caller.data("/payment/link/disable", {"linkId": link_id})
    assert await code() == 100103
    async with database.begin() as tx:
        await tx.execute("UPDATE payment_links SET status = 'archived'")
    assert await code() == 100102
