"""What a room of the fake offers: rows of method, path and handler."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from gstable.testing._fields import Check, record

DONE = {"success": True}


@dataclass(frozen=True)
class Call:
    """A request whose caller and form are right. `writes`: its key may do everything."""

    values: Mapping[str, str]
    body: Any
    writes: bool


Handler = Callable[[Call], object]


@dataclass(frozen=True)
class Route:
    """`path` has `{names}`; `is_open`: no write key is needed."""

    method: str
    path: str
    handler: Handler
    check: Check | None = None
    is_open: bool = False

    def matched(self, path: str) -> dict[str, str] | None:
        """The values of the names where `path` fits."""
        parts, sent = self.path.split("/"), path.split("/")
        if len(parts) != len(sent):
            return None
        values = {}
        for part, segment in zip(parts, sent, strict=True):
            if part.startswith("{") and segment:
                values[part[1:-1]] = unquote(segment)
            elif part != segment:
                return None
        return values


def get(path: str, handler: Handler) -> Route:
    """A question: any key may ask."""
    return Route("GET", path, handler, is_open=True)


def post(path: str, handler: Handler, check: Check | None = None) -> Route:
    """A request that changes something."""
    return Route("POST", path, handler, check or record())


def ask(path: str, handler: Handler, check: Check) -> Route:
    """A question that is too long for a path."""
    return Route("POST", path, handler, check, is_open=True)
