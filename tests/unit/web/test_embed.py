"""Who may show the payer's pages in a frame, and the script with which shops do."""

from __future__ import annotations

import re

import pytest
from httpx2 import AsyncClient

from gstable_server.accounts.branding import operations as brandings
from gstable_server.web.base import EMBED_PATH
from tests.unit.web.shop import Merchant

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example"
BYTES_MAX = 5_000


async def pages_of(merchant: Merchant) -> list[str]:
    link, session = await merchant.link(), await merchant.session()
    return [f"/link/{link.link_id}", f"/pay/{session.session_id}"]


async def test_chk_02_nobody_may_frame_a_page_unless_the_merchant_listed_it(
    payer: AsyncClient, merchant: Merchant
) -> None:
    for path in await pages_of(merchant):
        page = await payer.get(path)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        assert "frame-origins" not in page.text
        assert not re.search(r'id="receipt-page"[^>]*target=', page.text)


async def test_chk_02_listed_sites_may_and_only_those(
    payer: AsyncClient, merchant: Merchant
) -> None:
    other = await Merchant.open(merchant.db, merchant.desk, "Other Shop")
    async with merchant.db.begin() as tx:
        entries = {
            "displayName": "Blue Door Books",
            "frameOrigins": f"{SHOP} https://second.example:8443",
        }
        await brandings.save(tx, merchant.tenant.merchant_id, entries, actor="a@b.example")
    for path in await pages_of(merchant):
        page = await payer.get(path)
        policy = page.headers["content-security-policy"].split("; ")
        assert f"frame-ancestors {SHOP} https://second.example:8443" in policy
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "x-frame-options" not in page.headers
        assert f'content="{SHOP} https://second.example:8443"' in page.text
        # The receipt may not be framed: in the shop's modal its link has to lead out of the frame.
        link = re.search(r'<a [^>]*id="receipt-page"[^>]*>', page.text)
        assert (link is not None) == path.startswith("/pay/")
        assert link is None or 'target="_blank"' in link.group()
    for path in await pages_of(other):
        page = await payer.get(path)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


async def test_the_shops_script_is_small_and_any_site_may_load_it(payer: AsyncClient) -> None:
    answer = await payer.get(EMBED_PATH)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert len(answer.content) <= BYTES_MAX
    assert b"import " not in answer.content
    again = await payer.get(EMBED_PATH, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
