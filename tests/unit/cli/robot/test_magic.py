"""Magic totals: the guide's table is the module's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gstable_server.cli.robot.magic import SCENARIOS, scenario_of
from gstable_server.cli.robot.scenarios import ACTS, Scenario

GUIDE = Path(__file__).parents[4] / "docs/guide/test-mode.md"
ROW = re.compile(r"^\| …`(\d{3})` \| `(\w+)` \|", re.MULTILINE)


def test_the_guide_lists_every_magic_total() -> None:
    listed = {int(tail): name for tail, name in ROW.findall(GUIDE.read_text())}
    assert listed == {tail: scenario.value for tail, scenario in SCENARIOS.items()}


@pytest.mark.parametrize(
    ("amount", "scenario"),
    [
        (10_000_001, Scenario.PAID),
        (2, Scenario.SHORT),
        (1_000_006, Scenario.SETTLEMENT_DELAYED),
        (10_000_000, None),
        (10_000_010, None),
        (10_000_100, None),
        (9_990_999, None),
    ],
)
def test_the_last_three_digits_count(amount: int, scenario: Scenario | None) -> None:
    assert scenario_of(amount) is scenario


def test_every_scenario_can_be_played() -> None:
    assert set(ACTS) == set(Scenario)
