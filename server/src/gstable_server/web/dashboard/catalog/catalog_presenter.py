"""What the pages of products and payment links show; no input, output or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gstable_server.catalog.model import LineItem, Product, ProductStatus
from gstable_server.kernel.money import MicroUsd
from gstable_server.links.model import LinkStatus
from gstable_server.links.wire import LinkView
from gstable_server.sessions.statistics.model import PAID, StateCount
from gstable_server.web.dashboard.charts import Chart, Series, nested
from gstable_server.web.dashboard.periods import Period
from gstable_server.web.dashboard.presenter import LinkRow, ProductRow, link_row, product_row
from gstable_server.web.dashboard.speech import N_, _, dollars, moment, number, said


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


@dataclass(frozen=True, slots=True)
class LinkLineRow:
    product_id: str
    name: str
    image: str
    quantity: str
    price: str


@dataclass(frozen=True, slots=True)
class LinkPage:
    """One payment link with everything that its merchant decided."""

    row: LinkRow
    url: str
    lines: tuple[LinkLineRow, ...]
    account_id: str
    token: str
    fee: str
    email: str
    success_url: str
    success_text: str
    disabled_text: str
    is_active: bool
    is_archived: bool
    updated_at: str


FEES = {1: N_("You bear the fee"), 2: N_("The payer bears the fee")}


def link_page(view: LinkView, url: str) -> LinkPage:
    link = view.link
    return LinkPage(
        row=link_row(view),
        url=url,
        lines=tuple(_link_line(item) for item in link.line_items),
        account_id=str(link.account_id),
        token=f"{view.token.symbol} · {view.token.network}" if view.token else "",
        fee=said(FEES[link.fee_model]),
        email=_("Asked for") if link.payer_email_required else _("Not asked for"),
        success_url=link.success_url or "",
        success_text=link.custom_success_text or "",
        disabled_text=link.custom_disabled_text or "",
        is_active=link.status is LinkStatus.ACTIVE,
        is_archived=link.status is LinkStatus.ARCHIVED,
        updated_at=moment(link.updated_at),
    )


def _link_line(item: LineItem) -> LinkLineRow:
    quantity = number(item.quantity)
    if item.adjustable:
        quantity = _(
            "%(usual)s, payers choose %(least)s to %(most)s",
            usual=quantity,
            least=number(item.adjustable.minimum),
            most=number(item.adjustable.maximum),
        )
    return LinkLineRow(
        product_id=str(item.product_id or ""),
        name=item.product.name if item.product else "",
        image=(item.product.image_url or "") if item.product else "",
        quantity=quantity,
        price=_("Payer decides") if item.unit_price is None else dollars(MicroUsd(item.unit_price)),
    )


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """``share`` is how many of a hundred openings were paid for, "" where nothing was opened."""

    opened: str
    started: str
    paid: str
    share: str
    chart: Chart


def link_statistics(
    period: Period, opened: Mapping[date, int], counts: Sequence[StateCount]
) -> LinkStatistics:
    """Opened are the views of the page, started the sessions that payers went on to, and paid those
    of them that were paid since, all by the day they began."""
    buckets = period.buckets()
    views = tuple(sum(opened[day] for day in opened if day in one) for one in buckets)
    started = tuple(sum(c.sessions for c in counts if c.day in one) for one in buckets)
    paid = tuple(
        sum(c.sessions for c in counts if c.day in one and c.state in PAID) for one in buckets
    )
    series = (
        Series(_("Opened"), views),
        Series(_("Started"), started),
        Series(_("Paid"), paid),
    )
    chart = nested(_("Opened, started and paid"), [one.label for one in buckets], series, number)
    seen = sum(views)
    share = _("%(share)s%%", share=sum(paid) * 100 // seen) if seen else ""
    return LinkStatistics(number(seen), number(sum(started)), number(sum(paid)), share, chart)
