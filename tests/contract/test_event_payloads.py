"""Every event of spec 9 and 15 is made to happen, and what is told is what the API answers.

The payload is compared with the answer to the object's own query right after the event, and then
read back when the object has changed: an event tells what was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import AccountId, LinkId
from gstable_server.links import operations as links
from gstable_server.links.operations import Shop
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock
from gstable_server.serve import merchant_routes
from gstable_server.sessions.model import SessionView
from gstable_server.webhooks import wire
from gstable_server.webhooks.letters import letter
from gstable_server.webhooks.model import EVENT_TYPES
from tests.contract.shapes import ACCOUNT, LINK, PRODUCT, SESSION, TIME, TRANSACTION, Id, matches
from tests.settling import settled
from tests.unit.catalog.support import Caller, serving
from tests.unit.sessions.holding import Holder, with_holds
from tests.unit.sessions.refunding import Refunder
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import World, new_world

pytestmark = pytest.mark.anyio

ENVELOPE = {
    "eventId": Id("evt_"),
    "eventType": str,
    "businessType": {"session", "payment_link", "product", "account"},
    "occurrence": TIME,
    "isSubscribable": {True},
    "payload": dict,
    "sequence": int,
    "apiVersion": {"v1"},
}


@dataclass
class Stage:
    """A merchant over HTTP, and what the chain tells of its payers."""

    world: World
    caller: Caller
    clock: FakeClock
    holder: Holder = field(init=False)
    till: Till = field(init=False)

    def __post_init__(self) -> None:
        self.holder = Holder(self.caller, self.world)
        self.till = Till(self.caller, self.world)

    async def event(self, event_type: str) -> dict[str, Any]:
        """The newest event of that type, as the API shows it."""
        listed = await self.caller.data("/event/list/1/100")
        return next(one for one in listed["events"] if one["eventType"] == event_type)

    async def product(self) -> str:
        body = {"name": "Tea", "commonPrices": [4_500_000], "description": "Käse ☕"}
        product_id: str = (await self.caller.data("/product/create", body))["productId"]
        return product_id

    async def link(self, **changes: Any) -> str:
        body = await self.link_body(**changes)
        link_id: str = (await self.caller.data("/payment/link/create", body))["linkId"]
        return link_id

    async def link_body(self, **changes: Any) -> dict[str, Any]:
        line = {
            "itemType": "product",
            "productId": await self.product(),
            "quantity": 2,
            "unitPrice": 4_500_000,
        }
        return {
            "linkType": "fixed",
            "linkName": "Two teas",
            "accountId": self.world.account.account_id,
            "settlementToken": "polygon::usdc",
            "feeModel": 1,
            "lineItems": [line],
            "successUrl": "https://shop.example.com/done",
            **changes,
        }

    async def account(self) -> str:
        made = await self.world.db.run(
            accounts.create_account,
            self.world.tenant,
            self.world.desk.networks,
            "Till",
            to_checksum(Address(b"\x66" * 20)),
        )
        return str(made.account_id)

    async def prepared(self, **body: Any) -> SessionView:
        view = await self.world.open(metadata={"orderId": "ORD_1", "n": [1, 2.5, None]}, **body)
        await self.world.prepare(view)
        return view

    async def heard(self, *facts: str, **changes: Any) -> str:
        """A session about whose payment the chain tells ``facts``."""
        view = await self.prepared()
        log = self.world.log(view, **changes)
        for fact in facts:
            await self.world.hear(fact, log)
        return str(view.session.session_id)


@pytest.fixture
async def stage(database: Database, clock: FakeClock) -> AsyncIterator[Stage]:
    world = with_holds(await new_world(database))
    async with serving(database, *merchant_routes(world.desk)) as server:
        yield Stage(world, await server.caller(world.tenant), clock)


Happen = Callable[[Stage], Awaitable[str]]
"""Makes the event happen; the identifier of its object."""


# --- what makes each event happen -----------------------------------------------------------------


async def _product_after(stage: Stage, *verbs: str) -> str:
    product_id = await stage.product()
    for verb in verbs:
        await stage.caller.data(f"/product/{verb}", {"productId": product_id})
    return product_id


async def _product_updated(stage: Stage) -> str:
    product_id = await stage.product()
    body = {"productId": product_id, "name": "Cup", "commonPrices": [1, 2]}
    await stage.caller.data("/product/update", body)
    return product_id


async def _link_updated(stage: Stage) -> str:
    link_id = await stage.link()
    body = await stage.link_body(linkName="Renamed", feeModel=2)
    await stage.caller.data("/payment/link/update", {"linkId": link_id, **body})
    return link_id


async def _link_after(stage: Stage, *verbs: str) -> str:
    link_id = await stage.link()
    for verb in verbs:
        await stage.caller.data(f"/payment/link/{verb}", {"linkId": link_id})
    return link_id


async def _account_renamed(stage: Stage) -> str:
    account_id = await stage.account()
    tenant, networks = stage.world.tenant, stage.world.desk.networks
    run = stage.world.db.run
    await run(accounts.rename_account, tenant, networks, AccountId(account_id), "Second till")
    return account_id


async def _account_removed(stage: Stage) -> str:
    account_id = await stage.account()
    tenant, networks = stage.world.tenant, stage.world.desk.networks
    await stage.world.db.run(accounts.remove_account, tenant, networks, AccountId(account_id))
    return account_id


async def _link_archived(stage: Stage) -> str:
    """In the console only."""
    link_id = await stage.link()
    shop = Shop(stage.world.desk.networks, stage.world.desk.public_url)
    await stage.world.db.run(links.archive, shop, stage.world.tenant, LinkId(link_id))
    return link_id


async def _session_created(stage: Stage) -> str:
    body = stage.till.body(metadata={"orderId": "ORD_1"}, successUrl="https://shop.example.com/")
    session_id: str = (await stage.caller.data("/session/checkout/create", body))["sessionId"]
    return session_id


async def _in_state(stage: Stage, state: str) -> str:
    return str((await stage.till.in_state(state)).session.session_id)


async def _paid_late(stage: Stage) -> str:
    view = await stage.prepared()
    at = view.session.expires_at + timedelta(seconds=1)
    await stage.world.hear("seen", stage.world.log(view, at=at))
    return str(view.session.session_id)


async def _refunded(stage: Stage) -> str:
    refunder = Refunder(stage.caller, stage.world)
    view = await refunder.paid()
    refund = await refunder.prepare(view, amount=1_000_000, reason="Broken")
    await refunder.hear("seen", "final", log=refunder.transfer(refund))
    return str(view.session.session_id)


async def _moved(stage: Stage, what: str) -> str:
    view = await stage.holder.authorized()
    log = stage.holder.log(view, what, 4_000_000)
    await stage.holder.hear("seen", "final", log=log)
    return str(view.session.session_id)


HAPPENINGS: dict[str, Happen] = {
    "account.created": Stage.account,
    "account.updated": _account_renamed,
    "account.removed": _account_removed,
    "payment.link.created": Stage.link,
    "payment.link.updated": _link_updated,
    "payment.link.disabled": lambda stage: _link_after(stage, "disable"),
    "payment.link.enabled": lambda stage: _link_after(stage, "disable", "enable"),
    "payment.link.archived": _link_archived,
    "product.created": Stage.product,
    "product.updated": _product_updated,
    "product.archived": lambda stage: _product_after(stage, "archive"),
    "product.unarchived": lambda stage: _product_after(stage, "archive", "unarchive"),
    "product.removed": lambda stage: _product_after(stage, "remove"),
    "session.created": _session_created,
    "session.paid": lambda stage: stage.heard("seen"),
    "session.settlement_pending": lambda stage: stage.heard("seen", "reorged"),
    "session.settling": lambda stage: stage.heard("seen", "reorged", "seen"),
    "session.completed": lambda stage: stage.heard("seen", "final"),
    "session.payment_reverted": lambda stage: stage.heard("seen", "reorged", "lost"),
    "session.expired": lambda stage: _in_state(stage, "expired"),
    "session.cancelled": lambda stage: _in_state(stage, "cancelled"),
    "session.underpaid": lambda stage: stage.heard("seen", merchant_received=1),
    "session.overpaid": lambda stage: stage.heard("seen", merchant_received=9_980_001),
    "session.paid_late": _paid_late,
    "session.refunded": _refunded,
    "session.captured": lambda stage: _moved(stage, "captured"),
    "session.voided": lambda stage: _moved(stage, "voided"),
}


# --- what the API answers about the object --------------------------------------------------------


async def _product_shown(stage: Stage, product_id: str) -> Any:
    [found] = await stage.caller.data("/product/list/by/ids", {"productIds": [product_id]})
    return {"productData": found}


async def _link_shown(stage: Stage, link_id: str) -> Any:
    return {"linkData": await stage.caller.data(f"/payment/link/{link_id}")}


async def _account_shown(stage: Stage, account_id: str) -> Any:
    return {"accountData": await stage.caller.data(f"/account/detail/{account_id}")}


async def _session_shown(stage: Stage, session_id: str) -> Any:
    detail = await stage.caller.data(f"/session/{session_id}")
    refunds = detail["session"].pop("refunds", None)
    shown = {
        "sessionData": {**detail["session"], "currency": detail["session"]["settlementToken"]},
        "transaction": detail.get("transaction"),
    }
    return {**shown, "refundData": refunds[0]} if refunds else shown


SHOWN = {
    "product": _product_shown,
    "payment.link": _link_shown,
    "account": _account_shown,
    "session": _session_shown,
}
SHAPES: dict[str, dict[str, Any]] = {
    "product": {"productData": PRODUCT | {"description?": str}},
    "payment.link": {"linkData": LINK},
    "account": {"accountData": ACCOUNT},
    "session": {
        "sessionData": {**SESSION, "currency": str},
        "transaction": {None},
    },
}
HOLD_MOVE = {
    "what": {"captured", "voided", "reclaimed"},
    "amount": int,
    "amountInToken": str,
    "merchantReceived": int,
    "fee": int,
    "txHash": str,
    "executeTime": TIME,
}
GONE = {"product.removed", "account.removed"}
"""After these the API answers that there is no such object."""


def noun_of(event_type: str) -> str:
    return event_type.rpartition(".")[0]


def shape_of(event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    shape = dict(SHAPES[noun_of(event_type)])
    if payload.get("transaction") is not None:
        shape["transaction"] = TRANSACTION
    if event_type in {"session.captured", "session.voided"}:
        shape["holdData"] = HOLD_MOVE
    if event_type == "session.refunded":
        shape["refundData"] = dict
    return shape


def test_every_event_has_its_happening() -> None:
    assert set(HAPPENINGS) == set(EVENT_TYPES)


@pytest.mark.parametrize("event_type", HAPPENINGS)
async def test_an_event_tells_what_the_api_answers(stage: Stage, event_type: str) -> None:
    object_id = await HAPPENINGS[event_type](stage)
    event = await stage.event(event_type)
    payload = event["payload"]
    matches(event, ENVELOPE)
    matches(payload, shape_of(event_type, payload))
    assert event["occurrence"] == stage.clock.now().strftime("%Y-%m-%d %H:%M:%S")
    assert event["businessType"] == noun_of(event_type).replace(".", "_")

    if event_type not in GONE:
        answered = await SHOWN[noun_of(event_type)](stage, object_id)
        assert {name: payload[name] for name in answered} == answered
    else:
        before = await stage.event(f"{noun_of(event_type)}.created")
        assert payload == before["payload"]


@pytest.mark.parametrize("event_type", ["product.created", "payment.link.created", "session.paid"])
async def test_an_event_tells_what_was_also_when_the_object_has_changed(
    stage: Stage, event_type: str
) -> None:
    object_id = await HAPPENINGS[event_type](stage)
    before = await stage.event(event_type)
    stage.clock.advance(60)
    if event_type == "product.created":
        await stage.caller.data("/product/archive", {"productId": object_id})
    elif event_type == "payment.link.created":
        await stage.caller.data("/payment/link/disable", {"linkId": object_id})
    else:
        view = await stage.world.view(object_id)  # type: ignore[arg-type]
        await stage.world.hear("final", stage.world.log(view))
    answered = await SHOWN[noun_of(event_type)](stage, object_id)
    after = await stage.caller.data(f"/event/detail/{before['eventId']}")
    assert after == before
    assert after["payload"] != answered


async def test_the_sequence_of_an_object_grows_with_its_story(stage: Stage) -> None:
    session_id = await stage.heard("seen", "reorged", "seen", "final")
    await settled(stage.world.db)
    events = (await stage.caller.data("/event/feed/begin/100"))["events"]
    own = [
        one
        for one in events
        if one["payload"].get("sessionData", {}).get("sessionId") == session_id
    ]
    assert [one["eventType"].removeprefix("session.") for one in own] == [
        "created", "paid", "settlement_pending", "settling", "completed",
    ]  # fmt: skip
    sequences = [one["sequence"] for one in own]
    assert sequences == sorted(set(sequences))
    assert len({one["eventId"] for one in own}) == len(own)


async def test_the_api_shows_the_bytes_of_the_letter(stage: Stage) -> None:
    """The very bytes that are signed stand in the answers, with all that text may hold."""
    view = await stage.prepared()
    await stage.world.hear("seen", stage.world.log(view))
    body = {"name": 'Kä"se\\ ☕ \U0001f375 </script>', "commonPrices": [10**12]}
    await stage.caller.data("/product/create", body)
    letters: list[tuple[str, bytes]] = []

    async def seal(_tx: Tx, batch: Sequence[StoredEvent]) -> None:
        for stored in batch:
            if stored.event.tenant == stage.world.tenant:
                letters.append((stored.event_id, wire.seal(letter(stored))))

    while await relay_once(stage.world.db, seal):
        pass
    assert len(letters) >= 4
    await settled(stage.world.db)
    headers = {"authorization": f"Bearer {stage.caller.secret}"}
    for event_id, sealed in letters:
        for path in (f"/event/detail/{event_id}", "/event/list/1/100", "/event/feed/begin/100"):
            response = await stage.caller.client.get(f"/api/v1{path}", headers=headers)
            assert sealed in response.content, path
