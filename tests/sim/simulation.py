"""One history: a world, an installation, and a seed that plays them against each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gstable_server.plumbing.testing import FakeIdMint
from tests.sim.chain import RpcFaults, SimChain
from tests.sim.database import DatabaseFaults, database_of, open_server
from tests.sim.ending import Ending
from tests.sim.invariants import Watch
from tests.sim.kernel import Kernel, Process, SimClock, SimLoop, Violation
from tests.sim.machines import Machine, Surroundings
from tests.sim.networks import new_networks
from tests.sim.profile import Profile, profile_of
from tests.sim.receivers import Receivers
from tests.sim.world import Sale, World

ROLES = ("api", "worker", "indexer")
STEPS_MAX = 20_000
BIG_JUMP_SECONDS = 1860


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed. ``violation`` is None when every invariant held."""

    seed: int
    trace_hash: str
    steps: int
    payments: int
    violation: Violation | None = None
    last_steps: tuple[str, ...] = ()


class Simulation:
    """The present of one history, and what may happen next."""

    def __init__(self, seed: int, profile: Profile, surroundings: Surroundings) -> None:
        self.seed = seed
        self.profile = profile
        self.all = surroundings
        self.kernel = surroundings.kernel
        self.chance = self.kernel.chance
        self.world = surroundings.world
        self.machines: dict[str, Machine] = {}
        self.down: list[tuple[str, int]] = []
        self.jumped = False
        for role in ROLES:
            for number in range(profile.instances):
                self._boot(role, number)

    def _boot(self, role: str, number: int) -> None:
        machine = self.all.boot(role, number)
        self.machines[machine.process.name] = machine

    # --- what may happen --------------------------------------------------------------------------

    def act(self) -> None:
        """Choose one thing and let it happen."""
        chance, parked = self.chance, self.kernel.parked
        if parked and chance.random() < self.profile.eagerness:
            self.kernel.resume(parked[chance.randrange(len(parked))])
            return
        [action] = chance.choices(self._actions, self._weights)
        action()

    @property
    def _actions(self) -> tuple[Callable[[], None], ...]:
        return (
            self.take_a_turn,
            self.serve_a_person,
            self.mine,
            self.pass_time,
            self.reorganise,
            self.crash,
            self.restart,
        )

    @property
    def _weights(self) -> tuple[float, ...]:
        rates = self.profile
        return (20, 30, rates.mining, 4, rates.reorganisations, rates.crashes, 2)

    def take_a_turn(self) -> None:
        """A role's loop comes round."""
        machine = self.chance.choice(list(self.machines.values()))
        idle = [name for name in machine.turns if name not in machine.process.running]
        if machine.process.dead or not idle:
            return
        busy = [name for name in idle if name in {"relay", "deliver"}]
        pick = busy if busy and self.chance.random() < 0.85 else idle
        name = self.chance.choice(pick)
        self.kernel.note(f"{machine.process.name} {name}")
        self.all.take_turn(machine, name)

    def serve_a_person(self) -> None:
        """Somebody opens, orders, cancels or pays, in a process of the API."""
        apis = [one for one in self.machines.values() if one.role == "api"]
        if not apis:
            return
        machine = self.chance.choice(apis)
        sales = self.world.sales
        if len(sales) < self.profile.sales and self.chance.random() < 0.5:
            self.world.plan_sale()
        sale = sales[self.chance.randrange(len(sales))] if sales else None
        if sale is None or f"sale {sale.number}" in machine.process.running:
            return
        self._serve(machine, sale)

    def _serve(self, machine: Machine, sale: Sale) -> None:
        world, verb = self.world, self.world.next_verb(sale)
        if verb is None:
            return
        self.kernel.note(f"{machine.process.name} {verb} {sale.key}")
        if verb == "pay":
            world.pay(sale)
            return
        verbs = {"open": world.open_session, "order": world.ask_for_order, "cancel": world.cancel}

        async def serve() -> None:
            await verbs[verb](machine.db, sale)

        self.all.take_turn(machine, sale.key, serve)

    def mine(self) -> None:
        chain = self.chance.choice(list(self.world.chains.values()))
        block = chain.mine_pool(self.profile.block_size)
        self.kernel.note(f"{chain.network.name} mines {len(block.txs)}")

    def reorganise(self) -> None:
        chain = self.chance.choice(list(self.world.chains.values()))
        deepest = min(self.profile.reorganisation_depth, chain.unfinal_depth)
        if deepest < 1:
            return
        depth = self.chance.randint(1, deepest)
        chain.reorganise(depth)
        self.kernel.note(f"{chain.network.name} reorganised by {depth}")

    def pass_time(self) -> None:
        world = self.world
        everyone = len(world.sales) >= self.profile.sales
        if everyone and not self.jumped and self.chance.random() < 0.2 and world.paid_up:
            self.jumped = True
            self.kernel.pass_time(BIG_JUMP_SECONDS)
            self.kernel.note("half an hour passes")
            return
        seconds = self.chance.choice((0.1, 0.5, 1, 1, 2, 5))
        self.kernel.pass_time(seconds)
        self.kernel.note(f"{seconds} s")

    def crash(self) -> None:
        machine = self.chance.choice(list(self.machines.values()))
        self.kernel.kill(machine.process)

    def restart(self) -> None:
        for name, machine in list(self.machines.items()):
            if machine.process.dead:
                number = int(name.removeprefix(machine.role))
                self._boot(machine.role, number)
                self.kernel.note(f"{name} starts")

    @property
    def is_over(self) -> bool:
        """Everybody has done what they were going to do."""
        world = self.world
        return self.jumped and len(world.sales) >= self.profile.sales and world.everyone_is_done


async def play(seed: int, url: str, *, every: int = 50) -> Outcome:
    """Play one seed on the database at ``url``; looks at the invariants every so many steps."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    loop.set_exception_handler(lambda *_: None)
    kernel = Kernel(seed, loop)
    profile = profile_of(seed)
    faults = DatabaseFaults(Random(f"database {seed}"))
    server = await open_server(url, kernel, faults)
    try:
        return await _play(seed, kernel, profile, server, every)
    finally:
        await server.connection.close()


async def _play(seed: int, kernel: Kernel, profile: Profile, server: Any, every: int) -> Outcome:
    networks = new_networks(profile.confirmations)
    chains = {
        one.name: SimChain(kernel, one, Random(f"chain {one.name} {seed}")) for one in networks.all
    }
    world = World(networks, chains, Random(f"world {seed}"))
    rpc_faults = {
        one.name: profile.rpc_faults(Random(f"rpc {one.name} {seed}")) for one in networks.all
    }
    receivers = Receivers(Random(f"receivers {seed}"), profile.hostility)
    ids = FakeIdMint(seed)
    everything = Surroundings(kernel, server, world, chains, rpc_faults, receivers, ids)
    violation: Violation | None = None
    try:
        await _open_shops(kernel, server, world, ids)
        simulation = Simulation(seed, profile, everything)
        watch = Watch(server.connection, world)
        server.faults.statements = profile.statement_faults
        server.faults.commits = profile.commit_faults
        await _unrest(simulation, watch, every)
        await Ending(simulation, watch).come_to_rest()
    except Violation as found:
        violation = found
    return Outcome(
        seed=seed,
        trace_hash=kernel.digest(),
        steps=kernel.steps,
        payments=sum(len(sale.paid) for sale in world.sales),
        violation=violation,
        last_steps=tuple(kernel.last_steps),
    )


async def _open_shops(kernel: Kernel, server: Any, world: World, ids: FakeIdMint) -> None:
    process = Process("setup", SimClock(kernel))
    kernel.start(process, "shops", lambda: world.open_shops(database_of(server, process, ids), 3))
    await kernel.end_step()
    while kernel.parked:
        kernel.resume(kernel.parked[0])
        await kernel.end_step()


async def _unrest(simulation: Simulation, watch: Watch, every: int) -> None:
    kernel = simulation.kernel
    while not simulation.is_over:
        simulation.act()
        await kernel.end_step()
        if kernel.steps % every == 0:
            await watch.look()
        if kernel.steps > STEPS_MAX:
            raise Violation("S2", f"not over after {STEPS_MAX} steps")
