"""What the merchant's verbs print: tables and lines for people, JSON for programs.

Names in JSON are those of the API. Signing keys and the like, which the SDK keeps out of its
``repr``, are kept out of both.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gstable_server.kernel.clock import from_unix_seconds, wire_time

MICRO = 10**6
WIDE_COLUMNS = 110
"""From so many columns on, tables show their optional ones."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WIRE_NAMES = {"fee_rate_ppm": "feeRatePPM"}
_MICRO_USD = frozenset(
    {
        "amount", "authorized", "captured", "common_prices", "fee", "fee_value",
        "merchant_received", "net_value", "payment_value", "remaining", "returned", "total_value",
        "unit_price",
    }
)  # fmt: skip
_UNIX_SECONDS = frozenset({"capture_before", "expiration_time", "expires_at"})


@dataclass(frozen=True, slots=True)
class Column:
    """``wide``: shown only where there is room. ``whole``: never broken, to be copied."""

    title: str
    wide: bool = False
    whole: bool = False


def console() -> Console:
    """Standard output: as wide as the terminal, 80 columns without one."""
    return Console(highlight=False, markup=False, emoji=False)


def clean(value: object) -> str:
    """Text that cannot steer a terminal: payers choose some of it."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value))


def usd(micro_usd: int) -> str:
    """``20.00 USD``: cents, and finer digits where there are any."""
    whole, rest = divmod(micro_usd, MICRO)
    digits = f"{rest:06}"
    return f"{whole:,}.{digits[:2]}{digits[2:].rstrip('0')} USD"


# --- JSON -----------------------------------------------------------------------------------------


def wire(value: Any) -> Any:
    """A result of the SDK as the API names its members."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = (field for field in fields(value) if field.repr)
        return {wire_name(field.name): wire(getattr(value, field.name)) for field in shown}
    if isinstance(value, Mapping):
        return {str(name): wire(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [wire(item) for item in value]
    return value


def wire_name(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return _WIRE_NAMES.get(name) or first + "".join(word.capitalize() for word in rest)


def print_json(value: Any) -> None:
    """One object on one line; what could steer a terminal is escaped, as JSON allows."""
    text = json.dumps(wire(value), ensure_ascii=False)
    print(_UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)


def tell(text: str) -> None:
    """A line beside the results, on standard error."""
    print(f"gstable: {clean(text)}", file=sys.stderr, flush=True)


# --- for people -----------------------------------------------------------------------------------


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A table without lines: what is not ``whole`` is folded rather than cut."""
    out = console()
    shown = [number for number, one in enumerate(columns) if _fits(one, out)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number in shown:
        column = columns[number]
        table.add_column(column.title, no_wrap=column.whole, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(row[number])) for number in shown))
    out.print(table)


def _fits(column: Column, out: Console) -> bool:
    return not column.wide or out.width >= WIDE_COLUMNS


def print_line(*parts: tuple[str, str]) -> None:
    """One line of (text, style) parts; a terminal may break it, nothing is cut."""
    line = Text("  ").join(Text(clean(text), style) for text, style in parts)
    console().print(line, soft_wrap=True)


def print_details(value: object) -> None:
    """Every known member of a result, one a line; what is in it stands deeper."""
    rows = list(_lines(value, 0))
    width = max((2 * depth + len(label) for depth, label, _ in rows), default=0)
    out = console()
    for depth, label, text in rows:
        name = "  " * depth + label
        line = Text(f"{name.ljust(width)}  ", "dim") if text else Text(name, "bold")
        out.print(line.append(Text(clean(text))), soft_wrap=True)


Line = tuple[int, str, str]


def _lines(value: object, depth: int) -> Iterator[Line]:
    assert is_dataclass(value)
    for field in fields(value):
        item = getattr(value, field.name)
        if not field.repr or item is None or item == "" or item == ():
            continue
        label = field.name.rstrip("_").replace("_", " ")
        yield from _member(field.name, label, item, depth)


def _member(name: str, label: str, item: object, depth: int) -> Iterator[Line]:
    if is_dataclass(item):
        yield depth, label, ""
        yield from _lines(item, depth + 1)
    elif isinstance(item, tuple) and is_dataclass(item[0]):
        for number, one in enumerate(item, 1):
            yield depth, f"{label} {number}", ""
            yield from _lines(one, depth + 1)
    else:
        yield depth, label, _text(name, item)


def _text(name: str, item: object) -> str:
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, tuple):
        return ", ".join(_text(name, one) for one in item)
    if isinstance(item, Mapping):
        return json.dumps(wire(item), ensure_ascii=False)
    if isinstance(item, int) and name in _MICRO_USD:
        return usd(item)
    if isinstance(item, int) and name in _UNIX_SECONDS:
        return f"{wire_time(from_unix_seconds(item))} UTC"
    return str(item)
