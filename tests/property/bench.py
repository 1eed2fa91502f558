"""What the examples of one stateful property share: event loop, database and clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
T = TypeVar("T")


def emptying(*tables: str) -> str:
    """The statements that empty a test's own database. Tables that are append only refuse it, so
    their triggers do not look until the transaction ends."""
    return f"SET LOCAL session_replication_role = replica; TRUNCATE {', '.join(tables)} CASCADE"


@dataclass
class Bench(Generic[T]):
    """``run`` waits for one coroutine; ``world`` is what the rules act on."""

    run: Callable[[Awaitable[Any]], Any]
    world: T
    clock: FakeClock


@contextmanager
def bench_at(url: str, new_world: Callable[[Database], Awaitable[T]]) -> Iterator[Bench[T]]:
    clock = FakeClock(START)

    async def ready(work: Awaitable[Any]) -> Any:
        return await work

    with asyncio.Runner() as runner:
        db = runner.run(Database.connect(url, clock=clock, ids=SystemIdMint(), size=2))
        try:
            world = runner.run(ready(new_world(db)))
            yield Bench(lambda work: runner.run(ready(work)), world, clock)
        finally:
            runner.run(db.close())


def play(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """Let Hypothesis choose the steps."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=(Phase.generate,),  # shrinking on a database takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
