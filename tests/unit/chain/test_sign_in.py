"""Messages of EIP-4361 as they are written and read, and who signed one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gstable_server.chain.contract_wallets import question
from gstable_server.chain.keys import address_of_key, sign_digest
from gstable_server.chain.sign_in import (
    SignIn,
    is_signed_by_contract,
    is_signed_by_key,
    personal_digest,
    sign_in_from_text,
)
from gstable_server.chain.testing import FakeChain, fake_network

KEY = b"\x66" * 32
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAID = SignIn(
    domain="pay.example",
    address=address_of_key(KEY),
    statement="This wallet is mine.",
    uri="https://pay.example/dashboard",
    chain_id=1337137,
    nonce="abcdefgh12345678",
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=15),
)
TEXT = str(SAID)


def test_a_message_is_read_back_as_it_was_written() -> None:
    assert sign_in_from_text(TEXT) == SAID
    assert TEXT.startswith("pay.example wants you to sign in with your Ethereum account:\n0x")
    assert TEXT.endswith("Expiration Time: 2026-03-01T12:15:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT + "\n",
        TEXT + "\nResources:\n- https://other.example",
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("Version: 1", "Version: 2"),
        TEXT.replace("Nonce: abcdefgh12345678", "Nonce: short"),
        TEXT.replace("\nChain ID: 1337137", ""),
        TEXT.replace("Chain ID: 1337137", "Chain ID: 01337137"),
        TEXT.replace("12:15:00Z", "soon"),
        TEXT.replace("12:15:00Z", "12:15:00"),
        TEXT.replace("12:15:00Z", "12:15:00+00:00"),
        TEXT.replace("0x", "0X"),
        TEXT.replace("pay.example wants", "pay.example/x wants"),
        TEXT.replace("This wallet is mine.", "This wallet\nis mine."),
        "x" * 3000,
    ],
)
def test_a_message_of_another_form_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|has a|checksum"):
        sign_in_from_text(text)


def test_the_digest_is_that_of_personal_messages() -> None:
    # EIP-191's prefix and length; the value is that of published libraries for this text.
    assert personal_digest("hello").hex() == (
        "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"
    )


def test_a_key_signs_for_its_own_address_only() -> None:
    signature = sign_digest(KEY, personal_digest(TEXT))
    low = signature[:64] + bytes([signature[64] - 27])
    assert is_signed_by_key(SAID.address, TEXT, signature)
    assert is_signed_by_key(SAID.address, TEXT, low)
    assert not is_signed_by_key(address_of_key(b"\x67" * 32), TEXT, signature)
    assert not is_signed_by_key(SAID.address, TEXT + " ", signature)
    assert not is_signed_by_key(SAID.address, TEXT, signature[:64])


@pytest.mark.anyio
async def test_a_contract_that_accepts_anything_proves_nothing() -> None:
    chain = FakeChain(fake_network())
    signature = b"\x07" * 70
    mine = question(SAID.address, personal_digest(TEXT), signature)
    assert not await is_signed_by_contract(chain, SAID.address, TEXT, signature)
    chain.programs[mine] = b"\x01"
    assert await is_signed_by_contract(chain, SAID.address, TEXT, signature)
    other = str(replace(SAID, nonce="zzzzzzzz12345678"))
    assert not await is_signed_by_contract(chain, SAID.address, other, signature)

    class Anything(FakeChain):
        async def run(self, creation_code: bytes, gas: int) -> bytes:
            return b"\x01"

    credulous = Anything(fake_network())
    assert not await is_signed_by_contract(credulous, SAID.address, TEXT, signature)
