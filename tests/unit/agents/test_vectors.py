"""The vectors of spec 10.1: type hashes, struct hashes, digests and signatures."""

from __future__ import annotations

import pytest

from gstable_server.agents.model import CREATE_SESSION, OFFICIAL_DOMAIN, PREPARE, Authorization
from gstable_server.agents.wire import CreateSessionInput, PrepareInput
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.keys import address_of_key, recover, sign_digest
from gstable_server.chain.typed_data import Domain

KEY = b"\x11" * 32
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
SEPARATOR = "018216c79343e4bcfe025270f451e2125fc9436bb7ffada41a7c3e1780164819"
COMMON = {
    "merchantId": "f7d65b193454db46fb2d6277e2f5e593bffcf6adde5064a2bb5dee6fd9b0fb7a",
    "payer": ADDRESS,
    "paymentChainId": "137",
    "paymentToken": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",
    "authorizationNonce": "0xc6086627cff7f653c382d6e75b7f5afa239125f69887ac63516afce9fd0f8345",
}
CREATE = {
    "purpose": "create_payment_session",
    "linkId": "lnk_example_premium_plan_01",
    "linkVersion": "ver_example_03",
    "amount": "3009000",
    "authorizationExpiresAt": "1769486386",
    **COMMON,
}
CREATE_HASHES = (
    "072d47b76628da316c5f7fa0c677e0267d526ddca57cc94c6cb51da0c554c978",
    "8037a68ba72ecb74ce19064234da910092d0212757aa883243ff8f6b96793978",
    "7213b674f57ed7ddc6ed45e3fcf4f8454f2ff40c6bc410f8287bbc5057a5cd13",
    "27b3d0f3b22a905e2b2a705cf5ce292982adfb09abd63a4c92d2c15e3438808a"
    "12cd00cc094b20315596a857f50c67cbd3ea66778b1686c5414e70ef2af580291b",
)
PREPARED = {
    "purpose": "prepare_payment",
    "sessionId": "sess_example_payment_03",
    "payerEmail": "test@example.com",
    "authorizationExpiresAt": "1769488108",
    **COMMON,
}
PREPARE_HASHES = (
    "cfe05b032f602b02addd30e708443211e4cc0aa7c121478dbf3b507d35bb3c7a",
    "9b7bdedf856bbf8a32e00f0022a913f09932c191292e9c474479a0cb763421f1",
    "a6f81aecbd0616d5c46570fcb761ea0ec4cf86f7ad9250472ecc9a1f1be06725",
    "c1b8b73e736cebd9dbca26b4ae7666bfd830f4c53b336d2ccae413b058b33081"
    "36a52e2e7595e15dcf3d03791924235991317297951d41d69d5446648cd60bf31b",
)


def _created() -> Authorization:
    body = {"message": CREATE, "signature": "0x" + CREATE_HASHES[3]}
    return CreateSessionInput.model_validate(body).parsed().authorization


def _prepared() -> Authorization:
    body = {"message": PREPARED, "signature": "0x" + PREPARE_HASHES[3]}
    return PrepareInput.model_validate(body).parsed().authorization


def test_the_domain_has_three_members() -> None:
    domain = Domain(OFFICIAL_DOMAIN, "1", 137)
    assert domain.separator.hex() == SEPARATOR
    assert [name for _, name in domain.struct.members] == ["name", "version", "chainId"]


@pytest.mark.parametrize(
    ("authorization", "struct", "hashes"),
    [(_created(), CREATE_SESSION, CREATE_HASHES), (_prepared(), PREPARE, PREPARE_HASHES)],
    ids=["create", "prepare"],
)
def test_a_body_is_hashed_and_signed_as_published(
    authorization: Authorization, struct: object, hashes: tuple[str, ...]
) -> None:
    data = authorization.typed_data(OFFICIAL_DOMAIN)
    assert data.struct is struct
    assert data.struct.type_hash.hex() == hashes[0]
    assert data.struct.hash(data.values).hex() == hashes[1]
    assert data.digest.hex() == hashes[2]
    assert sign_digest(KEY, data.digest).hex() == hashes[3]
    assert to_checksum(address_of_key(KEY)) == ADDRESS
    assert recover(data.digest, authorization.signature) == authorization.payer
