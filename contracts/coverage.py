"""What the forge tests leave uncovered, from the file that `forge coverage` wrote.

    python3 contracts/coverage.py FILE

Exits with 1 when a line of `src/` is never run, or an `if` never taken. The other side of an `if`
is judged by its lines, as forge does not see it in code of the intermediate representation. Nor
does it see the refusing side of a `require`: tests/tidy/test_contracts.py checks that every error
is met.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path


UNCOUNTED = {
    "return success;": "a deposit's wallet: its test moves coins, which nothing else can",
    "previous = attestor;": "becomes part of the loop; the tests of ascending order need it",
    "previous = attester;": "becomes part of the loop; the tests of ascending order need it",
}


def assembly_of(text: list[str]) -> set[int]:
    """The numbers of the lines that are assembly, which forge does not count."""
    found: set[int] = set()
    depth = 0
    for number, line in enumerate(text, start=1):
        if depth or line.strip().startswith("assembly"):
            found.add(number)
            depth += line.count("{") - line.count("}")
    return found


def main(path: Path) -> int:
    """Print the lines and branches of each file. Returns 0 when every line was run, else 1."""
    lines: dict[str, dict[int, int]] = defaultdict(dict)
    branches: dict[str, dict[tuple[int, int], int]] = defaultdict(dict)
    name = ""
    for entry in path.read_text().splitlines():
        kind, _, value = entry.partition(":")
        if kind == "SF":
            name = value
        elif kind == "DA":
            number, hits = value.split(",")[:2]
            lines[name][int(number)] = int(hits)
        elif kind == "BRDA":
            number, _, arm, taken = value.split(",")
            branches[name][int(number), int(arm)] = int(taken) if taken.isdigit() else 0
    sources = sorted(source for source in lines if source.startswith("src/"))
    failures = 0
    for source in sources:
        text = (path.parent / "coverage" / source).read_text().splitlines()
        skipped = assembly_of(text)
        skipped |= {n for n, line in enumerate(text, start=1) if line.strip() in UNCOUNTED}
        unrun = [n for n, hits in sorted(lines[source].items()) if not hits and n not in skipped]
        untaken = sorted(
            number
            for (number, arm), hits in branches[source].items()
            if not hits and arm == 0 and "require(" not in text[number - 1]
            if number not in skipped
        )
        failures += len(unrun) + len(untaken)
        print(f"{source}: {len(lines[source])} lines, not run: {unrun}, not taken: {untaken}")
    print(f"{sum(len(lines[source]) for source in sources)} lines, {failures} failures")
    return 1 if failures or not sources else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
