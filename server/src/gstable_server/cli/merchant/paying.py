"""``pay``: pays a link or a session on a test network, after showing what will be signed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import typer

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import load_networks
from gstable_server.chain.rpc import NodeRefused
from gstable_server.cli.merchant.connection import MerchantFailed, base_url
from gstable_server.cli.merchant.output import print_json, print_line
from gstable_server.cli.payer import (
    Paid,
    Payer,
    PaymentFailed,
    Prepared,
    open_http,
    token_balance,
)
from gstable_server.kernel.clock import from_unix_seconds, wire_time
from gstable_server.kernel.errors import Passing, Refused
from gstable_server.kernel.ids import LinkId, SessionId, id_or_none
from gstable_server.kernel.money import Money, token_text
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.model import Way

PAYER_KEY = "GSTABLE_PAYER_KEY"
NETWORKS_FILE = "GSTABLE_NETWORKS_FILE"
LABEL_WIDTH = 9
_OFFERED = re.compile(r'name="tokenId" value="([^"<>&]{1,64})"')
_TARGET = re.compile(r"/(?:link|pay)/([A-Za-z0-9_]+)/?")
_BY = {
    Way.ERC3009: "one signature (EIP-3009); the server sends the payment",
    Way.PERMIT2: "one signature (Permit2), after an approval if one is missing; the server sends",
    Way.PERMIT: "one signature (EIP-2612) and one transaction of yours",
    Way.APPROVE: "an approval of exactly this amount, then one transaction of yours",
    Way.DEPOSIT: "one transfer of yours to the session's own address",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What the user wants paid, and how. ``usd``: for a link whose price the payer chooses."""

    target: str
    token_id: str | None
    way: Way
    usd: str | None
    email: str | None


Line = tuple[str, str]


async def pay(order: Order, *, ask: bool, as_json: bool) -> None:
    """Pay, and print the transaction once it stands in a block.

    Nothing is signed before the user agrees; ``ask`` False takes that for given. Raises
    ``MerchantFailed`` with the reason. Should the process die between, the session is as any
    payer could have left it: run again, it is paid once at most by the same order.
    """
    key, networks = _settings()
    try:
        async with open_http() as http:
            base, address = _address(order.target)
            payer = Payer(http, base, networks, key)
            visit = _Visit(http, payer, networks, await _opened(payer, address, order))
            paid = await visit.pay(order, ask=ask)
    except (
        aiohttp.ClientError, NodeRefused, Passing, PaymentFailed, Refused, TimeoutError
    ) as failure:  # fmt: skip
        raise MerchantFailed(str(failure) or "no answer in time") from failure
    _show_paid(visit.payment_url, paid, as_json=as_json)


def _settings() -> tuple[str, Networks]:
    settings = {name: os.environ.get(name, "").strip() for name in (PAYER_KEY, NETWORKS_FILE)}
    missing = [name for name, value in settings.items() if not value]
    if missing:
        raise MerchantFailed(f"set {', '.join(missing)}")
    try:
        key = private_key_from_hex(settings[PAYER_KEY]).hex()
        return key, load_networks(Path(settings[NETWORKS_FILE]))
    except ValueError as failure:
        raise MerchantFailed(f"{PAYER_KEY}: {failure}") from None
    except ConfigurationError as failure:
        raise MerchantFailed(str(failure)) from failure


def _address(target: str) -> tuple[str, str]:
    """The server's address and that of the page; an identifier stands for the page of the server
    that ``GSTABLE_BASE_URL`` names."""
    parts = urlsplit(base_url() if "://" not in target else target)
    base = f"{parts.scheme}://{parts.netloc}"
    found = _TARGET.fullmatch(parts.path) if "://" in target else None
    name = found[1] if found else target
    if id_or_none(LinkId, name):
        return base, f"{base}/link/{name}"
    if id_or_none(SessionId, name):
        return base, f"{base}/pay/{name}"
    raise MerchantFailed(f"{target[:100]} is neither a link nor a session, by address or id")


async def _opened(payer: Payer, address: str, order: Order) -> str:
    """The address of the session's page; for a link, of a session opened now."""
    if "/pay/" in address:
        return address
    form = {"email": order.email or "", "amount": order.usd or ""}
    return await payer.open_link(address, **{name: text for name, text in form.items() if text})


@dataclass(frozen=True, slots=True)
class _Visit:
    """A payer at a session's page."""

    http: aiohttp.ClientSession
    payer: Payer
    networks: Networks
    payment_url: str

    async def pay(self, order: Order, *, ask: bool) -> Paid:
        token_id = order.token_id or await self._affordable()
        if order.way is Way.DEPOSIT:
            found = await self.payer.deposit(self.payment_url, token_id, order.email)
            amount = int(found["amountInToken"])
            _agree(self._deposit_lines(found, amount), ask=ask)
            return await self.payer.transfer(found, token_id, amount)
        prepared = await self.payer.prepare(self.payment_url, token_id, order.email, order.way)
        self._check(prepared)
        _agree(self._lines(prepared, token_id), ask=ask)
        return await self.payer.send(prepared)

    async def _affordable(self) -> str:
        """The first token that the page offers and the wallet has any of."""
        async with self.http.get(self.payment_url) as response:
            page = await response.text()
        offered: list[str] = list(dict.fromkeys(_OFFERED.findall(page)))
        if not offered:
            raise MerchantFailed("the page offers nothing to pay with: the session is over")
        for token_id in offered:
            if self.networks.find_token(token_id, Mode.TEST) is None:
                continue
            if await token_balance(self.networks, token_id, self.payer.address):
                return token_id
        raise MerchantFailed(f"the wallet holds none of {', '.join(offered)}")

    def _check(self, prepared: Prepared) -> None:
        """What is called must be the router that the user's own networks file names."""
        router = to_checksum(prepared.network.router)
        call = prepared.answer["pay"]
        if prepared.answer["terms"]["router"] != router or (call and call["to"] != router):
            raise MerchantFailed(f"the page asks to call another contract than {router}")

    def _lines(self, prepared: Prepared, token_id: str) -> Iterator[Line]:
        answer, terms = prepared.answer, prepared.answer["terms"]
        yield "pays", f"{terms['totalText']} ({token_id}) on {answer['networkName']}"
        yield "to", terms["recipient"]
        yield "who gets", f"{terms['merchantAmountText']} on {terms['merchantNetworkName']}"
        yield "fee", terms["feeAmountText"]
        if int(terms["railCost"]) > 0:
            yield "crossing", f"at most {terms['railCostText']}"
        yield "from", to_checksum(self.payer.address)
        yield "by", _BY[Way(answer["way"])]
        if answer["approve"]:
            yield "approves", f"{terms['totalText']} for {answer['spender']}"
        yield "contract", terms["router"]
        yield "until", f"{wire_time(from_unix_seconds(terms['deadline']))} UTC"

    def _deposit_lines(self, found: dict[str, Any], amount: int) -> Iterator[Line]:
        token = self.networks.require_token(found["tokenId"], Mode.TEST)
        shown = f"{token_text(Money(amount, token.asset))} {token.symbol}"
        yield "pays", f"{shown} ({token.token_id}) on {found['networkName']}"
        yield "to", f"{found['address']}, the session's own"
        yield "from", to_checksum(self.payer.address)
        yield "by", _BY[Way.DEPOSIT]
        yield "else to", f"{found['refundTo']}, what does not pay"


def _agree(lines: Iterator[Line], *, ask: bool) -> None:
    """Show what will be signed; without asking nothing is printed, for programs read that."""
    if not ask:
        return
    for label, text in lines:
        print_line((label.ljust(LABEL_WIDTH), "dim"), (text, ""))
    if not typer.confirm("Sign and send?"):
        raise MerchantFailed("nothing was signed")


def _show_paid(payment_url: str, paid: Paid, *, as_json: bool) -> None:
    session_id = payment_url.rsplit("/", 1)[1]
    if as_json:
        print_json(
            {
                "sessionId": session_id,
                "paymentUrl": payment_url,
                "txHash": paid.tx_hash_hex,
                "payer": to_checksum(paid.payer),
                "amountInToken": str(paid.total),
            }
        )
        return
    lines: Sequence[Line] = (("paid", session_id), ("by", paid.tx_hash_hex))
    for label, text in lines:
        print_line((label.ljust(LABEL_WIDTH), "dim"), (text, "bold"))
