"""``gstable demo``: the integration guide's sequence, for real, every step verified.

A merchant signs in to the dashboard and makes a receiving account; the SDK makes products, a
link and sessions; a wallet pays them on the local chains: directly, from another network, and
with nothing but a signature; the balances are read from the chains, the webhooks' signatures
checked, and the session read back.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
from rich.console import Console

from gstable import AsyncClient, CheckoutSession, LineItemInput, SessionDetail
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.console_visit import create_account
from gstable_server.cli.payer import Payer, open_http, token_balance
from gstable_server.cli.stack import ALL_IN_ONE, Stack, StackFailed, open_stack
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.model import Way

LINK_TOKEN = "polygon::usdt"  # noqa: S105
SESSION_TOKEN = "base::usdc"  # noqa: S105
METADATA = {"orderId": "ORD_001"}
SETTLED_SECONDS = 180.0
LOOK_SECONDS = 0.1
CROSSING_TOKENS = ("ethereum::usdc", "arbitrumone::usdc")
"""What the payer pays with, and what the merchant gets."""
SIGNED_TOKEN = "polygon::usdc"  # noqa: S105
SESSION_EVENTS = ("session.created", "session.paid", "session.completed")
CROSSING_EVENTS = ("session.created", "session.paid", "session.settling", "session.completed")


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
    async with open_stack(0, None, ALL_IN_ONE) as stack:
        story.step("Everything is running", stack.base)
        async with open_http() as http:
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
    async with AsyncClient(
        stack.shop.api_key,
        base_url=f"{stack.base}/api/v1",
        public_base_url=f"{stack.base}/public/api/v1",
    ) as client:
        guide = _Guide(stack, story, http, client)
        await guide.make_account()
        await guide.create_product()
        await guide.create_and_pay_link()
        await guide.create_and_pay_session()
        await guide.pay_across_networks()
        await guide.pay_without_gas()
        await guide.verify_link()
        await guide.verify_session()
        await guide.verify_crossing()
        await guide.verify_signed()
    letters = stack.inbox.letters
    _require(all(letter["verified"] for letter in letters), "every webhook's signature")
    events = list(dict.fromkeys(letter["body"]["eventType"] for letter in letters))
    story.step("Signed webhooks received", f"{len(letters)}, of {len(events)} types")
    return {**guide.result, "events": events}


class _Guide:
    """The integration guide's steps, each telling what it produced."""

    def __init__(
        self, stack: Stack, story: Story, http: aiohttp.ClientSession, client: AsyncClient
    ) -> None:
        self.stack = stack
        self.story = story
        self.http = http
        self.client = client
        self.wallet = address_of_key(secrets.token_bytes(32))
        key = stack.keys.payer_private_keys[0]
        self.payer = Payer(http, stack.base, stack.devnet.networks, key)
        self.result: dict[str, Any] = {}
        self.link_session_id = ""
        self.crossing_session_id = ""
        self.signed_session_id = ""

    async def make_account(self) -> None:
        """The merchant's operator makes a receiving account in the dashboard."""
        shop = self.stack.shop
        account_id = await create_account(
            self.http, self.stack.base, shop.email, shop.password, "Demo wallet 2", self.wallet
        )
        self.result["accountId"] = account_id
        account = await self.client.account.detail(account_id)
        _require(account.account_address == to_checksum(self.wallet), "the account's address")
        self.story.step("Receiving account made in the dashboard", account_id)

    async def create_product(self) -> None:
        """The merchant's developer creates a product with the SDK."""
        product = await self.client.product.create(
            name="Green tea", common_prices=[4_500_000, 9_000_000], description="100 g"
        )
        self.result["productId"] = product.product_id
        found = await self.client.product.list_by_ids([product.product_id, "prd_missing"])
        _require([one.product_id for one in found] == [product.product_id], "the product list")
        self.story.step("Product created through the SDK", product.product_id)

    async def create_and_pay_link(self) -> None:
        """A link is created, opened in the hosted page, and paid."""
        link = await self.client.payment_link.create(
            link_type="fixed",
            link_name="Tea for two",
            account_id=self.result["accountId"],
            settlement_token=LINK_TOKEN,
            fee_model=1,
            line_items=[self._line(2, 4_500_000)],
        )
        self.result |= {"linkId": link.link_id, "linkUrl": link.link_url}
        self.story.step("Payment link created", link.link_url)
        payment_url = await self.payer.open_link(link.link_url)
        self.link_session_id = payment_url.rsplit("/", 1)[1]
        self.story.step("Payer opened the link's page", payment_url)
        paid = await self.payer.pay(payment_url, LINK_TOKEN)
        self.story.step(f"Link paid with {LINK_TOKEN}", paid.tx_hash_hex)

    async def create_and_pay_session(self) -> None:
        """A checkout session with a catalogue line and a one-time line is created and paid."""
        session = await self.client.checkout_session.create(
            account_id=self.result["accountId"],
            settlement_token=SESSION_TOKEN,
            line_items=[
                self._line(1, 9_000_000),
                {
                    "item_type": "one_time",
                    "quantity": 1,
                    "unit_price": 1_000_000,
                    "product_data": {"product_name": "Gift wrapping"},
                },
            ],
            metadata=METADATA,
        )
        self.result |= {"sessionId": session.session_id, "paymentUrl": session.payment_url}
        self.story.step("Checkout session created", session.payment_url)
        paid = await self.payer.pay(session.payment_url, SESSION_TOKEN)
        self.result["sourceTx"] = paid.tx_hash_hex
        self.story.step(f"Session paid with {SESSION_TOKEN}", paid.tx_hash_hex)

    async def pay_across_networks(self) -> None:
        """A session is paid with USDC of another network, which CCTP brings to the merchant."""
        paying, settlement = CROSSING_TOKENS
        session = await self._session_of_ten(settlement)
        self.crossing_session_id = session.session_id
        paid = await self.payer.pay(session.payment_url, paying)
        self.story.step("Session paid from another network", paid.tx_hash_hex)

    async def pay_without_gas(self) -> None:
        """A payer with no coin for the network's fee signs; the server sends the payment."""
        networks = self.stack.devnet.networks
        token = networks.require_token(SIGNED_TOKEN, Mode.TEST)
        async with open_rpc(networks.network(token.network)) as rpc:
            funded = private_key_from_hex(self.stack.keys.payer_private_keys[0])
            wallet = Wallet(funded, rpc, token.chain_id)
            payer = Payer(self.http, self.stack.base, networks, secrets.token_hex(32))
            await wallet.wait(await wallet.transfer(token, payer.address, 10_000_000))
            session = await self._session_of_ten(SIGNED_TOKEN)
            self.signed_session_id = session.session_id
            paid = await payer.pay(session.payment_url, SIGNED_TOKEN, way=Way.ERC3009)
            _require(await rpc.transaction_count(payer.address) == 0, "the payer only signed")
        self.story.step("Session paid with one signature, no gas", paid.tx_hash_hex)

    async def verify_link(self) -> None:
        """The link's session completes and the money is in the merchant's wallet."""
        await self._completed(self.link_session_id)
        received = await self._balance(LINK_TOKEN, self.wallet)
        _require(received == 9_000_000 - 18_000, "the merchant's balance after the link")
        self.story.step("Link's session completed, balance on chain", f"{received} {LINK_TOKEN}")

    async def verify_session(self) -> None:
        """Both shares of the session's payment are on chain, and the session reads so."""
        found = await self._completed(self.result["sessionId"])
        merchant = await self._balance(SESSION_TOKEN, self.wallet)
        fee_receiver = self.stack.keys.address("fee_receiver_key")
        fee = await self._balance(SESSION_TOKEN, fee_receiver)
        _require((merchant, fee) == (9_980_000, 20_000), "the balances on chain")
        self.result |= {"merchantReceived": str(merchant), "feeReceived": str(fee)}
        self.story.step("Balances on chain: merchant, fee receiver", f"{merchant}, {fee}")
        transaction = found.transaction
        _require(
            transaction is not None and transaction.source_tx == self.result["sourceTx"],
            "the session's transaction",
        )
        _require(found.session.metadata == METADATA, "the session's metadata")
        self.story.step("Session read back", "completed, with its transaction and metadata")

    async def verify_crossing(self) -> None:
        """The merchant was paid on the other network, the fee receiver on the payer's."""
        await self._completed(self.crossing_session_id, CROSSING_EVENTS)
        paying, settlement = CROSSING_TOKENS
        merchant = await self._balance(settlement, self.wallet)
        fee = await self._balance(paying, self.stack.keys.address("fee_receiver_key"))
        _require((merchant, fee) == (9_940_000, 60_000), "the balances after the crossing")
        self.story.step("Crossing completed, balances on both chains", f"{merchant}, {fee}")

    async def verify_signed(self) -> None:
        """The signed payment reached the merchant like any other."""
        await self._completed(self.signed_session_id)
        received = await self._balance(SIGNED_TOKEN, self.wallet)
        _require(received == 9_980_000, "the merchant's balance after the signed payment")
        self.story.step("Signed payment completed, balance on chain", f"{received} {SIGNED_TOKEN}")

    async def _session_of_ten(self, settlement_token: str) -> CheckoutSession:
        return await self.client.checkout_session.create(
            account_id=self.result["accountId"],
            settlement_token=settlement_token,
            line_items=[self._line(1, 10_000_000)],
        )

    def _line(self, quantity: int, unit_price: int) -> LineItemInput:
        return {
            "item_type": "product",
            "product_id": self.result["productId"],
            "quantity": quantity,
            "unit_price": unit_price,
        }

    async def _balance(self, token_id: str, holder: Address) -> int:
        return await token_balance(self.stack.devnet.networks, token_id, holder)

    async def _completed(
        self, session_id: str, events: tuple[str, ...] = SESSION_EVENTS
    ) -> SessionDetail:
        """Wait for the session and for its webhooks, each with a valid signature."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while True:  # bounded: by the deadline
            found = await self.client.checkout_session.detail(session_id)
            told = self.stack.inbox.verified_types(session_id)
            if found.session.status == "completed" and told == list(events):
                return found
            _require(
                time.monotonic() < deadline,
                f"{session_id} completes: it is {found.session.status}, told were {told}",
            )
            await asyncio.sleep(LOOK_SECONDS)
