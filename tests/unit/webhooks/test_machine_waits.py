"""The spread of the waits, and dates that a receiver may ask to wait for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gstable_server.webhooks.machine import decide
from gstable_server.webhooks.model import Attempt

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TEN_SECONDS = 1
"""After so many tries of a round, the schedule waits for ten seconds."""


def wait(message_number: int, attempts: int, retry_after: str | None = None) -> timedelta:
    decision = decide(message_number, attempts, Attempt(NOW, 5, 503, retry_after, None))
    assert decision.wait is not None
    return decision.wait


def test_waits_spread_over_ten_percent_on_both_sides_and_no_further() -> None:
    waits = [wait(number, TEN_SECONDS) for number in range(5_000)]
    assert min(waits) == timedelta(seconds=9)
    assert max(waits) == timedelta(seconds=11)
    assert len(set(waits)) == 201


def test_a_message_is_not_early_at_every_try() -> None:
    early = {number for number in range(100) if wait(number, TEN_SECONDS) < timedelta(seconds=10)}
    both = {number for number in early if wait(number, 2) < timedelta(seconds=30)}
    assert set() < both < early


@pytest.mark.parametrize("number", range(20))
def test_who_asks_for_no_wait_gets_the_schedules(number: int) -> None:
    assert wait(number, 0, "0") == wait(number, 0)


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 2026 12:05:00 -0000",  # a date without a zone
        "Thu, 01 Jan 2026 14:05:00 +0200",
    ],
)
def test_a_date_is_understood_with_and_without_a_zone(date: str) -> None:
    assert wait(7, 0, date) == timedelta(minutes=5)
