"""What is signed, against the vectors of specification 10.1."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from gstable.agent._typed_data import CREATE_SESSION, PREPARE, Authorization
from tests.unit.agent_client.platform import KEY, MERCHANT_ID, PAYER

COMMON: dict[str, str | int] = {
    "merchantId": MERCHANT_ID,
    "payer": PAYER,
    "paymentChainId": 137,
    "paymentToken": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",
    "authorizationNonce": "0xc6086627cff7f653c382d6e75b7f5afa239125f69887ac63516afce9fd0f8345",
}
CREATE: dict[str, str | int] = {
    **COMMON,
    "purpose": "create_payment_session",
    "linkId": "lnk_example_premium_plan_01",
    "linkVersion": "ver_example_03",
    "amount": 3_009_000,
    "authorizationExpiresAt": 1_769_486_386,
}
PREPARED: dict[str, str | int] = {
    **COMMON,
    "purpose": "prepare_payment",
    "sessionId": "sess_example_payment_03",
    "payerEmail": "test@example.com",
    "authorizationExpiresAt": 1_769_488_108,
}
SEPARATOR = "018216c79343e4bcfe025270f451e2125fc9436bb7ffada41a7c3e1780164819"
VECTORS = [
    (
        CREATE_SESSION,
        CREATE,
        "8037a68ba72ecb74ce19064234da910092d0212757aa883243ff8f6b96793978",
        "7213b674f57ed7ddc6ed45e3fcf4f8454f2ff40c6bc410f8287bbc5057a5cd13",
        "27b3d0f3b22a905e2b2a705cf5ce292982adfb09abd63a4c92d2c15e3438808a"
        "12cd00cc094b20315596a857f50c67cbd3ea66778b1686c5414e70ef2af580291b",
    ),
    (
        PREPARE,
        PREPARED,
        "9b7bdedf856bbf8a32e00f0022a913f09932c191292e9c474479a0cb763421f1",
        "a6f81aecbd0616d5c46570fcb761ea0ec4cf86f7ad9250472ecc9a1f1be06725",
        "c1b8b73e736cebd9dbca26b4ae7666bfd830f4c53b336d2ccae413b058b33081"
        "36a52e2e7595e15dcf3d03791924235991317297951d41d69d5446648cd60bf31b",
    ),
]


@pytest.mark.parametrize(("primary_type", "message", "struct", "digest", "signature"), VECTORS)
def test_the_messages_are_signed_as_the_vectors_say(
    primary_type: str,
    message: dict[str, str | int],
    struct: str,
    digest: str,
    signature: str,
) -> None:
    authorization = Authorization(primary_type, message, 137)
    signable = authorization.signable()
    assert signable.header.hex() == SEPARATOR
    assert signable.body.hex() == struct
    assert keccak(b"\x19\x01" + signable.header + signable.body).hex() == digest
    body = authorization.body(Account.from_key(KEY))
    assert body["signature"] == f"0x{signature}"
    assert body["message"] == {name: str(value) for name, value in message.items()}
