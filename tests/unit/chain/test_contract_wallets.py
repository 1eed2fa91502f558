"""Signatures of keys and of contract wallets, as the server judges them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_abi.abi import encode

from gstable_server.chain.contract_wallets import (
    GAS_MAX,
    SIGNATURE_PROBE,
    has_signed,
    question,
)
from gstable_server.chain.keys import address_of_key, recover, sign_digest
from gstable_server.chain.rpc import ProviderFailed
from gstable_server.chain.testing import FakeChain, fake_network
from gstable_server.kernel.address import Address

ARTIFACTS = Path(__file__).parents[3] / "contracts/artifacts"
WALLET = Address(b"\x44" * 20)
DIGEST = b"\x55" * 32
KEY = b"\x66" * 32
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def test_the_probe_is_the_compiled_one() -> None:
    artifact = json.loads((ARTIFACTS / "SignatureProbe.json").read_text())
    assert SIGNATURE_PROBE.hex() == artifact["bytecode"][2:]
    [constructor] = [each for each in artifact["abi"] if each["type"] == "constructor"]
    kinds = [each["type"] for each in constructor["inputs"]]
    for signature in (b"", b"\x01" * 65, b"\x02" * 700):
        arguments = encode(kinds, ["0x" + WALLET.hex(), DIGEST, signature])
        assert question(WALLET, DIGEST, signature) == SIGNATURE_PROBE + arguments


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "expected"), [(b"\x01", True), (b"\x00", False), (b"", False), (b"\x01\x00", False)]
)
async def test_only_one_answer_is_yes(answer: bytes, expected: bool) -> None:
    chain = FakeChain(fake_network())
    assert not await has_signed(chain, WALLET, DIGEST, b"\x07" * 70)  # reverts
    chain.programs[question(WALLET, DIGEST, b"\x07" * 70)] = answer
    assert await has_signed(chain, WALLET, DIGEST, b"\x07" * 70) is expected
    assert GAS_MAX == 3_000_000


@pytest.mark.anyio
async def test_a_node_that_fails_is_no_answer() -> None:
    chain = FakeChain(fake_network())
    chain.trouble.append(ProviderFailed("down"))
    with pytest.raises(ProviderFailed):
        await has_signed(chain, WALLET, DIGEST, b"\x07" * 70)


def test_who_signed_is_recovered() -> None:
    signature = sign_digest(KEY, DIGEST)
    assert recover(DIGEST, signature) == address_of_key(KEY)
    assert recover(b"\x56" * 32, signature) != address_of_key(KEY)


def test_con_05_other_forms_of_a_signature_are_nobodys() -> None:
    signature = sign_digest(KEY, DIGEST)
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    twin = r + (ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    for other in (
        b"",
        signature[:64],
        signature + b"\x00",
        signature[:64] + bytes([v - 27]),
        signature[:64] + bytes([v + 8]),
        twin,
        bytes(64) + b"\x1b",
        ORDER.to_bytes(32, "big") + signature[32:],
        r + bytes(32) + bytes([v]),
    ):
        assert recover(DIGEST, other) is None, other.hex()
