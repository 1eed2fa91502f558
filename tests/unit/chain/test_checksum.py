"""Keccak-256 and the checksum of EIP-55, with the vectors of the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.checksum import address_from_text, keccak256, to_checksum
from gstable_server.kernel.address import Address

VECTORS = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


def test_keccak_of_nothing_is_the_known_constant() -> None:
    assert keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )


@pytest.mark.parametrize("text", VECTORS)
def test_addresses_of_the_standard_are_written_as_there(text: str) -> None:
    assert to_checksum(address_from_text(text)) == text


@pytest.mark.parametrize("text", VECTORS[4:])
def test_one_letter_in_the_wrong_case_is_refused(text: str) -> None:
    at = next(place for place, letter in enumerate(text) if letter.isalpha() and place > 1)
    with pytest.raises(ValueError, match="checksum"):
        address_from_text(text[:at] + text[at].swapcase() + text[at + 1 :])


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "g" * 40, "1" * 42, "0x" + "1" * 41, "0X" + "1" * 40]
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        address_from_text(text)


@given(st.binary(min_size=20, max_size=20))
def test_every_address_survives_being_written_and_read(raw: bytes) -> None:
    assert address_from_text(to_checksum(Address(raw))) == raw
