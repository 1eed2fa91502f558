"""How much may be spent, and the two records of it; one suite judges both."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gstable.agent import (
    FileSpendStore,
    LimitExceeded,
    MemorySpendStore,
    SpendLimits,
    SpendStore,
    SpendStoreError,
)
from gstable.agent._limits import DAY_SECONDS, decimal_text, micro_usd_rounded_up
from tests.unit.agent_client.platform import (
    CHAIN_ID,
    MERCHANT_ID,
    PRICE,
    TOKEN,
    Platform,
)

NOW = 1_769_480_000


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SpendStore:
    if request.param == "memory":
        return MemorySpendStore()
    return FileSpendStore(tmp_path / "kept" / "spent.json")


def test_what_is_spent_adds_up_to_the_limit_and_not_beyond(store: SpendStore) -> None:
    store.reserve("sess_1", 60, NOW, 100)
    store.reserve("sess_2", 40, NOW, 100)
    assert store.spent(NOW) == 100
    with pytest.raises(LimitExceeded) as exceeded:
        store.reserve("sess_3", 1, NOW, 100)
    assert exceeded.value.limit == "per_day"
    assert store.spent(NOW) == 100


def test_a_day_is_any_24_hours(store: SpendStore) -> None:
    store.reserve("sess_1", 100, NOW, 100)
    with pytest.raises(LimitExceeded):
        store.reserve("sess_2", 1, NOW + DAY_SECONDS - 1, 100)
    store.reserve("sess_2", 100, NOW + DAY_SECONDS, 100)
    assert store.spent(NOW + DAY_SECONDS) == 100


def test_a_session_counts_once(store: SpendStore) -> None:
    store.reserve("sess_1", 100, NOW, 100)
    store.reserve("sess_1", 100, NOW + 5, 100)
    assert store.spent(NOW + 5) == 100


def test_what_was_not_spent_is_forgotten(store: SpendStore) -> None:
    store.reserve("sess_1", 100, NOW, 100)
    store.release("sess_1")
    store.release("sess_unknown")
    assert store.spent(NOW) == 0
    store.reserve("sess_2", 100, NOW, 100)


def test_a_file_is_remembered_by_another_process(tmp_path: Path) -> None:
    FileSpendStore(tmp_path / "spent.json").reserve("sess_1", 100, NOW, 100)
    assert FileSpendStore(tmp_path / "spent.json").spent(NOW) == 100


def test_stores_of_one_file_at_once_do_not_let_more_be_spent_together(tmp_path: Path) -> None:
    """The lock is one of open files, so two stores here are as apart as two processes."""

    def spend(name: str) -> int:
        store, done = FileSpendStore(tmp_path / "spent.json"), 0
        for number in range(20):
            with suppress(LimitExceeded):
                store.reserve(f"{name}_{number}", 1, NOW, 25)
                done += 1
        return done

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(spend, ("one", "two"))) == 25
    assert FileSpendStore(tmp_path / "spent.json").spent(NOW) == 25


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        '{"format": 2, "spent": {}}',
        '{"format": 1}',
        '{"format": 1, "spent": {"a": [1]}}',
        '{"format": 1, "spent": {"a": [1, -5]}}',
        '{"format": 1, "spent": {"a": [1, 1.5]}}',
        '{"format": 1, "spent": {"a": [1, true]}}',
    ],
)
def test_a_record_that_cannot_be_read_stops_all_spending(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spent.json"
    path.write_text(text)
    platform = Platform()
    limits = SpendLimits(per_payment=PRICE, per_day=PRICE, store=FileSpendStore(path))
    with pytest.raises(SpendStoreError):
        platform.client(limits).pay("lnk_1", CHAIN_ID)
    assert platform.sent == []
    assert path.read_text() == text


def test_a_record_that_cannot_be_kept_stops_all_spending(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileSpendStore(tmp_path / "file" / "spent.json")
    with pytest.raises(SpendStoreError):
        store.reserve("sess_1", 1, NOW, 1)


def test_old_entries_are_dropped_from_the_file(tmp_path: Path) -> None:
    store = FileSpendStore(tmp_path / "spent.json")
    store.reserve("sess_1", 1, NOW, 100)
    store.reserve("sess_2", 2, NOW + DAY_SECONDS, 100)
    kept = json.loads((tmp_path / "spent.json").read_text())
    assert kept == {"format": 1, "spent": {"sess_2": [NOW + DAY_SECONDS, 2]}}


# --- at a payment ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"per_payment": PRICE - 1}, "per_payment"),
        ({"per_day": PRICE - 1}, "per_day"),
        ({"merchants": {"another"}}, "merchants"),
        ({"merchants": ()}, "merchants"),
        ({"tokens": {(1, TOKEN)}}, "tokens"),
    ],
)
def test_a_limit_stops_a_payment_before_anything_is_signed(
    limits: dict[str, Any], name: str
) -> None:
    platform = Platform()
    client = platform.client(SpendLimits(**{"per_payment": PRICE, "per_day": PRICE, **limits}))
    with pytest.raises(LimitExceeded) as exceeded:
        client.pay("lnk_1", CHAIN_ID)
    assert exceeded.value.limit == name
    assert platform.nonces == set()
    assert platform.sent == []


def test_limits_hold_for_a_session_of_a_merchant_too() -> None:
    platform = Platform()
    platform.offer("sess_shop")
    for limits in (
        SpendLimits(per_payment=PRICE - 1, per_day=PRICE),
        SpendLimits(per_payment=PRICE, per_day=PRICE - 1),
        SpendLimits(per_payment=PRICE, per_day=PRICE, merchants=["another"]),
        SpendLimits(per_payment=PRICE, per_day=PRICE, tokens=[]),
        SpendLimits(per_payment=PRICE, per_day=PRICE, gas_per_transaction=1),
    ):
        with pytest.raises(LimitExceeded):
            platform.client(limits).pay_session("sess_shop", CHAIN_ID)
        assert limits.store.spent(int(platform.now)) == 0
    assert platform.sent == []


def test_what_is_allowed_is_paid_up_to_the_last_unit() -> None:
    platform = Platform()
    limits = SpendLimits(
        per_payment=PRICE,
        per_day=2 * PRICE,
        merchants=[MERCHANT_ID],
        tokens=[(CHAIN_ID, TOKEN.lower())],
        gas_per_transaction=10**16,
    )
    client = platform.client(limits)
    client.pay("lnk_1", CHAIN_ID)
    client.pay("lnk_1", CHAIN_ID)
    with pytest.raises(LimitExceeded):
        client.pay("lnk_1", CHAIN_ID)
    platform.now += DAY_SECONDS
    client.pay("lnk_1", CHAIN_ID)


@pytest.mark.parametrize(
    "limits",
    [
        {"per_payment": 1.5},
        {"per_day": -1},
        {"per_day": True},
        {"merchants": "abc"},
        {"tokens": "0x12"},
    ],
)
def test_limits_that_are_none_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SpendLimits(**{"per_payment": 1, "per_day": 1, **limits})


@pytest.mark.parametrize(
    ("amount", "decimals", "expected"),
    [
        (1, 6, 1),
        (1, 18, 1),
        (10**12, 18, 1),
        (10**12 + 1, 18, 2),
        (7, 2, 70_000),
        (3, 0, 3_000_000),
    ],
)
def test_a_token_counts_as_a_dollar_rounded_up(amount: int, decimals: int, expected: int) -> None:
    assert micro_usd_rounded_up(amount, decimals) == expected


@pytest.mark.parametrize(
    ("amount", "decimals", "expected"),
    [(3_009_000, 6, "3.009"), (1, 6, "0.000001"), (5, 0, "5.00"), (10**18, 18, "1.00")],
)
def test_amounts_in_words_are_exact(amount: int, decimals: int, expected: str) -> None:
    assert decimal_text(amount, decimals) == expected
