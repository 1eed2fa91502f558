"""Circle's message layout: written and read again, and strict about everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.rails.cctp_message import (
    BODY_OFFSET,
    HOOK_OFFSET,
    Burn,
    Message,
    NotAMessage,
    attested,
    parse_message,
    write_message,
)
from gstable_server.kernel.address import Address

addresses = st.binary(min_size=20, max_size=20).map(Address)
amounts = st.integers(0, 2**256 - 1)
words = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, 2**32 - 1)
burns = st.builds(
    Burn,
    token=addresses,
    recipient=addresses,
    amount=amounts,
    sender=addresses,
    max_fee=amounts,
    fee_executed=amounts,
    expiration=amounts,
    hook=st.binary(max_size=100),
)
messages = st.builds(
    Message,
    source_domain=numbers,
    destination_domain=numbers,
    nonce=words,
    sender=addresses,
    recipient=addresses,
    destination_caller=addresses,
    finality_minimum=numbers,
    finality_executed=numbers,
    burn=burns,
)


@given(messages)
def test_what_is_written_is_read(message: Message) -> None:
    assert parse_message(write_message(message)) == message


@given(messages)
def test_members_stand_where_the_protocol_puts_them(message: Message) -> None:
    raw, burn = write_message(message), message.burn
    assert raw[:12] == b"".join(
        number.to_bytes(4, "big")
        for number in (1, message.source_domain, message.destination_domain)
    )
    assert raw[12:44] == message.nonce
    assert raw[144:148] == message.finality_executed.to_bytes(4, "big")
    body = raw[BODY_OFFSET:]
    assert body[16:36] == burn.token
    assert body[48:68] == burn.recipient
    assert body[68:100] == burn.amount.to_bytes(32, "big")
    assert body[112:132] == burn.sender
    assert body[164:196] == burn.fee_executed.to_bytes(32, "big")
    assert body[228:] == burn.hook


@given(messages, words, numbers, amounts, amounts)
def test_attester_fills_in_four_members_only(
    message: Message, nonce: bytes, finality: int, fee: int, expiration: int
) -> None:
    before = write_message(message)
    after = attested(before, nonce, finality, fee, expiration)
    filled = {*range(12, 44), *range(144, 148), *range(BODY_OFFSET + 164, BODY_OFFSET + 228)}
    assert all(before[at] == after[at] for at in range(len(before)) if at not in filled)
    read = parse_message(after)
    assert (read.nonce, read.finality_executed) == (nonce, finality)
    assert (read.burn.fee_executed, read.burn.expiration) == (fee, expiration)


@given(messages, st.integers(0, BODY_OFFSET + HOOK_OFFSET - 1))
def test_what_is_too_short_is_no_message(message: Message, length: int) -> None:
    with pytest.raises(NotAMessage):
        parse_message(write_message(message)[:length])


@pytest.mark.parametrize("at", [3, BODY_OFFSET + 3], ids=["header", "body"])
def test_other_versions_are_no_messages(at: int) -> None:
    raw = bytearray(write_message(example()))
    raw[at] = 0
    with pytest.raises(NotAMessage):
        parse_message(bytes(raw))


@pytest.mark.parametrize("at", [44, 76, 108, BODY_OFFSET + 4, BODY_OFFSET + 36, BODY_OFFSET + 100])
def test_accounts_of_other_kinds_of_chains_are_no_addresses(at: int) -> None:
    raw = bytearray(write_message(example()))
    raw[at] = 1
    with pytest.raises(NotAMessage):
        parse_message(bytes(raw))


def example() -> Message:
    account = Address(b"\x01" * 20)
    burn = Burn(account, account, 5, account, 1, 0, 0, b"\x02" * 32)
    return Message(0, 6, b"\x03" * 32, account, account, account, 2000, 2000, burn)
