"""What a try means: every kind of answer at every place of the schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.webhooks.machine import WAITS_SECONDS, Decision, after_attempt, decide
from gstable_server.webhooks.model import Attempt, Health, MessageState

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LAST = len(WAITS_SECONDS) - 1


def after(code: int | None, attempts: int = 0, retry_after: str | None = None) -> Decision:
    error = None if code else "timeout"
    return decide(7, attempts, Attempt(NOW, 5, code, retry_after, error))


@pytest.mark.parametrize("attempts", [0, 5, LAST])
@pytest.mark.parametrize("code", [200, 201, 204, 299])
def test_whk_07_any_2xx_delivers(code: int, attempts: int) -> None:
    assert after(code, attempts) == Decision(MessageState.DELIVERED)


@pytest.mark.parametrize("code", [None, 101, 301, 302, 304, 307, 308, 400, 404, 429, 500, 503])
@pytest.mark.parametrize("attempts", range(LAST))
def test_whk_07_everything_else_is_tried_again_on_the_schedule(
    code: int | None, attempts: int
) -> None:
    decision = after(code, attempts)
    planned = timedelta(seconds=WAITS_SECONDS[attempts + 1])
    assert decision.state is MessageState.PENDING
    assert decision.wait is not None
    assert planned * 0.9 <= decision.wait <= planned * 1.1
    assert not decision.disables_endpoint


@pytest.mark.parametrize("code", [None, 302, 500, 429])
def test_the_last_failure_ends_the_message(code: int | None) -> None:
    assert after(code, LAST) == Decision(MessageState.EXHAUSTED)


@pytest.mark.parametrize("attempts", [0, LAST])
def test_whk_07_gone_disables_the_endpoint(attempts: int) -> None:
    assert after(410, attempts).disables_endpoint


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("120", timedelta(seconds=120), timedelta(seconds=120)),
        ("Thu, 01 Jan 2026 12:05:00 GMT", timedelta(minutes=5), timedelta(minutes=5)),
        ("1000000000", DAY, DAY),
        ("9" * 5000, DAY, DAY),
        ("Fri, 01 Jan 2027 12:00:00 GMT", DAY, DAY),
        ("0", timedelta(seconds=0.9), timedelta(seconds=1.1)),
        ("-5", timedelta(seconds=0.9), timedelta(seconds=1.1)),
        ("soon", timedelta(seconds=0.9), timedelta(seconds=1.1)),
        ("", timedelta(seconds=0.9), timedelta(seconds=1.1)),
        ("٣", timedelta(seconds=0.9), timedelta(seconds=1.1)),
        (f"Thu, 01 Jan 2026 12:05:00 +{'9' * 30}", timedelta(seconds=0.9), timedelta(seconds=1.1)),
        ("Mon, 01 Jan 0001 00:00:00 +2359", timedelta(seconds=0.9), timedelta(seconds=1.1)),
        ("Fri, 31 Dec 9999 23:59:59 -2359", DAY, DAY),
        ("Thu, 01 Jan 2025 12:00:00 GMT", timedelta(seconds=0.9), timedelta(seconds=1.1)),
    ],
)
def test_whk_07_retry_after_is_honoured_between_the_schedule_and_a_day(
    code: int, header: str, least: timedelta, most: timedelta
) -> None:
    wait = after(code, 0, header).wait
    assert wait is not None
    assert least <= wait <= most


def test_retry_after_of_other_answers_is_ignored() -> None:
    wait = after(500, 0, "3600").wait
    assert wait is not None
    assert wait < timedelta(seconds=2)


@given(st.text(max_size=40), st.integers(0, LAST - 1))
def test_whk_07_no_header_breaks_the_decision(header: str, attempts: int) -> None:
    wait = after(503, attempts, header).wait
    assert wait is not None
    assert timedelta(0) < wait <= DAY * 1.1


def test_messages_to_one_receiver_do_not_come_back_together() -> None:
    waits = {decide(number, 5, Attempt(NOW, 5, 500)).wait for number in range(100)}
    assert len(waits) > 50


@pytest.mark.parametrize(
    ("failures", "lasting", "pauses"),
    [
        (0, None, False),
        (1, timedelta(days=5) - timedelta(seconds=1), False),
        (1, timedelta(days=5), True),
        (98, timedelta(hours=24), False),
        (99, timedelta(hours=24), True),
        (99, timedelta(hours=24) - timedelta(seconds=1), False),
        (5_000, timedelta(hours=1), False),
    ],
)
def test_whk_09_an_endpoint_is_paused_for_lasting_failure_only(
    failures: int, lasting: timedelta | None, pauses: bool
) -> None:
    since = NOW - lasting if lasting is not None else None
    assert after_attempt(Health(failures, since, 3), Attempt(NOW, 5, 500), NOW) == (
        Health(failures + 1, since or NOW, 0),
        pauses,
    )


def test_whk_09_a_success_makes_an_endpoint_healthy() -> None:
    long_ago = NOW - timedelta(days=6)
    assert after_attempt(Health(500, long_ago, 7), Attempt(NOW, 5, 204), NOW) == (Health(), False)


def test_tries_without_an_answer_are_counted_until_one_comes() -> None:
    health, _ = after_attempt(Health(2, NOW, 1), Attempt(NOW, 5, error="timeout"), NOW)
    assert health == Health(3, NOW, 2)
    health, _ = after_attempt(health, Attempt(NOW, 5, 503), NOW)
    assert health == Health(4, NOW, 0)
