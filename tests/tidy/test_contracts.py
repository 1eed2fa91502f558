"""What the tests of contracts/ cover, as far as their text shows it."""

from __future__ import annotations

import re
from pathlib import Path

CONTRACTS = Path(__file__).parent.parent.parent / "contracts"
ERROR = re.compile(r"^\s*error (\w+)\(", re.MULTILINE)
EXPECTED = re.compile(r"\b(\w+)\.selector\b|\"(\w+)\([\w,]*\)\"")


def text_of(folder: str) -> str:
    """All Solidity below a folder of contracts/."""
    return "\n".join(file.read_text() for file in sorted((CONTRACTS / folder).rglob("*.sol")))


def test_every_error_is_expected_by_a_test() -> None:
    """forge's coverage does not see the refusing side of a `require`; this does."""
    declared = set(ERROR.findall(text_of("src")))
    expected = {name for pair in EXPECTED.findall(text_of("test")) for name in pair}
    assert len(declared) > 50
    assert sorted(declared - expected) == []


def test_there_are_enough_invariants_and_oddities() -> None:
    invariants = re.findall(r"function invariant_\w+", text_of("test"))
    oddities = re.search(r"enum Oddity \{(.*?)\}", text_of("test"), re.DOTALL)
    assert len(invariants) >= 8
    assert oddities is not None
    assert oddities[1].count(",") >= 20
