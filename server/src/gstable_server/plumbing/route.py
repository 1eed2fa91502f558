"""Routes of the merchant API as data: each slice lists its own, ``api`` mounts them all.

A handler gets the open transaction, the caller and its parsed arguments, and returns the JSON
value of the envelope's ``data``. Authentication, idempotency, the transaction, the envelope and
the OpenAPI document are made once, in ``api``, from these rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from gstable_server.kernel.tenant import Access, Caller
from gstable_server.plumbing.db import Database, Tx

Json = Any
PathValues = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request: ``body`` is an instance of the route's model, or None."""

    tx: Tx
    caller: Caller
    path: PathValues
    body: Any


Handler = Callable[[Call], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` in Starlette's form, ``result`` the type that ``data`` has (for OpenAPI)."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    access: Access
    result: Any
    body: type[BaseModel] | None = None
    tags: tuple[str, ...] = field(default=())
    examples: tuple[Json, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class OpenCall:
    """One request at a door without a key: ``address`` is the client's, as limits count it.

    The handler opens its own transactions, because what proves the caller's right may have to be
    asked of a chain first, and nobody waits for a chain in a transaction.
    """

    db: Database
    path: PathValues
    body: Any
    address: str


OpenHandler = Callable[[OpenCall], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """A route that needs no API key; the members are those of ``Route``."""

    method: Literal["GET", "POST"]
    path: str
    handler: OpenHandler
    summary: str
    result: Any
    body: type[BaseModel] | None = None
    tags: tuple[str, ...] = field(default=())
    examples: tuple[Json, ...] = field(default=())
