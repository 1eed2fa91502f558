"""Products and the line items that name them (spec 3 and 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gstable_server.kernel.ids import ImageId, LineItemId, ProductId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Tenant


class ProductStatus(StrEnum):
    """An archived product keeps its links' history, but opens no new link or session."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class ItemType(StrEnum):
    """``user_priced`` only in custom links, ``one_time`` only in checkout sessions (spec 5, 6)."""

    PRODUCT = "product"
    USER_PRICED = "user_priced"
    ONE_TIME = "one_time"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One property of a product, for example Colour: blue."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """Everything of a product that its merchant decides; an update replaces all of it.

    ``common_prices``: 1 to 5 quick picks in Micro-USD. ``image_source``: where the merchant's
    picture is, to be downloaded and re-hosted.
    """

    name: str
    description: str | None
    image_source: str | None
    common_prices: tuple[int, ...]
    attributes: tuple[Attribute, ...]

    def with_image_source(self, image_source: str | None) -> ProductTerms:
        """The same terms with the picture from elsewhere."""
        return replace(self, image_source=image_source)


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue.

    ``image_id`` is set once ``image_source`` has been downloaded. ``used_at`` is when a payment
    link first referenced it: from then on it cannot be removed (spec 3). ``removed_at`` marks a
    logical deletion, which is irreversible.
    """

    product_id: ProductId
    tenant: Tenant
    name: str
    description: str | None
    image_id: ImageId | None
    image_source: str | None
    status: ProductStatus
    common_prices: tuple[int, ...]
    attributes: tuple[Attribute, ...]
    created_at: datetime
    updated_at: datetime
    used_at: datetime | None
    removed_at: datetime | None

    @property
    def image_path(self) -> str | None:
        """Where this server shows the re-hosted picture: ``/images/<imageId>``, or None."""
        return f"/images/{self.image_id}" if self.image_id else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which products somebody looks for: ``text`` is a part of the name, in any case, or the whole
    identifier."""

    text: str = ""
    status: ProductStatus | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class ProductImage:
    """A re-hosted picture: ``content_type`` is what its first bytes prove, not what was claimed."""

    image_id: ImageId
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ProductSnapshot:
    """What the payer is shown of a product, as it was when the snapshot was taken.

    ``image_url`` is ``/images/<imageId>`` for a re-hosted picture (``wire`` puts the public
    address before it), or the merchant's absolute URL for one-time items. ``status`` is only
    known of catalogue products that were just read; it is not kept in stored snapshots.
    """

    name: str
    description: str | None
    image_url: str | None
    attributes: tuple[Attribute, ...]
    status: ProductStatus | None = None


@dataclass(frozen=True, slots=True)
class QuantityRange:
    """How many pieces of a line its payer may choose, both ends included."""

    minimum: int
    maximum: int

    def __contains__(self, quantity: int) -> bool:
        return self.minimum <= quantity <= self.maximum


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line of a link or session.

    ``unit_price`` is in Micro-USD, None where the payer decides. ``product`` is None until
    somebody needs to show it. ``adjustable``: in a link, what ``quantity`` may become; None where
    it stands, as in every session.
    """

    line_item_id: LineItemId
    item_type: ItemType
    product_id: ProductId | None
    quantity: int
    unit_price: int | None
    product: ProductSnapshot | None = None
    adjustable: QuantityRange | None = None


def total(items: Iterable[LineItem]) -> MicroUsd:
    """The sum of quantity × unit price in Micro-USD; user-priced lines count nothing."""
    return MicroUsd(sum(item.quantity * (item.unit_price or 0) for item in items))


def snapshot(product: Product) -> ProductSnapshot:
    """What to show of ``product`` from now on, whatever becomes of it (case API-29)."""
    return ProductSnapshot(
        name=product.name,
        description=product.description,
        image_url=product.image_path,
        attributes=product.attributes,
        status=product.status,
    )
