"""Private keys of secp256k1: from key to address, and signatures that contracts accept."""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey

from gstable_server.chain.checksum import keccak256
from gstable_server.kernel.address import Address

RECOVERY_OFFSET = 27
_S_MAX = 0x7FFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_5D576E73_57A4501D_DFE92F46_681B20A0
"""Half of the curve's order: of each signature's two forms, the one with the smaller s is taken."""


def private_key_from_hex(text: str) -> bytes:
    """The 32 bytes of a key written as hexadecimal, with or without ``0x``.

    Raises ``ValueError`` for anything else, without repeating the text: it is a secret.
    """
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(raw) != 32 or len(digits) != 64:
        raise ValueError("a private key is 64 hexadecimal digits")
    return raw


def address_of_key(private_key: bytes) -> Address:
    """The account that ``private_key`` controls. Raises ``ValueError`` if it is no key."""
    return _address_of(PrivateKey(private_key).public_key)


def sign_digest(private_key: bytes, digest: bytes) -> bytes:
    """r, s and v (27 or 28) over a 32-byte digest: 65 bytes, s in the lower half (EIP-2)."""
    raw = PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes([raw[64] + RECOVERY_OFFSET])


def sign_es256k(private_key: bytes, message: bytes) -> bytes:
    """r and s over the SHA-256 of ``message``: 64 bytes (RFC 8812, section 3.2)."""
    return PrivateKey(private_key).sign_recoverable(message)[:64]


def public_point(private_key: bytes) -> tuple[bytes, bytes]:
    """x and y of the public key, 32 bytes each."""
    point = PrivateKey(private_key).public_key.format(compressed=False)
    return point[1:33], point[33:]


def recover(digest: bytes, signature: bytes) -> Address | None:
    """Who signed the 32-byte ``digest``; None if ``signature`` is no key's.

    Only the one form that contracts accept too: r, s and v, v 27 or 28, s in the lower half
    (EIP-2). Any signature of that form is somebody's: compare the answer with who is expected.
    """
    if len(signature) != 65 or signature[64] - RECOVERY_OFFSET not in (0, 1):
        return None
    if int.from_bytes(signature[32:64], "big") > _S_MAX:
        return None
    raw = signature[:64] + bytes([signature[64] - RECOVERY_OFFSET])
    try:
        return _address_of(PublicKey.from_signature_and_message(raw, digest, hasher=None))
    except ValueError:
        return None


def _address_of(public_key: PublicKey) -> Address:
    return Address(keccak256(public_key.format(compressed=False)[1:])[12:])
