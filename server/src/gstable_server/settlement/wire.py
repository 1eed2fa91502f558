"""What is told of crossings. Sessions read it in ``sessions.settling``."""

from __future__ import annotations

from typing import Any

from gstable_server.chain.facts import DeliveryLog
from gstable_server.kernel.clock import unix_seconds
from gstable_server.settlement.model import Ends


def render(known: Ends) -> dict[str, Any]:
    """A crossing as JSON: bytes as hexadecimal, amounts as decimal text, times in Unix seconds."""
    payment = known.settlement.payment
    return {
        "payment": {
            "network": payment.network,
            "txHash": f"0x{payment.tx_hash.hex()}",
            "logPosition": payment.log_position,
        },
        "sessionKey": f"0x{payment.session_key.hex()}",
        "rail": payment.rail,
        "stage": known.stage.value,
        "reason": known.settlement.reason,
        "delivery": _delivery(known),
    }


def _delivery(known: Ends) -> dict[str, Any] | None:
    if known.delivery is None:
        return None
    log = known.delivery.log
    assert isinstance(log, DeliveryLog)
    return {
        "network": log.network,
        "txHash": f"0x{log.tx_hash.hex()}",
        "logPosition": log.log_position,
        "amount": str(log.amount),
        "blockTime": unix_seconds(log.block_time),
    }
