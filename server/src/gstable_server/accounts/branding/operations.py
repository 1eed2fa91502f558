"""What can be done with a merchant's branding: changed in the dashboard, shown to payers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.branding import store
from gstable_server.accounts.branding.colours import colour_from_text
from gstable_server.accounts.branding.logo import CONTENT_TYPE
from gstable_server.accounts.branding.model import (
    FRAME_ORIGINS_MAX,
    LANGUAGE,
    Branding,
    Change,
    Corners,
    Logo,
    Theme,
    differences,
)
from gstable_server.accounts.model import name_from_text
from gstable_server.kernel.email import email_from_text
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.ids import ImageId, MerchantId
from gstable_server.kernel.urls import parse_origin, url_problem
from gstable_server.plumbing.db import Tx

FIELDS = (
    "displayName",
    "accent",
    "corners",
    "supportEmail",
    "supportUrl",
    "termsUrl",
    "defaultLanguage",
    "frameOrigins",
)
"""What ``save`` takes, each as text; an empty one takes the setting away. ``frameOrigins``
are parted by white space."""

CHANGES_SHOWN = 20


async def branding(tx: Tx, merchant_id: MerchantId) -> Branding:
    """What payers see of the merchant: its name alone until it has set more."""
    return (await brandings(tx, {merchant_id}))[merchant_id]


async def brandings(tx: Tx, merchant_ids: AbstractSet[MerchantId]) -> dict[MerchantId, Branding]:
    """What payers see of each of these merchants."""
    held = await store.find(tx, list(merchant_ids))
    for merchant_id in merchant_ids - held.keys():
        merchant = await accounts.merchant(tx, merchant_id)
        held[merchant_id] = Branding(display_name=merchant.name)
    return held


async def save(
    tx: Tx,
    merchant_id: MerchantId,
    entries: Mapping[str, str],
    *,
    actor: str,
    logo: bytes | None = None,
    without_logo: bool = False,
) -> Branding:
    """Set everything anew, from ``FIELDS``; the logo only when there is another (``logo``, as
    ``logo.redraw`` made it) or there is to be none. What changes is written down beside
    ``actor``, the member's e-mail address, in the same transaction.

    Raises ``Refused`` (400101) naming the field.
    """
    saved = parse(entries)
    # One after the other: each change has to say what it really changed.
    await store.lock(tx, merchant_id)
    before = await branding(tx, merchant_id)
    logo_id = None if without_logo else before.logo_id
    if logo is not None:
        logo_id = tx.mint(ImageId)
        await store.insert_logo(tx, merchant_id, Logo(logo_id, CONTENT_TYPE, logo))
    saved = replace(saved, logo_id=logo_id)
    await store.save(tx, merchant_id, saved)
    await store.remove_logos(tx, merchant_id, but=logo_id)
    if changed := differences(before, saved):
        await store.insert_change(tx, merchant_id, Change(actor, changed, tx.now))
    return saved


async def changes(tx: Tx, merchant_id: MerchantId) -> list[Change]:
    """The latest changes, the newest first; all of them are kept."""
    return await store.changes(tx, merchant_id, CHANGES_SHOWN)


def parse(entries: Mapping[str, str]) -> Branding:
    """What ``FIELDS`` would be saved as. Raises ``Refused`` (400101) naming the field."""
    return Branding(
        display_name=name_from_text("displayName", entries.get("displayName", "")),
        theme=_theme(entries),
        support_email=_email(entries.get("supportEmail", "")),
        support_url=_url("supportUrl", entries.get("supportUrl", "")),
        terms_url=_url("termsUrl", entries.get("termsUrl", "")),
        default_language=_language(entries.get("defaultLanguage", "")),
        frame_origins=_origins(entries.get("frameOrigins", "")),
    )


def _theme(entries: Mapping[str, str]) -> Theme:
    corners = entries.get("corners", "") or Corners.SOFT
    if corners not in set(Corners):
        raise invalid_field("corners", "must be square, soft or round")
    text = entries.get("accent", "").strip()
    try:
        accent = colour_from_text(text) if text else None
    except ValueError as problem:
        raise invalid_field("accent", str(problem)) from None
    return Theme(accent, Corners(corners))


def _email(text: str) -> str | None:
    return email_from_text(text, field="supportEmail") if text.strip() else None


def _url(field: str, text: str) -> str | None:
    """An https address in either mode: it is shown to every payer."""
    url = text.strip()
    if not url:
        return None
    if problem := url_problem(url):
        raise invalid_field(field, problem)
    if not url.startswith("https://"):
        raise invalid_field(field, "must start with https://")
    return url


def _language(text: str) -> str | None:
    if not text:
        return None
    if not LANGUAGE.fullmatch(text):
        raise invalid_field("defaultLanguage", "must be a language tag like pt-BR")
    return text


def _origins(text: str) -> tuple[str, ...]:
    try:
        origins = tuple(dict.fromkeys(parse_origin(one) for one in text.split()))
    except ValueError as problem:
        raise invalid_field("frameOrigins", str(problem)) from None
    if len(origins) > FRAME_ORIGINS_MAX:
        raise invalid_field("frameOrigins", f"must be at most {FRAME_ORIGINS_MAX} sites")
    return origins


async def logo(tx: Tx, image_id: ImageId) -> Logo | None:
    """A merchant's logo for the public address ``/logos/<imageId>``, or None."""
    return await store.find_logo(tx, image_id)
