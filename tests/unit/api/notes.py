"""Small routes of the tests' own, and a client for them, on a real database."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import httpx2
from pydantic import Field
from typing_extensions import TypedDict

from gstable_server.accounts import operations as accounts
from gstable_server.api.app import ApiLimits, create_app
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.fields import Attributes, Body, Name, OptionalText, Quantity, UnitPrice
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.client_address import NO_PROXIES, TrustedProxies
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.route import Call, Json, Route


class NoteItem(Body):
    quantity: Quantity
    unit_price: Annotated[int, Field(ge=1)]


class FreeKind(Body):
    item_type: Literal["free"]


class PricedKind(Body):
    item_type: Literal["priced"]
    unit_price: UnitPrice


class NewNote(Body):
    """A body with the kinds of field that the real ones have."""

    note_name: Name
    line_items: Annotated[list[NoteItem], Field(min_length=1, max_length=100)] | None = None
    attributes: Attributes | None = None
    custom_text: OptionalText = None
    metadata: dict[str, Any] | None = None
    kind: Annotated[FreeKind | PricedKind, Field(discriminator="item_type")] | None = None
    colour: Literal["blue", "green"] | None = None


class Note(TypedDict):
    noteId: str
    noteName: str


async def _create(call: Call) -> Json:
    """Stores one event, so that tests can count what happened."""
    note_id = call.tx.mint(ProductId)
    if call.body.note_name == "refuse":
        raise Refused(Code.LINK_ARCHIVED)
    if call.body.note_name == "break":
        raise RuntimeError("a secret of ours")
    payload = {"metadata": call.body.metadata}
    call.tx.tell(Event("note.created", note_id, payload, call.caller.tenant, "product"))
    return {"noteId": note_id, "noteName": call.body.note_name}


async def _touch(_call: Call) -> Json:
    return {"success": True}


async def _detail(call: Call) -> Json:
    return {"noteId": call.path["noteId"], "noteName": call.caller.tenant.mode}


ROUTES = [
    Route("POST", "/note/create", _create, "Create", Access.WRITE, Note, NewNote, ("Notes",)),
    Route("POST", "/note/touch", _touch, "Touch", Access.WRITE, dict[str, bool], tags=("Notes",)),
    Route("GET", "/note/{noteId}", _detail, "Read a note", Access.READ, Note, tags=("Notes",)),
]


class Api:
    """A client, the keys of one merchant, and the database behind it."""

    def __init__(self, client: httpx2.AsyncClient, db: Database, tenant: Tenant) -> None:
        self.client = client
        self.db = db
        self.tenant = tenant
        self.secret = ""

    async def key(self, access: Access = Access.WRITE, mode: Mode = Mode.LIVE) -> str:
        tenant = Tenant(self.tenant.merchant_id, mode)
        async with self.db.begin() as tx:
            _, secret = await accounts.issue_key(tx, tenant, access, "test")
        return secret

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        headers.setdefault("authorization", f"Bearer {self.secret}")
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("authorization", f"Bearer {self.secret}")
        if isinstance(body, bytes):
            named.setdefault("content-type", "application/json")
            return await self.client.post(path, content=body, headers=named)
        return await self.client.post(path, json=body, headers=named)

    async def events(self) -> int:
        async with self.db.read() as tx:
            count: int = await tx.fetchval("SELECT count(*) FROM events")
            return count


def client_of(app: Any, address: str = "192.0.2.1") -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, client=(address, 40000), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://gstable.example")


SELDOM = 0.001
"""So many a second: however slow the machine is, nobody gets a further turn while a test runs."""
WIDE = ApiLimits(key_rate=10_000, key_burst=10_000, address_rate=10_000, address_burst=10_000)


def app_of(db: Database, limits: ApiLimits = WIDE) -> Any:
    return app_with(db, ROUTES, limits)


def app_with(
    db: Database,
    routes: list[Route],
    limits: ApiLimits = WIDE,
    *,
    proxies: TrustedProxies = NO_PROXIES,
) -> Any:
    return create_app(
        db, [routes], capabilities=lambda: {"supportedTokens": []}, limits=limits, proxies=proxies
    )


class Ticker:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self._now = 100.0

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
