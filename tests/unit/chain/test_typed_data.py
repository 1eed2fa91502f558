"""EIP-712: the vectors of the AI payment protocol (spec 10.1), and nested structs."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from gstable_server.chain.keys import sign_digest
from gstable_server.chain.typed_data import Domain, Struct, TypedData, Value, digest
from gstable_server.kernel.address import Address

KEY = b"\x11" * 32
PAYER = bytes.fromhex("19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A")
TOKEN = bytes.fromhex("3c499c542cef5e3811e1192ce70d8cc03d5c3359")
NONCE = bytes.fromhex("c6086627cff7f653c382d6e75b7f5afa239125f69887ac63516afce9fd0f8345")
MERCHANT = "f7d65b193454db46fb2d6277e2f5e593bffcf6adde5064a2bb5dee6fd9b0fb7a"
DOMAIN = Domain("aipay.gstable.io", "1", 137)

CREATE = Struct(
    "PaymentSessionCreationAuthorization",
    (
        ("string", "purpose"),
        ("string", "linkId"),
        ("string", "linkVersion"),
        ("string", "merchantId"),
        ("address", "payer"),
        ("uint256", "paymentChainId"),
        ("address", "paymentToken"),
        ("uint256", "amount"),
        ("bytes32", "authorizationNonce"),
        ("uint256", "authorizationExpiresAt"),
    ),
)
PREPARE = Struct(
    "PreparePaymentAuthorization",
    (
        ("string", "purpose"),
        ("string", "sessionId"),
        ("string", "merchantId"),
        ("uint256", "paymentChainId"),
        ("address", "paymentToken"),
        ("address", "payer"),
        ("string", "payerEmail"),
        ("bytes32", "authorizationNonce"),
        ("uint256", "authorizationExpiresAt"),
    ),
)
COMMON: dict[str, Value] = {
    "merchantId": MERCHANT,
    "payer": PAYER,
    "paymentChainId": 137,
    "paymentToken": TOKEN,
    "authorizationNonce": NONCE,
}
CREATE_VALUES: dict[str, Value] = {
    **COMMON,
    "purpose": "create_payment_session",
    "linkId": "lnk_example_premium_plan_01",
    "linkVersion": "ver_example_03",
    "amount": 3009000,
    "authorizationExpiresAt": 1769486386,
}
PREPARE_VALUES: dict[str, Value] = {
    **COMMON,
    "purpose": "prepare_payment",
    "sessionId": "sess_example_payment_03",
    "payerEmail": "test@example.com",
    "authorizationExpiresAt": 1769488108,
}


def test_domain_without_contract_has_the_separator_of_the_spec() -> None:
    assert DOMAIN.separator.hex() == (
        "018216c79343e4bcfe025270f451e2125fc9436bb7ffada41a7c3e1780164819"
    )


@pytest.mark.parametrize(
    ("struct", "values", "type_hash", "struct_hash", "signed", "signature"),
    [
        (
            CREATE,
            CREATE_VALUES,
            "072d47b76628da316c5f7fa0c677e0267d526ddca57cc94c6cb51da0c554c978",
            "8037a68ba72ecb74ce19064234da910092d0212757aa883243ff8f6b96793978",
            "7213b674f57ed7ddc6ed45e3fcf4f8454f2ff40c6bc410f8287bbc5057a5cd13",
            "27b3d0f3b22a905e2b2a705cf5ce292982adfb09abd63a4c92d2c15e3438808a"
            "12cd00cc094b20315596a857f50c67cbd3ea66778b1686c5414e70ef2af580291b",
        ),
        (
            PREPARE,
            PREPARE_VALUES,
            "cfe05b032f602b02addd30e708443211e4cc0aa7c121478dbf3b507d35bb3c7a",
            "9b7bdedf856bbf8a32e00f0022a913f09932c191292e9c474479a0cb763421f1",
            "a6f81aecbd0616d5c46570fcb761ea0ec4cf86f7ad9250472ecc9a1f1be06725",
            "c1b8b73e736cebd9dbca26b4ae7666bfd830f4c53b336d2ccae413b058b33081"
            "36a52e2e7595e15dcf3d03791924235991317297951d41d69d5446648cd60bf31b",
        ),
    ],
    ids=["create", "prepare"],
)
def test_digests_and_signatures_are_those_of_the_spec(
    struct: Struct,
    values: dict[str, Value],
    type_hash: str,
    struct_hash: str,
    signed: str,
    signature: str,
) -> None:
    assert struct.type_hash.hex() == type_hash
    assert struct.hash(values).hex() == struct_hash
    assert digest(DOMAIN, struct, values).hex() == signed
    assert sign_digest(KEY, digest(DOMAIN, struct, values)).hex() == signature


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("address", bytes(19)),
        ("bytes32", bytes(31)),
        ("uint256", "7"),
        ("string", b"x"),
        ("int8", 1),
    ],
)
def test_value_that_does_not_fit_its_type_is_refused(kind: str, value: Value) -> None:
    with pytest.raises(TypeError):
        Struct("S", ((kind, "x"),)).hash({"x": value})


def test_number_outside_of_256_bits_is_refused() -> None:
    for value in (-1, 2**256):
        with pytest.raises(OverflowError):
            Struct("S", (("uint256", "x"),)).hash({"x": value})


LEG = Struct("Leg", (("address", "token"), ("uint256", "amount")))
NOTE = Struct("Attached", (("bytes32", "digest"), ("bytes", "more")))
BATCH = Struct(
    "Batch",
    (("Leg[]", "legs"), ("Leg", "first"), ("Attached", "note"), ("string", "text")),
    (LEG, NOTE),
)
BATCH_VALUES: dict[str, Value] = {
    "legs": [{"token": PAYER, "amount": 1}, {"token": TOKEN, "amount": 2**255}],
    "first": {"token": TOKEN, "amount": 0},
    "note": {"digest": NONCE, "more": b"\x01\x02\x03"},
    "text": "paid",
}


@pytest.mark.parametrize("version", ["2", None])
@pytest.mark.parametrize("contract", [Address(TOKEN), None])
@pytest.mark.parametrize("legs", [0, 1, 2])
def test_structs_in_structs_and_arrays_are_those_of_an_independent_library(
    version: str | None, contract: Address | None, legs: int
) -> None:
    all_legs = BATCH_VALUES["legs"]
    assert isinstance(all_legs, list)
    values = {**BATCH_VALUES, "legs": all_legs[:legs]}
    data = TypedData(Domain("Name", version, 5, contract), BATCH, values)
    message = encode_typed_data(full_message=data.to_json())
    assert Account.sign_message(message, KEY).message_hash == data.digest
    assert set(data.to_json()["types"]) == {"EIP712Domain", "Batch", "Leg", "Attached"}


@pytest.mark.parametrize(
    "change",
    [
        {"legs": {"token": PAYER, "amount": 1}},
        {"legs": "no"},
        {"legs": b"no"},
        {"first": [{"token": PAYER, "amount": 1}]},
        {"note": 5},
    ],
    ids=["a struct for an array", "text", "bytes", "an array for a struct", "a number"],
)
def test_nested_value_that_does_not_fit_is_refused(change: dict[str, Value]) -> None:
    for judge in (BATCH.hash, BATCH.message):
        with pytest.raises(TypeError):
            judge({**BATCH_VALUES, **change})
