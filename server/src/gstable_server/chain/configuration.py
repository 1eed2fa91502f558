"""Checks of single fields of the operator's files: each refuses with the name of the field."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gstable_server.chain.checksum import address_from_text
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.tenant import Mode
from gstable_server.kernel.urls import url_problem

TEXT_LENGTH_MAX = 50


class ConfigurationError(Exception):
    """The operator's file says something that cannot be; the message names the field."""


def matching(field: str, text: str, pattern: re.Pattern[str], made_of: str) -> str:
    """``text`` if ``pattern`` matches all of it."""
    if not pattern.fullmatch(text):
        raise ConfigurationError(f"{field} must be made of {made_of}, begin with a letter")
    return text


def shown_text(field: str, text: str) -> str:
    """``text`` if people can read it."""
    if not text.strip() or len(text) > TEXT_LENGTH_MAX or not text.isprintable():
        raise ConfigurationError(f"{field} must have 1 to {TEXT_LENGTH_MAX} printable characters")
    return text


def within(field: str, value: int, least: int, most: int) -> int:
    """``value`` if it lies between the two, both included."""
    if not least <= value <= most:
        raise ConfigurationError(f"{field} must be between {least} and {most}")
    return value


def web_address(field: str, url: str) -> str:
    """``url`` if it is an absolute http or https URL."""
    problem = url_problem(url)
    if problem:
        raise ConfigurationError(f"{field} {problem.replace('https', 'http or https')}")
    return url


def socket_address(field: str, url: str) -> str:
    """``url`` if it is an absolute ws or wss URL."""
    scheme, separator, rest = url.partition("://")
    problem = url_problem("https://" + rest)
    if scheme not in ("ws", "wss") or not separator or problem:
        raise ConfigurationError(f"{field} must be an absolute ws or wss URL")
    return url


def address(field: str, text: str) -> Address:
    """The address that ``text`` writes; not the zero address."""
    try:
        read = address_from_text(text)
    except ValueError as failure:
        raise ConfigurationError(f"{field} {failure}") from failure
    if read == ZERO_ADDRESS:
        raise ConfigurationError(f"{field} must not be the zero address")
    return read


def code_hash(field: str, text: str, mode: Mode) -> bytes | None:
    """With real money the code must be the code that was reviewed; elsewhere it may be open."""
    if not text:
        if mode is Mode.LIVE:
            raise ConfigurationError(f"{field} is required on a live network")
        return None
    if not re.fullmatch(r"0x[0-9a-fA-F]{64}", text):
        raise ConfigurationError(f"{field} must be 0x followed by 64 hexadecimal digits")
    return bytes.fromhex(text[2:])


def require_distinct(field: str, values: Sequence[object], member: str) -> None:
    """Refuse a list whose entries repeat a value of ``member``."""
    if len(set(values)) != len(values):
        raise ConfigurationError(f"{field} entries must differ in {member}")
