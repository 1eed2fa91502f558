"""Payment links on the wire: requests parsed, resources rendered, for HTTP and events alike.

As in ``catalog.wire``, optional strings that are not set are absent from the answer; requests may
leave them out, or send null or ``""``, because callers send back what they read (spec 5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from gstable_server.accounts.model import ReceivingAccount
from gstable_server.catalog import wire as catalog_wire
from gstable_server.catalog.model import ItemType, QuantityRange
from gstable_server.catalog.wire import IdText, LineItemJson, LineItemsJson
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Token
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.fields import (
    UNIT_PRICE_MAX,
    Body,
    FeeModel,
    Flag,
    Name,
    OptionalText,
    OptionalUrl,
    Quantity,
)
from gstable_server.kernel.paging import Page
from gstable_server.links.model import LineTerms, LinkTerms, LinkType, PaymentLink


class QuantityRangeInput(Body):
    """How many pieces of a line its payer may choose, both ends included (decision 0027)."""

    minimum: Quantity
    maximum: Quantity

    def checked(self, quantity: int, at: str) -> QuantityRange:
        """The same as our model has it. Raises ``Refused`` naming the field under ``at``, the
        line that it belongs to."""
        if self.minimum >= self.maximum:
            raise invalid_field(f"{at}.adjustableQuantity.maximum", "must be above the minimum")
        found = QuantityRange(self.minimum, self.maximum)
        if quantity not in found:
            raise invalid_field(
                f"{at}.quantity",
                f"must be between {self.minimum} and {self.maximum}, as adjustableQuantity says",
            )
        return found


class LinkLineItem(Body):
    """A line of a link: ``product`` at a price, or ``user_priced`` without one (spec 5).

    ``adjustable_quantity``: what a payer may make of ``quantity``, only in fixed links."""

    item_type: Literal["product", "user_priced"]
    product_id: IdText
    quantity: Quantity
    unit_price: Annotated[int, Field(ge=0, le=UNIT_PRICE_MAX)] | None = None
    adjustable_quantity: QuantityRangeInput | None = None

    def terms(self, link_type: LinkType, at: str) -> LineTerms:
        """The same as our model has it. Raises ``Refused`` naming the field under ``at``."""
        item_type = ItemType(self.item_type)
        if link_type is LinkType.CUSTOM:
            if item_type is not ItemType.USER_PRICED:
                raise invalid_field(f"{at}.itemType", "must be user_priced in a custom link")
            if self.unit_price:
                raise invalid_field(f"{at}.unitPrice", "must be left out or 0 in a custom link")
            if self.adjustable_quantity:
                raise invalid_field(f"{at}.adjustableQuantity", "must be left out in a custom link")
            return LineTerms(item_type, self.product_id, self.quantity, None)
        if item_type is not ItemType.PRODUCT:
            raise invalid_field(f"{at}.itemType", "must be product in a fixed link")
        if not self.unit_price:
            raise invalid_field(
                f"{at}.unitPrice", f"must be between 1 and {UNIT_PRICE_MAX} in a fixed link"
            )
        adjustable = None
        if self.adjustable_quantity:
            adjustable = self.adjustable_quantity.checked(self.quantity, at)
        return LineTerms(item_type, self.product_id, self.quantity, self.unit_price, adjustable)


class LinkFields(Body):
    """What a merchant says of a link (spec 5)."""

    link_type: Literal["fixed", "custom"]
    link_name: Name
    account_id: IdText
    settlement_token: Annotated[str, StringConstraints(max_length=64)]
    fee_model: FeeModel
    line_items: Annotated[list[LinkLineItem], Field(min_length=1, max_length=100)]
    payer_email_required: Flag = 0
    success_url: OptionalUrl = None
    custom_success_text: OptionalText = None
    custom_disabled_text: OptionalText = None

    def terms(self) -> LinkTerms:
        """The same as our model has it. Raises ``Refused`` (400101) naming the line's field."""
        link_type = LinkType(self.link_type)
        return LinkTerms(
            link_type=link_type,
            name=self.link_name,
            account_id=self.account_id,
            settlement_token=self.settlement_token,
            fee_model=self.fee_model,
            lines=tuple(
                item.terms(link_type, f"lineItems[{position}]")
                for position, item in enumerate(self.line_items)
            ),
            payer_email_required=bool(self.payer_email_required),
            success_url=self.success_url,
            custom_success_text=self.custom_success_text,
            custom_disabled_text=self.custom_disabled_text,
        )


class LinkOffInput(Body):
    """What payers read while a link is off; empty for the platform's own words."""

    custom_disabled_text: OptionalText = None


class LinkCreateInput(LinkFields):
    """Body of POST /payment/link/create."""


class LinkUpdateInput(LinkFields):
    """Body of POST /payment/link/update: full replacement."""

    link_id: IdText


class LinkIdInput(Body):
    """Body of POST /payment/link/disable and /payment/link/enable."""

    link_id: IdText


class TokenInfoJson(TypedDict):
    """The settlement token; ``chainId`` is a string (spec 5)."""

    tokenId: str
    contractAddress: str
    name: str
    symbol: str
    decimals: int
    chainId: str


class LinkHeadJson(TypedDict):
    """All of a link but its lines."""

    linkId: str
    linkType: str
    linkName: str
    accountId: str
    settlementToken: str
    feeModel: int
    amount: int
    payerEmailRequired: int
    successUrl: NotRequired[str]
    customSuccessText: NotRequired[str]
    customDisabledText: NotRequired[str]
    linkUrl: str
    status: str
    versionCode: str
    createAt: str
    updateAt: str
    accountName: NotRequired[str]
    accountAddress: NotRequired[str]
    settlementTokenInfo: NotRequired[TokenInfoJson]


class LinkJson(LinkHeadJson):
    """A payment link as detail, list and events show it."""

    lineItems: LineItemsJson


class CreatedLineItemsJson(TypedDict):
    """The lines in the answer of create: the documented sample nests them once more and adds the
    amount, while the SDK's type has ``items`` at the top; both readings find theirs."""

    items: list[LineItemJson]
    lineItems: LineItemsJson
    amount: int


class CreatedLinkJson(LinkHeadJson):
    """A payment link as create answers it."""

    lineItems: CreatedLineItemsJson


class LinkPageJson(TypedDict):
    """One page of links; ``page`` and ``size`` are strings (spec 2, Pagination)."""

    links: list[LinkJson]
    total: int
    page: str
    size: str


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link with what is shown beside it; None for an account that was removed since, and for a
    token that this server's configuration no longer has."""

    link: PaymentLink
    account: ReceivingAccount | None
    token: Token | None


def render(view: LinkView, public_url: str, *, with_product: bool = True) -> LinkJson:
    """A link as detail and events show it. ``public_url``: this server, no trailing slash."""
    items = catalog_wire.render_line_items(
        view.link.line_items, public_url, with_product=with_product
    )
    return {**_head(view, public_url), "lineItems": items}


def render_created(view: LinkView, public_url: str) -> CreatedLinkJson:
    """A link as create answers it."""
    items = catalog_wire.render_line_items(view.link.line_items, public_url, with_product=True)
    nested = CreatedLineItemsJson(items=items["items"], lineItems=items, amount=view.link.amount)
    return {**_head(view, public_url), "lineItems": nested}


def render_page(total: int, page: Page, views: Iterable[LinkView], public_url: str) -> LinkPageJson:
    """A page of the link list, whose lines leave ``productData`` out (spec 5)."""
    return LinkPageJson(
        links=[render(view, public_url, with_product=False) for view in views],
        total=total,
        page=str(page.number),
        size=str(page.size),
    )


def _head(view: LinkView, public_url: str) -> LinkHeadJson:
    link = view.link
    shown = LinkHeadJson(
        linkId=link.link_id,
        linkType=link.link_type.value,
        linkName=link.name,
        accountId=link.account_id,
        settlementToken=link.settlement_token,
        feeModel=link.fee_model,
        amount=link.amount,
        payerEmailRequired=int(link.payer_email_required),
        linkUrl=f"{public_url}/link/{link.link_id}",
        status=link.status.value,
        versionCode=link.version,
        createAt=wire_time(link.created_at),
        updateAt=wire_time(link.updated_at),
    )
    if link.success_url:
        shown["successUrl"] = link.success_url
    if link.custom_success_text:
        shown["customSuccessText"] = link.custom_success_text
    if link.custom_disabled_text:
        shown["customDisabledText"] = link.custom_disabled_text
    if view.account:
        shown["accountName"] = view.account.name
        shown["accountAddress"] = to_checksum(view.account.address)
    if view.token:
        shown["settlementTokenInfo"] = _token_info(view.token)
    return shown


def _token_info(token: Token) -> TokenInfoJson:
    return TokenInfoJson(
        tokenId=token.token_id,
        contractAddress=to_checksum(token.address),
        name=token.name,
        symbol=token.symbol,
        decimals=token.decimals,
        chainId=str(token.chain_id),
    )
