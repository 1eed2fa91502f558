"""Totals that the robot payer acts upon: the last three digits of the Micro-USD say what happens.

docs/guide/test-mode.md has the same table, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

from gstable_server.cli.robot.scenarios import Scenario

TAIL = 1000

SCENARIOS: Mapping[int, Scenario] = {
    1: Scenario.PAID,
    2: Scenario.SHORT,
    3: Scenario.OVER,
    4: Scenario.LATE,
    5: Scenario.REORGED,
    6: Scenario.SETTLEMENT_DELAYED,
    7: Scenario.REFUNDED,
}


def scenario_of(amount: int) -> Scenario | None:
    """What is played on a session of so many Micro-USD; None for nearly all of them."""
    return SCENARIOS.get(amount % TAIL)
