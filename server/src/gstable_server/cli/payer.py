"""A payer without a browser: asks the hosted page for what a wallet must call, and calls it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import aiohttp

from gstable_server.chain import abi
from gstable_server.chain.checksum import address_from_text, to_checksum
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode

_CLIENT_CODE = re.compile(r'data-client-code="([^"]+)"')


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
    """What the page answered to a choice: terms and calls, for one network."""

    network: Network
    calls: dict[str, Any]


class Payer:
    """Someone with a private key and the address of a payment page on the server at ``base``."""

    def __init__(
        self, http: aiohttp.ClientSession, base: str, networks: Networks, private_key: str
    ) -> None:
        self._http = http
        self._base = base
        self._networks = networks
        self._private_key = private_key_from_hex(private_key)

    async def open_link(self, link_url: str, **form: str) -> str:
        """Press the link page's button; the address of the session's page."""
        headers = {"Origin": self._base}
        async with self._http.post(
            f"{link_url}/open", data=form, headers=headers, allow_redirects=False
        ) as response:
            if response.status != 303:
                raise PaymentFailed(f"the link page answered {response.status}")
            return self._base + response.headers["Location"]

    async def pay(self, payment_url: str, token_id: str, payer_email: str | None = None) -> Paid:
        """Approve exactly what is asked, pay, and wait until the payment stands in a block."""
        return await self.send(await self.prepare(payment_url, token_id, payer_email))

    async def prepare(
        self, payment_url: str, token_id: str, payer_email: str | None = None
    ) -> Prepared:
        """Choose a token on the page: the signed terms and the calls that carry them."""
        async with self._http.get(payment_url) as response:
            found = _CLIENT_CODE.search(await response.text())
        if response.status != 200 or found is None:
            raise PaymentFailed(f"the payment page answered {response.status}")
        choice = {
            "clientCode": found[1],
            "tokenId": token_id,
            "payer": to_checksum(address_of_key(self._private_key)),
            "payerEmail": payer_email,
        }
        headers = {"Origin": self._base}
        async with self._http.post(
            f"{payment_url}/prepare", json=choice, headers=headers
        ) as response:
            calls: dict[str, Any] = await response.json()
        if response.status != 200:
            raise PaymentFailed(calls["problem"])
        token = self._networks.require_token(token_id, Mode.TEST)
        return Prepared(self._networks.network(token.network), calls)

    async def send(self, prepared: Prepared) -> Paid:
        """Make the prepared calls, first the approval, and wait for each to be mined."""
        network, calls = prepared.network, prepared.calls
        if calls["chainId"] != network.chain_id:
            raise PaymentFailed("the page asks for another chain than the token's")
        async with open_rpc(network) as rpc:
            wallet = Wallet(self._private_key, rpc, network.chain_id)
            await _send(wallet, calls["approve"])
            tx_hash = await _send(wallet, calls["pay"])
        return Paid(f"0x{tx_hash.hex()}", wallet.address, int(calls["terms"]["total"]))


async def _send(wallet: Wallet, shown: dict[str, str]) -> bytes:
    """Make one call of the page's and wait until it stands in a block."""
    receipt = await wallet.wait(await wallet.send(_call(shown)))
    if not receipt.succeeded:
        raise PaymentFailed("the transaction failed on chain")
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
