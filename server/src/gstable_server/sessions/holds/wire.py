"""Holds on the wire: requests parsed, and what letters say of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gstable_server.catalog.wire import IdText
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.fields import TOTAL_MAX, Body
from gstable_server.kernel.money import Asset, Money, micro_usd_rounded_down
from gstable_server.sessions import wire as session_wire
from gstable_server.sessions.holds.model import Move
from gstable_server.sessions.model import Payment, SessionView


class CaptureSession(Body):
    """The body of POST /session/checkout/capture; ``amount`` in Micro-USD, all that remains
    unless given."""

    session_id: IdText
    amount: Annotated[int, Field(ge=1, le=TOTAL_MAX)] | None = None


class VoidSession(Body):
    """The body of POST /session/checkout/void."""

    session_id: IdText


def render_move(payment: Payment, move: Move) -> dict[str, Any]:
    """What left a hold; values in Micro-USD, ``amountInToken`` in the token's smallest units."""
    log = move.log
    return {
        "what": log.what.value,
        "amount": _in_usd(payment, log.amount),
        "amountInToken": str(log.amount),
        "merchantReceived": _in_usd(payment, log.merchant_received),
        "fee": _in_usd(payment, log.fee_received),
        "txHash": f"0x{log.tx_hash.hex()}",
        "executeTime": wire_time(log.block_time),
    }


def _in_usd(payment: Payment, atomic: int) -> int:
    return micro_usd_rounded_down(Money(atomic, Asset(payment.token_id, payment.decimals or 0)))


def render_letter(
    view: SessionView, payment: Payment, move: Move, public_url: str
) -> dict[str, Any]:
    """The payload of ``session.captured`` and ``session.voided``: that of every session event, and
    what left the hold."""
    letter = session_wire.render_letter(view, public_url)
    return {**letter, "holdData": render_move(payment, move)}
