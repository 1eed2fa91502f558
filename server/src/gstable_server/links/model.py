"""Payment links (spec 5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.catalog.model import ItemType, LineItem
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

    ``amount`` is the total in Micro-USD, 0 for custom links. ``version`` changes with every
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
