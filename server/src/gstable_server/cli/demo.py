"""``gstable demo``: the integration guide's sequence, for real, every step verified.

A merchant signs in to the dashboard and makes a receiving account; the SDK makes products, a
link and a session; a wallet pays both on the local chains; the balances are read from the
chains, the webhooks' signatures checked, and the session read back.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from rich.console import Console

from gstable import AsyncClient, LineItemInput
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.keys import address_of_key
from gstable_server.cli.console_visit import create_account
from gstable_server.cli.payer import Paid, Payer, token_balance
from gstable_server.cli.stack import Stack, StackFailed, open_stack
from gstable_server.kernel.address import Address

LINK_TOKEN = "polygon::usdt"  # noqa: S105
SESSION_TOKEN = "base::usdc"  # noqa: S105
SETTLED_SECONDS = 60.0
LOOK_SECONDS = 0.1
SESSION_EVENTS = ("session.created", "session.paid", "session.completed")


@dataclass(slots=True)
class Story:
    """The steps as they are told: to people on standard output, or kept for the one object."""

    console: Console
    started: float
    number: int = 0

    def step(self, title: str, produced: str) -> None:
        """One step is done, with what it produced."""
        self.number += 1
        elapsed = time.monotonic() - self.started
        self.console.print(
            f"[bold]{self.number:>2}[/bold] {title:<46} {produced}  [dim]{elapsed:.1f} s[/dim]",
            soft_wrap=True,
        )


def _require(condition: bool, what: str) -> None:
    """A step of the demonstration that cannot be verified ends it with exit code 1."""
    if not condition:
        raise StackFailed(f"not verified: {what}")


async def run(*, as_json: bool) -> None:
    """Tell the whole story. Raises ``StackFailed`` at the first step that cannot be verified."""
    started = time.monotonic()
    story = Story(Console(highlight=False, stderr=as_json), started)
    async with open_stack(0, None) as stack:
        story.step("Everything is running", stack.base)
        async with aiohttp.ClientSession() as http:
            result = await _sequence(stack, story, http)
    result["seconds"] = round(time.monotonic() - started, 1)
    story.console.print(
        f"\n[bold]All {story.number} steps verified[/bold] in {result['seconds']} s: the "
        f"merchant's wallet received {result['merchantReceived']} atomic units of {SESSION_TOKEN}, "
        f"the fee receiver {result['feeReceived']}."
    )
    if as_json:
        print(json.dumps(result), flush=True)


async def _sequence(stack: Stack, story: Story, http: aiohttp.ClientSession) -> dict[str, Any]:
    wallet = address_of_key(secrets.token_bytes(32))
    account_id = await create_account(
        http, stack.base, stack.shop.email, stack.shop.password, "Demo wallet 2", wallet
    )
    story.step("Receiving account made in the dashboard", account_id)
    async with AsyncClient(
        stack.shop.api_key,
        base_url=f"{stack.base}/api/v1",
        public_base_url=f"{stack.base}/public/api/v1",
    ) as client:
        account = await client.account.detail(account_id)
        _require(account.account_address == to_checksum(wallet), "the account's address")
        product_id = await _product(client, story)
        payer = Payer(http, stack.base, stack.devnet.networks, stack.keys.payer_private_keys[0])
        link = await _pay_link(stack, client, story, payer, account_id, product_id, wallet)
        session = await _pay_session(stack, client, story, payer, account_id, product_id, wallet)
    return {
        "productId": product_id,
        "accountId": account_id,
        **link,
        **session,
        "events": sorted({one["body"]["eventType"] for one in stack.inbox.letters}),
    }


async def _product(client: AsyncClient, story: Story) -> str:
    product = await client.product.create(
        name="Green tea", common_prices=[4_500_000, 9_000_000], description="100 g, loose leaves"
    )
    found = await client.product.list_by_ids([product.product_id, "prd_missing"])
    _require([one.product_id for one in found] == [product.product_id], "the product list")
    story.step("Product created through the SDK", product.product_id)
    return product.product_id


async def _pay_link(
    stack: Stack,
    client: AsyncClient,
    story: Story,
    payer: Payer,
    account_id: str,
    product_id: str,
    wallet: Address,
) -> dict[str, Any]:
    link = await client.payment_link.create(
        link_type="fixed",
        link_name="Tea for two",
        account_id=account_id,
        settlement_token=LINK_TOKEN,
        fee_model=1,
        line_items=[_line(product_id, 2, 4_500_000)],
    )
    story.step("Payment link created", link.link_url)
    payment_url = await payer.open_link(link.link_url)
    session_id = payment_url.rsplit("/", 1)[1]
    story.step("Payer opened the link's page", payment_url)
    paid = await payer.pay(payment_url, LINK_TOKEN)
    story.step(f"Link paid with {LINK_TOKEN}", paid.tx_hash_hex)
    await _completed(stack, client, session_id)
    received = await token_balance(stack.devnet.networks, LINK_TOKEN, wallet)
    _require(received == 9_000_000 - 18_000, "the merchant's balance after the link")
    story.step("Session completed, merchant's balance on chain", f"{received} {LINK_TOKEN}")
    return {"linkId": link.link_id, "linkUrl": link.link_url}


async def _pay_session(
    stack: Stack,
    client: AsyncClient,
    story: Story,
    payer: Payer,
    account_id: str,
    product_id: str,
    wallet: Address,
) -> dict[str, Any]:
    session = await client.checkout_session.create(
        account_id=account_id,
        settlement_token=SESSION_TOKEN,
        line_items=[
            _line(product_id, 1, 9_000_000),
            {
                "item_type": "one_time",
                "quantity": 1,
                "unit_price": 1_000_000,
                "product_data": {"product_name": "Gift wrapping"},
            },
        ],
        metadata={"orderId": "ORD_001"},
    )
    story.step("Checkout session created", session.payment_url)
    fees = stack.keys.address("fee_receiver_key")
    paid = await payer.pay(session.payment_url, SESSION_TOKEN)
    story.step(f"Session paid with {SESSION_TOKEN}", paid.tx_hash_hex)
    await _completed(stack, client, session.session_id)
    merchant_received = await token_balance(stack.devnet.networks, SESSION_TOKEN, wallet)
    fee_received = await token_balance(stack.devnet.networks, SESSION_TOKEN, fees)
    _require((merchant_received, fee_received) == (9_980_000, 20_000), "the balances on chain")
    story.step("Balances on chain: merchant, fee receiver", f"{merchant_received}, {fee_received}")
    await _read_back(client, session.session_id, paid)
    story.step("Session read back", "completed, with its transaction and metadata")
    return {
        "sessionId": session.session_id,
        "paymentUrl": session.payment_url,
        "sourceTx": paid.tx_hash_hex,
        "merchantReceived": str(merchant_received),
        "feeReceived": str(fee_received),
    }


async def _completed(stack: Stack, client: AsyncClient, session_id: str) -> None:
    """Wait for the session, then for its webhooks, each with a valid signature."""

    async def is_completed() -> bool:
        return (await client.checkout_session.detail(session_id)).session.status == "completed"

    await _wait(is_completed, f"session {session_id} completes")

    async def has_arrived() -> bool:
        return stack.inbox.verified_types(session_id) == list(SESSION_EVENTS)

    await _wait(has_arrived, f"the signed webhooks of {session_id} arrive")


async def _wait(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS
    while not await condition():
        _require(time.monotonic() < deadline, what)
        await asyncio.sleep(LOOK_SECONDS)


async def _read_back(client: AsyncClient, session_id: str, paid: Paid) -> None:
    found = await client.checkout_session.detail(session_id)
    _require(found.transaction is not None, "the session's transaction")
    assert found.transaction is not None
    _require(found.transaction.source_tx == paid.tx_hash_hex, "the transaction's hash")
    _require(found.session.metadata == {"orderId": "ORD_001"}, "the session's metadata")


def _line(product_id: str, quantity: int, unit_price: int) -> LineItemInput:
    return {
        "item_type": "product",
        "product_id": product_id,
        "quantity": quantity,
        "unit_price": unit_price,
    }
