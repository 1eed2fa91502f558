"""Blooms and receipts roots against independent makers of the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import rlp as reference  # type: ignore[import-untyped]
from Crypto.Hash import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from gstable_server.chain.completeness import (
    INTERNAL_TYPE,
    LogsIncomplete,
    bloom_of,
    logs_of,
    may_contain,
    receipts_root,
)
from gstable_server.chain.rpc import BlockReceipt, Header, Log, LogFilter, ProviderLied
from gstable_server.chain.testing import FakeChain, fake_network, receipts_over
from gstable_server.kernel.address import Address

NETWORK = fake_network()
EMPTY_ROOT = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
hashes = st.binary(min_size=32, max_size=32)
logs = st.builds(
    Log,
    address=st.binary(min_size=20, max_size=20).map(Address),
    topics=st.lists(hashes, max_size=4).map(tuple),
    data=st.binary(max_size=200),
    block_number=st.just(0),
    block_hash=st.just(b""),
    tx_hash=hashes,
    log_index=st.just(0),
)


def hashed(content: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=content).digest()


def encoded(receipt: BlockReceipt) -> bytes:
    """By the rlp package."""
    written = [[log.address, list(log.topics), log.data] for log in receipt.logs]
    fields: list[Any] = [int(receipt.succeeded), receipt.cumulative_gas, receipt.bloom, written]
    content: bytes = reference.encode([*fields, *receipt.extra])
    return bytes([receipt.type]) + content if receipt.type else content


def root(values: Sequence[bytes]) -> bytes:
    """A trie that is built by inserting one value after the other, in the words of the paper."""
    tree: Any = None
    for at, value in enumerate(values):
        key = reference.encode(at).hex()
        tree = inserted(tree, key, value)
    return hashed(reference.encode(node(tree) if tree else b""))


def inserted(tree: Any, key: str, value: bytes) -> Any:
    """A tree is a leaf (key, value) or sixteen trees by the next digit."""
    if tree is None:
        return (key, value)
    if isinstance(tree, tuple):
        branch: list[Any] = [None] * 16
        old_key, old_value = tree
        branch[int(old_key[0], 16)] = (old_key[1:], old_value)
        return inserted(branch, key, value)
    place = int(key[0], 16)
    tree[place] = inserted(tree[place], key[1:], value)
    return tree


def node(tree: Any, path: str = "") -> Any:
    """The paper's node: branches with a single child become the path to it."""
    if isinstance(tree, tuple):
        return [packed(path + tree[0], leaf=True), tree[1]]
    children = [at for at, each in enumerate(tree) if each is not None]
    if len(children) == 1:
        return node(tree[children[0]], path + f"{children[0]:x}")
    branch = [b"" if each is None else referred(node(each)) for each in tree] + [b""]
    return [packed(path, leaf=False), referred(branch)] if path else branch


def packed(path: str, *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(path) % 2
    return bytes.fromhex(f"{flag:x}" + ("" if flag % 2 else "0") + path)


def referred(made: Any) -> Any:
    content = reference.encode(made)
    return made if len(content) < 32 else hashed(content)


def test_root_of_no_receipts_is_the_well_known_one() -> None:
    assert receipts_root(()).hex() == EMPTY_ROOT


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 700])
def test_chn_11_root_is_the_one_of_a_trie_built_step_by_step(count: int) -> None:
    receipts = [
        BlockReceipt(bytes(32), 2, at % 7 > 0, 21_000 * at, bytes(256), ()) for at in range(count)
    ]
    assert receipts_root(receipts) == root([encoded(each) for each in receipts])


@settings(max_examples=60, deadline=None)
@given(written=st.lists(logs, min_size=1, max_size=12), kind=st.integers(0, 0x7F), at=st.data())
def test_chn_11_root_commits_to_every_log_and_its_order(
    written: list[Log], kind: int, at: st.DataObject
) -> None:
    receipts = [replace(each, type=kind) for each in receipts_over(written)]
    assert receipts_root(receipts) == root([encoded(each) for each in receipts])
    place = at.draw(st.integers(0, len(receipts) - 1))
    cut = replace(receipts[place], logs=receipts[place].logs[:-1])
    assert receipts_root([*receipts[:place], cut, *receipts[place + 1 :]]) != receipts_root(
        receipts
    )


@settings(max_examples=40, deadline=None)
@given(written=st.lists(logs, min_size=1, max_size=12))
def test_chn_11_bloom_never_excludes_a_log_that_is_there(written: list[Log]) -> None:
    bloom = bloom_of(written)
    for log in written:
        assert may_contain(bloom, [LogFilter((log.address,))])
        places = tuple((topic,) for topic in log.topics)
        assert may_contain(bloom, [LogFilter((log.address,), places)])
    assert not may_contain(bytes(256), [LogFilter((written[0].address,))])


def mined(*receipts: BlockReceipt) -> tuple[Header, tuple[BlockReceipt, ...]]:
    chain = FakeChain(NETWORK)
    chain.mine_receipts(receipts)
    return chain.blocks[-1].header, chain.blocks[-1].receipts


def receipt_of_a_payment() -> BlockReceipt:
    chain = FakeChain(NETWORK)
    [receipt] = receipts_over([chain.payment().log(NETWORK.router)])
    return receipt


def test_chn_04_logs_of_a_failed_transaction_are_refused() -> None:
    header, receipts = mined(replace(receipt_of_a_payment(), succeeded=False))
    with pytest.raises(ProviderLied, match="failed transaction"):
        logs_of(receipts, header)


def test_chn_27_logs_of_an_internal_transaction_are_nobodys_payment() -> None:
    header, receipts = mined(replace(receipt_of_a_payment(), type=INTERNAL_TYPE))
    assert receipts[0].logs
    assert logs_of(receipts, header) == ()


def test_log_out_of_its_place_is_refused() -> None:
    header, [receipt] = mined(receipt_of_a_payment())
    for wrong in ({"log_index": 1}, {"tx_hash": bytes(32)}, {"block_hash": bytes(32)}):
        moved = replace(receipt, logs=(replace(receipt.logs[0], **wrong),))
        with pytest.raises(ProviderLied, match="out of its place"):
            logs_of([moved], header)


def test_receipt_of_a_state_sync_is_not_part_of_the_root_and_its_logs_do_not_count() -> None:
    header, [receipt] = mined(receipt_of_a_payment())
    log = replace(receipt.logs[0], log_index=1, tx_hash=b"\x01" * 32)
    state_sync = BlockReceipt(b"\x01" * 32, 0, True, 0, bytes(256), (log,))
    assert logs_of([receipt, state_sync], header) == receipt.logs
    with pytest.raises(LogsIncomplete):
        logs_of([receipt, replace(state_sync, cumulative_gas=1)], header)
