"""The scheduler: one task goes on at a time, and a seed decides which.

Application code runs as asyncio tasks on a loop whose time stands still. A task *parks* before
each transaction and each call to the outside; when every task is parked, the scheduler chooses
what happens next and lets it go on. Between two parks nothing else runs, so that the choices alone
decide the history: the same seed has the same trace.

A process may die at any await. Its tasks then get ``Crash``, which nothing catches, and whatever
they still try on their way out fails: a dead process has no effects.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.sim.line import Line

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STEPS_SHOWN = 30
TURNS_TO_DIE = 20


class Crash(BaseException):
    """The process is dead. No ``Exception``, so that no handler takes it for a failure."""


class Violation(Exception):
    """An invariant does not hold; ``invariant`` is its name in the list of invariants."""

    def __init__(self, invariant: str, detail: str) -> None:
        self.invariant = invariant
        super().__init__(f"{invariant}: {detail}")


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop on the kernel's time: timers are due when the scheduler lets time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._line: Line | None = None
        # A task of a dead process ends with ``Crash``, and nobody asks for it.
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        return self.seconds

    async def create_unix_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], path: str
    ) -> tuple[Line, Any]:
        """The one connection to the database."""
        protocol = protocol_factory()
        self._line = Line(protocol, path)
        protocol.connection_made(self._line)
        return self._line, protocol

    def _run_once(self) -> None:
        # While callbacks are ready, nobody waits for a socket or a timer; and when none is, all
        # wait for the database. Asking the selector every time would be a fifth of a history.
        ready, timers = self._ready, self._scheduled  # type: ignore[attr-defined]
        line = self._line
        if not ready and line is not None and line.is_waiting:
            line.read()
            line.is_waiting = not ready
        elif not ready or (timers and timers[0].when() <= self.seconds):
            super()._run_once()  # type: ignore[misc]
            return
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    @property
    def is_quiet(self) -> bool:
        """Whether no callback is ready; sockets and timers may still wake some."""
        return not self._ready  # type: ignore[attr-defined]


class SimClock:
    """A machine's clock: the kernel's time, and how far it is wrong."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.wrong_by = timedelta(0)

    def now(self) -> datetime:
        return self._kernel.now + self.wrong_by


@dataclass(eq=False)
class Process:
    """A program of ours that runs and may die. ``running`` names its turns under way."""

    name: str
    clock: SimClock
    dead: bool = False
    running: set[str] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(frozen=True, slots=True, eq=False)
class Parked:
    """A task that waits to be chosen."""

    process: Process
    label: str
    goes_on: asyncio.Future[None]


PROCESS: ContextVar[Process] = ContextVar("PROCESS")


class Kernel:
    """Tasks, time and the trace of one simulated history."""

    def __init__(self, seed: int, loop: SimLoop) -> None:
        self.seed = seed
        self.loop = loop
        self.chance = Random(f"schedule {seed}")
        self.now = START
        self.parked: list[Parked] = []
        self.steps = 0
        self._recent: deque[tuple[int, datetime, str]] = deque(maxlen=STEPS_SHOWN)
        self._processes: dict[Process, None] = {}
        self.problems: list[Violation] = []
        """What was noticed inside a task, to be raised by the scheduler."""
        self.holder: asyncio.Task[object] | None = None
        """The task that is inside the database."""
        self._freed: asyncio.Event = asyncio.Event()
        self._line: list[str] = []
        self._hash = hashlib.sha256(b"%d" % seed)

    # --- what tasks do --------------------------------------------------------------------------

    async def park(self, process: Process, label: str) -> None:
        """Wait until the scheduler chooses this task. Raises ``Crash`` in a dead process."""
        if process.dead:
            raise Crash
        if self.holder is not None and self.holder is asyncio.current_task():
            raise Violation("S3", f"{process.name} waits for {label} inside a transaction")
        waiting = Parked(process, label, self.loop.create_future())
        self.parked.append(waiting)
        try:
            await waiting.goes_on
        finally:
            # Not chosen but cancelled, as by a timeout: nobody waits here any more.
            if waiting in self.parked:
                self.parked.remove(waiting)
        if process.dead:
            raise Crash

    def enter_database(self) -> None:
        """The current task goes into the database; all others stand still until it leaves."""
        assert self.holder is None, "two tasks would be in the database at once"
        self.holder = asyncio.current_task()
        self._freed.clear()

    def leave_database(self) -> None:
        self.holder = None
        self._freed.set()

    def note(self, text: str) -> None:
        """Add ``text`` to the trace of the present step."""
        self._line.append(text)

    def report(self, invariant: str, detail: str) -> None:
        """Fail the run at the end of this step."""
        self.problems.append(Violation(invariant, detail))

    # --- what the scheduler does ----------------------------------------------------------------

    def start(self, process: Process, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Begin ``work`` as a turn of ``process``; it runs until its first park by itself."""
        process.running.add(name)
        self._processes[process] = None

        async def run() -> None:
            PROCESS.set(process)
            try:
                await work()
            except BaseException as failure:
                if not is_crash(failure) and not process.dead:
                    raise
            finally:
                process.running.discard(name)

        task = self.loop.create_task(run())
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
        task.add_done_callback(self._note_failure)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if isinstance(failure, Violation):
            self.problems.append(failure)
        elif failure is not None:
            self.report("S1", f"a turn ended with {failure!r}")

    def kill(self, process: Process) -> None:
        """The process dies where it stands."""
        process.dead = True
        self.note(f"{process.name} dies")
        for each in [one for one in self.parked if one.process is process]:
            self.parked.remove(each)
            if not each.goes_on.done():
                each.goes_on.set_exception(Crash())
        for task in process.tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def abandon(self) -> None:
        """End what is left of a history that was not played to its end, because its timeouts
        would wake it in the next one."""
        for process in self._processes:
            self.kill(process)
        for _ in range(TURNS_TO_DIE):
            await asyncio.sleep(0)

    def resume(self, chosen: Parked) -> None:
        """Let a parked task go on."""
        self.parked.remove(chosen)
        self.note(f"{chosen.process.name} {chosen.label}")
        if not chosen.goes_on.done():
            chosen.goes_on.set_result(None)

    def pass_time(self, seconds: float) -> None:
        """Move all clocks."""
        self.now += timedelta(seconds=seconds)
        self.loop.seconds += seconds

    async def settle(self) -> None:
        """Wait until every task is parked, asleep or done."""
        while self.holder is not None or not self.loop.is_quiet:
            if self.holder is not None:
                await self._freed.wait()
            else:
                await asyncio.sleep(0)

    async def end_step(self) -> None:
        """Let what was chosen run to its next park; then judge it and keep its trace."""
        await asyncio.sleep(0)
        await self.settle()
        self.steps += 1
        text = "; ".join(self._line)
        self._line.clear()
        self._recent.append((self.steps, self.now, text))
        self._hash.update(f"{self.steps} {text}\n".encode())
        if self.problems:
            raise self.problems[0]

    @property
    def last_steps(self) -> tuple[str, ...]:
        """The end of the trace, for people."""
        return tuple(f"{step} {at:%H:%M:%S} {text}" for step, at, text in self._recent)

    def digest(self) -> str:
        """The hash of everything that happened."""
        return self._hash.hexdigest()


def is_crash(failure: BaseException) -> bool:
    """Whether a task ended because its process died; groups may carry several."""
    if isinstance(failure, BaseExceptionGroup):
        return all(is_crash(each) for each in failure.exceptions)
    return isinstance(failure, Crash | asyncio.CancelledError)
