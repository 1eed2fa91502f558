"""The processes of an installation: which turns each role takes, made of the real parts.

A turn is what a role's own loop does between two pauses. The scheduler begins turns; the loops
themselves, which only pause and tolerate, are not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import asyncpg

from gstable_server import flow
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.executor.runner import Limits, Runner
from gstable_server.chain.indexer import Indexer, Step
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.rails.escrow import EscrowRail
from gstable_server.chain.rails.escrow_terms import FillAttestor
from gstable_server.chain.rails.hold import HoldRail
from gstable_server.chain.rails.port import Rail
from gstable_server.chain.rails.swap import SwapRail
from gstable_server.chain.signer import TxSigner
from gstable_server.kernel.errors import Passing, Refused
from gstable_server.kernel.ids import IdMint
from gstable_server.plumbing.db import DRIVER_FAILED, Database, Tx
from gstable_server.plumbing.outbox import relay_once
from gstable_server.sessions.deposits import watching
from gstable_server.sessions.operations import Desk
from gstable_server.settlement import operations as settlement
from gstable_server.webhooks.dispatch import Dispatcher, Pace
from tests.sim.chain import SimChain
from tests.sim.database import Server, database_of
from tests.sim.kernel import Kernel, Process, SimClock
from tests.sim.networks import (
    ATTESTOR_KEY,
    FEE_RECEIVER,
    RELAYER,
    RELAYER_KEY,
    SOLVER,
    SOLVER_KEY,
)
from tests.sim.providers import Outlet, SimProvider
from tests.sim.receivers import Receivers, SimHttp
from tests.sim.world import World

TOLERATED = (
    Passing,
    Refused,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InFailedSQLTransactionError,
    *DRIVER_FAILED,
)
"""What follows from a simulated fault. A role's loop survives more; here that would be a bug."""

NOT_SIMULATED = ("end stuck connections", "forget the job log")
"""Appointments that are about PostgreSQL's own processes, or PgQueuer's tables."""

Work = Callable[[], Awaitable[object]]
CAPTURE_SECONDS = 1200
"""How long after its order a hold may be captured: so short that histories see its end."""
IDLE = (None, 0, False, Step.NOTHING_NEW)
"""What turns answer that found nothing to do."""


@dataclass(slots=True)
class Turn:
    """What a loop does when it comes round. ``wakes`` is another value when it may find something
    to do again."""

    work: Work
    wakes: Callable[[], object]


@dataclass
class Machine:
    """A running process of one role, with the turns that it may take."""

    role: str
    process: Process
    db: Database
    turns: dict[str, Turn]


@dataclass
class Surroundings:
    """What every process is connected to."""

    kernel: Kernel
    server: Server
    world: World
    outlets: dict[str, list[Outlet]]
    """The providers of each network."""
    receivers: Receivers
    ids: IdMint
    nothing: dict[tuple[str, str], object] = field(default_factory=dict)
    """What woke the last turn of each role and name that found nothing to do, in any process."""
    idle_senders: set[str] = field(default_factory=set)
    """Of executors, by their turn's name: those that have nothing under way, as the last turn in
    any process has found."""
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many of the last turns of each role and name have failed, in any process."""

    def boot(self, role: str, number: int) -> Machine:
        """A fresh process of ``role``: nothing in memory."""
        process = Process(f"{role}{number}", SimClock(self.kernel))
        db = database_of(self.server, process, self.ids)
        turns = {
            "api": self._api,
            "worker": self._worker,
            "indexer": self._indexer,
            "executor": self._executor,
        }
        return Machine(role, process, db, turns[role](process, db))

    def take_turn(self, machine: Machine, name: str) -> None:
        """Begin one turn of ``machine``."""
        turn = machine.turns[name]

        key = machine.role, name

        async def work() -> None:
            woken = turn.wakes()
            self.nothing.pop(key, None)
            self.failures[key] += 1
            idle = await turn.work() in IDLE
            self.failures[key] = 0
            if idle:
                self.nothing[key] = woken

        self.do(machine, name, work)

    def is_idle(self, machine: Machine, name: str) -> bool:
        """Whether the turn would most likely find nothing to do."""
        known = self.nothing.get((machine.role, name))
        return known is not None and known == machine.turns[name].wakes()

    def do(self, machine: Machine, name: str, work: Work) -> None:
        """Begin ``work`` in ``machine``; its failures are survived, as every role does."""

        async def tolerant() -> None:
            try:
                await work()
            except TOLERATED as failure:
                self.kernel.note(f"{name} failed: {type(failure).__name__}")
            except BaseExceptionGroup as group:
                _, unexpected = group.split(TOLERATED)
                if unexpected is not None:
                    raise
                self.kernel.note(f"{name} failed: several")

        self.kernel.start(machine.process, name, tolerant)

    def _every(self, seconds: int) -> Callable[[], object]:
        loop = self.kernel.loop
        return lambda: loop.seconds // seconds

    def _api(self, process: Process, db: Database) -> dict[str, Turn]:
        return {}

    def _providers(self, process: Process, network: str) -> list[SimProvider]:
        return [
            SimProvider(self.kernel, process, outlet, f"{network}/{at}")
            for at, outlet in enumerate(self.outlets[network])
        ]

    def _worker(self, process: Process, db: Database) -> dict[str, Turn]:
        http = SimHttp(self.kernel, process, self.receivers)
        networks = self.world.networks
        chains = {one.name: self._providers(process, one.name)[0] for one in networks.all}
        desk = replace(self.world.desk, rails=rails_of(networks, chains))
        world = flow.World(db=db, desk=desk, http=http, deliveries=Pace(), chains=chains)
        dispatcher = Dispatcher(db, http, world.deliveries)
        server, soon, later = self.server, self._every(10), self._every(300)
        turns = {
            "relay": Turn(_relay(db, world), lambda: (server.told, soon())),
            "deliver": Turn(dispatcher.deliver_due, lambda: (server.posted, soon())),
            "settle": Turn(_settle(db, world), lambda: (server.settled, later())),
        }
        for name, rpc in chains.items() if self.world.deposits.are_taken else ():
            turns[f"deposits on {name}"] = self._watch(db, desk, networks.network(name), rpc)
        for appointment in flow.TIMETABLE:
            if appointment.name not in NOT_SIMULATED:
                often = self._every(600 if appointment.seconds >= 60 else 120)
                turns[appointment.name] = Turn(_appointment(db, world, appointment), often)
        return turns

    def _watch(self, db: Database, desk: Desk, network: Network, rpc: SimProvider) -> Turn:
        """Looks at deposit addresses, as often as they are due."""
        world, soon = self.world, self._every(network.poll_milliseconds // 1000)

        def wakes() -> object:
            return world.deposits.given, soon() if world.deposits.given else None

        return Turn(lambda: watching.look(db, desk, network, rpc), wakes)

    def _indexer(self, process: Process, db: Database) -> dict[str, Turn]:
        turns: dict[str, Turn] = {}
        for network in self.world.networks.all:
            chain = self.world.chains[network.name]
            rpcs = self._providers(process, network.name)
            indexer = Indexer(db, network, rpcs, rails_of(self.world.networks, {}))
            turns[network.name] = Turn(indexer.converge, partial(_version, chain))
        return turns

    def _executor(self, process: Process, db: Database) -> dict[str, Turn]:
        turns: dict[str, Turn] = {}
        for network in self.world.networks.all:
            chain, node = self.world.chains[network.name], self._providers(process, network.name)[0]
            for sender, key in ((Sender.RELAYER, RELAYER_KEY), (Sender.SOLVER, SOLVER_KEY)):
                runner = Runner(db, network, sender, TxSigner(key), node, Limits())
                name = f"{sender} on {network.name}"
                sending = _Sending(
                    name, runner, chain, self.server, self._every(600), self.idle_senders
                )
                turns[name] = Turn(sending.turn, sending.news)
        return turns


def rails_of(networks: Networks, chains: Mapping[str, SimProvider]) -> tuple[Rail, ...]:
    """The rails that the simulated contracts have."""
    escrow = EscrowRail(networks, chains, solver=SOLVER, attestor=FillAttestor(ATTESTOR_KEY))
    hold = HoldRail(
        fee_ppm=2000,
        fee_receiver=FEE_RECEIVER,
        operator=RELAYER,
        capture_seconds=CAPTURE_SECONDS,
    )
    return SwapRail(), escrow, hold


@dataclass
class _Sending:
    """One sender of one process: looks at the chain while something is under way, and at the
    queue when something was put there."""

    name: str
    runner: Runner
    chain: SimChain
    server: Server
    later: Callable[[], object]
    idle: set[str]

    async def turn(self) -> None:
        if await self.runner.turn():
            self.idle.discard(self.name)
        else:
            self.idle.add(self.name)

    def news(self) -> object:
        seen = None if self.name in self.idle else self.chain.version
        return seen, self.server.intended, self.later()


def _settle(db: Database, world: flow.World) -> Work:
    async def settle() -> int:
        turns = await settlement.look(db)
        for turn in turns:
            await settlement.tend(db, world.settler, turn)
        return len(turns)

    return settle


def _version(chain: SimChain) -> object:
    return chain.version


def _relay(db: Database, world: flow.World) -> Work:
    async def handle(tx: Tx, batch: Any) -> None:
        await flow.handle(tx, world, batch)

    return lambda: relay_once(db, handle)


def _appointment(db: Database, world: flow.World, appointment: flow.Appointment) -> Work:
    async def keep() -> None:
        await db.run(appointment.keep, world)

    return keep
