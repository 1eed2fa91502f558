"""Rows of an export as CSV (RFC 4180) or as lines of JSON. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from gstable_server.web.dashboard.payments.export_columns import Cell, Figure

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Without it some spreadsheets read UTF-8 as the letters of another alphabet."""
_FORMULA = frozenset("=+-@")
_BREAKS = frozenset("\t\r\n")


class Format(StrEnum):
    CSV = "csv"
    """With the mark that spreadsheets know UTF-8 by."""
    PLAIN_CSV = "plain-csv"
    JSON = "jsonl"


CONTENT_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.PLAIN_CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/x-ndjson",
}


def head(form: Format, columns: Sequence[str]) -> bytes:
    """What comes before the first row."""
    if form is Format.JSON:
        return b""
    mark = BYTE_ORDER_MARK if form is Format.CSV else b""
    return mark + _csv_line(columns)


def line(form: Format, columns: Sequence[str], cells: Sequence[Cell]) -> bytes:
    """One row. In JSON every value is text or null: no reader rounds an amount."""
    if form is Format.JSON:
        values = [cell.text if isinstance(cell, Figure) else cell for cell in cells]
        return msgspec.json.encode(dict(zip(columns, values, strict=True))) + b"\n"
    return _csv_line(cells)


def harmless(text: str) -> str:
    """``text`` as a spreadsheet shows it and never runs it: with an apostrophe before it where it
    would begin a formula, also in full-width letters and behind spaces."""
    first = unicodedata.normalize("NFKC", text.lstrip(" \u00a0\u3000\ufeff\u200b"))[:1]
    if first in _FORMULA or text[:1] in _BREAKS or first in _BREAKS:
        return f"'{text}" if first else text
    return text


def _csv_line(cells: Sequence[Cell]) -> bytes:
    return (",".join(_field(cell) for cell in cells) + "\r\n").encode()


def _field(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Figure):
        return cell.text
    text = harmless(cell)
    if any(mark in text for mark in ',"\r\n'):
        quoted = text.replace('"', '""')
        return f'"{quoted}"'
    return text
