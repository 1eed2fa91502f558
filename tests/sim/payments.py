"""What a payment moves, the log that a router writes of it, and payments that are read from the
call that asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.chain import abi
from gstable_server.chain.abi.payments import PAID, ROUTED
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.orders import ContractCall, Order, PaymentOrder, RoutedOrder
from gstable_server.chain.rpc import Log
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from tests.sim.networks import FEE_RECEIVER, FOREIGN_ROUTER


@dataclass(frozen=True, slots=True)
class Paid:
    """What a payment moved, as the oracle counts it; amounts in atomic units.

    ``rail`` is the word of the rail, None for a direct payment; ``arrived`` is what reached the
    merchant in the same transaction, in ``settlement``, a token id. ``collected``: by our
    executor, from a deposit address.
    """

    session_key: bytes
    merchant: Address
    token: Address
    amount: int
    fee: int
    by_router: bool = True
    rail: str | None = None
    settlement: str = ""
    arrived: int = 0
    promised: int = 0
    collected: bool = False


def paid_by(order: Order) -> Paid:
    """What the payment moves when it is made as it was ordered."""
    if isinstance(order, PaymentOrder):
        return Paid(
            order.session_key,
            order.merchant,
            order.token.address,
            order.merchant_amount,
            order.fee_amount,
            settlement=order.token.token_id,
            arrived=order.merchant_amount,
            promised=order.merchant_amount,
        )
    rail = _rail_of(order)
    return Paid(
        order.session_key,
        order.merchant,
        order.token.address,
        order.amount,
        order.fee_amount,
        rail=rail,
        settlement=order.settlement.token_id,
        arrived=order.merchant_amount if rail == "swap" else 0,
        promised=order.merchant_amount,
    )


def _rail_of(order: RoutedOrder) -> str:
    if order.settlement.network != order.token.network:
        return "escrow"
    return "hold" if order.settlement == order.token else "swap"


def payment_log(
    network: Network, paid: Paid, order: Order | None, payer: Address, tx_hash: bytes
) -> Log:
    """The event of the router that took the payment, or of one that is not ours."""
    contract = network.router if paid.by_router else FOREIGN_ROUTER
    if paid.rail is None:
        return event_log(
            PAID,
            contract,
            tx_hash,
            paid.session_key,
            payer,
            paid.merchant,
            paid.token,
            paid.arrived,
            paid.fee,
            FEE_RECEIVER,
        )
    assert isinstance(order, RoutedOrder)
    return event_log(
        ROUTED,
        contract,
        tx_hash,
        paid.session_key,
        payer,
        order.rail,
        paid.merchant,
        paid.token,
        paid.amount,
        paid.fee,
        FEE_RECEIVER,
        order.settlement.chain_id,
        order.settlement.address,
        order.merchant_amount,
        paid.arrived,
        order.rail_data,
    )


@dataclass(frozen=True, slots=True)
class Collection:
    """A payment for ``payer`` that ``collector`` is to take, by the consent in ``data``."""

    order: Order
    payer: Address
    collector: Address
    data: bytes


def read_collection(call: ContractCall, networks: Networks) -> Collection | None:
    """What ``payWith`` or ``routeWith`` asks of a router; None for another call."""
    name, body = call.data[:4], call.data[4:]
    if name == abi.selector(abi.PAY_WITH):
        words = _words(body, 11)
        terms = _terms(words, networks)
        order: Order = PaymentOrder(merchant_amount=_number(words[3]), **terms)
        return Collection(order, _address(words[8]), _address(words[9]), _tail(body, words[10]))
    if name == abi.selector(abi.ROUTE_WITH):
        words = _words(body, 5)
        members = body[_number(words[0]) :]
        inner = _words(members, 12)
        order = RoutedOrder(
            amount=_number(inner[3]),
            rail=_address(inner[7]),
            settlement=_token(_number(inner[8]), _address(inner[9]), networks),
            merchant_amount=_number(inner[10]),
            rail_data=_tail(members, inner[11]),
            **_terms(inner, networks),
        )
        return Collection(order, _address(words[2]), _address(words[3]), _tail(body, words[4]))
    return None


def _terms(words: list[bytes], networks: Networks) -> dict[str, Any]:
    """What both kinds of orders have; a token is told by its address, another on each network."""
    address = _address(words[2])
    [token] = [one for network in networks.all for one in network.tokens if one.address == address]
    return {
        "session_key": words[0],
        "merchant": _address(words[1]),
        "token": token,
        "fee_amount": _number(words[4]),
        "fee_receiver": _address(words[5]),
        "deadline": UnixSeconds(_number(words[6])),
    }


def _token(chain_id: int, address: Address, networks: Networks) -> Token:
    network = networks.at_chain(chain_id)
    assert network is not None, "orders settle on networks that are configured"
    token = networks.token_at(network.name, address)
    assert token is not None, "and in tokens that are"
    return token


def _words(data: bytes, count: int) -> list[bytes]:
    return [data[at : at + abi.WORD] for at in range(0, count * abi.WORD, abi.WORD)]


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _address(word: bytes) -> Address:
    return Address(word[12:])


def _tail(data: bytes, offset: bytes) -> bytes:
    begin = _number(offset) + abi.WORD
    return data[begin : begin + _number(data[begin - abi.WORD : begin])]
