"""Figures as payers type them, on the keyboards of their languages."""

from __future__ import annotations

import re
import unicodedata

from gstable_server.kernel.money import MicroUsd

_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?")
_CENTS = re.compile(r"(.*),([0-9]{1,2})", re.DOTALL)
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_QUANTITY = re.compile(r"[0-9]{1,7}")
_POINTS = str.maketrans({"\u066b": ".", "\uff0e": ".", "\uff0c": ","})
"""The Arabic decimal separator, and the wide point and comma of East Asian keyboards."""


class AmountError(Exception):
    """What somebody typed is no amount; the text says how to write one, in English."""


class NoAmountError(AmountError):
    """It cannot be read as one."""


class ZeroAmountError(AmountError):
    """It is nothing."""


def parse_typed_usd(text: str) -> MicroUsd:
    """Like ``parse_usd``, for what a payer typed: ``1.500`` is fifteen hundred to half of the
    world, and is refused like ``1,500``."""
    if _THOUSANDS.fullmatch(_plain(text)):
        raise NoAmountError("Write the amount with two figures after the point, like 12.50.")
    return parse_usd(text)


def parse_usd(text: str) -> MicroUsd:
    """Decimal US dollars, in Micro-USD: ``"12.5"`` → 12500000.

    A comma is understood before one or two figures at the end, as in ``12,50``: many phones offer
    no point. Before three it means thousands to some and fractions to others, and is refused.
    Raises ``NoAmountError`` or ``ZeroAmountError``.
    """
    plain = _plain(text)
    cents = _CENTS.fullmatch(plain)
    if cents is not None:
        plain = f"{cents.group(1)}.{cents.group(2)}"
    match = _AMOUNT.fullmatch(plain)
    if match is None:
        raise NoAmountError("Write the amount in figures with a point, like 12.50.")
    whole, fraction = match.group(1), match.group(2) or ""
    amount = int(whole + fraction.ljust(6, "0"))
    if amount == 0:
        raise ZeroAmountError("Enter an amount above zero.")
    return MicroUsd(amount)


def _plain(text: str) -> str:
    return _latin(text).strip().removeprefix("$").strip()


def parse_quantity(text: str) -> int | None:
    """A whole number of pieces, or None for what is none."""
    plain = _latin(text).strip()
    return int(plain) if _QUANTITY.fullmatch(plain) else None


def _latin(text: str) -> str:
    """``text`` with the decimal figures of any script as 0 to 9, and its separators as ours."""
    figures = (
        str(unicodedata.decimal(one)) if unicodedata.decimal(one, None) is not None else one
        for one in text.translate(_POINTS)
    )
    return "".join(figures)
