"""Request bodies as JSON that every reader understands alike (RFC 8259, I-JSON).

What parsers disagree on is refused here, before any model sees it: duplicate keys, NaN and
Infinity, numbers outside 64 bits, text that is not Unicode, and deep nesting.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from gstable_server.kernel.errors import invalid_field
from gstable_server.plumbing.problems import joined

DEPTH_MAX = 32
KEYS_MAX = 1000
"""Keys of one object: far more than any body has, few enough to be told of one by one."""

INTEGER_MAX = 2**63 - 1
_SHORT = len(str(INTEGER_MAX)) - 1
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
# Escapes that can smuggle in what UTF-8 and JSON forbid: NUL and halves of surrogate pairs.
_RISKY_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class _Unusable:
    """Stands in the parsed value where the text had something to refuse."""

    def __init__(self, problem: str, field: str = "") -> None:
        self.problem = problem
        self.field = field


def _object(pairs: list[tuple[str, Any]]) -> Any:
    made = dict(pairs)
    if len(pairs) > KEYS_MAX:
        return _Unusable(f"must have at most {KEYS_MAX} keys")
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return _Unusable("appears twice", name)
        seen.add(name)
    raise AssertionError("unreachable: fewer keys than pairs means that one is there twice")


def _integer(text: str) -> Any:
    if len(text) <= _SHORT or (len(text) <= _SHORT + 2 and abs(int(text)) <= INTEGER_MAX):
        return int(text)
    return _Unusable("is an integer that is too large")


def _float(text: str) -> Any:
    number = float(text)
    return number if math.isfinite(number) else _Unusable("is a number that is too large")


def _constant(text: str) -> Any:
    return _Unusable(f"must not be {text}")


def _refuse(_: Any) -> NoReturn:
    raise ValueError("not strict")


def _object_or_refuse(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs) or len(pairs) > KEYS_MAX:
        raise ValueError("not strict")
    return made


def _integer_or_refuse(text: str) -> int:
    if len(text) > _SHORT:
        raise ValueError("not strict")
    return int(text)


def _float_or_refuse(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not strict")
    return number


# Two decoders over the same rules: the first only says yes or no and runs for every request; the
# second runs when the first said no, to find which field it was.
_checking = json.JSONDecoder(
    object_pairs_hook=_object_or_refuse,
    parse_int=_integer_or_refuse,
    parse_float=_float_or_refuse,
    parse_constant=_refuse,
)
_explaining = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``. Raises ``Refused`` (400101) that names the field or the place."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as problem:
        raise invalid_field("body", f"is not UTF-8 at byte {problem.start}") from None
    # Before the parser sees it: its recursion is bounded only by a limit that any library in the
    # process may have raised beyond what the stack can hold.
    if raw.count(b"{") + raw.count(b"[") > DEPTH_MAX:
        _require_shallow(raw)
    try:
        value = _checking.decode(text)
    except ValueError:
        value = _explained(text)
    if not isinstance(value, dict):
        raise invalid_field("body", "must be a JSON object")
    # Rare, and looking costs more than the parsing did.
    if _RISKY_ESCAPE.search(raw):
        for path, item in _walk(value):
            if isinstance(item, str) and not _is_storable(item):
                raise invalid_field(path, "contains characters that cannot be stored")
    return value


def _require_shallow(raw: bytes) -> None:
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise invalid_field("body", f"is nested more than {DEPTH_MAX} levels deep")


def _explained(text: str) -> Any:
    try:
        value = _explaining.decode(text)
    except json.JSONDecodeError as problem:
        place = f"line {problem.lineno} column {problem.colno}"
        raise invalid_field("body", f"is not valid JSON at {place}") from None
    for path, item in _walk(value):
        if isinstance(item, _Unusable):
            where = joined(path, item.field) if item.field else path
            raise invalid_field(where or "body", item.problem)
    return value


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value with its path, without recursion."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        yield path, item
        if isinstance(item, dict):
            for name, inner in item.items():
                here = joined(path, name)
                yield here, name
                waiting.append((here, inner))
        elif isinstance(item, list):
            waiting.extend((f"{path}[{at}]", inner) for at, inner in enumerate(item))
