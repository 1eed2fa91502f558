"""Tokens that are known again without being stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gstable_server.plumbing.stamps import Stamps

NOW = datetime(2026, 5, 4, 12, 0, 0, 250_000, UTC)
UNTIL = datetime(2026, 5, 4, 12, 5, 0, tzinfo=UTC)
LETTERS = "a1B2" * 11
STAMPS = Stamps(bytes(range(32)))
TOKEN = STAMPS.token("door", LETTERS, UNTIL)


def test_a_token_is_good_for_its_purpose_until_its_end() -> None:
    assert STAMPS.end_of("door", TOKEN, NOW) == UNTIL
    assert STAMPS.end_of("door", TOKEN, UNTIL - timedelta(microseconds=1)) == UNTIL
    assert STAMPS.end_of("door", TOKEN, UNTIL) is None
    assert STAMPS.end_of("window", TOKEN, NOW) is None
    assert Stamps(bytes(32)).end_of("door", TOKEN, NOW) is None
    assert STAMPS.token("door", "a1B3" * 11, UNTIL) != TOKEN


@pytest.mark.parametrize(
    "token",
    [
        "",
        "..",
        LETTERS,
        TOKEN.lower(),
        TOKEN + "=",
        TOKEN + "\n",
        TOKEN[:-1],
        TOKEN.replace(LETTERS, LETTERS + "a"),
        TOKEN.replace(".", ".9", 1),
        TOKEN.replace(".", ".0", 1),
        TOKEN.replace(".", ".\u0661", 1),
        "x" * 9_000,
    ],
)
def test_what_was_not_stamped_here_is_none(token: str) -> None:
    assert STAMPS.end_of("door", token, NOW) is None
