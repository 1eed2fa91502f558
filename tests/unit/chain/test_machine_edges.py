"""The very block at which a log is final, or is given up."""

from __future__ import annotations

from gstable_server.chain.machine import is_deep, is_overdue


def test_the_newest_block_has_one_confirmation() -> None:
    assert [is_deep(100, tip, 3) for tip in (101, 102, 103)] == [False, True, True]


def test_a_log_is_given_up_twice_its_confirmations_later() -> None:
    assert [is_overdue(100, tip, 3) for tip in (105, 106, 107)] == [False, True, True]
