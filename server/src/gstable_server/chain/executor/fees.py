"""What to bid for a unit of gas: pure integers, in the smallest native unit (EIP-1559)."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.chain.networks import Gas


@dataclass(frozen=True, slots=True)
class Fees:
    """``fee`` is the most a unit may cost in all, ``tip`` the part that goes to the producer."""

    fee: int
    tip: int


def first_bid(base_fee: int, gas: Gas) -> Fees | None:
    """The bid of a new transaction while the next block asks for ``base_fee``; None while the
    market is above ``gas.price_max``.

    Twice the base fee outlasts six full blocks in a row, each of which raises it by an eighth.
    """
    if base_fee + gas.tip > gas.price_max:
        return None
    return Fees(min(2 * base_fee + gas.tip, gas.price_max), gas.tip)


def raised_bid(bid: Fees, base_fee: int, gas: Gas) -> Fees | None:
    """A bid that replaces ``bid``; None when it would cost more than ``gas.price_max``, or would
    not reach the market in spite of that.

    Nodes take a replacement only if both fees are higher, by a tenth in most, an eighth in some.
    """
    least, tip = _raised(bid.fee), max(_raised(bid.tip), gas.tip)
    if max(least, base_fee + tip) > gas.price_max:
        return None
    return Fees(min(max(least, 2 * base_fee + tip), gas.price_max), tip)


def gas_limit(estimate: int) -> int:
    """A fifth above the estimate, rounded up: the state may change until the block is made."""
    return -(-estimate * 6 // 5)


def _raised(fee: int) -> int:
    """An eighth more, rounded up, and more in any case."""
    return max(-(-fee * 9 // 8), fee + 1)
