"""Buyers with the unchanged x402 package: they get what they pay for, and pay once."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any, TypeVar

import httpx
from eth_account import Account
from x402 import x402Client
from x402.extensions.payment_identifier import append_payment_identifier_to_extensions
from x402.http.clients import x402HttpxClient
from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
from x402.mechanisms.evm.exact import ExactEvmScheme

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import approve_call
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.payer import token_balance
from tests.e2e.shop import Shop

T = TypeVar("T")
PAID = ("session.created", "session.paid", "session.completed")
PRICE = 10_000_000
PATIENCE_SECONDS = 180.0
"""An answer may be as late, because the client of these tests gives up after 5 s by itself."""
Answer = httpx.Response


class Buyer:
    """One payer with the x402 package, for one token."""

    def __init__(self, shop: Shop, token_id: str, number: int = 0) -> None:
        self.shop = shop
        self.key = shop.running.payer_keys[number]
        name, _, _ = token_id.partition("::")
        self.network: Network = shop.running.networks.network(name)
        [self.token] = [one for one in self.network.tokens if one.token_id == token_id]
        self.account = Account.from_key(self.key)

    def client(self) -> x402Client:
        network = f"eip155:{self.network.chain_id}"
        client = x402Client()
        client.register(network, ExactEvmScheme(self.account))
        asset = to_checksum(self.token.address)
        client.set_spend_controls({"allowed_assets": [{"network": network, "asset": asset}]})
        return client

    async def buy(self, url: str) -> Answer:
        async with x402HttpxClient(self.client(), timeout=PATIENCE_SECONDS) as http:
            return await http.get(url)

    async def signed(self, url: str, identifier: str | None = None) -> str:
        """A payment that was signed and not sent yet, as a header."""
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            asked = await http.get(url)
        required = decode_payment_required_header(asked.headers["PAYMENT-REQUIRED"])
        if identifier is not None:
            append_payment_identifier_to_extensions(required.extensions, identifier)
        payload = await self.client().create_payment_payload(required)
        return encode_payment_signature_header(payload)

    async def balance(self) -> int:
        payer = Wallet(private_key_from_hex(self.key), None, 0).address  # type: ignore[arg-type]
        return await token_balance(self.shop.running.networks, self.token.token_id, payer)

    async def approve_permit2(self) -> None:
        """Once for the token, as Permit2 asks of everybody."""
        async with open_rpc(self.network) as rpc:
            wallet = Wallet(private_key_from_hex(self.key), rpc, self.network.chain_id)
            assert self.network.permit2 is not None
            call = approve_call(self.token, self.network.permit2, PRICE * 10)
            assert (await wallet.wait(await wallet.send(call))).succeeded


async def send(url: str, header: str) -> Answer:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        return await http.get(url, headers={"PAYMENT-SIGNATURE": header})


async def settled(url: str, header: str) -> Answer:
    """The answer once the payment is not pending any more, sent again until then."""
    answer = await send(url, header)
    while answer.status_code == 202:
        answer = await send(url, header)
    return answer


def told(answer: Answer, name: str = "PAYMENT-RESPONSE") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(answer.headers[name]))
    return found


def x402_url(shop: Shop, kind: str, object_id: str) -> str:
    return f"{shop.running.base_url}/x402/{kind}/{object_id}"


def test_a_session_is_bought_with_a_signature(shop: Shop) -> None:
    # Given a session, and a buyer who has never seen this server
    session_id = shop.session(fee_model=2)
    url, buyer = x402_url(shop, "session", session_id), Buyer(shop, "polygon::usdc", 2)
    before, had = shop.balance(), asyncio.run(buyer.balance())
    # When the package asks for the address, and pays what is asked
    answer = asyncio.run(buyer.buy(url))
    # Then it gets a receipt, with the transfer that the server sent for it
    assert answer.status_code == 200, answer.text
    response = told(answer)
    assert response["success"] is True
    assert response["network"] == "eip155:1337137"
    assert response["payer"] == buyer.account.address
    assert response["amount"] == "10020000"
    receipt = shop.running.rpc("polygon", "eth_getTransactionReceipt", response["transaction"])
    assert receipt["status"] == "0x1"
    body = answer.json()
    assert body["sessionId"] == session_id
    assert "clientCode" not in body
    # And the merchant is paid as by any deposit
    shop.reaches(session_id, "completed")
    assert shop.balance() - before == PRICE
    assert had - asyncio.run(buyer.balance()) == PRICE + 20_000
    shop.is_told(session_id, *PAID)
    # And who asks again is shown that it is paid, and asked for nothing
    again = asyncio.run(buyer.buy(url))
    assert (again.status_code, again.json()["status"]) == (200, "completed")


def test_a_link_is_bought_with_permit2_across_tokens(shop: Shop) -> None:
    # Given a link in USDC, and a buyer with USDT who has approved Permit2
    link_url = shop.link("polygon::usdc")
    url, buyer = x402_url(shop, "link", link_url.rsplit("/", 1)[1]), Buyer(shop, "polygon::usdt", 2)
    asyncio.run(buyer.approve_permit2())
    before = shop.balance()
    # When it is bought
    answer = asyncio.run(buyer.buy(url))
    # Then a session was opened by the payment alone, and is paid
    assert answer.status_code in {200, 202}, answer.text
    session_id = answer.json()["sessionId"]
    found = shop.reaches(session_id, "completed")
    assert found.session.business_type == "payment_link"
    assert found.session.paid_token == "polygon::usdt"
    assert shop.balance() - before > 8_900_000
    shop.is_told(session_id, *PAID)


def test_the_same_signature_pays_once(shop: Shop) -> None:
    session_id = shop.session(fee_model=2)
    url, buyer = x402_url(shop, "session", session_id), Buyer(shop, "polygon::usdc", 2)
    had = asyncio.run(buyer.balance())

    async def story() -> tuple[list[Answer], Answer, Answer, Answer]:
        header = await buyer.signed(url, "order-0123456789abcdef")
        other = await buyer.signed(url, "order-0123456789abcdef")
        # When one payment is sent three times at once
        same = list(await asyncio.gather(*(settled(url, header) for _ in range(3))))
        later = await send(url, header)
        return same, later, await send(url, other), await send(url, await _named(other))

    async def _named(header: str) -> str:
        payload = json.loads(base64.b64decode(header))
        payload["extensions"] = {}
        return base64.b64encode(json.dumps(payload).encode()).decode()

    same, later, conflicting, second = asyncio.run(story())
    # Then every answer names the same transfer
    assert {answer.status_code for answer in (*same, later)} == {200}
    assert len({told(answer)["transaction"] for answer in (*same, later)}) == 1
    # And another payment is not taken: no client is led to pay again
    for answer in (conflicting, second):
        assert answer.status_code == 402
        required = told(answer, "PAYMENT-REQUIRED")
        assert (required["error"], required["accepts"]) == ("duplicate_settlement", [])
    assert had - asyncio.run(buyer.balance()) == PRICE + 20_000


def test_what_is_signed_wrongly_changes_nothing(shop: Shop) -> None:
    session_id = shop.session()
    url, buyer = x402_url(shop, "session", session_id), Buyer(shop, "polygon::usdc", 2)

    async def story() -> list[tuple[int, str]]:
        header = await buyer.signed(url)
        payload = json.loads(base64.b64decode(header))
        digits = payload["payload"]["signature"]
        payload["payload"]["signature"] = (
            digits[:10] + ("0" if digits[10] != "0" else "1") + (digits[11:])
        )
        wrong = base64.b64encode(json.dumps(payload).encode()).decode()
        answers = [await send(url, wrong), await send(url, "nonsense")]
        # A payer without that money
        poor = Buyer(shop, "polygon::usdc", 2)
        poor.account = Account.create()
        answers.append(await send(url, await poor.signed(url)))
        return [(each.status_code, told(each, "PAYMENT-REQUIRED")["error"]) for each in answers]

    assert asyncio.run(story()) == [
        (402, "invalid_exact_evm_payload_signature"),
        (402, "invalid_payload"),
        (402, "invalid_exact_evm_insufficient_balance"),
    ]
    assert shop.detail(session_id).session.signed_once == 0
    shop.is_told(session_id, "session.created")


def test_what_is_captured_later_needs_somebody_who_gets_the_rest(shop: Shop) -> None:
    url = x402_url(shop, "session", shop.session(capture_method="manual"))
    answer = httpx.get(url, timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.json()["code"]) == (400, 400101)
    buyer = Buyer(shop, "polygon::usdc", 2)
    asked = httpx.get(url, params={"refundTo": buyer.account.address}, timeout=PATIENCE_SECONDS)
    assert asked.status_code == 402
    assert told(asked, "PAYMENT-REQUIRED")["accepts"]


def test_the_example_of_the_guide(shop: Shop, repository: Path) -> None:
    [source] = re.findall(
        r"^```python\n(.*?)^```",
        (repository / "docs/guide/x402.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    names: dict[str, Any] = {}
    exec(compile(source, "x402.md", "exec", dont_inherit=True), names)
    buyer = Buyer(shop, "base::usdc", 2)
    receipt = asyncio.run(
        names["buy"](
            x402_url(shop, "session", shop.session("base::usdc")),
            buyer.key,
            f"eip155:{buyer.network.chain_id}",
            to_checksum(buyer.token.address),
            11_000_000,
        )
    )
    assert receipt["amount"] == PRICE
    shop.reaches(receipt["sessionId"], "completed")
