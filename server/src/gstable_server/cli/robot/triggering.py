"""Make an event happen for real, and wait until it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gstable import Event, FeeModel
from gstable_server.cli.robot.scenarios import (
    Scenario,
    account_id,
    open_session,
    play,
    settlement_token,
)
from gstable_server.cli.robot.stage import RobotFailed, Stage

WAIT_SECONDS = 240.0
LOOK_SECONDS = 0.3
PRICE = 5_000_000


@dataclass(frozen=True, slots=True)
class Triggered:
    """An event that was told, of the object ``object_id``; ``tx_hash_hex`` is the transaction that
    caused it, None where none did."""

    event_type: str
    object_id: str
    event_id: str
    tx_hash_hex: str | None


Happened = tuple[str, str | None]
"""An object's id, and the transaction's hash where there is one."""


async def trigger(event_type: str, stage: Stage, seconds: float = WAIT_SECONDS) -> Triggered:
    """Make ``event_type`` happen to a new object, and wait until it is in the merchant's feed.

    Raises ``RobotFailed`` for an event that cannot be triggered, or is not told within ``seconds``;
    whatever ``play`` raises besides.
    """
    cause = CAUSES.get(event_type)
    if cause is None:
        raise RobotFailed(
            f"{event_type!r} cannot be triggered; these can: {', '.join(TRIGGERABLE)}"
        )
    cursor = (await stage.client.event.feed("start")).cursor
    try:
        async with asyncio.timeout(seconds):
            object_id, tx_hash_hex = await cause(stage)
            event = await _told(stage, cursor, event_type, object_id)
    except TimeoutError:
        raise RobotFailed(f"{event_type} was not told within {seconds:.0f} s") from None
    return Triggered(event_type, object_id, event.event_id, tx_hash_hex)


async def _told(stage: Stage, cursor: str, event_type: str, object_id: str) -> Event:
    while True:  # bounded: by the caller's timeout
        feed = await stage.client.event.feed(cursor)
        for event in feed.events:
            if event.event_type == event_type and object_of(event) == object_id:
                return event
        cursor = feed.cursor
        if not feed.events:
            await asyncio.sleep(LOOK_SECONDS)


_OBJECTS = (
    ("sessionData", "sessionId"),
    ("productData", "productId"),
    ("linkData", "linkId"),
    ("accountData", "accountId"),
)


def object_of(event: Event) -> str | None:
    """The id of the object that the event is about; None for an event about none."""
    for data, name in _OBJECTS:
        rendered = event.payload.get(data)
        if isinstance(rendered, Mapping):
            return str(rendered[name])
    return None


def _playing(scenario: Scenario) -> Callable[[Stage], Awaitable[Happened]]:
    async def cause(stage: Stage) -> Happened:
        played = await play(scenario, stage)
        return played.session_id, played.tx_hash_hex

    return cause


async def _open(stage: Stage) -> Happened:
    return await open_session(stage), None


Act = Callable[[Stage, str], Awaitable[object]]
"""Something that is done to the object with that id."""


def _to_a_new_product(*acts: Act) -> Callable[[Stage], Awaitable[Happened]]:
    async def cause(stage: Stage) -> Happened:
        product_id = await _new_product(stage)
        for act in acts:
            await act(stage, product_id)
        return product_id, None

    return cause


def _to_a_new_link(*acts: Act) -> Callable[[Stage], Awaitable[Happened]]:
    async def cause(stage: Stage) -> Happened:
        made = await stage.client.payment_link.create(**await _link_terms(stage))
        for act in acts:
            await act(stage, made.link_id)
        return made.link_id, None

    return cause


async def _new_product(stage: Stage) -> str:
    made = await stage.client.product.create(name="Triggered by a test", common_prices=[PRICE])
    return made.product_id


async def _link_terms(stage: Stage) -> dict[str, Any]:
    line = {
        "item_type": "product",
        "product_id": await _new_product(stage),
        "quantity": 1,
        "unit_price": PRICE,
    }
    return {
        "link_type": "fixed",
        "link_name": "Triggered by a test",
        "account_id": await account_id(stage),
        "settlement_token": settlement_token(stage).token_id,
        "fee_model": FeeModel.MERCHANT_PAYS,
        "line_items": [line],
    }


async def _update_product(stage: Stage, product_id: str) -> None:
    await stage.client.product.update(product_id, name="Triggered again", common_prices=[PRICE])


async def _archive(stage: Stage, product_id: str) -> None:
    await stage.client.product.archive(product_id)


async def _unarchive(stage: Stage, product_id: str) -> None:
    await stage.client.product.unarchive(product_id)


async def _remove(stage: Stage, product_id: str) -> None:
    await stage.client.product.remove(product_id)


async def _update_link(stage: Stage, link_id: str) -> None:
    await stage.client.payment_link.update(link_id, **await _link_terms(stage))


async def _disable(stage: Stage, link_id: str) -> None:
    await stage.client.payment_link.disable(link_id)


async def _enable(stage: Stage, link_id: str) -> None:
    await stage.client.payment_link.enable(link_id)


CAUSES: Mapping[str, Callable[[Stage], Awaitable[Happened]]] = {
    "session.created": _open,
    "session.paid": _playing(Scenario.PAID),
    "session.settling": _playing(Scenario.CROSSED),
    "session.settlement_pending": _playing(Scenario.REORGED),
    "session.completed": _playing(Scenario.PAID),
    "session.expired": _playing(Scenario.EXPIRED),
    "session.cancelled": _playing(Scenario.CANCELLED),
    "session.underpaid": _playing(Scenario.SHORT),
    "session.overpaid": _playing(Scenario.OVER),
    "session.paid_late": _playing(Scenario.LATE),
    "session.payment_reverted": _playing(Scenario.REORGED),
    "session.refunded": _playing(Scenario.REFUNDED),
    "session.captured": _playing(Scenario.CAPTURED),
    "session.voided": _playing(Scenario.VOIDED),
    "product.created": _to_a_new_product(),
    "product.updated": _to_a_new_product(_update_product),
    "product.archived": _to_a_new_product(_archive),
    "product.unarchived": _to_a_new_product(_archive, _unarchive),
    "product.removed": _to_a_new_product(_remove),
    "payment.link.created": _to_a_new_link(),
    "payment.link.updated": _to_a_new_link(_update_link),
    "payment.link.disabled": _to_a_new_link(_disable),
    "payment.link.enabled": _to_a_new_link(_disable, _enable),
}
"""What makes each event happen. Accounts are made and removed in the dashboard only."""

TRIGGERABLE = tuple(CAUSES)
