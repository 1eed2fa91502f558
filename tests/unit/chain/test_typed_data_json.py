"""What a wallet is asked to sign, written and read again, judged by another implementation."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from gstable_server.chain import consents
from gstable_server.chain.orders import OrderSigner, PaymentOrder, SignedOrder
from gstable_server.chain.typed_data import TypedData
from gstable_server.chain.typed_data_json import typed_data_from_json
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from tests.unit.routing.market import network

PAYER = Address(b"\x31" * 20)
KEY = b"\x42" * 32


def signed(fee: int = 20_000) -> SignedOrder:
    polygon = network("polygon", 3)
    order = PaymentOrder(
        session_key=b"\x05" * 32,
        merchant=Address(b"\x06" * 20),
        token=polygon.tokens[1],
        merchant_amount=9_980_000,
        fee_amount=fee,
        fee_receiver=Address(b"\x07" * 20),
        deadline=UnixSeconds(1_800_000_000),
    )
    return OrderSigner(KEY).sign(order, polygon)


@pytest.mark.parametrize(
    "asked",
    [
        lambda: consents.erc3009_typed_data(signed(), PAYER),
        lambda: consents.permit_typed_data(signed(), PAYER, nonce=7),
        lambda: consents.permit2_typed_data(signed(), PAYER),
        lambda: consents.permit2_typed_data(signed(fee=0), PAYER),
    ],
)
def test_what_a_page_says_is_what_is_signed(asked: Callable[[], TypedData]) -> None:
    data = asked()
    told = json.loads(json.dumps(data.to_json()))
    read = typed_data_from_json(told)
    assert read.digest == data.digest
    assert read.to_json() == told
    # A wallet hashes the JSON by its own rules.
    message = Account.sign_message(encode_typed_data(full_message=told), KEY)
    assert message.message_hash == data.digest


def test_what_is_no_typed_data_is_refused() -> None:
    told = consents.permit_typed_data(signed(), PAYER, nonce=0).to_json()
    del told["message"]["nonce"]
    with pytest.raises(KeyError):
        typed_data_from_json(told)
