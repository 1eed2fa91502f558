from __future__ import annotations

from collections import Counter

from gstable_server.kernel.ids import ALPHABET, SessionId
from gstable_server.plumbing.system import SystemIdMint


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
