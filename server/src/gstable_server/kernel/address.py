"""An EVM account or contract as 20 bytes. The checksummed text form lives in ``chain.checksum``,
because it needs keccak-256, which the standard library does not have."""

from __future__ import annotations

import re
from typing import NewType

Address = NewType("Address", bytes)
"""Exactly 20 bytes."""

ZERO_ADDRESS = Address(bytes(20))
_HEX = re.compile(r"0x[0-9a-fA-F]{40}")


def address_from_hex(text: str) -> Address:
    """The bytes of ``0x`` + 40 hexadecimal digits of any case. Raises ``ValueError``."""
    if not _HEX.fullmatch(text):
        raise ValueError("must be 0x followed by 40 hexadecimal digits")
    return Address(bytes.fromhex(text[2:]))
