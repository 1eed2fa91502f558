"""What the pages of products and payment links show; no input, output or clock."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.catalog.model import Product, ProductStatus
from gstable_server.web.dashboard.presenter import ProductRow, product_row
from gstable_server.web.dashboard.speech import moment


@dataclass(frozen=True, slots=True)
class ProductPage:
    """One product. ``is_used``: a payment link names it or did once, so it cannot be removed."""

    row: ProductRow
    description: str
    attributes: tuple[tuple[str, str], ...]
    is_active: bool
    is_used: bool
    updated_at: str


def product_page(product: Product) -> ProductPage:
    return ProductPage(
        row=product_row(product),
        description=product.description or "",
        attributes=tuple((one.name, one.value) for one in product.attributes),
        is_active=product.status is ProductStatus.ACTIVE,
        is_used=product.used_at is not None,
        updated_at=moment(product.updated_at),
    )
