"""Payment links (spec 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gstable_server.catalog.model import ItemType, LineItem, QuantityRange, total
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.ids import AccountId, LinkId, VersionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Tenant


class LinkType(StrEnum):
    """``fixed``: every line has its price. ``custom``: the payer types the amount."""

    FIXED = "fixed"
    CUSTOM = "custom"


class LinkStatus(StrEnum):
    """``inactive`` is disabled and can be enabled again; ``archived`` is final (spec 15)."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class LineTerms:
    """One line as the merchant asked for it; ``unit_price`` in Micro-USD, None if user-priced.

    ``product_id`` is text as it came: only a product that was found gives it a type.
    """

    item_type: ItemType
    product_id: str
    quantity: int
    unit_price: int | None
    adjustable: QuantityRange | None = None

    @property
    def dearest(self) -> int:
        """The most that this line can come to, in Micro-USD; 0 if user-priced."""
        most = self.adjustable.maximum if self.adjustable else self.quantity
        return most * (self.unit_price or 0)


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """Everything of a link that its merchant decides; an update replaces all of it."""

    link_type: LinkType
    name: str
    account_id: str
    settlement_token: str
    fee_model: int
    lines: tuple[LineTerms, ...]
    payer_email_required: bool
    success_url: str | None
    custom_success_text: str | None
    custom_disabled_text: str | None


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """A persistent, reusable address that opens checkout sessions.

    ``amount`` is the total in Micro-USD at the quantities of the lines, 0 for custom links; payers
    may choose other quantities where a line is adjustable. ``version`` changes with every
    update, so that an order of an earlier version can be told apart (code 100104).
    """

    link_id: LinkId
    tenant: Tenant
    link_type: LinkType
    name: str
    account_id: AccountId
    settlement_token: str
    fee_model: int
    line_items: tuple[LineItem, ...]
    amount: MicroUsd
    payer_email_required: bool
    success_url: str | None
    custom_success_text: str | None
    custom_disabled_text: str | None
    status: LinkStatus
    version: VersionId
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which links somebody looks for: ``text`` is a part of the name, in any case, or the whole
    identifier."""

    text: str = ""
    status: LinkStatus | None = None


EVERYTHING = Wanted()


def with_quantities(link: PaymentLink, chosen: Mapping[str, int]) -> PaymentLink:
    """The link as one payer wants it: ``chosen`` pieces by line item id, the merchant's number
    where nothing was chosen, and the amount that this comes to in Micro-USD.

    Refused 400101: ``lineItems`` for a line that the link does not have, as after an update by
    its merchant, and ``lineItems[n].quantity`` for a number outside of the line's range (decision
    0027).
    """
    if not chosen:
        return link
    if not chosen.keys() <= {item.line_item_id for item in link.line_items}:
        raise invalid_field("lineItems", "were changed since; read the link again")
    items = tuple(
        replace(item, quantity=_allowed(item, position, chosen.get(item.line_item_id)))
        for position, item in enumerate(link.line_items)
    )
    amount = link.amount if link.link_type is LinkType.CUSTOM else total(items)
    return replace(link, line_items=items, amount=amount)


def _allowed(item: LineItem, position: int, wanted: int | None) -> int:
    if wanted is None or wanted == item.quantity:
        return item.quantity
    field = f"lineItems[{position}].quantity"
    if item.adjustable is None:
        raise invalid_field(field, f"must be {item.quantity}")
    if wanted not in item.adjustable:
        lowest, highest = item.adjustable.minimum, item.adjustable.maximum
        raise invalid_field(field, f"must be between {lowest} and {highest}")
    return wanted
