"""Transactions as nodes take them: encoded and signed (EIP-1559, EIP-2718)."""

from __future__ import annotations

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.keys import RECOVERY_OFFSET, sign_digest
from gstable_server.chain.orders import ContractCall

Rlp = bytes | int | list["Rlp"]

DYNAMIC_FEE_TYPE = b"\x02"


def rlp(item: Rlp) -> bytes:
    """Recursive length prefix, the encoding of transactions (Yellow Paper, appendix B)."""
    if isinstance(item, int):
        return rlp(item.to_bytes((item.bit_length() + 7) // 8, "big"))
    if isinstance(item, list):
        content = b"".join(rlp(each) for each in item)
        return rlp_prefix(len(content), 0xC0) + content
    if len(item) == 1 and item[0] < 0x80:
        return item
    return rlp_prefix(len(item), 0x80) + item


def rlp_prefix(length: int, offset: int) -> bytes:
    """What stands before ``length`` bytes of a string (``offset`` 0x80) or a list (0xC0)."""
    if length < 56:
        return bytes([offset + length])
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(digits)]) + digits


def signed_transaction(
    private_key: bytes,
    call: ContractCall,
    chain_id: int,
    *,
    nonce: int,
    gas: int,
    fee: int,
    tip: int,
) -> bytes:
    """The signed bytes of a transaction that makes ``call``.

    ``fee`` is the most a unit of gas may cost, ``tip`` the part of it for the block's producer.
    The signature is deterministic: the same terms are always the same transaction.
    """
    terms: list[Rlp] = [chain_id, nonce, tip, fee, gas, call.to, call.value, call.data, []]
    signature = sign_digest(private_key, keccak256(DYNAMIC_FEE_TYPE + rlp(terms)))
    terms += [
        signature[64] - RECOVERY_OFFSET,
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
    ]
    return DYNAMIC_FEE_TYPE + rlp(terms)
