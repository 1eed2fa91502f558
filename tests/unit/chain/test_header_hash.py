"""Headers of the main network and of local chains hash to their names; exchanged ones do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from gstable_server.chain import header_hash
from gstable_server.chain import rpc_answers as answers
from gstable_server.chain.devnet import anvil_path
from gstable_server.chain.header_hash import HeaderHashes
from gstable_server.chain.http_rpc import HttpRpc, open_rpcs
from gstable_server.chain.networks import HeaderHash
from gstable_server.chain.rpc import ProviderLied
from gstable_server.plumbing.child import dying_with_parent
from tests.unit.chain.indexing import NETWORK
from tests.unit.chain.json_rpc import CHAIN_ID, Provider, with_result

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
GENESIS = {
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY_ROOT,
    "receiptsRoot": EMPTY_ROOT,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
}
FIRST = {
    **GENESIS,
    "parentHash": GENESIS["hash"],
    "stateRoot": "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
    "miner": "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
    "difficulty": "0x3ff800000",
    "number": "0x1",
    "timestamp": "0x55ba4224",
    "extraData": "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
    "mixHash": "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
    "nonce": "0x539bd4979fef1ec4",
    "hash": "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6",
}
FORGED = {**FIRST, "receiptsRoot": "0x" + "11" * 32}


def computed(block: Mapping[str, object]) -> str | None:
    found = header_hash.computed(json.dumps(block).encode())
    return None if found is None else "0x" + found.hex()


def test_blocks_of_the_main_network() -> None:
    assert computed(GENESIS) == GENESIS["hash"]
    assert computed(FIRST) == FIRST["hash"]


@pytest.mark.parametrize("name", [name for name in FIRST if name not in {"hash", "number"}])
def test_every_field_counts(name: str) -> None:
    value = FIRST[name]
    changed = value[:-1] + ("0" if value[-1] != "0" else "1")
    assert computed({**FIRST, name: changed}) not in {None, FIRST["hash"]}


@pytest.mark.parametrize("name", ["mixHash", "nonce", "sha3Uncles"])
def test_what_is_no_header_has_no_hash(name: str) -> None:
    assert computed({key: value for key, value in FIRST.items() if key != name}) is None
    assert computed({**FIRST, name: "0xzz"}) is None


def check(hashes: HeaderHashes, block: Mapping[str, object]) -> None:
    raw = msgspec.Raw(json.dumps(block).encode())
    header = answers.header(raw)
    assert header is not None
    hashes.check(header, raw)


def test_detection_takes_what_never_fitted_and_refuses_it_after_one_that_did() -> None:
    hashes = HeaderHashes(1)
    check(hashes, FORGED)
    check(hashes, FIRST)
    with pytest.raises(ProviderLied, match="block 1 does not hash"):
        check(hashes, FORGED)
    check(hashes, FIRST)


def test_a_setting_refuses_from_the_start_or_never() -> None:
    with pytest.raises(ProviderLied):
        check(HeaderHashes(1, HeaderHash.REQUIRE), FORGED)
    ignoring = HeaderHashes(1, HeaderHash.IGNORE)
    check(ignoring, FIRST)
    check(ignoring, FORGED)


@pytest.mark.anyio
async def test_a_client_believes_another_provider(
    session: aiohttp.ClientSession, providers: list[Provider]
) -> None:
    providers[0].reply = with_result("eth_getBlockByNumber", FORGED)
    providers[1].reply = with_result("eth_getBlockByNumber", FIRST)
    urls = [provider.url for provider in providers]
    rpc = HttpRpc(session, urls, CHAIN_ID, HeaderHashes(CHAIN_ID, HeaderHash.REQUIRE))
    [header] = await rpc.blocks_by_number([1])
    assert header is not None
    assert "0x" + header.receipts_root.hex() == EMPTY_ROOT


@pytest.mark.anyio
async def test_what_one_provider_shows_of_a_network_holds_for_the_others(
    providers: list[Provider],
) -> None:
    providers[0].reply = with_result("eth_getBlockByNumber", FORGED)
    providers[1].reply = with_result("eth_getBlockByNumber", FIRST)
    urls = tuple(provider.url for provider in providers[:2])
    network = replace(NETWORK, chain_id=CHAIN_ID, rpc_urls=urls)
    async with open_rpcs(network) as (lying, honest):
        await lying.blocks_by_number([1])
        await honest.blocks_by_number([1])
        with pytest.raises(ProviderLied, match="block 1 does not hash"):
            await lying.blocks_by_number([1])


def ask(url: str, method: str, *params: object) -> Any:
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(
        url, json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)["result"]


@pytest.fixture(params=["london", "shanghai", "cancun", "prague", "osaka"])
def local_chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a local chain of that age."""
    chain = subprocess.Popen(
        [str(anvil_path()), "--port", "0", "--hardfork", request.param, "--prune-history", "8"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
        preexec_fn=dying_with_parent(signal.SIGTERM),
    )
    assert chain.stdout is not None
    try:
        listening = next(line for line in chain.stdout if line.startswith("Listening on"))
        yield f"http://{listening.split()[-1]}"
    finally:
        chain.terminate()
        chain.wait()
        chain.stdout.close()


@pytest.mark.anvil
def test_blocks_of_local_chains_of_every_age(local_chain: str) -> None:
    payer, receiver = ask(local_chain, "eth_accounts")[:2]
    payment = {"from": payer, "to": receiver, "value": "0x1"}
    for _ in range(2):
        ask(local_chain, "eth_sendTransactionSync", payment)
    ask(local_chain, "anvil_reorg", 1, [])
    for number in ("0x1", "0x2"):
        block = ask(local_chain, "eth_getBlockByNumber", number, False)
        assert computed(block) == block["hash"]
        assert computed({**block, "receiptsRoot": EMPTY_ROOT[:-1] + "2"}) != block["hash"]
