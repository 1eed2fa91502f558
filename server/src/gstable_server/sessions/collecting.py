"""What a payer's wallet has to do for each way to pay, and the call that a signature makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.chain import orders
from gstable_server.chain.consents import (
    erc3009_typed_data,
    permit2_data,
    permit2_typed_data,
    permit_data,
    permit_typed_data,
)
from gstable_server.chain.orders import ContractCall, SignedOrder
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import invalid_field
from gstable_server.routing.model import Way


@dataclass(frozen=True, slots=True)
class WalletWork:
    """What a wallet has to do to pay one order.

    ``spender`` must be allowed exactly what the payer pays, by the call ``approve``, unless it is
    already. Then either ``pay`` is sent, or ``typed_data`` (``eth_signTypedData_v4``) is signed
    and the signature handed in. ``typed_data`` of a permit lacks the owner's nonce, which the
    payer's side reads from the token: nobody but the token knows it.
    """

    spender: Address | None = None
    approve: ContractCall | None = None
    pay: ContractCall | None = None
    typed_data: dict[str, Any] | None = None


def wallet_work(signed: SignedOrder, way: Way, payer: Address) -> WalletWork:
    """The work of ``payer``'s wallet. ``LookupError`` for a way that the network does not have."""
    match way:
        case Way.APPROVE:
            router = signed.network.router
            return WalletWork(router, _approve(signed, router), orders.direct_call(signed))
        case Way.ERC3009:
            return WalletWork(typed_data=erc3009_typed_data(signed, payer).to_json())
        case Way.PERMIT2:
            permit2 = signed.network.permit2
            typed_data = permit2_typed_data(signed, payer).to_json()
            assert permit2 is not None, "permit2_typed_data looks it up"
            return WalletWork(permit2, _approve(signed, permit2), typed_data=typed_data)
        case Way.PERMIT:
            typed_data = permit_typed_data(signed, payer, nonce=0).to_json()
            del typed_data["message"]["nonce"]
            return WalletWork(typed_data=typed_data)
        case Way.DEPOSIT:
            raise LookupError("a deposit asks nothing of a wallet that a page can see")


def collected_call(signed: SignedOrder, way: Way, payer: Address, signature: bytes) -> ContractCall:
    """The payment that ``signature`` allows.

    Refuses with 400101 a permit that is not signed with 65 bytes. ``LookupError`` for a way that
    the network no longer has.
    """
    collector, data = _consent(signed, way, signature)
    if collector is None:
        raise LookupError(f"{signed.network.name} no longer takes {way.value}")
    return orders.collected_call(signed, payer, collector, data)


def _consent(signed: SignedOrder, way: Way, signature: bytes) -> tuple[Address | None, bytes]:
    """Who collects that way, and what it is told; the router itself collects EIP-3009, and in
    Permit2's name Permit2."""
    network = signed.network
    match way:
        case Way.APPROVE | Way.DEPOSIT:
            raise ValueError(f"{way.value} needs no signature")
        case Way.ERC3009:
            return network.router, signature
        case Way.PERMIT2:
            return network.permit2, permit2_data(signed, signature)
        case Way.PERMIT:
            collector = network.contracts.permit_collector
            address = collector.address if collector else None
            return address, _permit_data(signed, signature)


def _permit_data(signed: SignedOrder, signature: bytes) -> bytes:
    try:
        return permit_data(signed, signature)
    except ValueError as failure:
        raise invalid_field("signature", str(failure)) from failure


def _approve(signed: SignedOrder, spender: Address) -> ContractCall:
    return orders.approve_call(signed.order.token, spender, signed.order.total)
