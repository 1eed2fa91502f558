"""Receipts and the finalized tag, as the many kinds of nodes give them or do not."""

from __future__ import annotations

from typing import Any

import pytest

from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.rpc import ProviderFailed, ProviderLied, UnknownBlock
from tests.unit.chain.json_rpc import (
    ASKED,
    Provider,
    a_log,
    a_receipt,
    block,
    hash_text,
    node_with_receipts,
    raw,
    with_error,
    with_result,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("code", [-32601, -32004, -32602, -32000])
async def test_chn_15_node_without_receipts_of_blocks_is_asked_for_each(
    code: int, rpc: HttpRpc, providers: list[Provider]
) -> None:
    each = {hash_text(n): a_receipt(n) for n in (7, 8)}
    providers[0].reply = node_with_receipts(
        {
            "eth_getBlockReceipts": code,
            "eth_getBlockByHash": {"transactions": [hash_text(8), hash_text(7)]},
            "eth_getTransactionReceipt": each,
        }
    )
    receipts = await rpc.receipts_of_block(ASKED)
    assert [receipt.tx_hash.hex() for receipt in receipts] == [hash_text(8)[2:], hash_text(7)[2:]]
    del each[hash_text(7)]
    with pytest.raises(UnknownBlock):
        await rpc.receipts_of_block(ASKED)


async def test_chn_12_receipts_of_no_block_are_no_receipts(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = node_with_receipts({"eth_getBlockReceipts": None})
    with pytest.raises(UnknownBlock):
        await rpc.receipts_of_block(ASKED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"logs": [a_log(blockHash=hash_text(9))]},
        {"logs": [a_log(topics=[hash_text(1)] * 5)]},
        {"logsBloom": "0x00"},
        {"type": "0x80"},
        {"status": None},
    ],
)
async def test_chn_15_receipts_that_cannot_be_are_refused(
    wrong: dict[str, Any], rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = node_with_receipts({"eth_getBlockReceipts": [a_receipt(7, **wrong)]})
    with pytest.raises((ProviderFailed, ProviderLied)):
        await rpc.receipts_of_block(ASKED)


async def test_receipt_of_a_deposit_from_below_commits_to_its_nonce(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    deposit = a_receipt(7, type="0x7e", depositNonce="0x5", depositReceiptVersion="0x1")
    early = a_receipt(8, type="0x7e", depositNonce="0x5")
    providers[0].reply = node_with_receipts({"eth_getBlockReceipts": [deposit, early]})
    [first, second] = await rpc.receipts_of_block(ASKED)
    assert (first.type, first.extra, second.extra) == (0x7E, (5, 1), ())


@pytest.mark.parametrize("code", [-32602, -32000])
async def test_chn_25_node_without_the_finalized_tag_knows_no_final_block(
    code: int, rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = with_error("eth_getBlockByNumber", code, "invalid argument 0: finalized")
    assert await rpc.finalized_number() is None
    providers[0].reply = with_result("eth_getBlockByNumber", block(90))
    assert await rpc.finalized_number() == 90


async def test_chn_25_node_that_fails_is_not_taken_for_one_without_the_tag(
    rpc: HttpRpc, providers: list[Provider]
) -> None:
    providers[0].reply = raw(b"", 503)
    with pytest.raises(ProviderFailed):
        await rpc.finalized_number()
