"""What the order-signing key says outside of chains: JSON Web Signatures that anybody can check.

The algorithm is ES256K (RFC 8812): the same curve and key as of the orders, which every router
names as its signer, so that a statement can be traced to the contracts without trusting this server
for the key.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.orders import OrderSigner
from gstable_server.plumbing.json_text import encode_json


def signed(signer: OrderSigner, kind: str, claims: Mapping[str, Any]) -> str:
    """The claims as a compact JWS (RFC 7515, section 7.1); ``kind`` is its ``typ``."""
    header = {"alg": "ES256K", "typ": kind, "kid": to_checksum(signer.address)}
    message = f"{_base64(encode_json(header))}.{_base64(encode_json(claims))}"
    return f"{message}.{_base64(signer.sign_statement(message.encode()))}"


def key_set(signer: OrderSigner) -> dict[str, Any]:
    """The key to check them with, as a JWK set (RFC 7517). Its ``kid`` is the address that routers
    have as their signer."""
    x, y = signer.public_point
    key = {
        "kty": "EC",
        "crv": "secp256k1",
        "alg": "ES256K",
        "use": "sig",
        "kid": to_checksum(signer.address),
        "x": _base64(x),
        "y": _base64(y),
    }
    return {"keys": [key]}


def _base64(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
