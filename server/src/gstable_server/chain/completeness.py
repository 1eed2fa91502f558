"""Whether a block's logs are all of its logs: pure, from what the block itself commits to.

A header's bloom tells which logs a block surely does not have; its receipts root is the root of
an ordered Merkle-Patricia trie over the encoded receipts (Yellow Paper, sections 4.3.1 and 4.4),
so that receipts which hash to it hold every log. Neither can be kept up by an answer that leaves
a log out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.rpc import BlockReceipt, Header, Log, LogFilter, ProviderLied
from gstable_server.chain.transactions import rlp, rlp_prefix
from gstable_server.kernel.errors import Passing

BLOOM_BYTES = 256
NO_BLOOM = bytes(BLOOM_BYTES)
INTERNAL_TYPE = 0x6A
"""Arbitrum's internal transactions, which no account sends: nothing of theirs is a payment."""

_Item = tuple[bytes, bytes]
"""A key as half-bytes, one a byte, and its value."""


class LogsIncomplete(Passing):
    """The logs of a block could not be proven complete; the block waits, nothing is skipped."""


def may_contain(bloom: bytes, filters: Iterable[LogFilter]) -> bool:
    """Whether a block with this bloom may have a log that one of ``filters`` admits; False is
    certain."""
    bits = int.from_bytes(bloom, "big")
    return any(
        (not each.addresses or any(_is_in(bits, address) for address in each.addresses))
        and all(
            place is None or any(_is_in(bits, topic) for topic in place) for place in each.topics
        )
        for each in filters
    )


def bloom_of(logs: Iterable[Log]) -> bytes:
    """The bloom of a receipt or block with ``logs``."""
    bits = 0
    for log in logs:
        for item in (log.address, *log.topics):
            bits |= _mask(item)
    return bits.to_bytes(BLOOM_BYTES, "big")


def receipts_root(receipts: Sequence[BlockReceipt]) -> bytes:
    """What the header of a block with ``receipts`` commits to."""
    if not receipts:
        return keccak256(rlp(b""))
    items = [(_nibbles(rlp(at)), _encoded(receipt)) for at, receipt in enumerate(receipts)]
    return keccak256(_node(sorted(items), 0))


def logs_of(receipts: Sequence[BlockReceipt], header: Header) -> tuple[Log, ...]:
    """Every log of the block that money may be credited for, in order.

    Raises ``LogsIncomplete`` when the receipts are not the block's, ``ProviderLied`` when a
    failed transaction has logs or a log's place is not the one that it has by counting.
    """
    proven = _proven(receipts, header)
    found: list[Log] = []
    place = 0
    for receipt in proven:
        if receipt.logs and not receipt.succeeded:
            raise ProviderLied(f"a failed transaction with logs in block {header.number}")
        for log in receipt.logs:
            here = (header.hash, header.number, receipt.tx_hash, place)
            if (log.block_hash, log.block_number, log.tx_hash, log.log_index) != here:
                raise ProviderLied(f"a log out of its place in block {header.number}")
            place += 1
            if receipt.type != INTERNAL_TYPE:
                found.append(log)
    return tuple(found)


def _proven(receipts: Sequence[BlockReceipt], header: Header) -> Sequence[BlockReceipt]:
    if receipts_root(receipts) == header.receipts_root:
        return receipts
    # Polygon's nodes append the receipt of a state sync, for which no gas is counted and to
    # which the root does not commit.
    if len(receipts) > 1 and receipts[-1].cumulative_gas == 0:
        return _proven(receipts[:-1], header)
    raise LogsIncomplete(f"the receipts of block {header.number} do not hash to what it commits to")


def _is_in(bits: int, item: bytes) -> bool:
    mask = _mask(item)
    return bits & mask == mask


@lru_cache(maxsize=1 << 15)
def _mask(item: bytes) -> int:
    """The three bits of 2048 that an address or topic sets (Yellow Paper, section 4.3.1)."""
    digest = keccak256(item)
    bits = 0
    for at in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits


def _encoded(receipt: BlockReceipt) -> bytes:
    """The bytes that the trie holds: composed by hand, because a backfill encodes very many."""
    logs = b"".join([_encoded_log(log) for log in receipt.logs])
    content = (
        (b"\x01" if receipt.succeeded else b"\x80")
        + rlp(receipt.cumulative_gas)
        + b"\xb9\x01\x00"
        + receipt.bloom
        + rlp_prefix(len(logs), 0xC0)
        + logs
        + b"".join([rlp(number) for number in receipt.extra])
    )
    encoded = rlp_prefix(len(content), 0xC0) + content
    return bytes([receipt.type]) + encoded if receipt.type else encoded


def _encoded_log(log: Log) -> bytes:
    topics = b"".join([b"\xa0" + topic for topic in log.topics])
    content = b"\x94" + log.address + _listed(topics) + rlp(log.data)
    return rlp_prefix(len(content), 0xC0) + content


def _nibbles(key: bytes) -> bytes:
    return bytes([half for byte in key for half in (byte >> 4, byte & 15)])


def _node(items: Sequence[_Item], depth: int) -> bytes:
    """The encoded node over ``items``, sorted, whose keys agree in the first ``depth`` places.

    No key is the beginning of another, so that branches hold no values.
    """
    first, value = items[0]
    if len(items) == 1:
        return _listed(rlp(_packed(first[depth:], leaf=True)) + rlp(value))
    shared, last = depth, items[-1][0]
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        path = rlp(_packed(first[depth:shared], leaf=False))
        return _listed(path + _reference(_node(items, shared)))
    slots = [b"\x80"] * 17
    start = 0
    for end in range(1, len(items) + 1):
        nibble = items[start][0][depth]
        if end == len(items) or items[end][0][depth] != nibble:
            slots[nibble] = _reference(_node(items[start:end], depth + 1))
            start = end
    return _listed(b"".join(slots))


def _packed(nibbles: bytes, *, leaf: bool) -> bytes:
    """Hex-prefix encoding (Yellow Paper, appendix C)."""
    odd = len(nibbles) % 2
    flags = 2 * leaf + odd
    halves = bytes([flags]) + nibbles if odd else bytes([flags, 0]) + nibbles
    return bytes([halves[at] << 4 | halves[at + 1] for at in range(0, len(halves), 2)])


def _reference(node: bytes) -> bytes:
    return b"\xa0" + keccak256(node) if len(node) >= 32 else node


def _listed(content: bytes) -> bytes:
    return rlp_prefix(len(content), 0xC0) + content
