"""What a prepared payment would do, read from its bytes. Source: specification section 10.6.

The executor is GStable's router: `pay` gives the token to the merchant, `route` to a rail that
brings it there, both with a fee on top. Nothing else is ever sent, and nothing that reads in two
ways.
"""

from dataclasses import dataclass

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from gstable.agent._errors import UnsafePayment

PAY_ORDER = "(bytes32,address,address,uint256,uint256,address,uint256)"
ROUTED_ORDER = f"{PAY_ORDER[:-1]},address,uint256,address,uint256,bytes)"
SELECTOR_BYTES = 4


def selector(signature: str) -> bytes:
    """The first four bytes of a function's Keccak-256."""
    return bytes(keccak(text=signature)[:SELECTOR_BYTES])


_ORDERS = {
    selector(f"pay({PAY_ORDER},bytes)"): PAY_ORDER,
    selector(f"route({ROUTED_ORDER},bytes)"): ROUTED_ORDER,
}


@dataclass(frozen=True, slots=True)
class Order:
    """The terms of a call of the router. `total`: what it takes, smallest units of `token`
    (20 bytes): the merchant's or the rail's part and the fee. `deadline`: Unix seconds."""

    session_key: bytes
    token: bytes
    total: int
    deadline: int


def session_key(session_id: str) -> bytes:
    """How the chain names a session: Keccak-256 of its id."""
    return bytes(keccak(text=session_id))


def read_order(calldata: bytes) -> Order:
    """The order in a call of `pay` or `route`. Raises `UnsafePayment` for anything else."""
    order_type = _ORDERS.get(calldata[:SELECTOR_BYTES])
    if order_type is None:
        raise UnsafePayment("the call is not the router's pay or route")
    types, content = [order_type, "bytes"], calldata[SELECTOR_BYTES:]
    try:
        order, signature = decode(types, content)
    except (DecodingError, ValueError, OverflowError) as broken:
        raise UnsafePayment("the call cannot be read") from broken
    if encode(types, [order, signature]) != content:
        raise UnsafePayment("the call carries more than an order")
    key, _merchant, token, amount, fee, _fee_receiver, deadline, *_ = order
    return Order(bytes(key), bytes.fromhex(token[2:]), amount + fee, deadline)
