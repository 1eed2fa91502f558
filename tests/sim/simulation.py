"""One history: a world, an installation, and a seed that plays them against each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import accumulate
from random import Random
from typing import Any

from tests.sim.chain import GWEI, SimChain
from tests.sim.database import DatabaseFaults, Server, database_of, empty
from tests.sim.ending import Ending
from tests.sim.ids import SimIdMint
from tests.sim.invariants import Watch
from tests.sim.kernel import Kernel, Process, SimClock, SimLoop, Violation
from tests.sim.logbook import reading
from tests.sim.machines import Machine, Surroundings, rails_of
from tests.sim.networks import new_networks
from tests.sim.profile import Profile, profile_of
from tests.sim.providers import Outlet
from tests.sim.receivers import Receivers
from tests.sim.sales import Sale
from tests.sim.world import World

ROLES = ("api", "worker", "indexer", "executor")
STEPS_MAX = 20_000
BIG_JUMP_SECONDS = 1860.0
EVERY = 150
"""Steps between two looks at the invariants."""
ATTENTIVE = 0.95
"""The share of turns that are taken where there may be something to do."""


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
        weighed: dict[Callable[[], None], float] = {
            self.take_a_turn: 20,
            self.serve_a_person: 20,
            self.mine: profile.mining,
            self.pass_time: 4,
            self.reorganise: profile.reorganisations,
            self.crash: profile.crashes,
            self.restart: 2,
            self.disturb: profile.disturbances,
        }
        self._actions = tuple(weighed)
        self._weights = tuple(accumulate(weighed.values()))
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
        [action] = chance.choices(self._actions, cum_weights=self._weights)
        action()

    def take_a_turn(self) -> None:
        """A role's loop comes round: mostly one that may find something to do."""
        ready: list[tuple[Machine, str]] = []
        idle: list[tuple[Machine, str]] = []
        for machine in self.machines.values():
            if not machine.process.dead:
                for name in machine.turns:
                    if name not in machine.process.running:
                        (idle if self.all.is_idle(machine, name) else ready).append((machine, name))
        chosen = ready if ready and self.chance.random() < ATTENTIVE else idle
        if chosen:
            machine, name = self.chance.choice(chosen)
            if self.chance.random() > self.profile.paces.get(name, 1):
                return
            self.kernel.note(f"{machine.process.name} {name}")
            self.all.take_turn(machine, name)

    def serve_a_person(self) -> None:
        """Somebody opens, orders, cancels or pays, in a process of the API."""
        world = self.world
        if world.is_selling(self.profile.payments) and self.chance.random() < 0.5:
            world.plan_sale()
        waiting = world.waiting()
        apis = [one for one in self.machines.values() if one.role == "api"]
        machine = self.chance.choice(apis)
        if waiting and not machine.process.dead:
            sale, verb = self.chance.choice(waiting)
            busy = any(sale.key in one.process.running for one in self.machines.values())
            if not busy:
                self._serve(machine, sale, verb)

    def _serve(self, machine: Machine, sale: Sale, verb: str) -> None:
        world = self.world
        self.kernel.note(f"{machine.process.name} {verb} {sale.key}")
        sent = {
            "pay": world.pay,
            "give back": world.give_back,
            "transfer": world.transfer,
            "act alone": world.act_alone,
        }
        if verb in sent:
            sent[verb](sale)
            return
        verbs = {
            "address": world.ask_for_address,
            "act": world.act,
            "open": world.open_session,
            "order": world.ask_for_order,
            "sign": world.sign,
            "cancel": world.cancel,
            "refund": world.ask_for_refund,
        }
        self.all.do(machine, sale.key, partial(verbs[verb], machine.db, sale))

    def mine(self) -> None:
        chain = self.chance.choice(list(self.world.chains.values()))
        block = chain.mine(self.profile.block_size)
        self.kernel.note(f"{chain.network.name} mines {len(block.txs)}")
        if self.chance.random() < self.profile.bursts:
            # Nobody was there to read for a while, or a layer 2 has caught up.
            count = self.chance.randint(10, 3 * chain.network.confirmations + 20)
            for _ in range(count):
                chain.add_block([])
            self.kernel.note(f"and {count} blocks more")

    def reorganise(self) -> None:
        chain = self.chance.choice(list(self.world.chains.values()))
        deepest = min(self.profile.reorganisation_depth, chain.unfinal_depth)
        if deepest < 1:
            return
        depth = self.chance.randint(1, self.chance.choice((min(deepest, 5), deepest)))
        outlets = self.all.outlets[chain.network.name]
        if len(outlets) > 1 and self.chance.random() < 0.5:
            # One provider does not hear of it for a while.
            outlet = self.chance.choice(outlets)
            outlet.branch = outlet.branch or list(chain.blocks)
        style = chain.reorganise(depth)
        self.kernel.note(f"{chain.network.name} reorganised by {depth}, {style}")

    def pass_time(self) -> None:
        world = self.world
        if (
            not world.is_selling(self.profile.payments)
            and not self.jumped
            and self.chance.random() < 0.2
            and world.paid_up
        ):
            self.jumped = world.is_closing = True
            seconds = BIG_JUMP_SECONDS
        else:
            seconds = self.chance.choice((0.1, 0.5, 1, 1, 2, 5))
        self.kernel.pass_time(seconds)
        self.kernel.note(f"{seconds} s")
        world.note_the_time()

    def crash(self) -> None:
        machine = self.chance.choice(list(self.machines.values()))
        self.kernel.kill(machine.process)

    def restart(self) -> None:
        for name, machine in list(self.machines.items()):
            if machine.process.dead:
                number = int(name.removeprefix(machine.role))
                self._boot(machine.role, number)
                self.kernel.note(f"{name} starts")

    def disturb(self) -> None:
        """A machine's clock jumps, or a merchant switches a closed receiver on again."""
        machine = self.chance.choice(list(self.machines.values()))
        what = self.chance.choice(("clock", "clock right", "enable", "hears", "lag", "fees"))
        match what:
            case "fees":
                chain = self.chance.choice(list(self.world.chains.values()))
                chain.base_fee = self.chance.choice((GWEI, GWEI, 40 * GWEI))
                chain.version += 1
                self.kernel.note(f"{chain.network.name} asks {chain.base_fee // GWEI} gwei")
            case "hears":
                for outlet in self._outlets:
                    outlet.branch = None
                self.kernel.note("every provider hears of the branch")
            case "lag":
                outlet = self.chance.choice(self._outlets)
                outlet.lag = self.chance.choice((0, 0, 2, 30)) if self.profile.lag else 0
                outlet.range_limit = self.chance.choice((None, None, 3, 20))
                self.kernel.note(f"a provider lags {outlet.lag} blocks")
            case "clock":
                # All processes go by the database's clock (`SharedClock`): a machine's own may be
                # wrong by hours, and what is left of it is less than a minute.
                minutes = self.chance.choice((-1, -1, 1, 1))
                machine.process.clock.wrong_by = timedelta(minutes=minutes)
                self.kernel.note(f"the clock of {machine.process.name} jumps {minutes} min")
            case "clock right":
                machine.process.clock.wrong_by = timedelta(0)
                self.kernel.note(f"the clock of {machine.process.name} is right")
            case "enable":
                self.enable_hooks(machine)

    @property
    def _outlets(self) -> list[Outlet]:
        return [outlet for outlets in self.all.outlets.values() for outlet in outlets]

    def enable_hooks(self, machine: Machine) -> None:
        for merchant in self.world.merchants:
            if merchant.hook and not machine.process.dead:
                work = partial(self.world.enable_hook, machine.db, merchant)
                self.kernel.note(f"{machine.process.name} enables {merchant.hook.target.url}")
                self.all.do(machine, f"enable {merchant.hook.webhook_id}", work)

    @property
    def is_over(self) -> bool:
        """Everybody has done what they were going to do."""
        world = self.world
        selling = world.is_selling(self.profile.payments)
        return self.jumped and not selling and world.everyone_is_done


async def play(seed: int, connection: Any, *, every: int = EVERY) -> Outcome:
    """Play one seed over ``connection``; looks at the invariants every so many steps."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    loop.seconds = 0.0
    kernel = Kernel(seed, loop)
    server = Server(kernel, connection, DatabaseFaults(Random(f"database {seed}")))
    await empty(connection)
    secrets: list[str] = []
    with reading(kernel, secrets):
        try:
            return await _play(seed, kernel, profile_of(seed), server, secrets, every)
        finally:
            await kernel.abandon()


async def _play(
    seed: int, kernel: Kernel, profile: Profile, server: Server, secrets: list[str], every: int
) -> Outcome:
    networks = new_networks(profile.confirmations, quorum=profile.quorum)
    chains = {
        one.name: SimChain(kernel, networks, one, Random(f"chain {one.name} {seed}"))
        for one in networks.all
    }
    world = World(networks, chains, Random(f"world {seed}"), profile.ways, profile.refunds)
    world.desk = replace(world.desk, rails=rails_of(networks, {}))
    outlets = {
        name: [
            profile.outlet(chain, Random(f"provider {name} {at} {seed}"), first=at == 0)
            for at in range(profile.providers)
        ]
        for name, chain in chains.items()
    }
    receivers = Receivers(Random(f"receivers {seed}"), profile.hostility)
    ids = SimIdMint(seed)
    everything = Surroundings(kernel, server, world, outlets, receivers, ids)
    violation: Violation | None = None
    try:
        await _open_shops(kernel, server, world, ids, profile.hooks)
        secrets += world.secrets
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
        payments=sum(sale.sent + (sale.call is not None) for sale in world.sales),
        violation=violation,
        last_steps=kernel.last_steps,
    )


async def _open_shops(
    kernel: Kernel, server: Server, world: World, ids: SimIdMint, hooks: int
) -> None:
    process = Process("setup", SimClock(kernel))
    db = database_of(server, process, ids)
    kernel.start(process, "shops", lambda: world.open_shops(db, 3, hooks))
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
