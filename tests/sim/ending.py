"""The end of a history: faults stop, everything must come to rest, and then the whole is judged."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gstable_server.ledger.verification import Verdict, verify
from tests.sim.chain import GWEI
from tests.sim.database import database_of
from tests.sim.invariants import Watch
from tests.sim.judgement import judge
from tests.sim.kernel import Process, SimClock, Violation
from tests.sim.machines import Machine

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

ROUNDS_MAX = 80
TURNS_MAX = 1000
FAILURES_MAX = 20
"""So many failures in a row end a round's turns: nothing but a bug lets an indexer fail now."""
ROUND_SECONDS = 61.0
LATER_SECONDS = 900.0
MOVING = ("events", "logs", "crossings", "intents", "unsealed")
"""What is open that goes on by itself, round after round."""
EVERY_ROUND = (
    "relay",
    "deliver",
    "settle",
    "expire sessions",
    "settle stranded letters",
    "seal the book",
)

_OPEN = """
SELECT
    (SELECT count(*) FROM outbox) AS events,
    (SELECT count(*) FROM chain_watched) AS logs,
    (SELECT count(*) FROM sessions WHERE state IN
        ('initialized', 'paid', 'settling', 'settlement_pending')) AS sessions,
    (SELECT count(*) FROM webhook_messages WHERE next_attempt_at IS NOT NULL) AS letters,
    (SELECT count(*) FROM settlements WHERE due_at IS NOT NULL) AS crossings,
    (SELECT count(*) FROM executor_intents WHERE state NOT IN
        ('final', 'failed', 'refused', 'withdrawn')) AS intents,
    (SELECT count(*) FROM hold_instructions WHERE state IN ('requested', 'mined')) AS instructions,
    (SELECT count(*) FROM ledger_unsealed) AS unsealed,
    (SELECT min(next_attempt_at) FROM webhook_messages WHERE next_attempt_at > $1) AS next_letter
"""
_REASONS = """
(SELECT concat(stage, ' crossing: ', reason) AS said FROM settlements WHERE due_at IS NOT NULL
 LIMIT 5)
UNION ALL
(SELECT concat(state, ' ', purpose, ': ', problem) FROM executor_intents
 WHERE state NOT IN ('final', 'failed', 'refused', 'withdrawn') LIMIT 5)
UNION ALL
(SELECT concat(state, ' session ', session_id) FROM sessions
 WHERE state IN ('initialized', 'paid', 'settling', 'settlement_pending') LIMIT 5)
UNION ALL
(SELECT concat(type, ' tried ', attempts, ' times') FROM outbox JOIN events USING (sequence)
 LIMIT 5)
"""


class Ending:
    """Plays a history to its end, with nothing in its way."""

    def __init__(self, simulation: Simulation, watch: Watch) -> None:
        self._simulation = simulation
        self._kernel = simulation.kernel
        self._watch = watch
        self._rounds = 0
        self._connection = simulation.all.server.connection
        self._chains = tuple(simulation.world.chains.values())

    async def come_to_rest(self) -> None:
        """Raises ``Violation`` I12 when something is still under way in the end."""
        self._heal()
        await self._finish_what_is_under_way()
        apis = [one for one in self._simulation.machines.values() if one.role == "api"]
        self._simulation.enable_hooks(apis[0])
        await self._finish_what_is_under_way()
        still = ""
        for self._rounds in range(ROUNDS_MAX):
            await self._round()
            still = await self._still_open()
            if not still:
                break
        else:
            raise Violation("I12", f"still open: {still}; {await self._reasons()}")
        await self._watch.look()
        await self._seals_fit()
        await judge(self._connection, self._simulation.world, self._simulation.all.receivers)

    async def _seals_fit(self) -> None:
        """The book is what was sealed, transfer by transfer."""
        verdicts: list[Verdict] = []
        auditor = Process("auditor", SimClock(self._kernel))
        everything = self._simulation.all
        db = database_of(everything.server, auditor, everything.ids)

        async def audit() -> None:
            verdicts.append(await verify(db))

        self._kernel.start(auditor, "verify", audit)
        await self._finish_what_is_under_way()
        if verdicts[0].problems or verdicts[0].unsealed:
            raise Violation("I13", f"the book is not what was sealed: {verdicts[0]}")

    def _heal(self) -> None:
        simulation, everything = self._simulation, self._simulation.all
        everything.server.faults.statements = everything.server.faults.commits = 0
        everything.receivers.hostility = 0.0
        for chain in simulation.world.chains.values():
            chain.base_fee = GWEI
        for outlets in everything.outlets.values():
            for outlet in outlets:
                outlet.heal()
        for machine in simulation.machines.values():
            self._kernel.kill(machine.process)
        simulation.restart()

    async def _finish_what_is_under_way(self) -> None:
        await self._kernel.end_step()
        while self._kernel.parked:
            self._kernel.resume(self._kernel.parked[0])
            await self._kernel.end_step()

    async def _round(self) -> None:
        """Blocks are mined, every role takes every turn once, and a minute passes."""
        simulation = self._simulation
        row = await self._connection.fetchrow(_OPEN, self._kernel.now)
        unsettled = row["logs"] or row["crossings"] or row["intents"]
        for chain in self._chains:
            if unsettled or chain.pool or chain.waiting or not self._rounds:
                chain.mine(len(chain.pool))
                for _ in range(chain.network.confirmations // 2):
                    chain.add_block([])
        for role in ("indexer", "worker", "executor"):
            some = [one for one in simulation.machines.values() if one.role == role]
            await self._take_turns(simulation.chance.choice(some))
        row = await self._connection.fetchrow(_OPEN, self._kernel.now)
        # Where nothing moves, what is left waits for its time.
        moves = any(row[name] for name in MOVING) or any(one.pool for one in self._chains)
        seconds = ROUND_SECONDS if moves and self._rounds < 10 else LATER_SECONDS
        if row["next_letter"] is not None:
            seconds = max(seconds, (row["next_letter"] - self._kernel.now) / timedelta(seconds=1))
        self._kernel.pass_time(seconds)

    async def _take_turns(self, machine: Machine) -> None:
        everything = self._simulation.all
        for name in machine.turns:
            if self._rounds > 0 and everything.is_idle(machine, name):
                continue
            if machine.role == "worker" and name not in EVERY_ROUND and self._rounds % 4:
                continue
            everything.failures.clear()
            for _ in range(TURNS_MAX):
                self._kernel.note(f"{machine.process.name} {name}")
                everything.take_turn(machine, name)
                await self._finish_what_is_under_way()
                # Whoever has more to do at once goes on; the others come round again.
                if not self._goes_on(machine, name) or everything.is_idle(machine, name):
                    break
                if everything.failures[machine.role, name] >= FAILURES_MAX:
                    break

    @staticmethod
    def _goes_on(machine: Machine, name: str) -> bool:
        return machine.role == "indexer" or name in {"relay", "deliver"}

    async def _reasons(self) -> list[str]:
        """What crossings, transactions and events that do not come to rest say of themselves."""
        rows = await self._connection.fetch(_REASONS)
        world = self._simulation.world
        kept = [*world.deposits.to_be_returned(), *world.holds.left(world.sales)]
        return [*(row["said"] for row in rows), *kept[:5]]

    async def _still_open(self) -> str:
        row = await self._connection.fetchrow(_OPEN, self._kernel.now)
        pools = sum(len(chain.pool) for chain in self._chains)
        still = {name: count for name, count in row.items() if name != "next_letter" and count}
        world = self._simulation.world
        kept = [*world.deposits.to_be_returned(), *world.holds.left(world.sales)]
        if pools:
            still["pool"] = pools
        if kept:
            still["kept"] = len(kept)
        return ", ".join(f"{count} {name}" for name, count in still.items())
