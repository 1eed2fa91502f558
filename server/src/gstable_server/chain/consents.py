"""What a payer signs instead of sending a transaction, and what the router is then told.

Each consent names one order: by its digest (EIP-3009's nonce, Permit2's witness), or because
only the payer may use it (EIP-2612). What is taken, and for whom, cannot be changed afterwards.
The layouts are those of contracts/src/ways and contracts/src/collectors.
"""

from __future__ import annotations

from gstable_server.chain import abi
from gstable_server.chain.networks import Token
from gstable_server.chain.orders import SignedOrder
from gstable_server.chain.typed_data import Domain, Struct, TypedData, Value
from gstable_server.kernel.address import Address

RECEIVE_WITH_AUTHORIZATION = Struct(
    "ReceiveWithAuthorization",
    (
        ("address", "from"),
        ("address", "to"),
        ("uint256", "value"),
        ("uint256", "validAfter"),
        ("uint256", "validBefore"),
        ("bytes32", "nonce"),
    ),
)
PERMIT = Struct(
    "Permit",
    (
        ("address", "owner"),
        ("address", "spender"),
        ("uint256", "value"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
    ),
)
_TOKEN_PERMISSIONS = Struct("TokenPermissions", (("address", "token"), ("uint256", "amount")))
_PAYMENT_WITNESS = Struct("PaymentWitness", (("bytes32", "digest"), ("address", "payer")))
PERMIT_BATCH_WITNESS = Struct(
    "PermitBatchWitnessTransferFrom",
    (
        ("TokenPermissions[]", "permitted"),
        ("address", "spender"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
        ("PaymentWitness", "witness"),
    ),
    (_TOKEN_PERMISSIONS, _PAYMENT_WITNESS),
)
PERMIT2_NAME = "Permit2"
VALID_AFTER = 0


def erc3009_typed_data(signed: SignedOrder, payer: Address) -> TypedData:
    """``ReceiveWithAuthorization`` of EIP-3009 to the router, with the order as its nonce.

    ``LookupError`` if the token cannot do it.
    """
    token = signed.order.token
    if token.signing is None or not token.signing.erc3009:
        raise LookupError(f"{token.token_id} takes no authorizations (EIP-3009)")
    values: dict[str, Value] = {
        "from": payer,
        "to": signed.network.router,
        "value": signed.order.total,
        "validAfter": VALID_AFTER,
        "validBefore": _valid_before(signed),
        "nonce": signed.digest,
    }
    return TypedData(_token_domain(token), RECEIVE_WITH_AUTHORIZATION, values)


def permit2_typed_data(signed: SignedOrder, payer: Address) -> TypedData:
    """``PermitBatchWitnessTransferFrom`` of Permit2: the merchant's leg, the fee's, the order.

    ``LookupError`` if the network has no Permit2.
    """
    network, order = signed.network, signed.order
    if network.permit2 is None:
        raise LookupError(f"{network.name} has no Permit2")
    legs = [order.total - order.fee_amount] + [order.fee_amount] * (order.fee_amount > 0)
    values: dict[str, Value] = {
        "permitted": [{"token": order.token.address, "amount": leg} for leg in legs],
        "spender": network.router,
        "nonce": _permit2_nonce(signed),
        "deadline": order.deadline,
        "witness": {"digest": signed.digest, "payer": payer},
    }
    domain = Domain(PERMIT2_NAME, None, network.chain_id, network.permit2)
    return TypedData(domain, PERMIT_BATCH_WITNESS, values)


def permit2_data(signed: SignedOrder, signature: bytes) -> bytes:
    """What the router is told; any signature that the payer's account accepts."""
    return abi.number_word(_permit2_nonce(signed)) + signature


def permit_typed_data(signed: SignedOrder, payer: Address, nonce: int) -> TypedData:
    """``Permit`` of EIP-2612 for the collector; ``nonce`` is ``nonces(payer)`` of the token.

    ``LookupError`` if the network has no such collector, or the token cannot do it.
    """
    token = signed.order.token
    if token.signing is None or not token.signing.permit:
        raise LookupError(f"{token.token_id} takes no permits (EIP-2612)")
    values: dict[str, Value] = {
        "owner": payer,
        "spender": _permit_collector(signed),
        "value": signed.order.total,
        "nonce": nonce,
        "deadline": signed.order.deadline,
    }
    return TypedData(_token_domain(token), PERMIT, values)


def permit_data(signed: SignedOrder, signature: bytes) -> bytes:
    """What ``PermitCollector`` is told. ``ValueError`` unless the signature is r, s, v: EIP-2612
    knows no other."""
    if len(signature) != 65:
        raise ValueError("a permit is signed with 65 bytes: r, s, v")
    r, s, v = signature[:32], signature[32:64], signature[64]
    return abi.encode(abi.number_word(signed.order.deadline), abi.number_word(v), r, s)


def nonces_call(payer: Address) -> bytes:
    """The question ``nonces(payer)`` to a token, for ``permit_typed_data`` (EIP-2612)."""
    return abi.call_data(abi.NONCES, abi.address_word(payer))


def _valid_before(signed: SignedOrder) -> int:
    """EIP-3009 means the first second that is too late; an order's deadline is still in time."""
    return signed.order.deadline + 1


def _permit2_nonce(signed: SignedOrder) -> int:
    """Permit2's nonces have no order: the digest serves, and makes the consent this order's."""
    return int.from_bytes(signed.digest, "big")


def _token_domain(token: Token) -> Domain:
    assert token.signing is not None
    return Domain(token.signing.name, token.signing.version, token.chain_id, token.address)


def _permit_collector(signed: SignedOrder) -> Address:
    collector = signed.network.contracts.permit_collector
    if collector is None:
        raise LookupError(f"{signed.network.name} has no permit_collector")
    return collector.address
