"""What can be done with payment links, in the order of their life (spec 5).

Every change locks the link's row first, so that the events of one link are numbered in the order
of its changes, and two updates at once become one after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from gstable_server.accounts import operations as accounts
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import LineItem, Product, snapshot, total
from gstable_server.chain.networks import Networks
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.fields import TOTAL_MAX
from gstable_server.kernel.ids import (
    AccountId,
    LineItemId,
    LinkId,
    ProductId,
    VersionId,
    id_or_none,
)
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.kernel.urls import require_https
from gstable_server.links import store, wire
from gstable_server.links.model import (
    EVERYTHING,
    LinkStatus,
    LinkTerms,
    LinkType,
    PaymentLink,
    Wanted,
)
from gstable_server.links.wire import LinkView
from gstable_server.plumbing.events import Event

if TYPE_CHECKING:
    from gstable_server.accounts.model import ReceivingAccount
    from gstable_server.plumbing.db import Tx


Take = Callable[["Tx", Tenant, Sequence[str]], Awaitable[dict[ProductId, Product]]]
"""How a link takes its products: to be used from now on, or only looked at."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What links need to know of the server: its networks, and its own address without a
    trailing slash."""

    networks: Networks
    public_url: str


async def create(tx: Tx, shop: Shop, tenant: Tenant, terms: LinkTerms) -> LinkView:
    """Make a link; tells ``payment.link.created``.

    Refused: 400101 naming the field, 100401/100403 for the account, 400201 for the token,
    1003xx for the products (``catalog.require_sellable``).
    """
    _require_shape(terms, tenant)
    link, _ = await _drafted(tx, shop, tenant, tx.mint(LinkId), terms)
    await store.insert(tx, link)
    view = await _view(tx, shop, link)
    _tell(tx, shop, "payment.link.created", view)
    return view


async def update(tx: Tx, shop: Shop, tenant: Tenant, link_id: LinkId, terms: LinkTerms) -> LinkView:
    """Replace all that the merchant decides, under a new version; tells ``payment.link.updated``.

    A disabled link stays disabled. Refused: 100101, 100102, and as ``create``.
    """
    _require_shape(terms, tenant)
    old = await _lock(tx, tenant, link_id)
    wanted, _ = await _drafted(tx, shop, tenant, link_id, terms)
    link = replace(wanted, status=old.status, created_at=old.created_at)
    await store.replace(tx, link)
    view = await _view(tx, shop, link)
    _tell(tx, shop, "payment.link.updated", view)
    return view


async def disable(tx: Tx, shop: Shop, tenant: Tenant, link_id: LinkId) -> bool:
    """Open no more sessions; tells ``payment.link.disabled`` unless it was so already.

    Refused: 100101, 100102.
    """
    return await _switch(tx, shop, tenant, link_id, LinkStatus.INACTIVE, "payment.link.disabled")


async def disable_saying(
    tx: Tx, shop: Shop, tenant: Tenant, link_id: LinkId, text: str | None
) -> bool:
    """The same, and show payers ``text`` meanwhile, the platform's own words for None; tells
    ``payment.link.updated`` first where the text is another. Also of a link that is off already.

    Refused: 100101, 100102.
    """
    old = await _lock(tx, tenant, link_id)
    if text != old.custom_disabled_text:
        link = replace(
            old, custom_disabled_text=text, version=tx.mint(VersionId), updated_at=tx.now
        )
        await store.replace(tx, link)
        shown = await _view(tx, shop, await _with_products(tx, link))
        _tell(tx, shop, "payment.link.updated", shown)
    is_off = await disable(tx, shop, tenant, link_id)
    return is_off or text != old.custom_disabled_text


async def enable(tx: Tx, shop: Shop, tenant: Tenant, link_id: LinkId) -> bool:
    """Open sessions again; tells ``payment.link.enabled`` if it was disabled.

    Refused: 100101, 100102.
    """
    return await _switch(tx, shop, tenant, link_id, LinkStatus.ACTIVE, "payment.link.enabled")


async def archive(tx: Tx, shop: Shop, tenant: Tenant, link_id: LinkId) -> None:
    """Close the link for good; tells ``payment.link.archived``. Sessions that are open already can
    still be paid.

    Refused: 100101, 100102 when it was so already.
    """
    await _switch(tx, shop, tenant, link_id, LinkStatus.ARCHIVED, "payment.link.archived")


async def draft(
    tx: Tx, shop: Shop, tenant: Tenant, terms: LinkTerms
) -> tuple[PaymentLink, dict[ProductId, Product]]:
    """The link that ``create`` would make now, with its products; nothing is stored. Refused as
    ``create``."""
    _require_shape(terms, tenant)
    return await _drafted(tx, shop, tenant, tx.mint(LinkId), terms, catalog.require_sellable)


async def detail(tx: Tx, shop: Shop, tenant: Tenant, link_id: LinkId) -> LinkView:
    """The merchant's own link with its products as they are now. Refused: 100101."""
    link = await store.find(tx, tenant, link_id)
    if link is None:
        raise Refused(Code.LINK_NOT_FOUND)
    return await _view(tx, shop, await _with_products(tx, link))


async def locked(tx: Tx, tenant: Tenant, link_id: LinkId) -> PaymentLink:
    """The merchant's own link, held until the transaction ends. Refused: 100101, 100102."""
    return await _lock(tx, tenant, link_id)


async def list_links(
    tx: Tx, shop: Shop, tenant: Tenant, page: Page, wanted: Wanted = EVERYTHING
) -> tuple[int, list[LinkView]]:
    """The number of links that are wanted and one page of them, newest first, without their
    products."""
    count, links = await store.page_of(tx, tenant, page, wanted)
    return count, await _beside_all(tx, shop, tenant, links)


async def paid_to(
    tx: Tx, tenant: Tenant, account_id: AccountId, most: int
) -> tuple[int, list[PaymentLink]]:
    """How many links that are not archived pay the account, and the newest of them."""
    return await store.paid_to(tx, tenant, account_id, most)


async def list_using(
    tx: Tx, shop: Shop, tenant: Tenant, product_id: ProductId, most: int
) -> tuple[int, list[LinkView]]:
    """How many links have the product in a line now, and the newest ``most`` of them."""
    count, links = await store.using(tx, tenant, product_id, most)
    return count, await _beside_all(tx, shop, tenant, links)


async def _beside_all(
    tx: Tx, shop: Shop, tenant: Tenant, links: Sequence[PaymentLink]
) -> list[LinkView]:
    held = {account.account_id: account for account in await accounts.list_accounts(tx, tenant)}
    return [_beside(shop, link, held.get(link.account_id)) for link in links]


async def add_opened(tx: Tx, counts: Mapping[tuple[LinkId, date], int]) -> None:
    """Count openings of links' pages, by link and day (UTC); the links are there."""
    await store.add_opened(tx, counts)


async def opened(tx: Tx, link_id: LinkId, since: date, until: date) -> dict[date, int]:
    """How often a link's page was opened on each day (UTC, both included) that it was, by people
    other than the merchant's own; whose tenant the caller has checked."""
    return await store.opened(tx, link_id, since, until)


async def view(tx: Tx, link_id: LinkId) -> PaymentLink:
    """The link in whatever state, with its products, for a payer. Refused: 100101."""
    link = await store.find_any(tx, link_id)
    if link is None:
        raise Refused(Code.LINK_NOT_FOUND)
    return await _with_products(tx, link)


async def success_texts(tx: Tx, link_ids: Sequence[LinkId]) -> dict[str, str]:
    """The merchant's words after a payment by link id, of those links that have any."""
    return await store.success_texts(tx, link_ids) if link_ids else {}


async def require_open(tx: Tx, link_id: LinkId) -> PaymentLink:
    """The link with its products, if a payer may open a session from it now.

    Refused: 100101, 100102, 100103, and 100304/100303 if a product was archived since.
    """
    link = await store.find_any(tx, link_id)
    if link is None:
        raise Refused(Code.LINK_NOT_FOUND)
    _refuse_archived(link)
    if link.status is not LinkStatus.ACTIVE:
        raise Refused(Code.LINK_NOT_ACTIVE)
    products = await catalog.require_sellable(tx, link.tenant, _product_ids(link))
    return _showing(link, products)


def _require_shape(terms: LinkTerms, tenant: Tenant) -> None:
    """What the body alone can get wrong, before anything is looked up (spec 15, order)."""
    if terms.success_url:
        require_https("successUrl", terms.success_url, tenant.mode)
    if sum(line.dearest for line in terms.lines) > TOTAL_MAX:
        raise invalid_field("lineItems", f"must come to at most {TOTAL_MAX} Micro-USD")


async def _drafted(
    tx: Tx,
    shop: Shop,
    tenant: Tenant,
    link_id: LinkId,
    terms: LinkTerms,
    take: Take = catalog.use_in_link,
) -> tuple[PaymentLink, dict[ProductId, Product]]:
    """An active link of these terms under a new version, everything it points at checked, with
    its products."""
    account = await _require_account(tx, tenant, terms.account_id)
    token = shop.networks.require_token(terms.settlement_token, tenant.mode)
    products = await take(tx, tenant, [line.product_id for line in terms.lines])
    items = _line_items(tx, terms, products)
    link = PaymentLink(
        link_id=link_id,
        tenant=tenant,
        link_type=terms.link_type,
        name=terms.name,
        account_id=account.account_id,
        settlement_token=token.token_id,
        fee_model=terms.fee_model,
        line_items=items,
        amount=total(items),
        payer_email_required=terms.payer_email_required,
        success_url=terms.success_url,
        custom_success_text=terms.custom_success_text,
        custom_disabled_text=terms.custom_disabled_text,
        status=LinkStatus.ACTIVE,
        version=tx.mint(VersionId),
        created_at=tx.now,
        updated_at=tx.now,
    )
    return link, products


def _line_items(
    tx: Tx, terms: LinkTerms, products: dict[ProductId, Product]
) -> tuple[LineItem, ...]:
    items = []
    for line in terms.lines:
        product = products[ProductId(line.product_id)]
        assert terms.link_type is LinkType.CUSTOM or line.unit_price, "wire refuses free lines"
        items.append(
            LineItem(
                line_item_id=tx.mint(LineItemId),
                item_type=line.item_type,
                product_id=product.product_id,
                quantity=line.quantity,
                unit_price=line.unit_price,
                product=snapshot(product),
                adjustable=line.adjustable,
            )
        )
    return tuple(items)


async def _require_account(tx: Tx, tenant: Tenant, text: str) -> ReceivingAccount:
    account_id = id_or_none(AccountId, text)
    if account_id is None:
        raise Refused(Code.ACCOUNT_NOT_FOUND)
    return await accounts.require_account(tx, tenant, account_id)


async def _lock(tx: Tx, tenant: Tenant, link_id: LinkId) -> PaymentLink:
    link = await store.lock(tx, tenant, link_id)
    if link is None:
        raise Refused(Code.LINK_NOT_FOUND)
    _refuse_archived(link)
    return link


def _refuse_archived(link: PaymentLink) -> None:
    if link.status is LinkStatus.ARCHIVED:
        raise Refused(Code.LINK_ARCHIVED)


async def _switch(
    tx: Tx, shop: Shop, tenant: Tenant, link_id: LinkId, status: LinkStatus, event_type: str
) -> bool:
    old = await _lock(tx, tenant, link_id)
    if old.status is status:
        return False
    link = replace(old, status=status, updated_at=tx.now)
    await store.mark(tx, link)
    _tell(tx, shop, event_type, await _view(tx, shop, await _with_products(tx, link)))
    return True


def _product_ids(link: PaymentLink) -> Sequence[ProductId]:
    return [item.product_id for item in link.line_items if item.product_id]


async def _with_products(tx: Tx, link: PaymentLink) -> PaymentLink:
    """The link with each line's product as it is now, archived ones too."""
    return _showing(link, await catalog.shown(tx, link.tenant, _product_ids(link)))


def _showing(link: PaymentLink, products: dict[ProductId, Product]) -> PaymentLink:
    return replace(
        link,
        line_items=tuple(
            replace(item, product=snapshot(products[item.product_id]) if item.product_id else None)
            for item in link.line_items
        ),
    )


async def _view(tx: Tx, shop: Shop, link: PaymentLink) -> LinkView:
    held = await accounts.list_accounts(tx, link.tenant)
    account = next((one for one in held if one.account_id == link.account_id), None)
    return _beside(shop, link, account)


def _beside(shop: Shop, link: PaymentLink, account: ReceivingAccount | None) -> LinkView:
    token = shop.networks.find_token(link.settlement_token, link.tenant.mode)
    return LinkView(link, account, token)


def _tell(tx: Tx, shop: Shop, event_type: str, view: LinkView) -> None:
    tx.tell(
        Event(
            type=event_type,
            object_id=view.link.link_id,
            payload={"linkData": wire.render(view, shop.public_url)},
            tenant=view.link.tenant,
            business_type="payment_link",
        )
    )
