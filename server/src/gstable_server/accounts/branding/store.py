"""Rows of merchants' branding and logos."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from gstable_server.accounts.branding.colours import colour_from_text
from gstable_server.accounts.branding.model import (
    Branding,
    Change,
    Corners,
    FieldChange,
    Logo,
    Theme,
)
from gstable_server.kernel.ids import ImageId, MerchantId
from gstable_server.plumbing.db import Tx


async def find(tx: Tx, merchant_ids: Sequence[MerchantId]) -> dict[MerchantId, Branding]:
    """Of those merchants that have set anything."""
    rows = await tx.fetch("SELECT * FROM branding WHERE merchant_id = ANY($1)", merchant_ids)
    return {MerchantId(row["merchant_id"]): _branding(row) for row in rows}


def _branding(row: asyncpg.Record) -> Branding:
    accent = colour_from_text(row["accent"]) if row["accent"] else None
    return Branding(
        display_name=row["display_name"],
        logo_id=ImageId(row["logo_id"]) if row["logo_id"] else None,
        theme=Theme(accent, Corners(row["corners"])),
        support_email=row["support_email"],
        support_url=row["support_url"],
        terms_url=row["terms_url"],
        default_language=row["default_language"],
        frame_origins=tuple(row["frame_origins"]),
    )


_SAVE = """
INSERT INTO branding (merchant_id, display_name, logo_id, accent, corners, support_email,
    support_url, terms_url, default_language, frame_origins, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (merchant_id) DO UPDATE SET display_name = $2, logo_id = $3, accent = $4, corners = $5,
    support_email = $6, support_url = $7, terms_url = $8, default_language = $9,
    frame_origins = $10, updated_at = $11
"""


async def save(tx: Tx, merchant_id: MerchantId, branding: Branding) -> None:
    await tx.execute(
        _SAVE,
        merchant_id,
        branding.display_name,
        branding.logo_id,
        str(branding.theme.accent) if branding.theme.accent else None,
        branding.theme.corners,
        branding.support_email,
        branding.support_url,
        branding.terms_url,
        branding.default_language,
        list(branding.frame_origins),
        tx.now,
    )


async def lock(tx: Tx, merchant_id: MerchantId) -> None:
    """Let nobody else change the merchant's branding until the transaction ends."""
    await tx.execute(
        "SELECT 1 FROM merchants WHERE merchant_id = $1 FOR NO KEY UPDATE", merchant_id
    )


async def insert_change(tx: Tx, merchant_id: MerchantId, change: Change) -> None:
    await tx.execute(
        "INSERT INTO branding_changes (merchant_id, actor, changes, at) VALUES ($1, $2, $3, $4)",
        merchant_id,
        change.actor,
        {one.field: [one.before, one.after] for one in change.fields},
        change.at,
    )


async def changes(tx: Tx, merchant_id: MerchantId, limit: int) -> list[Change]:
    """The newest first."""
    rows = await tx.fetch(
        "SELECT actor, changes, at FROM branding_changes WHERE merchant_id = $1"
        " ORDER BY sequence DESC LIMIT $2",
        merchant_id,
        limit,
    )
    return [
        Change(
            actor=row["actor"],
            fields=tuple(
                FieldChange(name, before, after)
                for name, (before, after) in sorted(row["changes"].items())
            ),
            at=row["at"],
        )
        for row in rows
    ]


async def insert_logo(tx: Tx, merchant_id: MerchantId, logo: Logo) -> None:
    await tx.execute(
        "INSERT INTO logos (image_id, merchant_id, content_type, bytes, created_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        logo.image_id,
        merchant_id,
        logo.content_type,
        logo.content,
        tx.now,
    )


async def remove_logos(tx: Tx, merchant_id: MerchantId, *, but: ImageId | None) -> None:
    """Every logo of the merchant, ``but`` one."""
    await tx.execute(
        "DELETE FROM logos WHERE merchant_id = $1 AND image_id IS DISTINCT FROM $2",
        merchant_id,
        but,
    )


async def find_logo(tx: Tx, image_id: ImageId) -> Logo | None:
    row = await tx.fetchrow("SELECT content_type, bytes FROM logos WHERE image_id = $1", image_id)
    return Logo(image_id, row["content_type"], row["bytes"]) if row else None
