"""Deposit addresses and balances, as far as they need no chain (see ``test_ways_to_pay``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.deposits import (
    NATIVE,
    DepositTerms,
    balances_data,
    balances_from,
    deposit_address,
    recover_call,
)
from gstable_server.chain.rpc import ProviderLied
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds

COLLECTOR, OTHER = Address(b"\x0c" * 20), Address(b"\x0d" * 20)
TERMS = DepositTerms(
    session_key=b"\x5e" * 32,
    merchant=Address(b"\x02" * 20),
    settlement_chain_id=1338453,
    settlement_token=Address(b"\x70" * 20),
    fee_receiver=Address(b"\x03" * 20),
    refund_to=Address(b"\x01" * 20),
    refundable_after=UnixSeconds(1_800_000_000),
)
STRUCT = "(bytes32,address,uint256,address,address,address,uint256)"
VALUES = (
    TERMS.session_key,
    TERMS.merchant,
    TERMS.settlement_chain_id,
    TERMS.settlement_token,
    TERMS.fee_receiver,
    TERMS.refund_to,
    TERMS.refundable_after,
)


def test_terms_are_encoded_like_an_independent_library_does() -> None:
    assert TERMS.encoded == encode([STRUCT], [VALUES])
    assert TERMS.salt == keccak256(TERMS.encoded)


@pytest.mark.parametrize(
    "change",
    [
        {"session_key": bytes(32)},
        {"merchant": OTHER},
        {"settlement_chain_id": 5},
        {"settlement_token": OTHER},
        {"fee_receiver": OTHER},
        {"refund_to": OTHER},
        {"refundable_after": UnixSeconds(1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_term_makes_another_address(change: dict[str, Any]) -> None:
    changed = deposit_address(COLLECTOR, replace(TERMS, **change))
    assert changed != deposit_address(COLLECTOR, TERMS) != deposit_address(OTHER, TERMS)
    assert len(changed) == 20


def test_recovery_names_the_terms_and_the_token() -> None:
    call = recover_call(COLLECTOR, TERMS, NATIVE)
    expected = encode([STRUCT, "address"], [VALUES, bytes(20)])
    assert (call.to, call.data) == (COLLECTOR, abi.selector(abi.RECOVER) + expected)


ACCOUNTS = [Address(bytes([at]) * 20) for at in (1, 2, 3)]
TOKENS = [NATIVE, OTHER]


def test_balances_are_asked_and_read_row_by_row() -> None:
    expected = encode(["address[]", "address[]"], [ACCOUNTS, TOKENS])
    assert balances_data(ACCOUNTS, TOKENS) == abi.selector(abi.BALANCES) + expected
    answer = encode(["uint256[]"], [[0, 1, 10, 11, 20, 2**256 - 1]])
    found = balances_from(answer, ACCOUNTS, TOKENS)
    assert found[ACCOUNTS[1], NATIVE] == 10
    assert found[ACCOUNTS[0], OTHER] == 1
    assert found[ACCOUNTS[2], OTHER] == 2**256 - 1
    assert len(found) == 6


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        encode(["uint256[]"], [[1] * 5]),
        encode(["uint256[]"], [[1] * 7]),
        encode(["uint256[]"], [[1] * 6])[:-1],
        encode(["uint256[]"], [[1] * 6]) + b"\0",
    ],
)
def test_answer_to_another_question_is_a_lie(answer: bytes) -> None:
    with pytest.raises(ProviderLied):
        balances_from(answer, ACCOUNTS, TOKENS)
