"""What a payer's program is told after a choice: one signed order in several forms.

``order`` is the order's own bytes with our signature, as the call that pays it. The page's script
makes all that it shows and asks the wallet for from these bytes, and refuses when the rest of this
answer says otherwise; it reads none of the texts in ``terms``, which are for other programs.
"""

from __future__ import annotations

from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.executor.model import IntentView, State
from gstable_server.chain.networks import Networks, Token
from gstable_server.chain.orders import ContractCall, PaymentOrder, approve_call, direct_call
from gstable_server.chain.rails.par import at_par_rounded_up
from gstable_server.kernel.money import Money
from gstable_server.kernel.urls import is_loopback
from gstable_server.sessions.paying import Authorized, PreparedPayment
from gstable_server.web.language import Words

_OVER = frozenset({State.FAILED, State.REFUSED, State.WITHDRAWN})


def prepared_json(prepared: PreparedPayment, networks: Networks, words: Words) -> dict[str, Any]:
    """The signed terms, each amount also in words, and what the wallet has to do."""
    network, token, work = prepared.option.network, prepared.option.token, prepared.work
    approve = spender = reset = None
    if work.spender is not None and work.approve is not None:
        spender, approve = to_checksum(work.spender), call_json(work.approve)
        reset = call_json(approve_call(token, work.spender, 0))
    return {
        "chainId": network.chain_id,
        "chainIdHex": hex(network.chain_id),
        "networkName": network.title,
        "nativeSymbol": network.native_symbol,
        # Only a local network's: another RPC address may carry the operator's access key.
        "rpcUrl": next((url for url in network.rpc_urls if is_loopback(url)), None),
        "tokenAddress": to_checksum(token.address),
        "tokenSymbol": token.symbol,
        "way": prepared.way.value,
        "ways": [way.value for way in prepared.ways],
        "digest": f"0x{prepared.signed.digest.hex()}",
        "order": f"0x{direct_call(prepared.signed).data.hex()}",
        "spender": spender,
        "approve": approve,
        "resetApprove": reset,
        "pay": call_json(work.pay) if work.pay else None,
        "typedData": work.typed_data,
        "terms": _terms(prepared, networks, words),
    }


def _terms(prepared: PreparedPayment, networks: Networks, words: Words) -> dict[str, Any]:
    order, token = prepared.signed.order, prepared.option.token
    settlement = token if isinstance(order, PaymentOrder) else order.settlement
    given = order.merchant_amount if isinstance(order, PaymentOrder) else order.amount
    par = at_par_rounded_up(order.merchant_amount, settlement, token)
    return {
        "amount": str(given),
        # What the rail may keep of it; a swap gives back what it does not need.
        "railCost": str(given - par),
        "railCostText": _text(given - par, token, words),
        "feeAmount": str(order.fee_amount),
        "feeAmountText": _text(order.fee_amount, token, words),
        "total": str(order.total),
        "totalText": _text(order.total, token, words),
        "merchantAmount": str(order.merchant_amount),
        "merchantAmountText": _text(order.merchant_amount, settlement, words),
        "merchantNetworkName": networks.network(settlement.network).title,
        "settlementChainId": settlement.chain_id,
        "settlementToken": to_checksum(settlement.address),
        "sessionKey": f"0x{order.session_key.hex()}",
        "rail": None if isinstance(order, PaymentOrder) else to_checksum(order.rail),
        "railData": "0x" + ("" if isinstance(order, PaymentOrder) else order.rail_data.hex()),
        "deadline": order.deadline,
        "recipient": to_checksum(order.merchant),
        "feeReceiver": to_checksum(order.fee_receiver),
        "router": to_checksum(prepared.signed.network.router),
    }


def _text(atomic: int, token: Token, words: Words) -> str:
    return words.token(Money(atomic, token.asset), token.symbol)


def call_json(call: ContractCall) -> dict[str, str]:
    """A transaction as ``eth_sendTransaction`` takes it, without the sender."""
    return {"to": to_checksum(call.to), "data": "0x" + call.data.hex(), "value": hex(call.value)}


def authorized_json(authorized: Authorized) -> dict[str, Any]:
    """What follows a signature: ``relay`` names the payment that we send, ``pay`` is the payer's
    to send."""
    return {
        "relayed": authorized.cause is not None,
        "relay": authorized.cause,
        "pay": call_json(authorized.call) if authorized.call else None,
    }


def relay_json(view: IntentView | None) -> str | None:
    """Where a payment that we send stands: waiting, doubtful (a rehearsal failed), sent, failed."""
    if view is None:
        return None
    if view.state in _OVER:
        return "failed"
    if view.state is State.QUEUED:
        return "doubtful" if view.problem else "waiting"
    return "sent"
