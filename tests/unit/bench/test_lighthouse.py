"""What the bench of pages makes of Lighthouse's reports."""

from __future__ import annotations

from typing import Any

import pytest

from bench.lighthouse.run import Judgement, table

MEASURED = {
    "first-contentful-paint": 900.4,
    "largest-contentful-paint": 1_000.0,
    "total-blocking-time": 20.0,
    "total-byte-weight": 27_000,
    "cumulative-layout-shift": 0.0,
}


def report(performance: float = 1.0, **changes: float) -> dict[str, Any]:
    values = {**MEASURED, **{name.replace("_", "-"): one for name, one in changes.items()}}
    scores = {"performance": performance, "accessibility": 1, "best-practices": 1}
    return {
        "audits": {name: {"numericValue": one} for name, one in values.items()},
        "categories": {name: {"score": one} for name, one in scores.items()},
    }


def test_what_misses_an_aim_is_named_and_the_best_of_each_figure_counts() -> None:
    slow = Judgement.of(report(0.97, largest_contentful_paint=1_201.0))
    assert slow.missed == ["performance", "largest_paint_ms"]
    large = Judgement.of(report(total_byte_weight=60_001))
    assert large.missed == ["bytes"]
    best = slow.best(large)
    assert best.missed == []
    assert (best.performance, best.largest_paint_ms, best.bytes) == (100, 1_000, 27_000)
    assert table({"link": best}).splitlines()[2].startswith("| link | 100 | 100 | 100 | 900 |")


def test_a_page_that_does_not_load_is_no_result() -> None:
    with pytest.raises(RuntimeError, match="Status code: 500"):
        Judgement.of({"runtimeError": {"message": "Status code: 500"}})
