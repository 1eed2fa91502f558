"""How a merchant looks to payers, and how payers reach it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from gstable_server.accounts.branding.colours import DARK, LIGHT, Colour, Ground, shades
from gstable_server.kernel.ids import ImageId

FRAME_ORIGINS_MAX = 20

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")
"""A language with its script or region where that matters (BCP 47): ``pt-BR``, ``zh-Hans``."""


class Corners(StrEnum):
    """How round cards, buttons and fields are."""

    SQUARE = "square"
    SOFT = "soft"
    ROUND = "round"


_RADII = {
    Corners.SQUARE: ("2px", "2px"),
    Corners.SOFT: ("14px", "10px"),
    Corners.ROUND: ("24px", "20px"),
}


@dataclass(frozen=True, slots=True)
class Theme:
    """The merchant's share of the pages' style. Without ``accent`` the platform's own colours."""

    accent: Colour | None = None
    corners: Corners = Corners.SOFT

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing, so that no page needs its sheet."""
        return self == Theme()

    @property
    def css(self) -> str:
        """The sheet: it only sets tokens of ``base.css``, and so must follow it."""
        if self.accent is None:
            return f":root{{{self._corners}}}\n"
        light, dark = _tokens(self.accent, LIGHT), _tokens(self.accent, DARK)
        return (
            f":root{{{self._corners};{light}}}\n"
            f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        )

    @property
    def preview_css(self) -> str:
        """The same for ``.preview-light`` and ``.preview-dark``, whatever the reader's scheme."""
        rules = f".preview{{{self._corners}}}\n"
        if self.accent is not None:
            rules += f".preview-light{{{_tokens(self.accent, LIGHT)}}}\n"
            rules += f".preview-dark{{{_tokens(self.accent, DARK)}}}\n"
        return rules

    @property
    def _corners(self) -> str:
        radius, small = _RADII[self.corners]
        return f"--radius:{radius};--radius-small:{small}"

    @property
    def path(self) -> str:
        """Where the sheet is. It says everything that is in it, so it is never out of date."""
        return self._path("sheet", self.css)

    @property
    def preview_path(self) -> str:
        """Where ``preview_css`` is."""
        return self._path("preview", self.preview_css)

    def _path(self, kind: str, css: str) -> str:
        colour = str(self.accent).removeprefix("#") if self.accent else "plain"
        digest = hashlib.sha256(css.encode()).hexdigest()[:12]
        return f"/branding/{kind}-{colour}-{self.corners}-{digest}.css"


def _tokens(accent: Colour, ground: Ground) -> str:
    used = shades(accent, ground)
    return (
        f"--accent:{used.accent};--accent-strong:{used.strong};"
        f"--accent-soft:{used.soft};--on-accent:{used.on_accent}"
    )


@dataclass(frozen=True, slots=True)
class Branding:
    """What payers see of a merchant, on pages, receipts and in e-mails.

    ``support_url`` and ``terms_url`` are absolute https addresses; ``default_language`` is for
    payers whose own language is not known. ``frame_origins`` are the sites that may show the
    payer's pages in a frame, each like ``https://shop.example``.
    """

    display_name: str
    logo_id: ImageId | None = None
    theme: Theme = Theme()
    support_email: str | None = None
    support_url: str | None = None
    terms_url: str | None = None
    default_language: str | None = None
    frame_origins: tuple[str, ...] = ()

    @property
    def logo_path(self) -> str | None:
        """Where this server shows the logo, at most 480 by 160 pixels: ``/logos/<imageId>``."""
        return f"/logos/{self.logo_id}" if self.logo_id else None

    @property
    def support_mailto(self) -> str | None:
        """``support_email`` as a link (RFC 6068): everything but its ``@`` is encoded."""
        return f"mailto:{quote(self.support_email, safe='@')}" if self.support_email else None

    @property
    def stylesheet_path(self) -> str | None:
        """The sheet to load after ``base.css``; None where there is nothing to change."""
        return None if self.theme.is_plain else self.theme.path

    @property
    def entries(self) -> Mapping[str, str]:
        """Every setting but the logo as text, empty where there is none."""
        return {
            "displayName": self.display_name,
            "accent": str(self.theme.accent or ""),
            "corners": self.theme.corners.value,
            "supportEmail": self.support_email or "",
            "supportUrl": self.support_url or "",
            "termsUrl": self.terms_url or "",
            "defaultLanguage": self.default_language or "",
            "frameOrigins": "\n".join(self.frame_origins),
        }


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What a setting was and what it became, as text; of the logo its id."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed what and when. ``actor`` is the member's e-mail address."""

    actor: str
    fields: tuple[FieldChange, ...]
    at: datetime


def differences(before: Branding, after: Branding) -> tuple[FieldChange, ...]:
    """Every setting that differs."""
    old = {**before.entries, "logo": before.logo_id or ""}
    new = {**after.entries, "logo": after.logo_id or ""}
    return tuple(FieldChange(one, old[one], new[one]) for one in old if old[one] != new[one])


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo as this server shows it: drawn anew from what was handed in."""

    image_id: ImageId
    content_type: str
    content: bytes
