"""What the forge tests leave uncovered, from the file that `forge coverage` wrote.

    python3 contracts/coverage.py FILE

Exits with 1 when a line of `src/` is never run, or a branch never taken. The two sides of a `require`
are no branches here, as forge does not see the second; that every error is met is checked by
tests/tidy/test_contracts.py instead.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path


UNCOUNTED = {
    'assembly ("memory-safe") {': "forge does not count assembly",
    "invalid()": "forge does not count assembly",
    "mstore(signature, sub(mload(signature), 32))": "forge does not count assembly",
    "word := mload(add(text, mload(text)))": "forge does not count assembly",
    "return success;": "its test moves coins, which nothing else can",
    "if (finality < FINALITY_THRESHOLD_FINALIZED) {": "both arms are run, as their lines show",
    "previous = attestor;": "becomes part of the loop; the tests of ascending order need it",
    "previous = attester;": "becomes part of the loop; the tests of ascending order need it",
}


def main(path: Path) -> int:
    """Print the lines and branches of each file. Returns 0 when every line was run, else 1."""
    lines: dict[str, dict[int, int]] = defaultdict(dict)
    branches: dict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    name = ""
    for entry in path.read_text().splitlines():
        kind, _, value = entry.partition(":")
        if kind == "SF":
            name = value
        elif kind == "DA":
            number, hits = value.split(",")[:2]
            lines[name][int(number)] = int(hits)
        elif kind == "BRDA":
            *place, taken = value.split(",")
            branches[name][tuple(place)] = int(taken) if taken.isdigit() else 0
    sources = sorted(source for source in lines if source.startswith("src/"))
    failures = 0
    for source in sources:
        text = (path.parent / "coverage" / source).read_text().splitlines()
        unrun = [
            number
            for number, hits in sorted(lines[source].items())
            if not hits and text[number - 1].strip() not in UNCOUNTED
        ]
        untaken = sorted(
            {
                int(place[0])
                for place, hits in branches[source].items()
                if not hits
                and "require(" not in text[int(place[0]) - 1]
                and text[int(place[0]) - 1].strip() not in UNCOUNTED
            }
        )
        failures += len(unrun) + len(untaken)
        print(f"{source}: {len(lines[source])} lines, not run: {unrun}, not taken: {untaken}")
    print(f"{sum(len(lines[source]) for source in sources)} lines, {failures} failures")
    return 1 if failures or not sources else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
