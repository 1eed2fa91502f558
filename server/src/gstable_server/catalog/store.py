"""SQL of the catalogue: rows to products and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gstable_server.catalog.model import (
    Product,
    ProductImage,
    ProductStatus,
    ProductTerms,
    Wanted,
)
from gstable_server.catalog.wire import attributes_from_json, attributes_to_json
from gstable_server.kernel.ids import ImageId, MerchantId, ProductId
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx


def _product(row: Mapping[str, Any]) -> Product:
    return Product(
        product_id=ProductId(row["product_id"]),
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        name=row["name"],
        description=row["description"],
        image_id=ImageId(row["image_id"]) if row["image_id"] else None,
        image_source=row["image_source"],
        status=ProductStatus(row["status"]),
        common_prices=tuple(row["common_prices"]),
        attributes=attributes_from_json(row["attributes"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        used_at=row["used_at"],
        removed_at=row["removed_at"],
    )


async def insert(tx: Tx, tenant: Tenant, product_id: ProductId, terms: ProductTerms) -> Product:
    row = await tx.fetchrow(
        """INSERT INTO products (product_id, merchant_id, mode, name, description, image_source,
                status, common_prices, attributes, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $8, $9, $9) RETURNING *""",
        product_id,
        tenant.merchant_id,
        tenant.mode.value,
        terms.name,
        terms.description,
        terms.image_source,
        terms.common_prices,
        attributes_to_json(terms.attributes),
        tx.now,
    )
    assert row is not None, "INSERT … RETURNING gives the row"
    return _product(row)


async def lock(tx: Tx, tenant: Tenant, product_id: ProductId) -> Product | None:
    """The product, held until the transaction ends; removed ones too."""
    row = await tx.fetchrow(
        """SELECT * FROM products
            WHERE product_id = $1 AND merchant_id = $2 AND mode = $3 FOR UPDATE""",
        product_id,
        tenant.merchant_id,
        tenant.mode.value,
    )
    return _product(row) if row else None


async def replace(
    tx: Tx, product: Product, terms: ProductTerms, *, image_id: ImageId | None
) -> Product:
    """Write all that the merchant decides, over the locked ``product``."""
    row = await tx.fetchrow(
        """UPDATE products SET name = $2, description = $3, image_source = $4, image_id = $5,
                common_prices = $6, attributes = $7, updated_at = $8
            WHERE product_id = $1 AND merchant_id = $9 AND mode = $10 RETURNING *""",
        product.product_id,
        terms.name,
        terms.description,
        terms.image_source,
        image_id,
        terms.common_prices,
        attributes_to_json(terms.attributes),
        tx.now,
        product.tenant.merchant_id,
        product.tenant.mode.value,
    )
    assert row is not None, "the row is locked by the caller"
    return _product(row)


async def mark(
    tx: Tx, product: Product, status: ProductStatus, removed_at: datetime | None
) -> Product:
    """Write the status and the removal of the locked ``product``."""
    row = await tx.fetchrow(
        """UPDATE products SET status = $2, removed_at = $3, updated_at = $4
            WHERE product_id = $1 AND merchant_id = $5 AND mode = $6 RETURNING *""",
        product.product_id,
        status.value,
        removed_at,
        tx.now,
        product.tenant.merchant_id,
        product.tenant.mode.value,
    )
    assert row is not None, "the row is locked by the caller"
    return _product(row)


_LISTED = """
FROM products
WHERE merchant_id = $1 AND mode = $2 AND removed_at IS NULL
    AND ($3 = '' OR status = $3)
    AND ($4 = '' OR product_id = $4 OR position(lower($4) IN lower(name)) > 0)
"""


async def page_of(tx: Tx, tenant: Tenant, page: Page, wanted: Wanted) -> tuple[int, list[Product]]:
    """How many products are wanted, and those of one page, newest first."""
    given = (tenant.merchant_id, tenant.mode.value, wanted.status or "", wanted.text)
    total = await tx.fetchval("SELECT count(*)" + _LISTED, *given)
    rows = await tx.fetch(
        "SELECT *" + _LISTED + "ORDER BY sequence DESC LIMIT $5 OFFSET $6",
        *given,
        page.size,
        page.offset,
    )
    return total, [_product(row) for row in rows]


_FIND = """
SELECT * FROM products
WHERE product_id = ANY($1::text[]) AND merchant_id = $2 AND mode = $3 ORDER BY product_id
"""


async def find(
    tx: Tx, tenant: Tenant, ids: Sequence[ProductId], *, hold: bool = False
) -> dict[ProductId, Product]:
    """Those of ``ids`` that exist, removed ones too; ``hold`` locks them in one fixed order."""
    rows = await tx.fetch(
        _FIND + "FOR UPDATE" if hold else _FIND,
        list(ids),
        tenant.merchant_id,
        tenant.mode.value,
    )
    products = [_product(row) for row in rows]
    return {product.product_id: product for product in products}


async def mark_used(tx: Tx, tenant: Tenant, ids: Sequence[ProductId]) -> None:
    """Remember the first use by a payment link; the rows are locked by the caller."""
    await tx.execute(
        """UPDATE products SET used_at = $4
           WHERE product_id = ANY($1::text[]) AND merchant_id = $2 AND mode = $3
             AND used_at IS NULL""",
        list(ids),
        tenant.merchant_id,
        tenant.mode.value,
        tx.now,
    )


async def find_any(tx: Tx, product_id: ProductId) -> Product | None:
    """A product for our own work on its picture, whosever it is."""
    row = await tx.fetchrow("SELECT * FROM products WHERE product_id = $1", product_id)
    return _product(row) if row else None


async def insert_image(tx: Tx, image: ProductImage) -> None:
    await tx.execute(
        """INSERT INTO product_images (image_id, content_type, bytes, created_at)
           VALUES ($1, $2, $3, $4)""",
        image.image_id,
        image.content_type,
        image.content,
        tx.now,
    )


async def show_image(
    tx: Tx, product: Product, image_id: ImageId | None, image_source: str | None
) -> Product:
    """Write where the picture of the locked ``product`` came from, and our copy of it."""
    row = await tx.fetchrow(
        """UPDATE products SET image_id = $2, image_source = $5
           WHERE product_id = $1 AND merchant_id = $3 AND mode = $4 RETURNING *""",
        product.product_id,
        image_id,
        product.tenant.merchant_id,
        product.tenant.mode.value,
        image_source,
    )
    assert row is not None, "the row is locked by the caller"
    return _product(row)


async def image(tx: Tx, image_id: ImageId) -> ProductImage | None:
    row = await tx.fetchrow(
        "SELECT image_id, content_type, bytes FROM product_images WHERE image_id = $1", image_id
    )
    if row is None:
        return None
    return ProductImage(ImageId(row["image_id"]), row["content_type"], row["bytes"])
