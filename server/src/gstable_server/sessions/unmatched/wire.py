"""Unmatched money as programs read it: hexadecimal, decimal strings, ISO time."""

from __future__ import annotations

from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.orders import ContractCall
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.money import Asset, Money, token_text
from gstable_server.sessions.unmatched.model import Decision, Inflow, InflowView, Total


def amount_text(inflow: Inflow, amount: int) -> str:
    """So much of an inflow's token for people; atomic units where its decimals are not known."""
    if inflow.decimals is None:
        return str(amount)
    return token_text(Money(amount, Asset(inflow.token_id, inflow.decimals)))


def render(inflow: Inflow) -> dict[str, Any]:
    """One inflow. Amounts are atomic units of ``tokenId``, as decimal strings."""
    shown = {
        "inflowId": inflow.inflow_id,
        "state": inflow.state.value,
        "how": inflow.how.value if inflow.how else None,
        "flags": sorted(inflow.flags),
        "source": inflow.source.value,
        "network": inflow.network,
        "mode": inflow.mode.value,
        "tokenId": inflow.token_id,
        "decimals": inflow.decimals,
        "amount": str(inflow.amount),
        "collected": str(inflow.collected),
        "returned": str(inflow.returned),
        "left": str(inflow.left),
        "from": to_checksum(inflow.sender) if inflow.sender else None,
        "to": to_checksum(inflow.receiver),
        "txHash": f"0x{inflow.tx_hash.hex()}" if inflow.tx_hash else None,
        "arrivedAt": wire_time(inflow.arrived_at),
        "final": inflow.final,
        "sessionId": inflow.session_id,
        "paymentId": inflow.payment_id,
        "merchantId": inflow.merchant_id,
        "refundId": inflow.refund_id,
        "returnCause": inflow.cause,
        "resolvedAt": wire_time(inflow.resolved_at) if inflow.resolved_at else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def render_view(view: InflowView) -> dict[str, Any]:
    """One inflow with its possible resolutions, its history, and the call that returns it."""
    return {
        **render(view.inflow),
        "resolutions": {
            act.value: {"possible": problem is None, "obstacle": problem}
            for act, problem in view.resolutions.items()
        },
        "decisions": [_decision(one) for one in view.decisions],
        "call": _call(view.chain_id, view.call) if view.call else None,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "act": decision.act.value if decision.act else None,
        "actor": decision.actor,
        "reason": decision.reason,
        "before": decision.before.value,
        "after": decision.after.value,
        "at": wire_time(decision.at),
    }


def _call(chain_id: int | None, call: ContractCall) -> dict[str, Any]:
    return {
        "chainId": chain_id,
        "to": to_checksum(call.to),
        "data": f"0x{call.data.hex()}",
        "value": str(call.value),
    }


def render_total(total: Total) -> dict[str, Any]:
    """What waits in one token."""
    return {
        "network": total.network,
        "tokenId": total.token_id,
        "decimals": total.decimals,
        "count": total.count,
        "amount": str(total.amount),
    }
