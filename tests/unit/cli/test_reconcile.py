"""What a script may conclude from the exit code of ``gstable reconcile``."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gstable_server.cli.reconcile import exit_code
from gstable_server.reconciliation.model import Outcome, Reading

READ = Reading("polygon", 120)
UNREAD = Reading("base", None, "its nodes do not answer")


@pytest.mark.parametrize(
    ("readings", "count", "code"),
    [((READ,), 0, 0), ((READ, UNREAD), 0, 2), ((READ,), 3, 1), ((READ, UNREAD), 3, 1)],
)
def test_nothing_differs_only_if_everything_was_compared(
    readings: tuple[Reading, ...], count: int, code: int
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    outcome = Outcome(at=at, readings=readings, sessions=1, left_out=0, count=count, differences=())
    assert exit_code(outcome) == code
