"""The words that the stories are told in: a merchant with the SDK, a payer with a wallet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gstable import Client, SessionDetail
from gstable_server.chain.checksum import address_from_text
from gstable_server.cli.payer import Paid, Payer, open_http, token_balance
from gstable_server.routing.model import Way
from tests.running import Running, eventually

T = TypeVar("T")

TEA = {
    "item_type": "one_time",
    "quantity": 1,
    "unit_price": 10_000_000,
    "product_data": {"product_name": "Tea"},
}


@dataclass
class Shop:
    """A merchant and a payer at a running installation."""

    running: Running
    client: Client
    payer_number: int = 0

    def session(self, token_id: str = "polygon::usdc", **fields: Any) -> str:
        """The merchant opens a checkout session for tea at 10 USD; its id."""
        created = self.client.checkout_session.create(
            account_id=self.running.account_id,
            settlement_token=token_id,
            line_items=[TEA],
            **fields,
        )
        return created.session_id

    def detail(self, session_id: str) -> SessionDetail:
        return self.client.checkout_session.detail(session_id)

    def payment_url(self, session_id: str) -> str:
        return f"{self.running.base_url}/pay/{session_id}"

    def link(self, token_id: str = "polygon::usdc", **fields: Any) -> str:
        """The merchant shares a link for two mugs at 4.50 USD; its address."""
        product = self.client.product.create(name="Mug", common_prices=[4_500_000])
        link = self.client.payment_link.create(
            link_type=fields.pop("link_type", "fixed"),
            link_name="Two mugs",
            account_id=self.running.account_id,
            settlement_token=token_id,
            fee_model=fields.pop("fee_model", 1),
            line_items=[
                {
                    "item_type": "product",
                    "product_id": product.product_id,
                    "quantity": 2,
                    "unit_price": 4_500_000,
                }
            ]
            if "custom" not in fields
            else [{"item_type": "user_priced", "product_id": product.product_id, "quantity": 1}],
            **{name: value for name, value in fields.items() if name != "custom"},
        )
        return link.link_url

    def visits(self, action: Callable[[Payer], Awaitable[T]]) -> T:
        """The payer does something on the hosted pages."""

        async def visit() -> T:
            async with open_http() as http:
                key = self.running.payer_keys[self.payer_number]
                return await action(Payer(http, self.running.base_url, self.running.networks, key))

        return asyncio.run(visit())

    def pays(
        self, session_id: str, token_id: str = "polygon::usdc", way: Way = Way.APPROVE
    ) -> Paid:
        """The payer pays that way; the payment stands in a block."""
        url = self.payment_url(session_id)
        return self.visits(lambda payer: payer.pay(url, token_id, way=way))

    def opens(self, link_url: str, **form: str) -> str:
        """The payer opens a link; the session's id."""
        return self.visits(lambda payer: payer.open_link(link_url, **form)).rsplit("/", 1)[1]

    def balance(self, token_id: str = "polygon::usdc") -> int:
        """The merchant's wallet on chain, in atomic units."""
        account = self.client.account.detail(self.running.account_id)
        wallet = address_from_text(account.account_address)
        return asyncio.run(token_balance(self.running.networks, token_id, wallet))

    def reaches(self, session_id: str, status: str) -> SessionDetail:
        """Wait until the session is in ``status``."""

        def there() -> SessionDetail | None:
            found = self.detail(session_id)
            return found if found.session.status == status else None

        found: SessionDetail = eventually(there, f"{session_id} is {status}")
        return found

    def is_told(self, object_id: str, *types: str) -> None:
        """Wait until exactly these signed webhooks arrived for the object, in this order."""
        eventually(
            lambda: self.running.told(object_id) == list(types),
            f"webhooks {types} for {object_id}, told {self.running.told(object_id)}",
        )
