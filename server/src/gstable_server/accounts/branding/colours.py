"""Colours that can be read: a merchant's accent as the shades that pass WCAG 2.2 on our pages.

Contrast is that of WCAG 2.2 (definition of "contrast ratio" and "relative luminance"). Text needs
4.5:1 (criterion 1.4.3), and our accent is the colour of links as well as the ground of buttons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTRAST_MIN = 4.5
STEPS = 200

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


@dataclass(frozen=True, slots=True)
class Colour:
    """An opaque sRGB colour, 0 to 255 each."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    def mixed(self, other: Colour, part: float) -> Colour:
        """This colour with ``part`` (0 to 1) of ``other``."""
        return Colour(
            round(self.red + (other.red - self.red) * part),
            round(self.green + (other.green - self.green) * part),
            round(self.blue + (other.blue - self.blue) * part),
        )

    @property
    def luminance(self) -> float:
        """Relative luminance: 0 for black, 1 for white."""
        red, green, blue = (_linear(part / 255) for part in (self.red, self.green, self.blue))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    if part <= 0.04045:
        return part / 12.92
    linear: float = ((part + 0.055) / 1.055) ** 2.4
    return linear


def colour_from_text(text: str) -> Colour:
    """``#0a6b58``, ``0A6B58`` or ``#abc``. Raises ``ValueError`` for anything else."""
    match = _HEX.fullmatch(text)
    if match is None:
        raise ValueError("must be a colour like #0a6b58")
    digits = match.group(1)
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = bytes.fromhex(digits)
    return Colour(red, green, blue)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((one.luminance, other.luminance), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the accent stands on in one colour scheme; the same as in ``web/src/styles/base.css``.

    ``toward`` is what the accent is mixed with until it passes; ``hardest`` the ground that leaves
    it the least contrast.
    """

    surface: Colour
    hardest: Colour
    toward: Colour
    on_accent: Colour


WHITE = Colour(255, 255, 255)
BLACK = Colour(0, 0, 0)
LIGHT = Ground(WHITE, colour_from_text("#eef1f4"), BLACK, WHITE)
DARK = Ground(
    colour_from_text("#171b21"), colour_from_text("#20262e"), WHITE, colour_from_text("#0e1115")
)


@dataclass(frozen=True, slots=True)
class Shades:
    """An accent in one colour scheme. ``strong`` is readable on ``soft``; ``on_accent`` is the
    text on a button."""

    accent: Colour
    strong: Colour
    soft: Colour
    on_accent: Colour


def shades(accent: Colour, ground: Ground) -> Shades:
    """``accent`` itself where it passes on ``ground``, else the nearest shade that does."""
    passing = _passing(accent, ground.hardest, ground.toward)
    soft = ground.surface.mixed(passing, 0.12)
    strong = _passing(passing.mixed(ground.toward, 0.18), soft, ground.toward)
    return Shades(passing, strong, soft, ground.on_accent)


def _passing(colour: Colour, ground: Colour, toward: Colour) -> Colour:
    for step in range(STEPS + 1):
        shade = colour.mixed(toward, step / STEPS)
        if contrast(shade, ground) >= CONTRAST_MIN:
            return shade
    raise AssertionError("black passes on every light ground, and white on every dark one")
