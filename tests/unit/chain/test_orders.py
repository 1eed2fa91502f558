"""Orders and their signatures against the vectors that the contract's own tests verify."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from gstable_server.chain import orders
from gstable_server.chain.abi.payments import PAID
from gstable_server.chain.checksum import address_from_text, keccak256, to_checksum
from gstable_server.chain.keys import private_key_from_hex, sign_digest
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall, OrderSigner, PaymentOrder
from gstable_server.chain.testing import fake_network
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds

CONTRACTS = Path(__file__).parents[3] / "contracts"
FILE = json.loads((CONTRACTS / "vectors.json").read_text())
VECTORS = FILE["vectors"]
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def network_of(vector: dict[str, Any]) -> Network:
    return replace(
        fake_network(),
        chain_id=int(vector["chainId"]),
        router=address_from_text(vector["router"]),
    )


def order_of(vector: dict[str, Any], token: Token) -> PaymentOrder:
    terms = vector["order"]
    return PaymentOrder(
        session_key=bytes.fromhex(terms["sessionKey"][2:]),
        merchant=address_from_text(terms["merchant"]),
        token=replace(token, address=address_from_text(terms["token"])),
        merchant_amount=int(terms["merchantAmount"]),
        fee_amount=int(terms["feeAmount"]),
        fee_receiver=address_from_text(terms["feeReceiver"]),
        deadline=UnixSeconds(int(terms["deadline"])),
    )


@pytest.fixture
def signer() -> OrderSigner:
    return OrderSigner(private_key_from_hex(FILE["signerPrivateKey"]))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_signed_order_is_byte_for_byte_the_vector(
    vector: dict[str, Any], signer: OrderSigner
) -> None:
    network = network_of(vector)
    signed = signer.sign(order_of(vector, network.tokens[0]), network)
    assert "0x" + signed.digest.hex() == vector["digest"]
    assert "0x" + signed.signature.hex() == vector["signature"]
    call = orders.pay_call(signed)
    assert "0x" + call.data.hex() == vector["payCalldata"]
    assert (call.to, call.value) == (network.router, 0)


def test_type_hash_signer_and_topic_are_those_of_the_contract(signer: OrderSigner) -> None:
    assert "0x" + orders.ORDER.type_hash.hex() == FILE["typeHash"]
    assert to_checksum(signer.address) == FILE["signer"]
    assert "0x" + PAID.topic.hex() == FILE["paidTopic"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_signature_has_low_s_and_recovers_its_signer(
    vector: dict[str, Any], signer: OrderSigner
) -> None:
    network = network_of(vector)
    signed = signer.sign(order_of(vector, network.tokens[0]), network)
    assert int.from_bytes(signed.signature[32:64], "big") <= CURVE_ORDER // 2
    assert signed.signature[64] in (27, 28)
    recovered = Account._recover_hash(signed.digest, signature=signed.signature)
    assert address_from_text(recovered) == signer.address


@pytest.mark.parametrize(
    "change",
    [
        {"merchant_amount": 1},
        {"fee_amount": 1},
        {"merchant": Address(b"\x09" * 20)},
        {"fee_receiver": Address(b"\x09" * 20)},
        {"deadline": UnixSeconds(1)},
        {"session_key": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_term_is_bound_by_the_signature(change: dict[str, Any], signer: OrderSigner) -> None:
    network = network_of(VECTORS[0])
    order = order_of(VECTORS[0], network.tokens[0])
    assert (
        signer.sign(replace(order, **change), network).digest != signer.sign(order, network).digest
    )


def test_order_for_a_token_of_another_network_is_never_signed(signer: OrderSigner) -> None:
    network = network_of(VECTORS[0])
    order = order_of(VECTORS[0], replace(network.tokens[0], network="elsewhere"))
    with pytest.raises(AssertionError):
        signer.sign(order, network)


def test_the_approval_is_erc20() -> None:
    token = fake_network().tokens[0]
    receiver = Address(b"\xab" * 20)
    words = bytes(12) + receiver + (7).to_bytes(32, "big")
    assert orders.approve_call(token, receiver, 7) == ContractCall(
        token.address, bytes.fromhex("095ea7b3") + words
    )


def test_session_key_is_keccak_of_the_id() -> None:
    assert orders.session_key("sess_1") == keccak256(b"sess_1")


@pytest.mark.parametrize("text", ["", "0x", "0x" + "1" * 63, "zz" * 32, "0x" + "11" * 33])
def test_text_that_is_no_private_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as refusal:
        private_key_from_hex(text)
    assert len(text) < 3 or text not in str(refusal.value)


@pytest.mark.parametrize("raw", [bytes(32), b"\xff" * 32], ids=["zero", "above the order"])
def test_bytes_that_are_no_private_key_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        OrderSigner(raw)


def test_sign_digest_agrees_with_an_independent_library() -> None:
    key = b"\x42" * 32
    digest = keccak256(b"message")
    expected = Account.unsafe_sign_hash(digest, key)
    assert sign_digest(key, digest) == bytes(expected.signature)
