"""Ready is what a process needs; alive is that it answers."""

from __future__ import annotations

import asyncio

import pytest

from gstable_server.plumbing import health
from gstable_server.plumbing.health import Check, Finding, Health, judged

pytestmark = pytest.mark.anyio


def check(name: str, problem: str | None = None, **how: object) -> Check:
    async def probe() -> str | None:
        return problem

    return Check(name, probe, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        ([check("database")], "ok"),
        ([check("database", "lost")], "failing"),
        ([check("a", "lost", any_of="test"), check("b", any_of="test")], "degraded"),
        ([check("a", "lost", any_of="test"), check("b", "lost", any_of="test")], "failing"),
        ([check("a", "lost", any_of="live"), check("b", any_of="test")], "failing"),
        ([check("database"), check("halted", "polygon", is_advice=True)], "degraded"),
        ([], "ok"),
    ],
)
async def test_ops_14_one_network_less_is_degraded_and_all_of_a_mode_failing(
    checks: list[Check], status: str
) -> None:
    report = await Health(checks).report()
    assert report.status == status
    assert report.is_ready is (status != "failing")
    assert [one["name"] for one in report.as_json()["checks"]] == [  # type: ignore[attr-defined]
        one.name for one in checks
    ]


async def test_a_check_that_hangs_or_breaks_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WITHIN_SECONDS", 0.01)

    async def hang() -> None:
        await asyncio.sleep(60)

    async def break_down() -> None:
        raise ConnectionError("postgresql://owner:secret@host")

    report = await Health([Check("slow", hang), Check("broken", break_down)]).report()
    assert [one.problem for one in report.findings] == [
        "no answer within 0.01 s",
        "could not be looked at",
    ]


async def test_many_who_ask_at_once_cost_one_look() -> None:
    looks = 0

    async def count() -> None:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)

    one = Health([Check("database", count)])
    await asyncio.gather(*(one.report() for _ in range(50)))
    assert looks == 1


def test_what_failed_is_judged_in_the_order_of_the_checks() -> None:
    report = judged([check("a"), check("b")], [Finding("a", None), Finding("b", "lost")])
    assert not report.is_ready
