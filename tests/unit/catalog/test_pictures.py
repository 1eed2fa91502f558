"""Re-hosting of merchants' pictures, with a real server and with the fake (spec 3, imageUrl)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from gstable_server.catalog import operations
from gstable_server.catalog.picture import BYTES_MAX, picture_type
from gstable_server.kernel.ids import ImageId, ProductId
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import FailureReason, GuardedClient, Response
from gstable_server.plumbing.testing import FakeAnswer, FakeHttp
from tests.unit.catalog.support import PUBLIC_URL, Caller

pytestmark = pytest.mark.anyio

SOURCE = "https://img.example.com/tea.png"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 50
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\x00" * 20
PICTURES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + b"\x00" * 20,
    "image/gif": b"GIF89a" + b"\x00" * 20,
    "image/webp": WEBP,
}


async def create(shop: Caller, url: str = SOURCE) -> ProductId:
    made = await shop.data("/product/create", {"name": "Tea", "commonPrices": [1], "imageUrl": url})
    return ProductId(made["productId"])


async def update(shop: Caller, product_id: ProductId, url: str | None) -> None:
    body = {"productId": product_id, "name": "Tea", "commonPrices": [1], "imageUrl": url}
    await shop.data("/product/update", body)


async def read(shop: Caller, product_id: ProductId) -> dict[str, Any]:
    [product] = await shop.data("/product/list/by/ids", {"productIds": [product_id]})
    found: dict[str, Any] = product
    return found


@pytest.mark.parametrize(("content_type", "content"), PICTURES.items())
async def test_a_picture_is_shown_from_our_own_address(
    shop: Caller, database: Database, content_type: str, content: bytes
) -> None:
    product_id = await create(shop)
    assert "imageUrl" not in await read(shop, product_id)
    lying = FakeAnswer(headers=(("content-type", "text/html"),), body=content)
    assert await operations.rehost_image(database, FakeHttp({SOURCE: lying}), product_id)
    url = (await read(shop, product_id))["imageUrl"]
    assert url.startswith(f"{PUBLIC_URL}/images/img_")
    shown = await database.run(operations.image, ImageId(url.rpartition("/")[2]))
    assert shown is not None
    assert (shown.content_type, shown.content) == (content_type, content)


@pytest.mark.parametrize(
    "answer",
    [
        FakeAnswer(body=b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'),
        FakeAnswer(body=b"<!doctype html>"),
        FakeAnswer(body=b""),
        FakeAnswer(status=404, body=PNG),
        FakeAnswer(status=302, headers=(("location", SOURCE),), body=PNG),
        FakeAnswer(body=PNG + b"\x00" * BYTES_MAX),
        FailureReason.TIMEOUT,
        FailureReason.ADDRESS_REFUSED,
    ],
)
async def test_without_a_picture_the_product_stands(
    shop: Caller, database: Database, answer: FakeAnswer | FailureReason
) -> None:
    product_id = await create(shop)
    assert not await operations.rehost_image(database, FakeHttp({SOURCE: answer}), product_id)
    product = await read(shop, product_id)
    assert (product["name"], product["status"], product.get("imageUrl")) == ("Tea", "active", None)


async def test_a_real_download_and_the_guard(shop: Caller, database: Database) -> None:
    """The merchant of test mode may name this machine; the client must be allowed to go there."""

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    application = web.Application()
    application.router.add_get("/tea.png", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        product_id = await create(shop, f"http://127.0.0.1:{runner.addresses[0][1]}/tea.png")
        async with GuardedClient() as guarded:
            assert not await operations.rehost_image(database, guarded, product_id)
        async with GuardedClient(allow_loopback=True) as local:
            assert await operations.rehost_image(database, local, product_id)
    finally:
        await runner.cleanup()
    assert "imageUrl" in await read(shop, product_id)


async def test_running_twice_keeps_one_copy(shop: Caller, database: Database) -> None:
    product_id = await create(shop)
    http = FakeHttp({SOURCE: FakeAnswer(body=PNG)})
    results = await asyncio.gather(
        *(operations.rehost_image(database, http, product_id) for _ in range(5))
    )
    assert results == [True] * 5
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM product_images") == 1


async def test_what_was_read_can_be_sent_back(shop: Caller, database: Database) -> None:
    """Neither the merchant's address nor ours, unchanged, loses the copy or fetches it anew."""
    product_id = await create(shop)
    http = FakeHttp({SOURCE: FakeAnswer(body=PNG)})
    await operations.rehost_image(database, http, product_id)
    before = (await read(shop, product_id))["imageUrl"]
    for url in (before, SOURCE):
        await update(shop, product_id, url)
        assert await operations.rehost_image(database, http, product_id)
        assert (await read(shop, product_id))["imageUrl"] == before
    assert len(http.sent) == 1


async def test_another_picture_replaces_the_copy(shop: Caller, database: Database) -> None:
    product_id = await create(shop)
    other = "https://img.example.com/other.webp"
    http = FakeHttp({SOURCE: FakeAnswer(body=PNG), other: FakeAnswer(body=WEBP)})
    await operations.rehost_image(database, http, product_id)
    first = (await read(shop, product_id))["imageUrl"]
    await update(shop, product_id, other)
    assert "imageUrl" not in await read(shop, product_id)
    await operations.rehost_image(database, http, product_id)
    assert (await read(shop, product_id))["imageUrl"] != first
    await update(shop, product_id, None)
    assert not await operations.rehost_image(database, http, product_id)
    assert "imageUrl" not in await read(shop, product_id)
    # The first copy stays: sessions that were opened with it still show it.
    assert await database.run(operations.image, ImageId(first.rpartition("/")[2]))


async def test_a_picture_changed_during_the_download_is_not_overwritten(
    shop: Caller, database: Database
) -> None:
    product_id = await create(shop)

    class Meanwhile(FakeHttp):
        async def fetch(self, *args: Any, **options: Any) -> Response:
            answer = await super().fetch(*args, **options)
            await update(shop, product_id, "https://img.example.com/newer.png")
            return answer

    http = Meanwhile({SOURCE: FakeAnswer(body=PNG)})
    assert not await operations.rehost_image(database, http, product_id)
    assert "imageUrl" not in await read(shop, product_id)


async def test_removed_and_unknown_products_need_no_picture(
    shop: Caller, database: Database
) -> None:
    product_id = await create(shop)
    await shop.data("/product/remove", {"productId": product_id})
    http = FakeHttp({SOURCE: FakeAnswer(body=PNG)})
    assert not await operations.rehost_image(database, http, product_id)
    unknown = ProductId("prd_000000000000000000000000")
    assert not await operations.rehost_image(database, http, unknown)
    assert http.sent == []
    assert await database.run(operations.image, ImageId("img_unknown")) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89PNG", b"GIF88a", b"RIFF\x00\x00\x00\x00WAVE", b"<svg/>", b"BM", b"\xff\xd8"],
)
def test_nothing_else_is_a_picture(content: bytes) -> None:
    assert picture_type(content) is None
