"""A payer without a browser: asks the hosted page for what a wallet must do, and does it."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from gstable_server.chain import abi
from gstable_server.chain.checksum import address_from_text, to_checksum
from gstable_server.chain.consents import nonces_call
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.typed_data_json import typed_data_from_json
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.model import Way

RELAYED_SECONDS = 180.0
LOOK_SECONDS = 0.2
REQUEST_SECONDS = 30.0
_CLIENT_CODE = re.compile(r'data-client-code="([^"]+)"')


def open_http() -> aiohttp.ClientSession:
    """Connections to the pages."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS))


class PaymentFailed(Exception):
    """The page or the chain refused; the text says why."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A mined payment, as the payer knows it. ``total`` is in atomic units."""

    tx_hash_hex: str
    payer: Address
    total: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the page answered to a choice: terms and what a wallet has to do, for one network."""

    payment_url: str
    client_code: str
    network: Network
    answer: dict[str, Any]


class Payer:
    """Someone with a private key and the address of a payment page on the server at ``base``."""

    def __init__(
        self, http: aiohttp.ClientSession, base: str, networks: Networks, private_key: str
    ) -> None:
        self._http = http
        self._base = base
        self._networks = networks
        self._private_key = private_key_from_hex(private_key)
        self.address = address_of_key(self._private_key)

    async def open_link(self, link_url: str, **form: str) -> str:
        """Press the link page's button; the address of the session's page."""
        headers = {"Origin": self._base}
        async with self._http.post(
            f"{link_url}/open", data=form, headers=headers, allow_redirects=False
        ) as response:
            if response.status != 303:
                raise PaymentFailed(f"the link page answered {response.status}")
            return self._base + response.headers["Location"]

    async def pay(
        self,
        payment_url: str,
        token_id: str,
        payer_email: str | None = None,
        way: Way = Way.APPROVE,
    ) -> Paid:
        """Pay with that token in that way, and wait until the payment stands in a block; a
        deposit: until the transfer to the address does, which the server collects afterwards."""
        if way is Way.DEPOSIT:
            found = await self.deposit(payment_url, token_id, payer_email)
            return await self.transfer(found, token_id, int(found["amountInToken"]))
        return await self.send(await self.prepare(payment_url, token_id, payer_email, way))

    async def prepare(
        self,
        payment_url: str,
        token_id: str,
        payer_email: str | None = None,
        way: Way = Way.APPROVE,
    ) -> Prepared:
        """Choose a token on the page: the signed terms and what the wallet has to do."""
        client_code = await self._client_code(payment_url)
        choice = {
            "clientCode": client_code,
            "tokenId": token_id,
            "way": way.value,
            "payer": to_checksum(self.address),
            "payerEmail": payer_email,
        }
        answer = await self._post(f"{payment_url}/prepare", choice)
        token = self._networks.require_token(token_id, Mode.TEST)
        return Prepared(payment_url, client_code, self._networks.network(token.network), answer)

    async def _client_code(self, payment_url: str) -> str:
        async with self._http.get(payment_url) as response:
            found = _CLIENT_CODE.search(await response.text())
        if response.status != 200 or found is None:
            raise PaymentFailed(f"the payment page answered {response.status}")
        return found[1]

    async def deposit(
        self, payment_url: str, token_id: str, payer_email: str | None = None
    ) -> dict[str, Any]:
        """Ask the page where to send that token, what does not pay to be sent back here."""
        choice = {
            "clientCode": await self._client_code(payment_url),
            "tokenId": token_id,
            "refundTo": to_checksum(self.address),
            "payerEmail": payer_email,
        }
        return await self._post(f"{payment_url}/deposit", choice)

    async def transfer(self, found: dict[str, Any], token_id: str, amount: int) -> Paid:
        """Send atomic units of any token to the address that was found, as any wallet or exchange
        does, and wait until that is mined."""
        token = self._networks.require_token(token_id, Mode.TEST)
        network = self._networks.network(token.network)
        async with open_rpc(network) as rpc:
            wallet = Wallet(self._private_key, rpc, network.chain_id)
            sent = await wallet.transfer(token, address_from_text(found["address"]), amount)
            receipt = await wallet.wait(sent)
        if not receipt.succeeded:
            raise PaymentFailed("the transfer failed on chain")
        return Paid(f"0x{sent.hex()}", self.address, amount)

    async def _post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Origin": self._base}
        async with self._http.post(url, json=body, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
        if response.status != 200:
            raise PaymentFailed(answer["problem"])
        return answer

    async def approve(self, prepared: Prepared) -> Prepared:
        """Send the approval that is asked for, if any, and wait until it is mined; what remains."""
        network, answer = prepared.network, prepared.answer
        if answer["chainId"] != network.chain_id:
            raise PaymentFailed("the page asks for another chain than the token's")
        if answer["approve"] is not None:
            async with open_rpc(network) as rpc:
                wallet = Wallet(self._private_key, rpc, network.chain_id)
                await _send(wallet, answer["approve"])
        return replace(prepared, answer={**answer, "approve": None})

    async def send(self, prepared: Prepared) -> Paid:
        """Do what was prepared, first an approval if one is asked for, and wait for the payment
        to be mined. Whoever signed waits for the server to send it."""
        prepared = await self.approve(prepared)
        network, answer = prepared.network, prepared.answer
        async with open_rpc(network) as rpc:
            wallet = Wallet(self._private_key, rpc, network.chain_id)
            call = answer["pay"]
            relay = None
            if answer["typedData"] is not None:
                signature = await self._signature(prepared, wallet, rpc)
                authorized = await self.hand_in(prepared, signature)
                call, relay = authorized["pay"], authorized["relay"]
            if call is not None:
                tx_hash_hex = f"0x{(await _send(wallet, call)).hex()}"
            else:
                tx_hash_hex = await self.relayed(prepared.payment_url, relay)
        return Paid(tx_hash_hex, wallet.address, int(answer["terms"]["total"]))

    async def _signature(self, prepared: Prepared, wallet: Wallet, rpc: HttpRpc) -> bytes:
        """What the page asks the wallet to sign, signed."""
        answer = prepared.answer
        asked = answer["typedData"]
        if answer["way"] == Way.PERMIT:
            token = address_from_text(answer["tokenAddress"])
            nonce = await rpc.call(token, nonces_call(wallet.address))
            message = {**asked["message"], "nonce": str(int.from_bytes(nonce, "big"))}
            asked = {**asked, "message": message}
        return wallet.sign_typed_data(typed_data_from_json(asked))

    async def hand_in(self, prepared: Prepared, signature: bytes) -> dict[str, Any]:
        """Give the page a signature; what it says of who sends the payment."""
        answer = prepared.answer
        return await self._post(
            f"{prepared.payment_url}/authorize",
            {
                "clientCode": prepared.client_code,
                "digest": answer["digest"],
                "way": answer["way"],
                "payer": to_checksum(self.address),
                "signature": f"0x{signature.hex()}",
            },
        )

    async def relayed(self, payment_url: str, relay: str | None) -> str:
        """The transaction of a payment that the server sends, once the page shows it; ``relay``
        is the name that the page gave to a signature handed in."""
        deadline = time.monotonic() + RELAYED_SECONDS
        while time.monotonic() < deadline:
            params = {"relay": relay or ""}
            async with self._http.get(f"{payment_url}/status", params=params) as response:
                status = await response.json()
            if status["receipt"] is not None:
                return str(status["receipt"]["txHash"])
            if status["relay"] == "failed":
                raise PaymentFailed("the server could not send the payment")
            await asyncio.sleep(LOOK_SECONDS)
        raise PaymentFailed(f"the server has not sent the payment after {RELAYED_SECONDS} s")


async def _send(wallet: Wallet, shown: dict[str, str]) -> bytes:
    """Make one call of the page's and wait until it stands in a block."""
    receipt = await wallet.wait(await wallet.send(_call(shown)))
    if not receipt.succeeded:
        raise PaymentFailed(f"the transaction failed on chain after {receipt.gas_used} gas")
    return receipt.tx_hash


def _call(shown: dict[str, str]) -> ContractCall:
    return ContractCall(
        to=address_from_text(shown["to"]),
        data=bytes.fromhex(shown["data"][2:]),
        value=int(shown["value"], 16),
    )


async def token_balance(networks: Networks, token_id: str, holder: Address) -> int:
    """What ``holder`` has of a token, in atomic units, read from the chain."""
    token = networks.require_token(token_id, Mode.TEST)
    async with open_rpc(networks.network(token.network)) as rpc:
        answer = await rpc.call(
            token.address, abi.call_data(abi.BALANCE_OF, abi.address_word(holder))
        )
    return int.from_bytes(answer, "big")
