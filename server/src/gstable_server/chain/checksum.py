"""Keccak-256, and addresses as text with the checksum of EIP-55."""

from __future__ import annotations

from functools import lru_cache

from Crypto.Hash import keccak

from gstable_server.kernel.address import Address, address_from_hex


def keccak256(data: bytes) -> bytes:
    """The 32 bytes of Keccak-256 (the original padding, not SHA3-256)."""
    return keccak.new(digest_bits=256, data=data).digest()


# A shop's own wallet is in every answer about its sessions.
@lru_cache(maxsize=4096)
def to_checksum(address: Address) -> str:
    """``0x`` + 40 hexadecimal digits in the mixed case of EIP-55."""
    digits = address.hex()
    nibbles = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit
        for digit, nibble in zip(digits, nibbles, strict=False)
    )


def address_from_text(text: str) -> Address:
    """The address that ``text`` writes; mixed case must carry the checksum of EIP-55.

    All lower and all upper case carry no checksum and are taken as they are. Raises
    ``ValueError`` with what is wrong.
    """
    address = address_from_hex(text)
    digits = text[2:]
    if digits in (digits.lower(), digits.upper()) or to_checksum(address) == text:
        return address
    raise ValueError("has a wrong checksum (EIP-55): check it for a mistyped character")
