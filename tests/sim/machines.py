"""The processes of an installation: which turns each role takes, made of the real parts.

A turn is what a role's own loop does between two pauses. The scheduler begins turns; the loops
themselves, which only pause and tolerate, are not run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from gstable_server import flow
from gstable_server.chain.indexer import Indexer, NetworkHalted
from gstable_server.kernel.errors import Passing, Refused
from gstable_server.kernel.ids import IdMint
from gstable_server.plumbing.db import DRIVER_FAILED, Database, Tx
from gstable_server.plumbing.outbox import relay_once
from gstable_server.webhooks.dispatch import Dispatcher, Pace
from tests.sim.chain import RpcFaults, SimChain, SimProvider
from tests.sim.database import Server, database_of
from tests.sim.kernel import Kernel, Process, SimClock
from tests.sim.receivers import Receivers, SimHttp
from tests.sim.world import World

TOLERATED = (Passing, Refused, NetworkHalted, asyncpg.PostgresError, OSError, *DRIVER_FAILED)
"""What a role's loop survives and logs; anything else is a bug."""

NOT_SIMULATED = ("end stuck connections", "forget the job log")
"""Appointments that are about PostgreSQL's own processes, or PgQueuer's tables."""

Turn = Callable[[], Awaitable[object]]


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
    chains: dict[str, SimChain]
    rpc_faults: dict[str, RpcFaults]
    receivers: Receivers
    ids: IdMint

    def boot(self, role: str, number: int) -> Machine:
        """A fresh process of ``role``: nothing in memory."""
        process = Process(f"{role}{number}", SimClock(self.kernel))
        db = database_of(self.server, process, self.ids)
        turns = {"api": self._api, "worker": self._worker, "indexer": self._indexer}
        return Machine(role, process, db, turns[role](process, db))

    def take_turn(self, machine: Machine, name: str, turn: Turn | None = None) -> None:
        """Begin one turn of ``machine``."""
        work = turn or machine.turns[name]

        async def tolerant() -> None:
            try:
                await work()
            except TOLERATED as failure:
                self.kernel.note(f"{name} failed: {type(failure).__name__}")

        self.kernel.start(machine.process, name, tolerant)

    def _api(self, process: Process, db: Database) -> dict[str, Turn]:
        return {}

    def _worker(self, process: Process, db: Database) -> dict[str, Turn]:
        http = SimHttp(self.kernel, process, self.receivers)
        world = flow.World(db=db, desk=self.world.desk, http=http, deliveries=Pace())
        dispatcher = Dispatcher(db, http, world.deliveries)
        turns: dict[str, Turn] = {
            "relay": _relay(db, world),
            "deliver": dispatcher.deliver_due,
        }
        for appointment in flow.TIMETABLE:
            if appointment.name not in NOT_SIMULATED:
                turns[appointment.name] = _appointment(db, world, appointment)
        return turns

    def _indexer(self, process: Process, db: Database) -> dict[str, Turn]:
        turns: dict[str, Turn] = {}
        for network in self.world.networks.all:
            faults = replace(self.rpc_faults[network.name])
            provider = SimProvider(self.kernel, process, self.chains[network.name], faults)
            turns[network.name] = Indexer(db, network, provider, ()).converge
        return turns


def _relay(db: Database, world: flow.World) -> Turn:
    async def handle(tx: Tx, batch: Any) -> None:
        await flow.handle(tx, world, batch)

    return lambda: relay_once(db, handle)


def _appointment(db: Database, world: flow.World, appointment: flow.Appointment) -> Turn:
    async def keep() -> None:
        await db.run(appointment.keep, world)

    return keep
