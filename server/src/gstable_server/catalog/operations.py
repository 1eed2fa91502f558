"""What can be done with products, in the order of their life (spec 3).

Every change locks the product's row first, so that the events of one product are numbered in the
order of its changes. ``public_url`` is this server's own address without a trailing slash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from gstable_server.catalog import picture, store, wire
from gstable_server.catalog.model import (
    EVERYTHING,
    Product,
    ProductImage,
    ProductStatus,
    ProductTerms,
    Wanted,
)
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ImageId, ProductId, id_or_none
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.kernel.urls import require_https
from gstable_server.plumbing import drawing
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.http_client import FetchFailed, HttpClient

if TYPE_CHECKING:
    from gstable_server.plumbing.db import Database, Tx

log = structlog.get_logger(__name__)


async def create(tx: Tx, tenant: Tenant, public_url: str, terms: ProductTerms) -> Product:
    """Add a product; tells ``product.created``, whose handler downloads the picture.

    Refused: 400101 for an ``imageUrl`` that is not https.
    """
    if terms.image_source:
        require_https("imageUrl", terms.image_source, tenant.mode)
    product = await store.insert(tx, tenant, tx.mint(ProductId), terms)
    _tell(tx, "product.created", product, public_url)
    return product


async def update(
    tx: Tx, tenant: Tenant, public_url: str, product_id: ProductId, terms: ProductTerms
) -> Product:
    """Replace all that the merchant decides of a product; tells ``product.updated``.

    The re-hosted picture stays while its source does, also when the source is the address that
    we show it under, because callers send back what they read. Refused: 100301, 100306, 400101.
    """
    product = await _lock(tx, tenant, product_id)
    terms, image_id = _with_picture(product, public_url, terms)
    changed = await store.replace(tx, product, terms, image_id=image_id)
    _tell(tx, "product.updated", changed, public_url)
    return changed


def _with_picture(
    product: Product, public_url: str, terms: ProductTerms
) -> tuple[ProductTerms, ImageId | None]:
    if product.image_path and terms.image_source == public_url + product.image_path:
        terms = terms.with_image_source(product.image_source)
    if terms.image_source == product.image_source:
        return terms, product.image_id
    if terms.image_source:
        require_https("imageUrl", terms.image_source, product.tenant.mode)
    return terms, None


async def show_picture(
    tx: Tx, tenant: Tenant, public_url: str, product_id: ProductId, drawn: bytes | None
) -> Product:
    """Show a picture that was uploaded and drawn anew (``picture.redraw``), or none; tells
    ``product.updated``. What shows the old one, as open sessions do, keeps it: each picture has an
    address of its own for good. Refused: 100301, 100306.
    """
    product = await _lock(tx, tenant, product_id)
    if drawn is None:
        changed = await store.show_image(tx, product, None, None)
    else:
        image = ProductImage(tx.mint(ImageId), drawing.CONTENT_TYPE, drawn)
        await store.insert_image(tx, image)
        # Its source is its own address, so that callers can send back what they read.
        source = f"{public_url}/images/{image.image_id}"
        changed = await store.show_image(tx, product, image.image_id, source)
    _tell(tx, "product.updated", changed, public_url)
    return changed


async def duplicate(
    tx: Tx, tenant: Tenant, public_url: str, product_id: ProductId, name: str
) -> Product:
    """A further product like this one, with its picture, under another ``name``; tells
    ``product.created``. Refused: 100301, 100306."""
    product = await _lock(tx, tenant, product_id)
    terms = ProductTerms(
        name=name,
        description=product.description,
        image_source=product.image_source,
        common_prices=product.common_prices,
        attributes=product.attributes,
    )
    copy = await store.insert(tx, tenant, tx.mint(ProductId), terms)
    copy = await store.show_image(tx, copy, product.image_id, product.image_source)
    _tell(tx, "product.created", copy, public_url)
    return copy


async def archive(tx: Tx, tenant: Tenant, public_url: str, product_id: ProductId) -> bool:
    """Take a product out of sale; tells ``product.archived`` unless it was so already.

    Refused: 100301, 100306.
    """
    product = await _lock(tx, tenant, product_id)
    if product.status is not ProductStatus.ACTIVE:
        return False
    changed = await store.mark(tx, product, ProductStatus.ARCHIVED, None)
    _tell(tx, "product.archived", changed, public_url)
    return True


async def unarchive(tx: Tx, tenant: Tenant, public_url: str, product_id: ProductId) -> bool:
    """Put an archived product back on sale; tells ``product.unarchived`` if it was archived.

    Refused: 100301, 100306.
    """
    product = await _lock(tx, tenant, product_id)
    if product.status is not ProductStatus.ARCHIVED:
        return False
    changed = await store.mark(tx, product, ProductStatus.ACTIVE, None)
    _tell(tx, "product.unarchived", changed, public_url)
    return True


async def remove(tx: Tx, tenant: Tenant, public_url: str, product_id: ProductId) -> None:
    """Delete a product logically and for good; tells ``product.removed``.

    Refused: 100301, 100305 once any version of any payment link referenced it, 100306.
    """
    product = await _lock(tx, tenant, product_id)
    if product.used_at:
        raise Refused(Code.PRODUCT_USED, "a payment link references it")
    changed = await store.mark(tx, product, product.status, tx.now)
    _tell(tx, "product.removed", changed, public_url)


async def list_products(
    tx: Tx, tenant: Tenant, page: Page, wanted: Wanted = EVERYTHING
) -> tuple[int, list[Product]]:
    """The number of products that are wanted and not removed, and one page of them, newest
    first."""
    return await store.page_of(tx, tenant, page, wanted)


async def detail(tx: Tx, tenant: Tenant, product_id: ProductId, *, hold: bool = False) -> Product:
    """The merchant's own product; ``hold`` locks it until the transaction ends. Refused: 100301,
    100306."""
    if hold:
        return await _lock(tx, tenant, product_id)
    found = await store.find(tx, tenant, [product_id])
    return _there(found.get(product_id))


async def list_by_ids(tx: Tx, tenant: Tenant, ids: Sequence[str]) -> list[Product]:
    """Those of ``ids`` that exist and are not removed, each once, in the order asked for."""
    found = await store.find(tx, tenant, _well_formed(ids))
    return [
        product
        for product_id in dict.fromkeys(_well_formed(ids))
        if (product := found.get(product_id)) and not product.removed_at
    ]


async def require_sellable(tx: Tx, tenant: Tenant, ids: Sequence[str]) -> dict[ProductId, Product]:
    """The products of ``ids``, all of them on sale.

    Refused: 100301 none exists, 100302 some are missing, 100306 one was removed, 100304 the only
    one is archived, 100303 some of several are.
    """
    found = await store.find(tx, tenant, _well_formed(ids))
    return _all_sellable(ids, found)


async def use_in_link(tx: Tx, tenant: Tenant, ids: Sequence[str]) -> dict[ProductId, Product]:
    """As ``require_sellable``, for a payment link: from now on these cannot be removed.

    Locks the products, so that none is removed or archived between the check and the commit.
    """
    found = _all_sellable(ids, await store.find(tx, tenant, _well_formed(ids), hold=True))
    await store.mark_used(tx, tenant, list(found))
    return found


async def shown(tx: Tx, tenant: Tenant, ids: Sequence[ProductId]) -> dict[ProductId, Product]:
    """The products of ``ids`` whatever their state, for showing what a link is about."""
    return await store.find(tx, tenant, ids)


async def image(tx: Tx, image_id: ImageId) -> ProductImage | None:
    """A re-hosted picture for the public page ``/images/<imageId>``, or None."""
    return await store.image(tx, image_id)


async def rehost_image(db: Database, http: HttpClient, product_id: ProductId) -> bool:
    """Download the product's picture and show our copy of it; True if it is shown afterwards.

    The download runs outside of any transaction. A process that dies in here leaves a product
    without its picture, and the event's handler runs again; running twice does no harm. A
    download that fails is not tried again before the next ``product.updated``: the product
    stands without a picture, as spec 3 says.
    """
    async with db.read() as tx:
        product = await store.find_any(tx, product_id)
    if product is None or product.removed_at or not product.image_source:
        return False
    if product.image_id:
        return True
    try:
        content_type, content = await picture.download(http, product.image_source)
    except (FetchFailed, picture.NoPicture) as failure:
        log.warning("picture not re-hosted", product_id=product_id, reason=str(failure))
        return False
    return await db.run(_show, product, content_type, content)


async def _show(tx: Tx, wanted: Product, content_type: str, content: bytes) -> bool:
    """Store the copy, unless the product changed its picture while we downloaded."""
    product = await store.lock(tx, wanted.tenant, wanted.product_id)
    assert product is not None, "products are never deleted"
    if product.removed_at or product.image_source != wanted.image_source:
        return False
    if product.image_id is None:
        image = ProductImage(tx.mint(ImageId), content_type, content)
        await store.insert_image(tx, image)
        await store.show_image(tx, product, image.image_id, product.image_source)
    return True


async def _lock(tx: Tx, tenant: Tenant, product_id: ProductId) -> Product:
    return _there(await store.lock(tx, tenant, product_id))


def _there(product: Product | None) -> Product:
    if product is None:
        raise Refused(Code.PRODUCT_NOT_FOUND)
    if product.removed_at:
        raise Refused(Code.PRODUCT_REMOVED)
    return product


def _well_formed(ids: Sequence[str]) -> list[ProductId]:
    parsed = (id_or_none(ProductId, text) for text in ids)
    return [product_id for product_id in parsed if product_id]


def _all_sellable(ids: Sequence[str], found: dict[ProductId, Product]) -> dict[ProductId, Product]:
    wanted = list(dict.fromkeys(ids))
    missing = [text for text in wanted if text not in found]
    if missing:
        code = Code.PRODUCT_PARTIAL_MISSING if found else Code.PRODUCT_NOT_FOUND
        raise Refused(code, ", ".join(missing))
    removed = [product.product_id for product in found.values() if product.removed_at]
    if removed:
        raise Refused(Code.PRODUCT_REMOVED, ", ".join(removed))
    archived = [
        product.product_id
        for product in found.values()
        if product.status is not ProductStatus.ACTIVE
    ]
    if archived:
        code = Code.PRODUCT_NOT_ACTIVE if len(found) == 1 else Code.PRODUCT_PARTIALLY_UNAVAILABLE
        raise Refused(code, ", ".join(archived))
    return found


def _tell(tx: Tx, event_type: str, product: Product, public_url: str) -> None:
    tx.tell(
        Event(
            type=event_type,
            object_id=product.product_id,
            payload={"productData": wire.render(product, public_url)},
            tenant=product.tenant,
            business_type="product",
        )
    )
