"""Payments as clients send them, with one thing changed at a time."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from typing import Any

from gstable_server.chain.networks import X402, Network, TokenSigning
from gstable_server.kernel.address import Address
from tests.unit.sessions.world import POLYGON, USDC, USDT

NOW = 1_767_268_800
PROXY = Address(b"\x40" * 20)
PERMIT2 = Address(b"\x22" * 20)
PAY_TO = Address(b"\x9a" * 20)
PAYER = Address(b"\x01" * 20)
AMOUNT = 10_020_000
SESSION = {"id": "sess_" + "A" * 32, "expirationTime": NOW + 1800}


def network() -> Network:
    """A network with a token that knows EIP-3009, and one for Permit2."""
    signing = TokenSigning("USD Coin", "2", erc3009=True, permit=True)
    tokens = (replace(USDC, signing=signing), USDT)
    return replace(POLYGON, tokens=tokens, permit2=PERMIT2, x402=X402(permit2_proxy=PROXY))


def text(address: Address) -> str:
    return "0x" + address.hex()


def eip3009() -> dict[str, Any]:
    """A payment in USDC, as a client writes it."""
    return {
        "x402Version": 2,
        "accepted": {
            "scheme": "exact",
            "network": "eip155:1337137",
            "asset": text(USDC.address),
            "amount": str(AMOUNT),
            "payTo": text(PAY_TO),
            "maxTimeoutSeconds": 300,
            "extra": {"name": "USD Coin", "version": "2", "assetTransferMethod": "eip3009"},
        },
        "payload": {
            "signature": "0x" + "12" * 65,
            "authorization": {
                "from": text(PAYER),
                "to": text(PAY_TO),
                "value": str(AMOUNT),
                "validAfter": "0",
                "validBefore": str(NOW + 300),
                "nonce": "0x" + "ab" * 32,
            },
        },
        "resource": {"url": "https://pay.example.com/x402/session/sess_1"},
        "extensions": {"payment-identifier": {"info": {"required": False}, "schema": {}}},
    }


def permit2() -> dict[str, Any]:
    """A payment in USDT, as a client writes it."""
    payment = eip3009()
    payment["accepted"] |= {
        "asset": text(USDT.address),
        "extra": {"assetTransferMethod": "permit2", "session": dict(SESSION)},
    }
    payment["payload"] = {
        "signature": "0x" + "12" * 65,
        "permit2Authorization": {
            "from": text(PAYER),
            "permitted": {"token": text(USDT.address), "amount": str(AMOUNT)},
            "spender": text(PROXY),
            "nonce": str(2**256 - 1),
            "deadline": str(NOW + 300),
            "witness": {"to": text(PAY_TO), "validAfter": "0"},
        },
    }
    return payment


def changed(payment: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at the dotted ``path``; ``...`` takes it away."""
    copied = copy.deepcopy(payment)
    here = copied
    *steps, last = path.split(".")
    for step in steps:
        here = here[step]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return copied


def header(payment: Any) -> str:
    return base64.b64encode(json.dumps(payment).encode()).decode()
