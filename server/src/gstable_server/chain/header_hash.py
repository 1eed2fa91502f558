"""Whether a block's hash is that of its header, so that what a header commits to (its parent, the
root of its receipts, its bloom) cannot be exchanged under a hash that others know.

The hash is Keccak-256 over the header's fields in RLP (Yellow Paper, section 4.3; EIP-1559, 4895,
4844, 4788 and 7685 added one field or more each). Some networks hash other fields: zkSync's blocks
have no such header, Arbitrum's had none before Nitro, Avalanche's have more.
"""

from __future__ import annotations

import msgspec
import structlog

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.networks import HeaderHash
from gstable_server.chain.rpc import Header, ProviderLied
from gstable_server.chain.transactions import rlp_prefix

log = structlog.get_logger(__name__)


class _Fields(msgspec.Struct, rename="camel"):
    parent_hash: str
    sha3_uncles: str
    miner: str
    state_root: str
    transactions_root: str
    receipts_root: str
    logs_bloom: str
    difficulty: str
    number: str
    gas_limit: str
    gas_used: str
    timestamp: str
    extra_data: str
    mix_hash: str
    nonce: str
    # Since London, Shanghai, Cancun (three) and Prague; older blocks have none of what came later.
    base_fee_per_gas: str | None = None
    withdrawals_root: str | None = None
    blob_gas_used: str | None = None
    excess_blob_gas: str | None = None
    parent_beacon_block_root: str | None = None
    requests_hash: str | None = None


_FIELDS = msgspec.json.Decoder(_Fields)


def computed(raw: bytes | msgspec.Raw) -> bytes | None:
    """The hash of the header that JSON-RPC gives so; None if it has not the fields of one."""
    try:
        block = _FIELDS.decode(raw)
        content = _content(block)
    except ValueError:
        return None
    return keccak256(rlp_prefix(len(content), 0xC0) + content)


def _content(block: _Fields) -> bytes:
    items = [
        _string(block.parent_hash),
        _string(block.sha3_uncles),
        _string(block.miner),
        _string(block.state_root),
        _string(block.transactions_root),
        _string(block.receipts_root),
        _string(block.logs_bloom),
        _number(block.difficulty),
        _number(block.number),
        _number(block.gas_limit),
        _number(block.gas_used),
        _number(block.timestamp),
        _string(block.extra_data),
        _string(block.mix_hash),
        _string(block.nonce),
    ]
    later = [
        None if block.base_fee_per_gas is None else _number(block.base_fee_per_gas),
        None if block.withdrawals_root is None else _string(block.withdrawals_root),
        None if block.blob_gas_used is None else _number(block.blob_gas_used),
        None if block.excess_blob_gas is None else _number(block.excess_blob_gas),
        None if block.parent_beacon_block_root is None else _string(block.parent_beacon_block_root),
        None if block.requests_hash is None else _string(block.requests_hash),
    ]
    while later and later[-1] is None:
        later.pop()
    # A field that is left out before one that is there is empty.
    return b"".join([*items, *(b"\x80" if item is None else item for item in later)])


def _string(text: str) -> bytes:
    return _item(bytes.fromhex(text.removeprefix("0x")))


def _number(text: str) -> bytes:
    digits = text.removeprefix("0x").lstrip("0")
    return _item(bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits))


def _item(content: bytes) -> bytes:
    length = len(content)
    if length == 1 and content[0] < 0x80:
        return content
    return (bytes([0x80 + length]) if length < 56 else rlp_prefix(length, 0x80)) + content


class HeaderHashes:
    """What is known of one network's headers: whether they hash to their names."""

    def __init__(self, chain_id: int, setting: HeaderHash = HeaderHash.DETECT) -> None:
        self._chain_id = chain_id
        self._setting = setting
        self._required = setting is HeaderHash.REQUIRE
        self._warned = False

    def check(self, header: Header, raw: msgspec.Raw) -> None:
        """Compare ``header``'s hash with the one of the answer that it was read from.

        Raises ``ProviderLied`` if it is another and this network's headers hash to their names.
        """
        if self._setting is HeaderHash.IGNORE or header.number == 0:
            # (nothing happened in the first block, and local chains make up what it is)
            return
        if computed(raw) == header.hash:
            self._required = True
        elif self._required:
            raise ProviderLied(f"the header of block {header.number} does not hash to its name")
        elif not self._warned:
            self._warned = True
            log.warning("headers do not hash to their names", chain_id=self._chain_id)
