"""The language of the console's page that is being made: its sentences and its figures.

A page is made in one task, and its texts in many places: the guard says once which language its
reader has (``speaking``), and whoever writes a text asks here. English where nobody said it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from gettext import NullTranslations

from gstable_server.kernel.money import MicroUsd, Money
from gstable_server.web.language import ENGLISH, N_, Catalog, Words

__all__ = [
    "N_",
    "_",
    "day",
    "dollars",
    "moment",
    "ngettext",
    "number",
    "said",
    "speak",
    "speaking",
    "spoken",
    "token",
    "usd",
]

_SPOKEN: ContextVar[Words] = ContextVar(
    "console_language",
    default=Words(ENGLISH, Catalog(NullTranslations(), {})),  # noqa: B039 - never changed
)


@contextmanager
def speaking(words: Words) -> Iterator[None]:
    """Until the end, texts are in this language."""
    token = _SPOKEN.set(words)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def speak(words: Words) -> None:
    """Go on in this language, until the end of ``speaking`` around it."""
    _SPOKEN.set(words)


def spoken() -> Words:
    """The language of the page that is being made."""
    return _SPOKEN.get()


def _(message: str, /, **values: object) -> str:
    """``message`` in the reader's language, with ``values`` in the places ``%(name)s``; write
    ``%%`` for a per cent sign."""
    return spoken().gettext(message, **values)


def said(text: str) -> str:
    """``text`` in the reader's language where it is one of the marked sentences, else as it is."""
    return spoken().said(text)


def ngettext(one: str, many: str, number_of: int, /, **values: object) -> str:
    """The form for a number, which ``%(num)s`` stands for."""
    return spoken().ngettext(one, many, number_of, **values)


def moment(at: datetime) -> str:
    """A time in UTC, where a heading says that it is."""
    return spoken().time(at)


def day(at: datetime) -> str:
    """The day of a time in UTC."""
    return spoken().day(at)


def dollars(amount: MicroUsd) -> str:
    """An exact amount of US dollars with its unit."""
    return spoken().dollars(amount)


def usd(amount: MicroUsd) -> str:
    """The same in figures only."""
    return spoken().usd(amount)


def token(money: Money, symbol: str) -> str:
    """An exact amount of a token with its symbol."""
    return spoken().token(money, symbol)


def number(value: int) -> str:
    """A whole number."""
    return spoken().number(value)
