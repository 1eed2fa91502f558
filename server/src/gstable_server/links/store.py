"""SQL of payment links: rows to links and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as altered
from datetime import date
from typing import Any

from gstable_server.catalog.wire import line_items_from_json, line_items_to_json
from gstable_server.kernel.ids import AccountId, LinkId, MerchantId, ProductId, VersionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.links.model import LinkStatus, LinkType, PaymentLink, Wanted
from gstable_server.plumbing.db import Tx


def _link(row: Mapping[str, Any]) -> PaymentLink:
    return PaymentLink(
        link_id=LinkId(row["link_id"]),
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        link_type=LinkType(row["link_type"]),
        name=row["name"],
        account_id=AccountId(row["account_id"]),
        settlement_token=row["settlement_token"],
        fee_model=row["fee_model"],
        line_items=line_items_from_json(row["line_items"]),
        amount=MicroUsd(row["amount"]),
        payer_email_required=row["payer_email_required"],
        success_url=row["success_url"],
        custom_success_text=row["custom_success_text"],
        custom_disabled_text=row["custom_disabled_text"],
        status=LinkStatus(row["status"]),
        version=VersionId(row["version"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _decided(link: PaymentLink) -> tuple[Any, ...]:
    """The columns that create and update both write, after the three that name the row.

    Lines keep references only: what is shown of a product is read anew each time.
    """
    return (
        link.link_type.value,
        link.name,
        link.account_id,
        link.settlement_token,
        link.fee_model,
        line_items_to_json(altered(item, product=None) for item in link.line_items),
        link.amount,
        link.payer_email_required,
        link.success_url,
        link.custom_success_text,
        link.custom_disabled_text,
        link.version,
        link.updated_at,
    )


async def insert(tx: Tx, link: PaymentLink) -> None:
    """Store a new, active link."""
    await tx.execute(
        """INSERT INTO payment_links (link_id, merchant_id, mode, link_type, name, account_id,
               settlement_token, fee_model, line_items, amount, payer_email_required,
               success_url, custom_success_text, custom_disabled_text, version, updated_at,
               created_at, status)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
               $17, $18)""",
        link.link_id,
        link.tenant.merchant_id,
        link.tenant.mode.value,
        *_decided(link),
        link.created_at,
        link.status.value,
    )


async def replace(tx: Tx, link: PaymentLink) -> None:
    """Write all that the merchant decides, over the row that the caller holds."""
    await tx.execute(
        """UPDATE payment_links SET link_type = $4, name = $5, account_id = $6,
               settlement_token = $7, fee_model = $8, line_items = $9, amount = $10,
               payer_email_required = $11, success_url = $12, custom_success_text = $13,
               custom_disabled_text = $14, version = $15, updated_at = $16
           WHERE link_id = $1 AND merchant_id = $2 AND mode = $3""",
        link.link_id,
        link.tenant.merchant_id,
        link.tenant.mode.value,
        *_decided(link),
    )


async def mark(tx: Tx, link: PaymentLink) -> None:
    """Write the status over the row that the caller holds."""
    await tx.execute(
        """UPDATE payment_links SET status = $4, updated_at = $5
           WHERE link_id = $1 AND merchant_id = $2 AND mode = $3""",
        link.link_id,
        link.tenant.merchant_id,
        link.tenant.mode.value,
        link.status.value,
        link.updated_at,
    )


_FIND = "SELECT * FROM payment_links WHERE link_id = $1 AND merchant_id = $2 AND mode = $3"


async def find(tx: Tx, tenant: Tenant, link_id: LinkId) -> PaymentLink | None:
    row = await tx.fetchrow(_FIND, link_id, tenant.merchant_id, tenant.mode.value)
    return _link(row) if row else None


async def lock(tx: Tx, tenant: Tenant, link_id: LinkId) -> PaymentLink | None:
    """The link, held until the transaction ends."""
    row = await tx.fetchrow(_FIND + " FOR UPDATE", link_id, tenant.merchant_id, tenant.mode.value)
    return _link(row) if row else None


async def find_any(tx: Tx, link_id: LinkId) -> PaymentLink | None:
    """The link for a payer, who knows its identifier and no merchant."""
    row = await tx.fetchrow("SELECT * FROM payment_links WHERE link_id = $1", link_id)
    return _link(row) if row else None


async def success_texts(tx: Tx, link_ids: Sequence[LinkId]) -> dict[str, str]:
    rows = await tx.fetch(
        "SELECT link_id, custom_success_text FROM payment_links"
        " WHERE link_id = ANY($1) AND custom_success_text IS NOT NULL",
        link_ids,
    )
    return {row["link_id"]: row["custom_success_text"] for row in rows}


_LISTED = """
FROM payment_links
WHERE merchant_id = $1 AND mode = $2 AND ($3 = '' OR status = $3)
    AND ($4 = '' OR link_id = $4 OR position(lower($4) IN lower(name)) > 0)
"""


async def page_of(
    tx: Tx, tenant: Tenant, page: Page, wanted: Wanted
) -> tuple[int, list[PaymentLink]]:
    """How many links are wanted, and those of one page, newest first."""
    given = (tenant.merchant_id, tenant.mode.value, wanted.status or "", wanted.text)
    total = await tx.fetchval("SELECT count(*)" + _LISTED, *given)
    rows = await tx.fetch(
        "SELECT *" + _LISTED + "ORDER BY sequence DESC LIMIT $5 OFFSET $6",
        *given,
        page.size,
        page.offset,
    )
    return total, [_link(row) for row in rows]


_USING = """
FROM payment_links
WHERE line_items @> jsonb_build_array(jsonb_build_object('product_id', $3::text))
    AND merchant_id = $1 AND mode = $2
"""


async def using(
    tx: Tx, tenant: Tenant, product_id: ProductId, most: int
) -> tuple[int, list[PaymentLink]]:
    """How many links have a line of the product, and the newest ``most`` of them."""
    given = (tenant.merchant_id, tenant.mode.value, product_id)
    total = await tx.fetchval("SELECT count(*)" + _USING, *given)
    rows = await tx.fetch("SELECT *" + _USING + "ORDER BY sequence DESC LIMIT $4", *given, most)
    return total, [_link(row) for row in rows]


async def paid_to(
    tx: Tx, tenant: Tenant, account_id: AccountId, most: int
) -> tuple[int, list[PaymentLink]]:
    """How many links that are not archived pay the account, and the newest of them."""
    given = tenant.merchant_id, tenant.mode, account_id
    total: int = await tx.fetchval(
        "SELECT count(*) FROM payment_links WHERE merchant_id = $1 AND mode = $2"
        " AND account_id = $3 AND status <> 'archived'",
        *given,
    )
    rows = await tx.fetch(
        "SELECT * FROM payment_links WHERE merchant_id = $1 AND mode = $2 AND account_id = $3"
        " AND status <> 'archived' ORDER BY sequence DESC LIMIT $4",
        *given,
        most,
    )
    return total, [_link(row) for row in rows]


_ADD_OPENED = """
INSERT INTO link_days (link_id, day, opened)
SELECT counted.link_id, counted.day, counted.opened
FROM unnest($1::text[], $2::date[], $3::bigint[]) AS counted (link_id, day, opened)
ORDER BY 1, 2
ON CONFLICT (link_id, day) DO UPDATE SET opened = link_days.opened + excluded.opened
"""


async def add_opened(tx: Tx, counts: Mapping[tuple[LinkId, date], int]) -> None:
    """Add to the links' days, in one order, so that two who add do not wait for each other in a
    circle."""
    names = [link_id for link_id, _ in counts]
    days = [day for _, day in counts]
    await tx.execute(_ADD_OPENED, names, days, list(counts.values()))


async def opened(tx: Tx, link_id: LinkId, since: date, until: date) -> dict[date, int]:
    rows = await tx.fetch(
        "SELECT day, opened FROM link_days WHERE link_id = $1 AND day BETWEEN $2 AND $3",
        link_id,
        since,
        until,
    )
    return {row["day"]: row["opened"] for row in rows}
