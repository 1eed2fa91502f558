"""What a run came to, for people and as one object."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.faults import Happened
from tests.chaos.plan import Kind
from tests.chaos.run import Outcome


def as_object(outcome: Outcome) -> dict[str, Any]:
    """Everything, for ``--json``."""
    return {
        "seed": outcome.plan.seed,
        "payments": dict(Counter(each.kind for each in outcome.plan.payments)),
        "faults": [
            {
                "at": round(one.at, 1),
                "what": str(one.fault),
                "back": None if one.back is None else round(one.back, 2),
                "blocksLost": one.lost,
            }
            for one in outcome.happened
        ],
        "recovery": {
            name: {"count": len(seconds), "p50": _middle(seconds), "max": round(max(seconds), 2)}
            for name, seconds in _by_target(outcome.happened).items()
        },
        "stages": {name: round(seconds, 1) for name, seconds in outcome.stages.items()},
        "counts": outcome.verdict.counts,
        "violations": outcome.verdict.violations,
    }


def show(outcome: Outcome, command: str) -> None:
    """The tables, and at the end whether every promise was kept."""
    console = Console(highlight=False, soft_wrap=True)
    faults = Table("at, s", "what went wrong", "back after, s", "blocks lost")
    for one in outcome.happened:
        back = "never" if one.back is None else f"{one.back:.1f}"
        faults.add_row(f"{one.at:.1f}", str(one.fault), back, str(one.lost or ""))
    console.print(faults)
    recovery = Table("killed or turned back", "times", "p50, s", "max, s")
    for name, seconds in _by_target(outcome.happened).items():
        recovery.add_row(name, str(len(seconds)), f"{_middle(seconds):.1f}", f"{max(seconds):.1f}")
    console.print(recovery)
    told = as_object(outcome)
    for name in ("payments", "stages", "counts"):
        console.print(
            f"{name}: " + ", ".join(f"{key} {value}" for key, value in told[name].items())
        )
    for violation in outcome.verdict.violations:
        console.print(f"[red]violated:[/red] {violation}", markup=True)
    verdict = (
        f"{len(outcome.verdict.violations)} violations" if outcome.verdict.violations else "ok"
    )
    console.print(f"{verdict}; the same plan again: {command}")


def _by_target(happened: Sequence[Happened]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for one in happened:
        if one.back is not None and one.fault.kind in (Kind.KILL, Kind.REORGANISATION):
            kind = one.fault.kind is Kind.KILL
            found[one.fault.target.split(" ")[0] if kind else "reorganised"].append(one.back)
    return dict(sorted(found.items()))


def _middle(seconds: Sequence[float]) -> float:
    return round(sorted(seconds)[len(seconds) // 2], 2)
