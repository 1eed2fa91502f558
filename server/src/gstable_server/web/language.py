"""The languages of the pages: which one a page is in, its words, and its figures.

Words are gettext messages whose ids are the English sentences; the catalogs are read once, when
the server starts (``locales/<language>/LC_MESSAGES``). ``checkout.po`` holds what the server
writes for payers, ``script.po`` what their page's script says, and ``console.po`` what the
merchant's console says. English needs no catalog.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation, localcontext
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages import Catalog as BabelCatalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from gstable_server.kernel.money import MicroUsd, Money
from gstable_server.kernel.words import N_ as N_

LOCALES = Path(__file__).parent / "locales"
ENGLISH = "en"
LANGUAGES = (
    *(ENGLISH, "ar", "de", "es", "fr", "hi", "id", "ja", "ko", "pt-BR", "ru", "tr", "vi"),
    "zh-Hans",
)
CONSOLE_LANGUAGES = (ENGLISH, "de")
NAMES = {"zh-Hans": "简体中文", "pt-BR": "Português (Brasil)"}
"""Where CLDR's own name says more than payers need, or begins with a small letter."""

ALIASES = {"zh": "zh-Hans", "zh-cn": "zh-Hans", "zh-sg": "zh-Hans", "pt": "pt-BR", "in": "id"}
"""Ranges that are understood in another one. Not zh-TW: its readers would get another script."""

NOT_ALIASED = frozenset({"zh-tw", "zh-hk", "zh-mo", "zh-hant"})
PARAMETER = "lang"
COOKIE = "gstable_language"
COOKIE_SECONDS = 365 * 24 * 3600
DATES = {ENGLISH: Locale("en", "GB")}
"""How dates are written where the language alone would mean the habits of one country."""

RANGES_MAX = 20
USD_DECIMALS = 6
FIGURES_MAX = 120
"""More than any token amount has: decimal arithmetic must round nothing away."""
FIGURES_KEPT = 8_192
FIRST_STRONG, END_ISOLATE = "\u2068", "\u2069"


@dataclass(frozen=True, slots=True)
class Catalog:
    """The translations of one language: of the server's sentences and of the script's."""

    server: NullTranslations
    script: Mapping[str, str]


# Kept, because writing figures was half of what it costs to tell an open page of a change, and
# most are written again and again: the same amounts at every block, the same counts for all pages.
@lru_cache(maxsize=FIGURES_KEPT)
def _exact_text(locale: Locale, atomic: int, decimals: int) -> str:
    pattern = copy.copy(locale.decimal_formats[None])
    pattern.frac_prec = (2, max(2, decimals))
    with localcontext(Context(prec=FIGURES_MAX)):
        value = Decimal(atomic).scaleb(-decimals)
        return str(pattern.apply(value, locale, decimal_quantization=False))


@lru_cache(maxsize=FIGURES_KEPT)
def _whole_text(locale: Locale, value: int) -> str:
    return str(format_decimal(value, locale=locale))


@lru_cache(maxsize=FIGURES_KEPT)
def _time_text(locale: Locale, at: datetime) -> str:
    return str(format_datetime(at, "medium", tzinfo=UTC, locale=locale))


class Words:
    """One language: sentences, and figures as its readers write them. Amounts are exact."""

    def __init__(self, tag: str, catalog: Catalog) -> None:
        self.tag = tag
        self.locale = Locale.parse(tag, sep="-")
        self.direction: str = self.locale.text_direction
        self._catalog = catalog

    @property
    def name(self) -> str:
        """The language's name for itself."""
        own = NAMES.get(self.tag) or self.locale.get_display_name() or self.tag
        return own[:1].upper() + own[1:]

    def gettext(self, message: str, /, **values: object) -> str:
        """``message`` in this language, with ``values`` in the places ``%(name)s``. In a message,
        ``%`` is written ``%%``."""
        return self._catalog.server.gettext(message) % self._isolated(values)

    def ngettext(self, one: str, many: str, number: int, /, **values: object) -> str:
        """The form for ``number``, which ``%(num)s`` stands for."""
        values = {"num": self.number(number), **self._isolated(values)}
        return self._catalog.server.ngettext(one, many, number) % values

    def isolate(self, text: str) -> str:
        """``text`` with its own writing direction: else a name or an amount in Latin letters is
        torn apart between Arabic words (Unicode Bidirectional Algorithm, explicit isolates)."""
        if self.direction != "rtl":
            return text
        # Markup stays markup.
        return type(text)(FIRST_STRONG) + text + type(text)(END_ISOLATE)

    def _isolated(self, values: Mapping[str, object]) -> dict[str, object]:
        return {
            name: self.isolate(value) if isinstance(value, str) else value
            for name, value in values.items()
        }

    def usd(self, amount: MicroUsd) -> str:
        """An exact amount of US dollars in figures, at least two decimals, without the unit."""
        return self._exact(amount, USD_DECIMALS)

    def dollars(self, amount: MicroUsd) -> str:
        """The same with its unit."""
        return self.isolate(f"{self.usd(amount)} USD")

    def token(self, money: Money, symbol: str) -> str:
        """An exact amount of a token with its symbol, at least two decimals."""
        return self.isolate(f"{self._exact(money.atomic, money.asset.decimals)} {symbol}")

    def _exact(self, atomic: int, decimals: int) -> str:
        """In Latin figures for every language: payers compare them with their wallet's."""
        return _exact_text(self.locale, atomic, decimals)

    def number(self, value: int) -> str:
        """A whole number."""
        return _whole_text(self.locale, value)

    def moment(self, at: datetime) -> str:
        """A time in UTC, and named so."""
        return f"{self.time(at)} UTC"

    def time(self, at: datetime) -> str:
        """A time in UTC, where a heading says so."""
        return _time_text(DATES.get(self.tag, self.locale), at)

    def day(self, at: datetime) -> str:
        """The day of a time in UTC."""
        return str(format_date(at.astimezone(UTC), "medium", DATES.get(self.tag, self.locale)))

    def duration(self, seconds: int) -> str:
        """What is left of a time: ``29:05``, ``3:29:05``, or days and hours from a day on."""
        minutes, rest = divmod(max(seconds, 0), 60)
        hours, minutes = divmod(minutes, 60)
        if hours >= 24:
            days = format_unit(hours // 24, "duration-day", "short", locale=self.locale)
            return f"{days} {format_unit(hours % 24, 'duration-hour', 'short', locale=self.locale)}"
        return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

    def said(self, text: str) -> str:
        """``text`` in this language where it is one of the marked sentences, else as it is: for
        texts that come from elsewhere, and may be in words already."""
        # The empty message is the catalog's own head.
        return self._catalog.server.gettext(text) if text else ""

    # --- for templates ----------------------------------------------------------------------------

    def markup(self, message: str, /, **values: object) -> Markup:
        """``gettext`` for templates: values are escaped."""
        escaped = {name: escape(value) for name, value in self._isolated(values).items()}
        return Markup(self._catalog.server.gettext(message)) % escaped  # noqa: S704 - ours

    def markup_plural(self, one: str, many: str, num: int, /, **values: object) -> Markup:
        """``ngettext`` for templates."""
        escaped = {name: escape(value) for name, value in self._isolated(values).items()}
        escaped["num"] = escape(self.number(num))
        return Markup(self._catalog.server.ngettext(one, many, num)) % escaped  # noqa: S704 - ours

    @property
    def script_json(self) -> Markup:
        """The script's sentences for a data block of the page, by their English."""
        text = json.dumps(dict(self._catalog.script), ensure_ascii=False, separators=(",", ":"))
        return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - ours, and cannot end the block


def asked_language(request: Request, **further: str) -> str:
    """The query that keeps the language of the address where cookies do not, behind what else is
    to be in it: ``?deposit=...&lang=de``; empty for nothing."""
    tag = request.query_params.get(PARAMETER, "")
    members = {**further, **({PARAMETER: tag[:40]} if tag else {})}
    return "?" + urlencode(members) if members else ""


class Languages:
    """Every language there is, and the choice among them."""

    def __init__(self, words: Mapping[str, Words]) -> None:
        self._words = words
        self._by_range = {tag.lower(): tag for tag in words}

    @classmethod
    def load(cls) -> Languages:
        """The catalogs of the payer's pages. Raises ``OSError`` when one is missing."""
        return cls({tag: Words(tag, _catalog(tag)) for tag in LANGUAGES})

    @classmethod
    def load_console(cls) -> Languages:
        """The catalogs of the console. Raises ``OSError`` when one is missing."""
        return cls({tag: Words(tag, _console_catalog(tag)) for tag in CONSOLE_LANGUAGES})

    @property
    def all(self) -> tuple[Words, ...]:
        return tuple(self._words.values())

    def words(self, tag: str) -> Words:
        return self._words[tag]

    def of(self, request: Request, default: str | None = None) -> Words:
        """What was asked for in the address, else chosen before, else the browser's languages,
        else the merchant's ``default``, else English."""
        wanted = [
            request.query_params.get(PARAMETER, ""),
            request.cookies.get(COOKIE, ""),
            *_ranges(request.headers.get("accept-language", "")),
            default or "",
        ]
        found = (self.lookup(one) for one in wanted)
        return self._words[next(filter(None, found), ENGLISH)]

    def lookup(self, language_range: str) -> str | None:
        """The language that a range names, by cutting it from the end (RFC 4647, Lookup)."""
        parts = language_range.strip().replace("_", "-").lower()[:40].split("-")
        while parts:
            text = "-".join(parts)
            if text in NOT_ALIASED:
                return None
            if text in self._by_range:
                return self._by_range[text]
            if text in ALIASES:
                return ALIASES[text]
            parts.pop()
            # A single letter or figure never stands at the end of a range.
            while parts and len(parts[-1]) == 1:
                parts.pop()
        return None

    def remember(self, request: Request, response: Response) -> None:
        """Keep a language that the payer chose, for the pages that follow."""
        tag = self.lookup(request.query_params.get(PARAMETER, ""))
        if tag is None or request.method != "GET":
            return
        response.set_cookie(
            COOKIE,
            tag,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )


def _ranges(header: str) -> list[str]:
    """The ranges of ``Accept-Language``, the best first; what says 0 is left out."""
    weighed: list[tuple[Decimal, str]] = []
    for part in header[:400].split(",")[:RANGES_MAX]:
        name, _, parameter = part.partition(";")
        try:
            weight = Decimal(parameter.strip().removeprefix("q=") or "1")
        except InvalidOperation:
            continue
        if weight.is_finite() and 0 < weight <= 1:
            weighed.append((weight, name.strip()))
    return [name for _, name in sorted(weighed, key=lambda row: -row[0])]


def _catalog(tag: str) -> Catalog:
    if tag == ENGLISH:
        return Catalog(NullTranslations(), {})
    return Catalog(_compiled(tag, "checkout"), _said(tag, "script"))


def _console_catalog(tag: str) -> Catalog:
    if tag == ENGLISH:
        return Catalog(NullTranslations(), {})
    return Catalog(_compiled(tag, "console"), _said(tag, "console-script"))


def _said(tag: str, domain: str) -> dict[str, str]:
    rows = _read_po(tag, domain)
    return {str(row.id): str(row.string) for row in rows if row.id and row.string}


def _read_po(tag: str, domain: str) -> BabelCatalog:
    directory = LOCALES / tag.replace("-", "_") / "LC_MESSAGES"
    with (directory / f"{domain}.po").open("rb") as source:
        return read_po(source, locale=tag.replace("-", "_"))


def _compiled(tag: str, domain: str) -> GNUTranslations:
    compiled = BytesIO()
    write_mo(compiled, _read_po(tag, domain))
    compiled.seek(0)
    return GNUTranslations(compiled)
