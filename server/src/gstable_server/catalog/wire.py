"""Products on the wire: requests parsed, resources rendered, for HTTP and events alike (spec 3).

Optional strings that are not set (``str?`` in spec 3 and 5) are absent from the answer, not empty
and not null; lists are always there. Requests may leave them out, or send null or ``""``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict

from gstable_server.catalog.model import (
    Attribute,
    ItemType,
    LineItem,
    Product,
    ProductSnapshot,
    ProductTerms,
    QuantityRange,
)
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.fields import (
    Attributes,
    Body,
    Name,
    OptionalDescription,
    OptionalUrl,
    Quantity,
    UnitPrice,
)
from gstable_server.kernel.ids import LineItemId, ProductId
from gstable_server.kernel.paging import Page

IMAGE_URL_LENGTH_MAX = 500
BATCH_MAX = 100


def _short_enough(text: str | None) -> str | None:
    if text is not None and len(text) > IMAGE_URL_LENGTH_MAX:
        raise ValueError(f"must have at most {IMAGE_URL_LENGTH_MAX} characters")
    return text


IdText = Annotated[str, StringConstraints(max_length=100)]
"""An identifier as a caller wrote it; text of another form names no object."""


class ProductFields(Body):
    """What a merchant says of a product (spec 3)."""

    name: Name
    common_prices: Annotated[list[UnitPrice], Field(min_length=1, max_length=5)]
    description: OptionalDescription = None
    image_url: Annotated[OptionalUrl, AfterValidator(_short_enough)] = None
    attributes: Attributes | None = None

    def terms(self) -> ProductTerms:
        """The same as our model has it."""
        return ProductTerms(
            name=self.name,
            description=self.description,
            image_source=self.image_url,
            common_prices=tuple(self.common_prices),
            attributes=tuple(Attribute(item.name, item.value) for item in self.attributes or ()),
        )


class ProductCreateInput(ProductFields):
    """Body of POST /product/create."""


class ProductUpdateInput(ProductFields):
    """Body of POST /product/update: full replacement."""

    product_id: IdText


class ProductIdInput(Body):
    """Body of POST /product/archive, /product/unarchive and /product/remove."""

    product_id: IdText


class ProductIdsInput(Body):
    """Body of POST /product/list/by/ids."""

    product_ids: Annotated[list[IdText], Field(max_length=BATCH_MAX)]


class ProductLineItem(Body):
    """A line of a catalogue product at a price (spec 5 and 6)."""

    item_type: Literal["product"]
    product_id: IdText
    quantity: Quantity
    unit_price: UnitPrice


class AttributeJson(TypedDict):
    """One property of a product."""

    name: str
    value: str


class ProductJson(TypedDict):
    """A product; ``imageUrl`` appears once the picture has been re-hosted."""

    productId: str
    name: str
    description: NotRequired[str]
    imageUrl: NotRequired[str]
    status: str
    commonPrices: list[int]
    attributes: list[AttributeJson]
    createAt: str


class ProductPageJson(TypedDict):
    """One page of products; ``page`` and ``size`` are strings (spec 2, Pagination)."""

    total: int
    page: str
    size: str
    products: list[ProductJson]


class SuccessJson(TypedDict):
    """The answer of every operation that makes no object (spec 2, Operation result)."""

    success: bool


class ProductDataJson(TypedDict):
    """A product as a line shows it."""

    productName: str
    productDescription: NotRequired[str]
    imageUrl: NotRequired[str]
    attributes: list[AttributeJson]
    status: NotRequired[str]


class QuantityRangeJson(TypedDict):
    """How many pieces the payer may choose, both ends included."""

    minimum: int
    maximum: int


class LineItemJson(TypedDict):
    """One line; one-time items have no ``productId``, user-priced ones no ``unitPrice``.
    ``adjustableQuantity`` only in links whose merchant set it (decision 0027)."""

    lineItemId: str
    itemType: str
    productId: NotRequired[str]
    quantity: int
    unitPrice: NotRequired[int]
    adjustableQuantity: NotRequired[QuantityRangeJson]
    productData: NotRequired[ProductDataJson]


class LineItemsJson(TypedDict):
    """The lines of a link or session, inside an object (spec 5)."""

    items: list[LineItemJson]


def render(product: Product, public_url: str) -> ProductJson:
    """``product`` as queries and events show it. ``public_url``: this server, no trailing slash."""
    shown = ProductJson(
        productId=product.product_id,
        name=product.name,
        status=product.status.value,
        commonPrices=list(product.common_prices),
        attributes=_attributes(product.attributes),
        createAt=wire_time(product.created_at),
    )
    if product.description:
        shown["description"] = product.description
    if product.image_path:
        shown["imageUrl"] = public_url + product.image_path
    return shown


def render_page(
    total: int, page: Page, products: Iterable[Product], public_url: str
) -> ProductPageJson:
    """A page of the product list."""
    return ProductPageJson(
        total=total,
        page=str(page.number),
        size=str(page.size),
        products=[render(product, public_url) for product in products],
    )


def render_line_items(
    items: Iterable[LineItem], public_url: str, *, with_product: bool
) -> LineItemsJson:
    """``{"items": […]}``, with ``productData`` where asked for and known (spec 5 and 6)."""
    return LineItemsJson(
        items=[_line_item(item, public_url, with_product=with_product) for item in items]
    )


def _line_item(item: LineItem, public_url: str, *, with_product: bool) -> LineItemJson:
    shown = LineItemJson(
        lineItemId=item.line_item_id, itemType=item.item_type.value, quantity=item.quantity
    )
    if item.product_id:
        shown["productId"] = item.product_id
    if item.unit_price is not None:
        shown["unitPrice"] = item.unit_price
    if item.adjustable:
        shown["adjustableQuantity"] = QuantityRangeJson(
            minimum=item.adjustable.minimum, maximum=item.adjustable.maximum
        )
    if with_product and item.product:
        shown["productData"] = _product_data(item.product, public_url)
    return shown


def _product_data(product: ProductSnapshot, public_url: str) -> ProductDataJson:
    shown = ProductDataJson(productName=product.name, attributes=_attributes(product.attributes))
    if product.description:
        shown["productDescription"] = product.description
    if product.image_url:
        ours = product.image_url.startswith("/")
        shown["imageUrl"] = public_url + product.image_url if ours else product.image_url
    if product.status:
        shown["status"] = product.status.value
    return shown


def _attributes(attributes: Iterable[Attribute]) -> list[AttributeJson]:
    return [AttributeJson(name=one.name, value=one.value) for one in attributes]


def line_items_to_json(items: Iterable[LineItem]) -> list[dict[str, Any]]:
    """The lines with their snapshots, for a ``jsonb`` column of ours; not for the wire."""
    return [
        {
            "line_item_id": item.line_item_id,
            "item_type": item.item_type.value,
            "product_id": item.product_id,
            "quantity": item.quantity,
            "unit_price": item.unit_price,
            "product": _snapshot_to_json(item.product),
            **_range_to_json(item.adjustable),
        }
        for item in items
    ]


def _range_to_json(adjustable: QuantityRange | None) -> dict[str, dict[str, int]]:
    """Nothing where there is none, as in all lines that were stored before there were ranges."""
    if adjustable is None:
        return {}
    return {"adjustable": {"minimum": adjustable.minimum, "maximum": adjustable.maximum}}


def _range_from_json(stored: Mapping[str, int] | None) -> QuantityRange | None:
    return None if stored is None else QuantityRange(stored["minimum"], stored["maximum"])


def _snapshot_to_json(product: ProductSnapshot | None) -> dict[str, Any] | None:
    if product is None:
        return None
    return {
        "name": product.name,
        "description": product.description,
        "image_url": product.image_url,
        "attributes": attributes_to_json(product.attributes),
    }


def line_items_from_json(stored: Sequence[Mapping[str, Any]]) -> tuple[LineItem, ...]:
    """The inverse of ``line_items_to_json``; the snapshots' status was not kept."""
    return tuple(
        LineItem(
            line_item_id=LineItemId(row["line_item_id"]),
            item_type=ItemType(row["item_type"]),
            product_id=ProductId(row["product_id"]) if row["product_id"] else None,
            quantity=row["quantity"],
            unit_price=row["unit_price"],
            product=_snapshot_from_json(row["product"]),
            adjustable=_range_from_json(row.get("adjustable")),
        )
        for row in stored
    )


def _snapshot_from_json(stored: Mapping[str, Any] | None) -> ProductSnapshot | None:
    if stored is None:
        return None
    return ProductSnapshot(
        name=stored["name"],
        description=stored["description"],
        image_url=stored["image_url"],
        attributes=attributes_from_json(stored["attributes"]),
    )


def attributes_to_json(attributes: Iterable[Attribute]) -> list[dict[str, str]]:
    """Attributes for a ``jsonb`` column of ours."""
    return [{"name": one.name, "value": one.value} for one in attributes]


def attributes_from_json(stored: Sequence[Mapping[str, str]]) -> tuple[Attribute, ...]:
    """The inverse of ``attributes_to_json``."""
    return tuple(Attribute(one["name"], one["value"]) for one in stored)
