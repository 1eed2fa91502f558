"""JSON-RPC answers into values: pure, strict, and never believing more than the bytes say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from gstable_server.chain.rpc import (
    BlockReceipt,
    Header,
    Log,
    NodeRefused,
    NotOffered,
    ProviderFailed,
    ProviderLied,
    RangeTooLarge,
    UnknownBlock,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.errors import Trouble

_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}")
_LAST_SECOND = 253_402_300_799  # 9999-12-31 23:59:59 UTC: databases and clocks go no further

# Providers have no common code for these: their texts are all there is to go by.
_EXECUTED = {"eth_call", "eth_estimateGas", "eth_sendRawTransaction", "eth_sendTransaction"}
_OPTIONAL = {"eth_getBlockReceipts", "eth_getBlockByNumber"}  # for the tag in the second
_REFUSAL_CODES = {3, -32000, -32003, -32015}
_UNKNOWN_BLOCK = re.compile(r"unknown block|block not found|header not found|missing trie", re.I)
_RANGE_TOO_LARGE = re.compile(
    r"block range|range (is )?too|too (many|large|wide)|more than \d|query returned|"
    r"response size|limit(ed)? to|exceed|max(imum)? (results|block)|timeout",
    re.I,
)
_NOT_OFFERED = re.compile(r"method|not (supported|available|allowed)|unsupported|invalid", re.I)
_NOT_OFFERED_CODES = {-32601, -32602, -32004}
_RATE_LIMITED = re.compile(r"rate.?limit|too many requests|capacity|throttl", re.I)


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class _Answer(msgspec.Struct):
    id: int | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None


class _Block(msgspec.Struct, rename="camel"):
    number: str
    hash: str
    parent_hash: str
    timestamp: str
    logs_bloom: str
    receipts_root: str


class _Log(msgspec.Struct, rename="camel"):
    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    log_index: str
    removed: bool = False


class _Transactions(msgspec.Struct):
    transactions: list[str]


class _BlockReceipt(msgspec.Struct, rename="camel"):
    transaction_hash: str
    block_hash: str
    cumulative_gas_used: str
    logs_bloom: str
    logs: list[_Log]
    status: str
    type: str = "0x0"
    deposit_nonce: str | None = None
    deposit_receipt_version: str | None = None


class _Receipt(msgspec.Struct, rename="camel"):
    transaction_hash: str
    status: str
    block_number: str
    block_hash: str
    gas_used: str
    contract_address: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The outcome of a mined transaction."""

    tx_hash: bytes
    succeeded: bool
    block_number: int
    block_hash: bytes
    gas_used: int
    contract: Address | None


def results(body: bytes, methods: Sequence[str], *, single: bool) -> list[msgspec.Raw]:
    """The result of each question, in the order asked; answers may come in any order."""
    if single:
        answered = [_decode(msgspec.Raw(body), _Answer)]
    else:
        answered = _decode_batch(body)
    by_id = {answer.id: answer for answer in answered}
    if single and by_id.keys() == {None} and answered[0].error:
        raise _trouble(methods[0], answered[0].error)
    if by_id.keys() != set(range(len(methods))) or len(answered) != len(methods):
        raise ProviderFailed("the answers do not match the questions")
    return [_result(method, by_id[at]) for at, method in enumerate(methods)]


def _result(method: str, answer: _Answer) -> msgspec.Raw:
    if answer.error is not None:
        raise _trouble(method, answer.error)
    if answer.result is msgspec.UNSET:
        raise ProviderFailed(f"{method}: neither a result nor an error")
    return answer.result


def _decode_batch(body: bytes) -> list[_Answer]:
    if body.lstrip()[:1] == b"{":  # a batch refused as a whole is answered with one object
        answer = _decode(msgspec.Raw(body), _Answer)
        raise _trouble("batch", answer.error or _Error(message="no batch answered"))
    answered: list[_Answer] = _decode(msgspec.Raw(body), list[_Answer])
    return answered


def _trouble(method: str, error: _Error) -> Trouble:
    # A node quotes what a contract returned, byte by byte: also what no text column can hold.
    text = "".join(one if one.isprintable() else "?" for one in error.message[:300])
    if _RATE_LIMITED.search(text):
        return ProviderFailed(f"{method}: {text}")
    if method in _EXECUTED and error.code in _REFUSAL_CODES:
        returned = error.data if isinstance(error.data, str) else "0x"
        return NodeRefused(text, _read_bytes(returned) or b"")
    if _UNKNOWN_BLOCK.search(text):
        return UnknownBlock(text)
    if method in _OPTIONAL and (error.code in _NOT_OFFERED_CODES or _NOT_OFFERED.search(text)):
        return NotOffered(text)
    if method == "eth_getLogs" and (_RANGE_TOO_LARGE.search(text) or error.code == -32005):
        return RangeTooLarge(text)
    return ProviderFailed(f"{method}: {error.code} {text}")


def number(raw: msgspec.Raw) -> int:
    """A quantity."""
    return _number(_decode(raw, str))


def data(raw: msgspec.Raw) -> bytes:
    """A byte string."""
    return _bytes(_decode(raw, str))


def header(raw: msgspec.Raw) -> Header | None:
    """A block's header; None for ``null``, a block that the node does not know."""
    block = _decode(raw, _Block | None)
    if block is None:
        return None
    timestamp = _number(block.timestamp)
    if timestamp > _LAST_SECOND:
        raise ProviderFailed(f"a block from the year 10000 or later: {block.timestamp[:80]}")
    return Header(
        number=_number(block.number),
        hash=_hash(block.hash),
        parent_hash=_hash(block.parent_hash),
        timestamp=UnixSeconds(timestamp),
        logs_bloom=_bytes(block.logs_bloom, 256),
        receipts_root=_hash(block.receipts_root),
    )


def tx_hashes(raw: msgspec.Raw) -> tuple[bytes, ...] | None:
    """The transactions of a block that was asked for without their content; None for ``null``."""
    block = _decode(raw, _Transactions | None)
    return None if block is None else tuple(_hash(text) for text in block.transactions)


def block_receipts(raw: msgspec.Raw) -> tuple[BlockReceipt, ...] | None:
    """The receipts of a block; None for ``null``, a block that the node does not know."""
    receipts = _decode(raw, list[_BlockReceipt] | None)
    return None if receipts is None else tuple(_block_receipt(each) for each in receipts)


def block_receipt(raw: msgspec.Raw) -> BlockReceipt | None:
    """One receipt of a block, asked for by itself; None for ``null``."""
    receipt = _decode(raw, _BlockReceipt | None)
    return None if receipt is None else _block_receipt(receipt)


def _block_receipt(receipt: _BlockReceipt) -> BlockReceipt:
    kind = _number(receipt.type)
    extra: tuple[int, ...] = ()
    if receipt.deposit_nonce and receipt.deposit_receipt_version:
        # The receipts of Optimism's deposits commit to both since its Canyon upgrade.
        extra = (_number(receipt.deposit_nonce), _number(receipt.deposit_receipt_version))
    if kind > 0x7F:
        raise ProviderFailed(f"not a type of transactions (EIP-2718): {kind}")
    return BlockReceipt(
        tx_hash=_hash(receipt.transaction_hash),
        type=kind,
        succeeded=_number(receipt.status) == 1,
        cumulative_gas=_number(receipt.cumulative_gas_used),
        bloom=_bytes(receipt.logs_bloom, 256),
        logs=tuple([_log(each) for each in receipt.logs]),
        extra=extra,
    )


def logs(raws: Sequence[msgspec.Raw]) -> tuple[Log, ...]:
    """The logs of several answers in the order of their blocks and positions, each once."""
    entries: dict[tuple[int, int], Log] = {}
    for each in (each for raw in raws for each in _decode(raw, list[_Log])):
        entry = _log(each)
        place = (entry.block_number, entry.log_index)
        if entries.setdefault(place, entry) != entry:
            raise ProviderLied("two different logs in one place of a block")
    return tuple(entries[place] for place in sorted(entries))


def _log(entry: _Log) -> Log:
    if entry.removed:
        raise ProviderLied("a log that was removed by a reorganisation")
    if len(entry.topics) > 4:
        raise ProviderFailed("a log with more than four topics")
    return Log(
        address=_repeated_address(entry.address),
        topics=tuple([_hash(topic) for topic in entry.topics]),
        data=_bytes(entry.data),
        block_number=_repeated_number(entry.block_number),
        block_hash=_repeated_hash(entry.block_hash),
        tx_hash=_repeated_hash(entry.transaction_hash),
        log_index=_number(entry.log_index),
    )


def receipt(raw: msgspec.Raw) -> Receipt | None:
    """A transaction's receipt; None for ``null``, a transaction that is not mined."""
    answer = _decode(raw, _Receipt | None)
    if answer is None:
        return None
    return Receipt(
        tx_hash=_hash(answer.transaction_hash),
        succeeded=_number(answer.status) == 1,
        block_number=_number(answer.block_number),
        block_hash=_hash(answer.block_hash),
        gas_used=_number(answer.gas_used),
        contract=(
            Address(_bytes(answer.contract_address, 20)) if answer.contract_address else None
        ),
    )


def _decode(raw: msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        begin = bytes(raw)[:60].decode("ascii", "replace")
        raise ProviderFailed(f"not the JSON that was asked for: {begin!r}") from failure


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ProviderFailed(f"not a quantity: {text[:80]!r}")
    return int(text, 16)


def _bytes(text: str, length: int | None = None) -> bytes:
    found = _read_bytes(text)
    if found is None or length not in (None, len(found)):
        raise ProviderFailed(f"not a byte string of the right length: {text[:80]!r}")
    return found


def _read_bytes(text: str) -> bytes | None:
    """The byte string that ``text`` writes, None when it writes none: receipts hold so many of
    them that a pattern would cost more than all the rest."""
    try:
        found = bytes.fromhex(text[2:])
    except ValueError:
        return None
    # It would skip white space.
    return found if text[:2] == "0x" and len(text) == 2 * len(found) + 2 else None


def _hash(text: str) -> bytes:
    return _bytes(text, 32)


# The logs of a block name the same block, and few contracts and transactions, again and again.
_repeated_number = lru_cache(maxsize=64)(_number)
_repeated_hash = lru_cache(maxsize=256)(_hash)


@lru_cache(maxsize=256)
def _repeated_address(text: str) -> Address:
    return Address(_bytes(text, 20))
