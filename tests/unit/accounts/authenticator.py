"""A security key in software: what a browser hands over of one (WebAuthn, level 3)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data_of(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


@dataclass
class Authenticator:
    """One key of one person; ``counts`` is whether it says how often it was used."""

    origin: str
    credential_id: bytes = b"\x07" * 32
    flags: int = USER_PRESENT | USER_VERIFIED
    sign_count: int = 0
    counts: bool = True
    user_handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def create(self, options_json: str, **changes: Any) -> str:
        """The answer to ``navigator.credentials.create``."""
        options = json.loads(options_json)
        self.user_handle = data_of(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public_key = cbor2.dumps({
            1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32),
        })  # fmt: skip
        length = len(self.credential_id).to_bytes(2)
        attested = bytes(16) + length + self.credential_id + public_key
        data = self._data(options["rp"]["id"], ATTESTED, changes) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": text(self._client("webauthn.create", options, changes)),
            "attestationObject": text(attestation),
            "transports": ["internal"],
        }
        return self._answer(response)

    def get(self, options_json: str, **changes: Any) -> str:
        """The answer to ``navigator.credentials.get``."""
        options = json.loads(options_json)
        self.sign_count += int(self.counts)
        data = self._data(options["rpId"], 0, changes)
        client = self._client("webauthn.get", options, changes)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": text(client),
            "authenticatorData": text(data),
            "signature": text(changes.get("signature", signature)),
            "userHandle": text(changes.get("user_handle", self.user_handle)),
        }
        return self._answer(response)

    def _data(self, rp_id: str, flags: int, changes: dict[str, Any]) -> bytes:
        host = hashlib.sha256(changes.get("rp_id", rp_id).encode()).digest()
        count = changes.get("sign_count", self.sign_count)
        return host + bytes([changes.get("flags", self.flags) | flags]) + count.to_bytes(4)

    def _client(self, kind: str, options: dict[str, Any], changes: dict[str, Any]) -> bytes:
        said = {
            "type": changes.get("kind", kind),
            "challenge": changes.get("challenge", options["challenge"]),
            "origin": changes.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(said).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        return json.dumps({
            "id": text(self.credential_id),
            "rawId": text(self.credential_id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        })  # fmt: skip
