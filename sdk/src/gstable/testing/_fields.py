"""The parts that request bodies are made of, refused in the platform's words and order.

A check takes a value and its place (such as `lineItems[0].quantity`) and gives the value back, or
raises `Refused` 400101. Source: specification section 15, Field limits.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from gstable.testing._refusals import invalid

Check = Callable[[object, str], object]
Field = Check | tuple[Check, object]
Words = Callable[[str], str | None]

PRICE_MAX = 1_000_000_000_000
TOTAL_MAX = 10**15
URL_LENGTH_MAX = 1000
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSAFE_IN_URL = re.compile(r"""[^!-~]|[\\"<>`^]""")
_REQUIRED = object()


def text(least: int, most: int, *rules: Words) -> Check:
    """Text of so many characters that also keeps each of `rules`, which tell what is wrong."""
    bounds = f"must have {least} to {most} characters"
    if not least:
        bounds = f"must have at most {most} characters"

    def check(value: object, at: str) -> object:
        if not isinstance(value, str):
            raise invalid(at, "must be a string")
        if not least <= len(value) <= most:
            raise invalid(at, bounds)
        for rule in rules:
            if problem := rule(value):
                raise invalid(at, problem)
        return value

    return check


def integer(least: int, most: int) -> Check:
    """A whole number, bounds included."""

    def check(value: object, at: str) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid(at, "must be an integer")
        if not least <= value <= most:
            raise invalid(at, f"must be between {least} and {most}")
        return value

    return check


def choice(*names: str) -> Check:
    """One of some words."""
    quoted = [f"'{name}'" for name in names]
    listed = f"{', '.join(quoted[:-1])} or {quoted[-1]}" if len(quoted) > 1 else quoted[0]

    def check(value: object, at: str) -> object:
        if value not in names:
            raise invalid(at, f"must be {listed}")
        return value

    return check


def array(check_item: Check, least: int, most: int) -> Check:
    """A list of so many items."""
    bounds = f"must have {least} to {most} items" if least else f"must have at most {most} items"

    def check(value: object, at: str) -> object:
        if not isinstance(value, list):
            raise invalid(at, "must be an array")
        if len(value) > most:
            raise invalid(at, bounds)
        checked = [check_item(item, f"{at}[{position}]") for position, item in enumerate(value)]
        if len(checked) < least:
            raise invalid(at, bounds)
        return checked

    return check


def absent(check_given: Check, otherwise: object = None) -> tuple[Check, object]:
    """A field that may be left out or null."""
    return (lambda value, at: otherwise if value is None else check_given(value, at)), otherwise


def left_out(check_given: Check, otherwise: object) -> tuple[Check, object]:
    """A field that may be left out, and is not null."""
    return check_given, otherwise


def blank(check_given: Check) -> tuple[Check, object]:
    """A field where left out, null and "" mean the same."""
    return absent(lambda value, at: None if value == "" else check_given(value, at))


def record(**fields: Field) -> Check:
    """An object with these fields and no others, under their wire names."""
    rules = {
        name: field if isinstance(field, tuple) else (field, _REQUIRED)
        for name, field in fields.items()
    }

    def check(value: object, at: str) -> object:
        if not isinstance(value, dict):
            raise invalid(at, "must be an object")
        found: dict[str, object] = {}
        for name, (check_field, otherwise) in rules.items():
            if name in value:
                found[name] = check_field(value[name], joined(at, name))
            elif otherwise is _REQUIRED:
                raise invalid(joined(at, name), "is required")
            else:
                found[name] = otherwise
        for name in value:
            if name not in rules:
                raise invalid(joined(at, name), "is not a known field")
        return found

    return check


def tagged(tag: str, **kinds: Check) -> Check:
    """An object whose field `tag` says which of `kinds` it is."""
    known = ", ".join(f"'{kind}'" for kind in kinds)

    def check(value: object, at: str) -> object:
        if not isinstance(value, dict):
            raise invalid(at, "must be an object")
        if tag not in value:
            raise invalid(joined(at, tag), "is required")
        kind = value[tag]
        if not isinstance(kind, str) or kind not in kinds:
            raise invalid(joined(at, tag), f"must be one of {known}")
        return kinds[kind](value, at)

    return check


def joined(at: str, name: str) -> str:
    """A field below `at`."""
    return f"{at}.{name}" if at else name


def storable(value: str) -> str | None:
    """No control characters and no halves of characters."""
    return "contains characters that cannot be stored" if _UNSTORABLE.search(value) else None


def not_blank(value: str) -> str | None:
    """More than white space."""
    return None if value.strip() else "must not be blank"


def web_address(value: str) -> str | None:
    """An absolute http(s) URL in ASCII without user information."""
    if _UNSAFE_IN_URL.search(value):
        return "must be an absolute https URL in ASCII"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return "must be an absolute https URL"
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        return "must be an absolute https URL"
    if "@" in parts.netloc:
        return "must not carry a user name or password"
    return None


def require_https(field: str, url: object) -> None:
    """Plain http goes to this machine only, as in the platform's test mode."""
    if isinstance(url, str) and not url.startswith("https://") and not is_loopback(url):
        raise invalid(field, "must start with https://")


def is_loopback(url: str) -> bool:
    """Whether the host is this machine."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


NAME = text(1, 100, storable, not_blank)
ID = text(0, 100)
DESCRIPTION = blank(text(0, 1000, storable))
SHORT_TEXT = blank(text(0, 500, storable))
WEB_URL = text(0, URL_LENGTH_MAX, web_address)
OPTIONAL_URL = blank(WEB_URL)
UNIT_PRICE = integer(1, PRICE_MAX)
QUANTITY = integer(1, 1_000_000)
FLAG = left_out(integer(0, 1), 0)
ATTRIBUTES = absent(
    array(record(name=text(1, 50, storable), value=text(0, 200, storable)), 0, 10), []
)


def without_none(shown: Mapping[str, object]) -> dict[str, object]:
    """What the wire shows: a text that is not set is absent. Source: section 2."""
    return {name: value for name, value in shown.items() if value is not None}
