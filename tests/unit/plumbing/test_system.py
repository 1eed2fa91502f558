from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from gstable_server.kernel.ids import ALPHABET, SessionId
from gstable_server.plumbing.system import SharedClock, SystemIdMint

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_late_answer_does_not_set_the_shared_clock_back(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 100.0
    monkeypatch.setattr(SharedClock, "passed", staticmethod(lambda: passed))
    clock = SharedClock()
    clock.tell(NOON, 100.0)
    passed = 3700.0
    clock.tell(NOON + timedelta(seconds=1), 101.0)
    assert clock.now() == NOON + timedelta(hours=1)
    assert clock.age_seconds == 3600
    clock.tell(NOON, 3699.5)
    assert clock.now() == NOON


def test_tokens_use_every_letter_evenly() -> None:
    mint = SystemIdMint()
    counts = Counter(mint.token(62_000))
    assert set(counts) == set(ALPHABET)
    # 1,000 of each are expected; five standard deviations either way.
    assert all(840 < count < 1160 for count in counts.values())


def test_tokens_have_the_length_asked_for_and_do_not_repeat() -> None:
    mint = SystemIdMint()
    assert [len(mint.token(length)) for length in range(64)] == list(range(64))
    assert len({mint.mint(SessionId) for _ in range(1000)}) == 1000
