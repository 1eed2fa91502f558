"""Makes the planned faults happen, and measures how long what was hit needs to be back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.cli.stack import Stack
from tests.chaos.gates import Gate, Gates
from tests.chaos.patience import Book, GivenUp, patiently, until
from tests.chaos.plan import Fault, Kind, Plan

ROLES = ("api", "worker", "indexer", "executor")
BACK_SECONDS = 300.0
_CONNECTED = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND backend_start > $2
"""


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault as it was: when, and how many seconds later what it hit was back; None for never.
    ``lost`` is how many blocks a chain came back short."""

    fault: Fault
    at: float
    back: float | None
    lost: int = 0
    problem: str = ""


class Storm:
    """All faults of one plan."""

    def __init__(
        self,
        stack: Stack,
        gates: Gates,
        door: Gate,
        rpcs: dict[str, HttpRpc],
        http: aiohttp.ClientSession,
    ) -> None:
        self._stack = stack
        self._gates = gates
        self._door = door
        self._rpcs = rpcs
        self._http = http
        self._book = Book(stack.database_url)
        # One thing at a time goes wrong with each of them, so that what is measured is of one
        # fault, and a chain never loses more blocks than the networks have confirmations.
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._began = 0.0
        self._chance = random.Random()
        self.happened: list[Happened] = []

    async def rage(self, plan: Plan) -> None:
        """Every fault at its time, until the last one is over."""
        self._began = time.monotonic()
        self._chance = random.Random(plan.seed)
        async with asyncio.TaskGroup() as group:
            for fault in plan.faults:
                group.create_task(self._at_its_time(fault))

    async def _at_its_time(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        async with self._locks[fault.target.removeprefix("anvil ").split(" ")[0]]:
            at = time.monotonic() - self._began
            try:
                back, lost = await self._do(fault)
                self.happened.append(Happened(fault, at, back, lost))
            except GivenUp as failure:
                self.happened.append(Happened(fault, at, None, problem=str(failure)))

    async def _do(self, fault: Fault) -> tuple[float, int]:
        match fault.kind:
            case Kind.REORGANISATION:
                return await self._reorganise(fault)
            case Kind.CUT:
                gates = self._gates.of[fault.target]
                # One provider of two, or both.
                await self._cut(gates[: self._chance.randint(1, len(gates))], fault)
            case Kind.ABSENCE:
                await self._cut([self._door], fault)
            case Kind.KILL if fault.target in ROLES:
                return await self._kill_role(fault), 0
            case Kind.KILL if fault.target.startswith("anvil "):
                return await self._kill_chain(fault)
            case Kind.KILL:
                return await self._kill_database(fault), 0
        return fault.seconds, 0

    async def _cut(self, gates: Sequence[Gate], fault: Fault) -> None:
        for gate in gates:
            gate.set(fault.mode)
        await asyncio.sleep(fault.seconds)
        for gate in gates:
            gate.set(None)

    # Killing.

    async def _kill(self, fault: Fault, pid_now: Callable[[], int | None]) -> datetime:
        """End the process, and what was started in its place too if it is to be struck twice."""
        await _until(f"{fault.target} runs", lambda: pid_now() is not None)
        first = pid_now()
        assert first is not None, "nobody else ends it at the same time"
        _end(first)
        if fault.twice:
            await _until(f"another {fault.target}", lambda: pid_now() not in (None, first))
            second = pid_now()
            assert second is not None, "as above"
            _end(second)
        return datetime.now(UTC)

    async def _kill_role(self, fault: Fault) -> float:
        role = fault.target

        def pid_now() -> int | None:
            process = self._stack.roles.processes[role]
            return process.pid if process.poll() is None else None

        killed_at = await self._kill(fault, pid_now)
        return await until(f"{role} is back", self._proof_of(role, killed_at), BACK_SECONDS)

    def _proof_of(self, role: str, killed_at: datetime) -> Callable[[], Awaitable[bool]]:
        async def connected() -> bool:
            name = f"gstable {role}"
            return bool(await self._book.value(_CONNECTED, name, killed_at))

        async def answers() -> bool:
            # The API connects when it is asked for something, and maybe nobody else asks any more.
            return await self._is_ready() and await connected()

        return answers if role == "api" else connected

    async def _is_ready(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=5)
        url = f"{self._stack.base}/health/ready"
        async with self._http.get(url, timeout=timeout) as response:
            return response.status == 200

    async def _kill_database(self, fault: Fault) -> float:
        postgres = self._stack.postgres
        assert postgres is not None, "chaos runs on a database of its own"
        if fault.target.endswith("backend"):
            killed_at = datetime.now(UTC)
            _end(self._chance.choice(_children(postgres.pid) or [postgres.pid]))
        else:
            killed_at = await self._kill(fault, lambda: postgres.pid)

        async def back() -> bool:
            # One process of the database takes all others along but the first, which stays.
            started = await self._book.value("SELECT max(backend_start) FROM pg_stat_activity")
            return started > killed_at and await self._is_ready()

        return await until("the database is back", back, BACK_SECONDS)

    async def _kill_chain(self, fault: Fault) -> tuple[float, int]:
        network = fault.target.removeprefix("anvil ")
        rpc, devnet = self._rpcs[network], self._stack.devnet
        head = await patiently("read the head", rpc.block_number)
        began = time.monotonic()
        last = devnet.pid(network)
        await self._kill(fault, lambda: devnet.pid(network))
        await _until("another chain process", lambda: devnet.pid(network) != last)
        again = await patiently("read the head again", rpc.block_number, BACK_SECONDS)
        back = time.monotonic() - began
        await self._grown(network, head)
        return back, max(0, head - again)

    async def _grown(self, network: str, head: int) -> None:
        """Wait until the chain is higher than it ever was, as its readers know it."""
        rpc = self._rpcs[network]

        async def higher() -> bool:
            return await rpc.block_number() > head

        await until(f"{network} is above block {head}", higher, BACK_SECONDS)

    # Reorganising.

    async def _reorganise(self, fault: Fault) -> tuple[float, int]:
        """Replace the newest blocks. A chain that was started again knows no older state than its
        start, so that it may have to grow first."""
        rpc = self._rpcs[fault.target]
        began = time.monotonic()
        heads: list[int] = []

        async def turned() -> bool:
            heads.append(await rpc.block_number())
            depth = fault.depth
            kept = await _moved(rpc, heads[-1], depth) if fault.moved else []
            await rpc.ask([("anvil_reorg", [depth, kept])])
            return True

        await until(f"{fault.target} turns back", turned, BACK_SECONDS)
        await self._grown(fault.target, heads[-1])
        return time.monotonic() - began, 0


async def _moved(rpc: HttpRpc, head: int, depth: int) -> list[list[object]]:
    """The transactions of the newest blocks, each a block later than before, if there is one."""
    numbers = range(head - depth + 1, head + 1)
    blocks = await rpc.ask([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
    kept: list[list[object]] = []
    for place, block in enumerate(blocks):
        for tx_hash in block["transactions"]:
            [raw] = await rpc.ask([("eth_getRawTransactionByHash", [tx_hash])])
            kept.append([raw, min(place + 1, depth - 1)])
    return kept


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


async def _until(what: str, condition: Callable[[], bool]) -> None:
    async def asked() -> bool:
        return condition()

    await until(what, asked, BACK_SECONDS)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it ended by itself
        return
