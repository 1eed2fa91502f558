"""What the rows of calls are made of: a merchant's counter, and both clients behind one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gstable import Client, FeeModel
from tests.contract.sdk_places import Place, Shop
from tests.contract.support import USDC

EVENTS = ["account.removed"]
"""What the tests' endpoints subscribe to: it never happens, so that nothing is delivered."""
ENDPOINT = "https://hooks.example.com/gstable"


@dataclass
class Counter:
    """Where a merchant stands while a call is prepared; objects are made with the sync client."""

    place: Place
    client: Client
    kept: dict[str, str]

    @property
    def merchant(self) -> Shop:
        return self.place.shop

    def product(self, name: str = "Tea") -> str:
        return self.client.product.create(name=name, common_prices=[4_500_000]).product_id

    def archived(self) -> str:
        product_id = self.product()
        self.client.product.archive(product_id)
        return product_id

    def removed(self) -> str:
        product_id = self.product()
        self.client.product.remove(product_id)
        return product_id

    def link_fields(self, *product_ids: str, **changes: Any) -> dict[str, Any]:
        lines = [line(product_id) for product_id in product_ids or (self.product(),)]
        return {
            "link_type": "fixed",
            "link_name": "Two teas",
            "account_id": self.merchant.account_id,
            "settlement_token": USDC,
            "fee_model": FeeModel.MERCHANT_PAYS,
            "line_items": lines,
            **changes,
        }

    def link(self, **changes: Any) -> str:
        return self.client.payment_link.create(**self.link_fields(**changes)).link_id

    def session_fields(self, **changes: Any) -> dict[str, Any]:
        return {
            "account_id": self.merchant.account_id,
            "settlement_token": USDC,
            "line_items": [one_time()],
            **changes,
        }

    def session(self, **changes: Any) -> str:
        return self.client.checkout_session.create(**self.session_fields(**changes)).session_id

    def paid(self) -> str:
        """A session of 10 USD whose payment is final. One for all: a payment takes seconds, and
        each refund takes only a little of it."""
        if "session" not in self.kept:
            session = self.client.checkout_session.create(**self.session_fields())
            self.place.complete(session)
            self.kept["session"] = session.session_id
        return self.kept["session"]

    def held(self) -> str:
        """A session of 10 USD whose payment is held; each call captures a little of it."""
        if "held" not in self.kept:
            fields = self.session_fields(capture_method="manual")
            session = self.client.checkout_session.create(**fields)
            self.place.pay(session)
            self.kept["held"] = session.session_id
        return self.kept["held"]

    def refund(self) -> str:
        prepared = self.client.checkout_session.refund_prepare(self.paid(), amount=1)
        return prepared.refund_id

    def webhook(self) -> str:
        return self.client.webhook.create(**webhook_fields()).webhook_id


def line(product_id: str, quantity: int = 2, unit_price: int = 4_500_000) -> dict[str, Any]:
    return {
        "item_type": "product",
        "product_id": product_id,
        "quantity": quantity,
        "unit_price": unit_price,
    }


def one_time(unit_price: int = 10_000_000) -> dict[str, Any]:
    return {
        "item_type": "one_time",
        "quantity": 1,
        "unit_price": unit_price,
        "product_data": {"product_name": "Tea"},
    }


def webhook_fields(**changes: Any) -> dict[str, Any]:
    return {
        "webhook_name": "Shop",
        "webhook_url": ENDPOINT,
        "subscribed_events": EVENTS,
        **changes,
    }


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def args(*positional: Any, **named: Any) -> Arguments:
    return positional, named


class Caller:
    """Both clients with one key; each is opened once, because opening one costs more than a call.

    The asynchronous client lives on an event loop of its own.
    """

    def __init__(self, place: Place, secret: str) -> None:
        self._loop = asyncio.Runner()
        self.client, self._asynchronous = place.clients(secret)

    def __call__(self, name: str, given: Arguments, *, asynchronous: bool = False) -> Any:
        """Call ``namespace.method`` of either client; walks are given as lists."""
        namespace, method = name.split(".")
        positional, named = given
        if asynchronous:
            return self._loop.run(self._call(namespace, method, given))
        found = getattr(getattr(self.client, namespace), method)(*positional, **named)
        return list(found) if isinstance(found, Iterator) else found

    async def _call(self, namespace: str, method: str, given: Arguments) -> Any:
        positional, named = given
        found = getattr(getattr(self._asynchronous, namespace), method)(*positional, **named)
        if isinstance(found, AsyncIterator):
            return [item async for item in found]
        return await found

    def close(self) -> None:
        self.client.close()
        self._loop.run(self._asynchronous.close())
        self._loop.close()


@dataclass(frozen=True)
class Row:
    """``prepare`` makes what the call needs and gives its arguments; ``check`` judges."""

    name: str
    prepare: Callable[[Counter], Arguments]
    check: Callable[[Counter, Arguments, Any], None]


HAPPY: list[Row] = []


def happy(
    name: str, prepare: Callable[[Counter], Arguments]
) -> Callable[[Callable[[Counter, Arguments, Any], None]], None]:
    def keep(check: Callable[[Counter, Arguments, Any], None]) -> None:
        HAPPY.append(Row(name, prepare, check))

    return keep


def three(make: Callable[[Counter], str], *positional: Any, **named: Any) -> Any:
    """Arguments of a call that needs three objects to be there."""

    def prepare(counter: Counter) -> Arguments:
        for _ in range(3):
            make(counter)
        return args(*positional, **named)

    return prepare
