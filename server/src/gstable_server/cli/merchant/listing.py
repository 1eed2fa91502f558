"""``products``, ``links``, ``sessions``, ``webhooks``, ``accounts``: ``list`` and ``show``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gstable import AsyncClient, Page
from gstable_server.cli.merchant.connection import MerchantFailed, open_client
from gstable_server.cli.merchant.output import (
    Column,
    print_details,
    print_json,
    print_table,
    usd,
)
from gstable_server.kernel.paging import SIZE_MAX


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of object: how it is asked for, and the cells of its row."""

    columns: tuple[Column, ...]
    cells: Callable[[Any], Sequence[str]]
    page: Callable[[AsyncClient, int, int], Awaitable[Page[Any]]]
    walk: Callable[[AsyncClient], AsyncIterator[Any]]
    detail: Callable[[AsyncClient, str], Awaitable[Any]]


async def show_list(name: str, page: int, size: int, *, everything: bool, as_json: bool) -> None:
    """Print one page of a family, or with ``everything`` each object, newest first.

    In JSON a page is one object, and everything is one object a line.
    """
    family = FAMILIES[name]
    async with open_client() as client:
        if everything and as_json:
            async for item in family.walk(client):
                print_json(item)
        elif everything:
            items = [item async for item in family.walk(client)]
            print_table(family.columns, map(family.cells, items))
        else:
            _show_page(family, await family.page(client, page, size), as_json=as_json)


def _show_page(family: Family, page: Page[Any], *, as_json: bool) -> None:
    if as_json:
        print_json(page)
        return
    print_table(family.columns, map(family.cells, page.items))
    shown = (page.page - 1) * page.size + len(page.items)
    if shown < page.total and page.items:
        print(f"{shown} of {page.total}; more with --page {page.page + 1} or --all")


async def show_one(name: str, object_id: str, *, as_json: bool) -> None:
    """Print everything about one object."""
    async with open_client() as client:
        found = await FAMILIES[name].detail(client, object_id)
    if as_json:
        print_json(found)
    else:
        print_details(found)


# --- how each family is asked for -----------------------------------------------------------------


async def _product(client: AsyncClient, product_id: str) -> Any:
    for found in await client.product.list_by_ids([product_id]):
        return found
    raise MerchantFailed(f"there is no product {product_id}")


def _sessions_in(status: str) -> Family:
    def page(client: AsyncClient, number: int, size: int) -> Awaitable[Page[Any]]:
        found: Awaitable[Page[Any]] = getattr(client.checkout_session, f"list_{status}")(
            number, size
        )
        return found

    def walk(client: AsyncClient) -> AsyncIterator[Any]:
        found: AsyncIterator[Any] = getattr(client.checkout_session, f"iterate_{status}")()
        return found

    return Family(
        columns=(
            Column("Session", whole=True),
            Column("Status"),
            Column("Amount"),
            Column("Settles in"),
            Column("Created, UTC", wide=True),
        ),
        cells=lambda found: (
            found.session.session_id,
            found.session.status,
            usd(found.session.amount),
            found.session.settlement_token,
            found.session.create_at,
        ),
        page=page,
        walk=walk,
        detail=lambda client, session_id: client.checkout_session.detail(session_id),
    )


async def _cut(asked: Awaitable[Sequence[Any]], page: int, size: int) -> Page[Any]:
    """A page of what the API answers whole."""
    found = await asked
    items = tuple(found[(page - 1) * size : page * size])
    return Page(total=len(found), page=page, size=size, items=items)


async def _each(asked: Awaitable[Sequence[Any]]) -> AsyncIterator[Any]:
    for item in await asked:
        yield item


SESSION_STATUSES = ("paid", "settling", "completed", "cancelled", "settlement_pending")

FAMILIES: Mapping[str, Family] = {
    "products": Family(
        columns=(
            Column("Product", whole=True),
            Column("Name"),
            Column("Prices"),
            Column("Status"),
            Column("Created, UTC", wide=True),
        ),
        cells=lambda found: (
            found.product_id,
            found.name,
            ", ".join(map(usd, found.common_prices)),
            found.status,
            found.create_at or "",
        ),
        page=lambda client, page, size: client.product.list(page, size),
        walk=lambda client: client.product.iterate(SIZE_MAX),
        detail=_product,
    ),
    "links": Family(
        columns=(
            Column("Link", whole=True),
            Column("Name"),
            Column("Amount"),
            Column("Status"),
            Column("Settles in", wide=True),
            Column("Created, UTC", wide=True),
        ),
        cells=lambda found: (
            found.link_id,
            found.link_name,
            usd(found.amount) if found.amount else "the payer's choice",
            found.status,
            found.settlement_token,
            found.create_at or "",
        ),
        page=lambda client, page, size: client.payment_link.list(page, size),
        walk=lambda client: client.payment_link.iterate(SIZE_MAX),
        detail=lambda client, link_id: client.payment_link.detail(link_id),
    ),
    "sessions": _sessions_in("all"),
    **{f"sessions {status}": _sessions_in(status) for status in SESSION_STATUSES},
    "webhooks": Family(
        columns=(
            Column("Webhook", whole=True),
            Column("Name"),
            Column("Status"),
            Column("URL"),
            Column("Events", wide=True),
        ),
        cells=lambda found: (
            found.webhook_id,
            found.webhook_name,
            found.status,
            found.webhook_url,
            str(len(found.subscribed_events)),
        ),
        page=lambda client, page, size: _cut(client.webhook.list(), page, size),
        walk=lambda client: _each(client.webhook.list()),
        detail=lambda client, webhook_id: client.webhook.detail(webhook_id),
    ),
    "accounts": Family(
        columns=(
            Column("Account", whole=True),
            Column("Name"),
            Column("Status"),
            Column("Address"),
            Column("Settles in", wide=True),
        ),
        cells=lambda found: (
            found.account_id,
            found.account_name,
            found.status,
            found.account_address,
            ", ".join(found.settlement_currencies),
        ),
        page=lambda client, page, size: _cut(client.account.list(), page, size),
        walk=lambda client: _each(client.account.list()),
        detail=lambda client, account_id: client.account.detail(account_id),
    ),
}
