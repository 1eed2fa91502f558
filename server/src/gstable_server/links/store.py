"""SQL of payment links: rows to links and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as altered
from typing import Any

from gstable_server.catalog.wire import line_items_from_json, line_items_to_json
from gstable_server.kernel.ids import AccountId, LinkId, MerchantId, VersionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.links.model import LinkStatus, LinkType, PaymentLink
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


async def page_of(tx: Tx, tenant: Tenant, page: Page) -> tuple[int, list[PaymentLink]]:
    """How many links there are, and those of one page, newest first."""
    total = await tx.fetchval(
        "SELECT count(*) FROM payment_links WHERE merchant_id = $1 AND mode = $2",
        tenant.merchant_id,
        tenant.mode.value,
    )
    rows = await tx.fetch(
        """SELECT * FROM payment_links WHERE merchant_id = $1 AND mode = $2
           ORDER BY sequence DESC LIMIT $3 OFFSET $4""",
        tenant.merchant_id,
        tenant.mode.value,
        page.size,
        page.offset,
    )
    return total, [_link(row) for row in rows]
