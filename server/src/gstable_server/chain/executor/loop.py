"""Runs the senders of a process, each at its own pace, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import structlog

from gstable_server.chain.executor import store
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.executor.runner import Runner
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.1
"""How often the queue is looked at: one question for all senders together."""
IDLE_SECONDS = 30.0
BACK_OFF_SECONDS = (0.25, 10.0)


async def run(db: Database, runners: Sequence[Runner], stop: asyncio.Event) -> None:
    """Let every runner take its turns until ``stop``; trouble of one never reaches another."""
    wakes = {runner.key: asyncio.Event() for runner in runners}
    async with asyncio.TaskGroup() as group:
        for runner in runners:
            group.create_task(_take_turns(runner, wakes[runner.key], stop))
        group.create_task(_wake(db, wakes, stop))


async def _wake(
    db: Database, wakes: Mapping[tuple[str, Sender], asyncio.Event], stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            async with db.read() as tx:
                due = await store.senders_due(tx)
        except Exception:  # the edge: a lost database must not end the process
            log.exception("queue of transactions not read")
            due = set()
        for key, wake in wakes.items():
            if key in due:
                wake.set()
        await _wait(stop, LOOK_SECONDS)
    for wake in wakes.values():
        wake.set()


async def _take_turns(runner: Runner, wake: asyncio.Event, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        wake.clear()
        try:
            busy = await runner.turn()
        except asyncio.CancelledError:
            raise
        except Passing as failure:
            failures += 1
            log.warning("no turn of the executor", sender=runner.key, reason=str(failure))
            await _wait(stop, max(_back_off(failures), failure.retry_after or 0))
        except Exception:  # the edge: a bug or a lost database must not end the process
            failures += 1
            log.exception("turn of the executor failed", sender=runner.key)
            await _wait(stop, _back_off(failures))
        else:
            failures = 0
            # What becomes due is begun at once if there is room; what is in flight is looked at
            # once a pause.
            pause = runner.pause_seconds if busy else IDLE_SECONDS
            await _wait(wake if runner.has_room else stop, pause)


def _back_off(failures: int) -> float:
    least, most = BACK_OFF_SECONDS
    return min(least * 2.0 ** min(failures - 1, 10), most)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
