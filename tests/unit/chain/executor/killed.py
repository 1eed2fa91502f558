"""Executors that end themselves with SIGKILL at a step that their plan names.

A process of its own, started by test_killed.py: it forks one executor a run, so that a hundred
of them cost seconds. The steps are the executor's two ports, the node and the database: whatever
happens between two of them is lost with the process and cannot be seen from outside.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp

from gstable_server.chain.executor import operations, store
from gstable_server.chain.executor.loop import Executor
from gstable_server.chain.executor.model import Flight, Sender, State
from gstable_server.chain.executor.node import HttpNode
from gstable_server.chain.executor.runner import Limits, Runner
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.log import configure_logging
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from tests.unit.chain.executor.local_chain import GWEI, KEY, LocalChain, counting, network_at

CONFIRMATIONS = 3
INTENTS = 3
BLOCK_SECONDS = 0.05
RUN_SECONDS = 300.0
LIMITS = Limits(patience=timedelta(milliseconds=150))

NODE_STEPS = ("account", "estimate_gas", "send_raw", "receipts", "blocks_by_number")
MOVES = ("sign", "accept", "include", "look_again", "conclude")
RIVAL_STEPS = ("mined_at", "spent_in")


class Plan:
    """Counts the steps; at the ``nth`` time of the planned one, the process is gone."""

    def __init__(self, step: str = "", nth: int = 1) -> None:
        self._step = step
        self._nth = nth
        self._passed: Counter[str] = Counter()

    def passes(self, step: str) -> None:
        self._passed[step] += 1
        if step == self._step and self._passed[step] == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalNode(HttpNode):
    """May die before a question is asked, and after it was answered."""

    plan = Plan()

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in NODE_STEPS + RIVAL_STEPS:
            return value
        plan = self.plan

        async def mortal(*arguments: Any) -> Any:
            plan.passes(f"{name} asked")
            answer = await value(*arguments)
            plan.passes(f"{name} answered")
            return answer

        return mortal


class MortalDatabase(Database):
    """May die when a transaction has begun, when all is written, and after the commit."""

    plan = Plan()

    async def run(self, operation: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        name = operation.__name__

        async def mortal(tx: Any, *inner: Any, **named: Any) -> Any:
            self.plan.passes(f"{name} begun")
            result = await operation(tx, *inner, **named)
            await tx.flush()
            self.plan.passes(f"{name} written")
            return result

        result = await super().run(mortal, *args, **kwargs)
        self.plan.passes(f"{name} committed")
        return result


class World:
    """One executor's process: its chain, its database and its runner."""

    def __init__(self, db: MortalDatabase, chain: LocalChain, node: MortalNode) -> None:
        self.db = db
        self.chain = chain
        self.node = node
        self.runner = Runner(db, chain.network, Sender.RELAYER, chain.signer, node, LIMITS)

    def arm(self, plan: Plan) -> None:
        """From here on the plan counts."""
        self.db.plan = plan
        self.node.plan = plan

    async def want(self, causes: Sequence[str]) -> None:
        async with self.db.begin() as tx:
            for cause in causes:
                await operations.intend(tx, counting(cause))

    async def states(self, causes: Sequence[str]) -> set[State]:
        async with self.db.read() as tx:
            views = [await operations.find(tx, cause) for cause in causes]
        return {view.state for view in views if view is not None}

    async def want_sent(self, causes: Sequence[str]) -> None:
        """Everything left behind is final first, so that the story is of ``causes`` alone."""
        while await self.flights():
            await self.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
            await self.chain.mine()
            await self.runner.turn()
        await self.want(causes)
        await self.turn_until(causes, State.SENT)

    async def is_busy(self) -> bool:
        async with self.db.read() as tx:
            return bool(await operations.list_open(tx))

    async def flights(self) -> list[Flight]:
        async with self.db.read() as tx:
            return await store.in_flight(tx, *self.runner.key)

    async def turn_until(self, causes: Sequence[str], *states: State) -> None:
        """Turns without new blocks until all of ``causes`` are in one of ``states``."""
        while not await self.states(causes) <= set(states):
            await self.runner.turn()


@asynccontextmanager
async def world(database_url: str, rpc_url: str) -> Any:
    network = replace(network_at(rpc_url, confirmations=CONFIRMATIONS), poll_milliseconds=50)
    db = await MortalDatabase.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=4)
    async with aiohttp.ClientSession() as session:
        node = MortalNode(session, network.rpc_urls, network.chain_id)
        chain = LocalChain(HttpNode(session, network.rpc_urls, network.chain_id), network)
        yield World(db, chain, node)  # type: ignore[arg-type]
    await db.close()


# --- what a run does until it dies ------------------------------------------------------------


async def plainly(world: World, causes: Sequence[str], plan: Plan) -> None:
    """Blocks come, the executor runs as a server runs it."""

    async def make_blocks() -> None:
        while True:
            await world.chain.mine()
            await asyncio.sleep(BLOCK_SECONDS)

    world.arm(plan)
    blocks = asyncio.create_task(make_blocks())
    stop = asyncio.Event()
    executor = Executor(world.db, {Sender.RELAYER: KEY}, LIMITS)
    running = [
        asyncio.create_task(executor.watch_queue(stop)),
        asyncio.create_task(executor.send_on(world.chain.network, world.node, stop)),
    ]
    # A step that is planned for its third time may need more than one round of intents.
    for wave in itertools.count():
        await world.want([f"{cause} wave {wave}" for cause in causes])
        while await world.is_busy():
            await asyncio.sleep(0.05)
        if not causes:
            break
    stop.set()
    await asyncio.gather(*running)
    blocks.cancel()


async def when_gas_becomes_dear(world: World, causes: Sequence[str], plan: Plan) -> None:
    await world.want_sent(causes)
    await world.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(100 * GWEI))
    await world.chain.mine(2)
    world.arm(plan)
    await asyncio.sleep(LIMITS.patience.total_seconds())
    while True:
        await world.runner.turn()


async def when_blocks_are_taken_back(world: World, causes: Sequence[str], plan: Plan) -> None:
    await world.want_sent(causes)
    await world.chain.mine()
    await world.turn_until(causes, State.MINED)
    world.arm(plan)
    await world.chain.ask("anvil_reorg", 1, [])
    while True:
        await world.runner.turn()


async def when_a_nonce_is_stolen(world: World, causes: Sequence[str], plan: Plan) -> None:
    await world.want_sent(causes)
    async with world.db.read() as tx:
        view = await operations.find(tx, causes[0])
    assert view is not None
    assert view.reservation is not None
    await world.chain.steal_nonce(view.reservation.nonce)
    await world.chain.mine(CONFIRMATIONS + 1)
    world.arm(plan)
    while True:
        await world.runner.turn()


Story = Callable[[World, Sequence[str], Plan], Coroutine[Any, Any, None]]


def moves(*names: str) -> list[str]:
    return [f"{name} {where}" for name in names for where in ("begun", "written", "committed")]


def questions(*names: str) -> list[str]:
    return [f"{name} {where}" for name in names for where in ("asked", "answered")]


PLAIN = questions(*NODE_STEPS) + moves(*MOVES)
RUNS: list[tuple[Story, str, int]] = [
    *((plainly, step, nth) for nth in (1, 2, 3) for step in PLAIN),
    *(
        (story, step, 1)
        for story, steps in (
            (when_gas_becomes_dear, moves("reprice") + questions("send_raw") + moves("accept")),
            (when_blocks_are_taken_back, moves("take_back") + questions("send_raw")),
            (when_a_nonce_is_stolen, moves("replace") + questions(*RIVAL_STEPS, "send_raw")),
        )
        for step in steps
    ),
]
"""Every step in every story that has it: what runs, where it dies, and at which time."""
RUNS += [(plainly, step, 1) for step in moves("sign")[: 100 - len(RUNS)]]


def causes_of(run: int) -> list[str]:
    return [f"run {run} intent {number}" for number in range(INTENTS)]


def forked(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run ``work`` in a child; its wait status."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 1
    try:
        asyncio.run(asyncio.wait_for(work(), RUN_SECONDS))
        code = 0
    finally:  # never back into the parent's code, whatever happened
        os._exit(code)


def main(database_url: str, rpc_url: str) -> None:
    configure_logging("critical")  # a foreign transaction is a loud one: to be expected here

    async def one(story: Story, causes: Sequence[str], plan: Plan) -> None:
        async with world(database_url, rpc_url) as here:
            await story(here, causes, plan)

    for number, (story, step, nth) in enumerate(RUNS):
        status = forked(lambda: one(story, causes_of(number), Plan(step, nth)))  # noqa: B023
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        report = {"story": story.__name__, "step": step, "nth": nth, "killed": killed}
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()
    sys.exit(os.waitstatus_to_exitcode(forked(lambda: one(plainly, [], Plan()))))


if __name__ == "__main__":
    main(*sys.argv[1:])
