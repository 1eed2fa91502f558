"""Payers, each with a wallet of its own, who pay whatever happens, and each only once.

A payer signs a transaction once. If the chain forgets it, the same bytes are sent again: so a
payment that was made twice is never the payer's doing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gstable import AsyncClient
from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall, transfer_call
from gstable_server.chain.typed_data_json import typed_data_from_json
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.payer import Payer, Prepared
from gstable_server.cli.stack import Stack
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.model import Way
from tests.chaos.patience import TROUBLE, GivenUp, patiently
from tests.chaos.plan import Payment

FUNDS = 1_000_000_000
"""What each payer begins with, in atomic units of the token it pays with."""
COINS = 10**18
GAS = 1_500_000
FEE = 100 * 10**9
AGAIN_SECONDS = 1.0
AT_ONCE = 40


@dataclass(slots=True)
class Buyer:
    """A payment, who makes it, and what is known of it; ``sent`` are signed transactions by nonce,
    ``total`` is what the page asked for in atomic units."""

    payment: Payment
    key: str
    session_id: str = ""
    total: int = 0
    sent: list[bytes] = field(default_factory=list)
    problem: str = ""
    completed: bool = False

    @property
    def address(self) -> Address:
        return address_of_key(private_key_from_hex(self.key))

    @property
    def network(self) -> str:
        return self.payment.paying.split("::")[0]


class Crowd:
    """All payers of a run."""

    def __init__(
        self,
        stack: Stack,
        client: AsyncClient,
        http: aiohttp.ClientSession,
        rpcs: dict[str, HttpRpc],
        payments: Sequence[Payment],
    ) -> None:
        self._stack = stack
        self._client = client
        self._http = http
        self._rpcs = rpcs
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.sent_again = 0
        self.buyers = [Buyer(payment, secrets.token_hex(32)) for payment in payments]

    async def fund(self) -> None:
        """Money for all of them, before anything goes wrong."""
        by_token: dict[str, list[Buyer]] = defaultdict(list)
        for buyer in self.buyers:
            by_token[buyer.payment.paying].append(buyer)
        for token_id, buyers in by_token.items():
            token = self._stack.networks.require_token(token_id, Mode.TEST)
            addresses = [buyer.address for buyer in buyers]
            await self._stack.devnet.fund_all(token.network, addresses, {token.symbol: FUNDS})
            rpc = self._rpcs[token.network]
            await rpc.ask(
                [("anvil_setBalance", [f"0x{each.hex()}", hex(COINS)]) for each in addresses]
            )

    async def pay_all(self) -> None:
        """Each at its time, until all that a payer has to do is done; ``problem`` says where that
        could not be."""
        async with asyncio.TaskGroup() as group:
            for buyer in self.buyers:
                group.create_task(self._pay_at_its_time(buyer))

    async def _pay_at_its_time(self, buyer: Buyer) -> None:
        await asyncio.sleep(buyer.payment.at)
        async with self._turns:
            try:
                await self._pay(buyer)
            except GivenUp as failure:
                buyer.problem = str(failure)

    async def _pay(self, buyer: Buyer) -> None:
        payment = buyer.payment
        buyer.session_id = await patiently("create a session", lambda: self._open(buyer))
        payer = Payer(self._http, self._stack.base, self._stack.networks, buyer.key)
        url = f"{self._stack.base}/pay/{buyer.session_id}"
        if payment.way is Way.DEPOSIT:
            found = await patiently(
                "ask for an address", lambda: payer.deposit(url, payment.paying)
            )
            buyer.total = int(found["amountInToken"])
            self._send(buyer, _transfer(self._stack, payment, found))
            return
        prepared = await patiently(
            "prepare", lambda: payer.prepare(url, payment.paying, way=payment.way)
        )
        answer = prepared.answer
        buyer.total = int(answer["terms"]["total"])
        if answer["approve"] is not None:
            self._send(buyer, _call(answer["approve"]))
        if answer["typedData"] is not None:
            await patiently("hand in", lambda: self._hand_in(buyer, payer, prepared))
        else:
            self._send(buyer, _call(answer["pay"]))

    async def _open(self, buyer: Buyer) -> str:
        created = await self._client.checkout_session.create(
            account_id=self._stack.shop.account_id,
            settlement_token=buyer.payment.settlement,
            line_items=[
                {
                    "item_type": "one_time",
                    "quantity": 1,
                    "unit_price": buyer.payment.amount,
                    "product_data": {"product_name": f"Item {buyer.payment.number}"},
                }
            ],
            # One key for all tries of one payment, so that it is one session.
            idempotency_key=f"chaos-{buyer.payment.number}",
        )
        return created.session_id

    async def _hand_in(self, buyer: Buyer, payer: Payer, prepared: Prepared) -> None:
        """The same signature each time; whether an earlier try arrived, the session says."""
        found = await self._client.checkout_session.detail(buyer.session_id)
        if found.session.status != "initialized":
            return
        network = self._stack.networks.network(buyer.network)
        wallet = Wallet(private_key_from_hex(buyer.key), self._rpcs[network.name], network.chain_id)
        asked = typed_data_from_json(prepared.answer["typedData"])
        await payer.hand_in(prepared, wallet.sign_typed_data(asked))

    def _send(self, buyer: Buyer, call: ContractCall) -> None:
        """Sign with the next nonce; ``keep_sending`` sends."""
        network = self._stack.networks.network(buyer.network)
        wallet = Wallet(private_key_from_hex(buyer.key), self._rpcs[network.name], network.chain_id)
        buyer.sent.append(wallet.sign(call, nonce=len(buyer.sent), gas=GAS, fee=FEE))

    async def keep_sending(self, network: Network) -> None:
        """Send what the chain does not have, also what it had and forgot, until cancelled."""
        rpc = self._rpcs[network.name]
        once: set[bytes] = set()
        while True:  # bounded: ends with the task
            waiting = [
                buyer
                for buyer in self.buyers
                if buyer.network == network.name and buyer.sent and not buyer.completed
            ]
            with suppress(*TROUBLE):
                for raw in await _missing(rpc, waiting):
                    self.sent_again += raw in once
                    once.add(raw)
                    with suppress(*TROUBLE):
                        await rpc.send_raw(raw)
            await asyncio.sleep(AGAIN_SECONDS)


async def _missing(rpc: HttpRpc, buyers: Sequence[Buyer]) -> list[bytes]:
    """Signed transactions that neither stand in a block nor wait for one, in order."""
    if not buyers:
        return []
    counts = await rpc.ask(
        [("eth_getTransactionCount", [f"0x{buyer.address.hex()}", "pending"]) for buyer in buyers]
    )
    return [
        raw
        for buyer, count in zip(buyers, counts, strict=True)
        for raw in buyer.sent[int(count, 16) :]
    ]


def _transfer(stack: Stack, payment: Payment, found: dict[str, Any]) -> ContractCall:
    token = stack.networks.require_token(payment.paying, Mode.TEST)
    return transfer_call(
        token.address, address_from_text(found["address"]), int(found["amountInToken"])
    )


def _call(shown: dict[str, str]) -> ContractCall:
    return ContractCall(
        to=address_from_text(shown["to"]),
        data=bytes.fromhex(shown["data"][2:]),
        value=int(shown["value"], 16),
    )
