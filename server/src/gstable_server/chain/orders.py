"""Payment orders: the terms that the platform attests, and the calls a payer's wallet makes.

The server's order key signs terms only. It can move nobody's tokens: the router takes tokens
from the account that calls it, and never more than that account approved.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.keys import address_of_key, public_point, sign_digest, sign_es256k
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.typed_data import Domain, Struct, Value, digest
from gstable_server.kernel.address import Address, address_from_hex
from gstable_server.kernel.clock import UnixSeconds

ORDER = Struct(
    "PaymentOrder",
    (
        ("bytes32", "sessionKey"),
        ("address", "merchant"),
        ("address", "token"),
        ("uint256", "merchantAmount"),
        ("uint256", "feeAmount"),
        ("address", "feeReceiver"),
        ("uint256", "deadline"),
    ),
)
ROUTED_ORDER = Struct(
    "RoutedOrder",
    (
        ("bytes32", "sessionKey"),
        ("address", "merchant"),
        ("address", "token"),
        ("uint256", "amount"),
        ("uint256", "feeAmount"),
        ("address", "feeReceiver"),
        ("uint256", "deadline"),
        ("address", "rail"),
        ("uint256", "settlementChainId"),
        ("address", "settlementToken"),
        ("uint256", "merchantAmount"),
        ("bytes", "railData"),
    ),
)
DOMAIN_NAME = "GStable PaymentRouter"
DOMAIN_VERSION = "1"


def session_key(session_id: str) -> bytes:
    """How the chain names a session: Keccak-256 of its id, 32 bytes."""
    return keccak256(session_id.encode())


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """The terms of one payment (contracts/src/interfaces/IPaymentRouter.sol).

    Amounts are atomic units of ``token``: the merchant's and, on top, the platform's fee.
    ``deadline`` is the last second at which the order may be paid.
    """

    session_key: bytes
    merchant: Address
    token: Token
    merchant_amount: int
    fee_amount: int
    fee_receiver: Address
    deadline: UnixSeconds

    @property
    def total(self) -> int:
        """What the payer pays and approves, in atomic units."""
        return self.merchant_amount + self.fee_amount


@dataclass(frozen=True, slots=True)
class RoutedOrder:
    """The terms of a payment that a rail brings to its merchant (IPaymentRouter.sol).

    ``amount`` and, on top, ``fee_amount`` are atomic units of ``token``, on the paying network.
    ``merchant_amount`` is what the merchant must get, atomic units of ``settlement``. ``rail`` and
    ``rail_data`` are a rail's ``start``.
    """

    session_key: bytes
    merchant: Address
    token: Token
    amount: int
    fee_amount: int
    fee_receiver: Address
    deadline: UnixSeconds
    rail: Address
    settlement: Token
    merchant_amount: int
    rail_data: bytes

    @property
    def total(self) -> int:
        """What the payer pays and approves, in atomic units of ``token``."""
        return self.amount + self.fee_amount


Order = PaymentOrder | RoutedOrder


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order with the platform's signature (r, s, v: 65 bytes) for one network's router."""

    order: Order
    network: Network
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A transaction to be sent by a wallet; ``value`` in the smallest native unit."""

    to: Address
    data: bytes
    value: int = 0


class OrderSigner:
    """Holds the order-signing key. Raises ``ValueError`` when the bytes are no key."""

    __slots__ = ("_private_key", "address")

    def __init__(self, private_key: bytes) -> None:
        self._private_key = private_key
        self.address = address_of_key(private_key)

    def sign(self, order: Order, network: Network) -> SignedOrder:
        """Attest ``order`` for the router of ``network``."""
        # The signature binds chain and contract: an order for a token of another network would
        # be a lie that the router could not notice.
        assert order.token.network == network.name
        signed_digest = digest(_domain(network), *_typed(order))
        signature = sign_digest(self._private_key, signed_digest)
        return SignedOrder(order, network, signed_digest, signature)

    def sign_statement(self, message: bytes) -> bytes:
        """Attest ``message`` to anybody, for example a receipt: ES256K, 64 bytes.

        It is no order whatever it says: an order is signed over the Keccak-256 of bytes that begin
        with 0x1901, and this over the SHA-256 of the message.
        """
        return sign_es256k(self._private_key, message)

    def derived_key(self, purpose: str) -> bytes:
        """A secret of 32 bytes for ``purpose``, the same in every process that has the key, from
        which nothing of the key follows (HMAC-SHA256 as in RFC 5869, 2.3)."""
        return hmac.digest(self._private_key, f"gstable {purpose}".encode() + b"\x01", "sha256")

    @property
    def public_point(self) -> tuple[bytes, bytes]:
        """x and y of the key that both are verified with."""
        return public_point(self._private_key)


def pay_call(signed: SignedOrder) -> ContractCall:
    """Pay a ``PaymentOrder``: the caller becomes the payer and has approved the router."""
    return _router_call(abi.PAY, PaymentOrder, signed)


def route_call(signed: SignedOrder) -> ContractCall:
    """Pay a ``RoutedOrder``: the caller becomes the payer and has approved the router."""
    return _router_call(abi.ROUTE, RoutedOrder, signed)


def pay_with_call(
    signed: SignedOrder, payer: Address, collector: Address, collector_data: bytes
) -> ContractCall:
    """Pay a ``PaymentOrder`` for ``payer``, who consented in ``collector_data``."""
    consent = _consent(payer, collector, collector_data)
    return _router_call(abi.PAY_WITH, PaymentOrder, signed, *consent)


def route_with_call(
    signed: SignedOrder, payer: Address, collector: Address, collector_data: bytes
) -> ContractCall:
    """Pay a ``RoutedOrder`` for ``payer``, who consented in ``collector_data``."""
    consent = _consent(payer, collector, collector_data)
    return _router_call(abi.ROUTE_WITH, RoutedOrder, signed, *consent)


def direct_call(signed: SignedOrder) -> ContractCall:
    """``pay_call`` or ``route_call``, as the order is."""
    return pay_call(signed) if isinstance(signed.order, PaymentOrder) else route_call(signed)


def collected_call(
    signed: SignedOrder, payer: Address, collector: Address, collector_data: bytes
) -> ContractCall:
    """``pay_with_call`` or ``route_with_call``, as the order is."""
    build = pay_with_call if isinstance(signed.order, PaymentOrder) else route_with_call
    return build(signed, payer, collector, collector_data)


def approve_call(token: Token, spender: Address, amount: int) -> ContractCall:
    """Let ``spender`` take up to ``amount`` atomic units of the caller's tokens (ERC-20)."""
    data = abi.call_data(abi.APPROVE, abi.address_word(spender), abi.number_word(amount))
    return ContractCall(token.address, data)


def transfer_call(token: Address, receiver: Address, amount: int) -> ContractCall:
    """Give ``receiver`` ``amount`` atomic units of the caller's tokens (ERC-20)."""
    data = abi.call_data(abi.TRANSFER, abi.address_word(receiver), abi.number_word(amount))
    return ContractCall(token, data)


def to_json(signed: SignedOrder) -> dict[str, Any]:
    """A signed order for storage: bytes as hexadecimal, amounts as decimal strings."""
    order = signed.order
    value = {
        "network": signed.network.name,
        "router": "0x" + signed.network.router.hex(),
        "digest": "0x" + signed.digest.hex(),
        "signature": "0x" + signed.signature.hex(),
        "sessionKey": "0x" + order.session_key.hex(),
        "merchant": "0x" + order.merchant.hex(),
        "token": "0x" + order.token.address.hex(),
        "merchantAmount": str(order.merchant_amount),
        "feeAmount": str(order.fee_amount),
        "feeReceiver": "0x" + order.fee_receiver.hex(),
        "deadline": order.deadline,
    }
    if isinstance(order, PaymentOrder):
        return value
    return value | {
        "amount": str(order.amount),
        "rail": "0x" + order.rail.hex(),
        "settlementNetwork": order.settlement.network,
        "settlementToken": "0x" + order.settlement.address.hex(),
        "railData": "0x" + order.rail_data.hex(),
    }


def from_json(value: Mapping[str, Any], networks: Networks) -> SignedOrder:
    """What ``to_json`` wrote. ``LookupError`` when the operator has taken its network, router or
    tokens out of the configuration since: then it is not to be paid."""
    network = networks.network(value["network"])
    if network.router != address_from_hex(value["router"]):
        raise LookupError(f"the router of {network.name} is another one now")
    terms: dict[str, Any] = {
        "session_key": bytes.fromhex(value["sessionKey"][2:]),
        "merchant": address_from_hex(value["merchant"]),
        "token": _token(networks, network.name, value["token"]),
        "merchant_amount": int(value["merchantAmount"]),
        "fee_amount": int(value["feeAmount"]),
        "fee_receiver": address_from_hex(value["feeReceiver"]),
        "deadline": UnixSeconds(value["deadline"]),
    }
    order: Order
    if "rail" in value:
        order = RoutedOrder(
            amount=int(value["amount"]),
            rail=address_from_hex(value["rail"]),
            settlement=_token(networks, value["settlementNetwork"], value["settlementToken"]),
            rail_data=bytes.fromhex(value["railData"][2:]),
            **terms,
        )
    else:
        order = PaymentOrder(**terms)
    digest_bytes, signature = (bytes.fromhex(value[name][2:]) for name in ("digest", "signature"))
    return SignedOrder(order, network, digest_bytes, signature)


def _token(networks: Networks, network_name: str, address_hex: str) -> Token:
    token = networks.token_at(network_name, address_from_hex(address_hex))
    if token is None:
        raise LookupError(f"{network_name} has no token at {address_hex}")
    return token


def _domain(network: Network) -> Domain:
    return Domain(DOMAIN_NAME, DOMAIN_VERSION, network.chain_id, network.router)


def _router_call(
    signature: str, kind: type[Order], signed: SignedOrder, *more: abi.Argument
) -> ContractCall:
    assert isinstance(signed.order, kind), f"{signature} takes no {type(signed.order).__name__}"
    terms = _encoded(signed.order)
    data = abi.call_data(signature, *terms, abi.Dynamic(signed.signature), *more)
    return ContractCall(signed.network.router, data)


def _consent(payer: Address, collector: Address, data: bytes) -> tuple[abi.Argument, ...]:
    return abi.address_word(payer), abi.address_word(collector), abi.Dynamic(data)


def _encoded(order: Order) -> tuple[abi.Argument, ...]:
    """The order's members as ABI words; a routed order, which is dynamic, in one piece."""
    begin = (
        order.session_key,
        abi.address_word(order.merchant),
        abi.address_word(order.token.address),
    )
    end = (
        abi.number_word(order.fee_amount),
        abi.address_word(order.fee_receiver),
        abi.number_word(order.deadline),
    )
    if isinstance(order, PaymentOrder):
        return *begin, abi.number_word(order.merchant_amount), *end
    members = abi.encode(
        *begin,
        abi.number_word(order.amount),
        *end,
        abi.address_word(order.rail),
        abi.number_word(order.settlement.chain_id),
        abi.address_word(order.settlement.address),
        abi.number_word(order.merchant_amount),
        abi.Dynamic(order.rail_data),
    )
    return (abi.Tail(members),)


def _typed(order: Order) -> tuple[Struct, dict[str, Value]]:
    values: dict[str, Value] = {
        "sessionKey": order.session_key,
        "merchant": order.merchant,
        "token": order.token.address,
        "merchantAmount": order.merchant_amount,
        "feeAmount": order.fee_amount,
        "feeReceiver": order.fee_receiver,
        "deadline": order.deadline,
    }
    if isinstance(order, PaymentOrder):
        return ORDER, values
    values |= {
        "amount": order.amount,
        "rail": order.rail,
        "settlementChainId": order.settlement.chain_id,
        "settlementToken": order.settlement.address,
        "railData": order.rail_data,
    }
    return ROUTED_ORDER, values
