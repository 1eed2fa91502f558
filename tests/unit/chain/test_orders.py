"""Orders and their signatures against the vectors that the contract's own tests verify."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data

from gstable_server.chain import abi, orders
from gstable_server.chain.abi.payments import PAID
from gstable_server.chain.checksum import address_from_text, keccak256, to_checksum
from gstable_server.chain.keys import private_key_from_hex, sign_digest
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.orders import (
    ContractCall,
    OrderSigner,
    PaymentOrder,
    RoutedOrder,
    collected_call,
    direct_call,
    route_call,
)
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


def routed(network: Network) -> RoutedOrder:
    return RoutedOrder(
        session_key=b"\x5e" * 32,
        merchant=Address(b"\x02" * 20),
        token=network.tokens[0],
        amount=10_010_000,
        fee_amount=20_000,
        fee_receiver=Address(b"\x03" * 20),
        deadline=UnixSeconds(1_800_000_000),
        rail=Address(b"\x52" * 20),
        settlement=ELSEWHERE.tokens[0],
        merchant_amount=9_990_000,
        rail_data=b"\x07" * 33,
    )


ELSEWHERE = replace(fake_network(name="elsewhere"), chain_id=1337002, router=Address(b"\x51" * 20))
BOTH = Networks((fake_network(), ELSEWHERE))


def test_routed_digest_is_that_of_an_independent_library(signer: OrderSigner) -> None:
    network = fake_network()
    order = routed(network)
    data = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "RoutedOrder": [
                {"name": name, "type": kind} for kind, name in orders.ROUTED_ORDER.members
            ],
        },
        "primaryType": "RoutedOrder",
        "domain": {
            "name": "GStable PaymentRouter",
            "version": "1",
            "chainId": network.chain_id,
            "verifyingContract": to_checksum(network.router),
        },
        "message": {
            "sessionKey": order.session_key,
            "merchant": to_checksum(order.merchant),
            "token": to_checksum(order.token.address),
            "amount": order.amount,
            "feeAmount": order.fee_amount,
            "feeReceiver": to_checksum(order.fee_receiver),
            "deadline": order.deadline,
            "rail": to_checksum(order.rail),
            "settlementChainId": order.settlement.chain_id,
            "settlementToken": to_checksum(order.settlement.address),
            "merchantAmount": order.merchant_amount,
            "railData": order.rail_data,
        },
    }
    signed = signer.sign(order, network)
    message = encode_typed_data(full_message=data)
    assert Account.sign_message(message, b"\x01" * 32).message_hash == signed.digest
    recovered = Account.recover_message(message, signature=signed.signature)
    assert address_from_text(recovered) == signer.address


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 1},
        {"fee_amount": 1},
        {"merchant": Address(b"\x09" * 20)},
        {"fee_receiver": Address(b"\x09" * 20)},
        {"deadline": UnixSeconds(1)},
        {"session_key": bytes(32)},
        {"rail": Address(b"\x09" * 20)},
        {"settlement": replace(ELSEWHERE.tokens[0], chain_id=5)},
        {"settlement": replace(ELSEWHERE.tokens[0], address=Address(b"\x09" * 20))},
        {"merchant_amount": 1},
        {"rail_data": b"\x07" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_routed_term_is_bound_by_the_signature(
    change: dict[str, Any], signer: OrderSigner
) -> None:
    order = routed(fake_network())
    changed = replace(order, **change)
    digests = {signer.sign(each, fake_network()).digest for each in (order, changed)}
    assert len(digests) == 2


def test_calls_of_routed_orders_agree_with_an_independent_library(signer: OrderSigner) -> None:
    signed = signer.sign(routed(fake_network()), fake_network())
    order = signed.order
    assert isinstance(order, RoutedOrder)
    values = (
        order.session_key,
        order.merchant,
        order.token.address,
        order.amount,
        order.fee_amount,
        order.fee_receiver,
        order.deadline,
        order.rail,
        order.settlement.chain_id,
        order.settlement.address,
        order.merchant_amount,
        order.rail_data,
    )
    assert (signed.order.total, direct_call(signed).to) == (10_030_000, fake_network().router)
    assert direct_call(signed).data == abi.selector(abi.ROUTE) + encode(
        [abi.ROUTED_TUPLE, "bytes"], [values, signed.signature]
    )
    payer, collector = Address(b"\x01" * 20), Address(b"\x0c" * 20)
    call = collected_call(signed, payer, collector, b"consent")
    assert call.data == abi.selector(abi.ROUTE_WITH) + encode(
        [abi.ROUTED_TUPLE, "bytes", "address", "address", "bytes"],
        [values, signed.signature, payer, collector, b"consent"],
    )


def test_collected_call_of_a_plain_order_agrees_with_an_independent_library(
    signer: OrderSigner,
) -> None:
    network = network_of(VECTORS[0])
    signed = signer.sign(order_of(VECTORS[0], network.tokens[0]), network)
    payer, collector = Address(b"\x01" * 20), Address(b"\x0c" * 20)
    pay = direct_call(signed).data
    order = pay[4 : 4 + 7 * 32]
    head = encode(["address", "address"], [payer, collector])
    call = collected_call(signed, payer, collector, b"consent")
    assert call.data[:4] == abi.selector(abi.PAY_WITH)
    assert call.data[4 : 4 + 7 * 32] == order
    assert call.data[4 + 8 * 32 : 4 + 10 * 32] == head


def test_a_plain_order_is_not_routed_and_the_other_way_round(signer: OrderSigner) -> None:
    network = network_of(VECTORS[0])
    with pytest.raises(AssertionError):
        route_call(signer.sign(order_of(VECTORS[0], network.tokens[0]), network))
    with pytest.raises(AssertionError):
        orders.pay_call(signer.sign(routed(fake_network()), fake_network()))


def plain(network: Network) -> PaymentOrder:
    route = routed(network)
    return PaymentOrder(
        route.session_key,
        route.merchant,
        route.token,
        9_980_000,
        20_000,
        route.fee_receiver,
        route.deadline,
    )


@pytest.mark.parametrize("make", [plain, routed])
def test_stored_order_is_read_again(
    make: Callable[[Network], PaymentOrder | RoutedOrder], signer: OrderSigner
) -> None:
    signed = signer.sign(make(fake_network()), fake_network())
    stored = json.loads(json.dumps(orders.to_json(signed)))
    assert orders.from_json(stored, BOTH) == signed


@pytest.mark.parametrize(
    "networks",
    [
        Networks((ELSEWHERE,)),
        Networks((fake_network(),)),
        Networks((replace(fake_network(), router=Address(b"\x09" * 20)), ELSEWHERE)),
        Networks((replace(fake_network(), tokens=()), ELSEWHERE)),
        Networks((fake_network(), replace(ELSEWHERE, tokens=()))),
    ],
    ids=["source gone", "destination gone", "router changed", "token gone", "settlement gone"],
)
def test_stored_order_of_what_was_removed_is_not_read(
    networks: Networks, signer: OrderSigner
) -> None:
    stored = orders.to_json(signer.sign(routed(fake_network()), fake_network()))
    with pytest.raises(LookupError):
        orders.from_json(stored, networks)
