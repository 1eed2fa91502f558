"""Complete payments, as many as the machine takes: each is created through the API, prepared on the
payment page, paid on chain, indexed, booked, told by webhook, verified, and read back.

A fixed number of payments is under way; whoever is done makes room for the next. The rate is what
was read back in the measured time, and nothing may be missing at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field

import asyncpg
import msgspec
import uvloop

from bench.batching import BATCH_MAX, succeeded
from bench.mix.wire import Client, Receiver
from bench.mix.world import TOKEN, World, open_world
from bench.percentiles import Result
from bench.processes import spent
from gstable.webhooks import Event
from gstable_server.chain.checksum import address_from_text, to_checksum
from gstable_server.kernel.address import Address

CREATORS, READERS = 12, 8
BATCH_SECONDS = 0.1
LOOK_SECONDS = 0.02
STRETCH_SECONDS = 10.0
DRAIN_SECONDS = 120.0
PRICE = 10_000_000
AIM = 150.0
BLOCK_TO_PAID = "block → paid letter"
LEGS: dict[str, tuple[str, str]] = {
    "create": ("began", "created"),
    "prepare": ("created", "prepared"),
    "submit → block": ("prepared", "mined"),
    BLOCK_TO_PAID: ("mined", "paid"),
    "block → completed letter": ("mined", "completed"),
    "letter → read": ("completed", "read"),
    "all": ("began", "read"),
}


@dataclass(slots=True)
class Story:
    """One payment: when each leg ended (monotonic seconds)."""

    session_id: str = ""
    call: tuple[Address, bytes] | None = None
    times: dict[str, float] = field(default_factory=dict)

    def note(self, leg: str, at: float | None = None) -> bool:
        """Remember when; False for what is told again."""
        if leg in self.times:
            return False
        self.times[leg] = time.monotonic() if at is None else at
        return True


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome; seconds, and CPU seconds per second of the measured time."""

    per_second: float
    slowest_stretch: float
    payments: int
    seconds: float
    legs: dict[str, Result]
    cpu: dict[str, float]
    cpu_ms_per_payment: dict[str, float]
    load: tuple[float, float]


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code says whether it ran, not how fast it was."""
    parser = argparse.ArgumentParser(prog="./run bench mix", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="how long it is held")
    parser.add_argument("--warm-up", type=int, default=15, help="seconds before that")
    parser.add_argument("--under-way", type=int, default=900, help="payments at once")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args(arguments)
    if options.seconds < 1 or options.under_way < 1 or options.warm_up < 0:
        parser.error("--seconds and --under-way must be at least 1, --warm-up at least 0")
    report = uvloop.run(measure(options.seconds, options.warm_up, options.under_way))
    print(json.dumps(asdict(report)) if options.json else table(report))
    return 0


async def measure(seconds: int, warm_up: int, under_way: int) -> Report:
    """Hold ``under_way`` payments for so long; raises if any got lost, doubled or was wrong."""
    load = os.getloadavg()[0]
    mix: Mix | None = None

    def heard(event: Event, at: float) -> None:
        if mix is not None:
            mix.heard(event, at)

    receiver = Receiver(heard)
    async with open_world(receiver) as world:
        mix = Mix(world, under_way)
        async with mix.running():
            await asyncio.sleep(warm_up)
            began, used, done = time.monotonic(), world.cpu(), mix.done
            progress = asyncio.create_task(mix.tell_progress())
            await asyncio.sleep(seconds)
            progress.cancel()
            ended, used_now, done_now = time.monotonic(), world.cpu(), mix.done
            await mix.drain()
        await mix.check(receiver)
    stories = [one for one in mix.finished if began <= one.times["read"] < ended]
    took, payments = ended - began, done_now - done
    cpu = spent(used, used_now)
    return Report(
        per_second=payments / took,
        slowest_stretch=_slowest(stories, began, ended),
        payments=payments,
        seconds=took,
        legs={name: Result.of(list(_times(stories, *leg))) for name, leg in LEGS.items()},
        cpu={name: one / took for name, one in cpu.items()},
        cpu_ms_per_payment={name: one / max(1, payments) * 1e3 for name, one in cpu.items()},
        load=(load, os.getloadavg()[0]),
    )


def _times(stories: list[Story], first: str, last: str) -> Iterator[float]:
    for story in stories:
        yield story.times[last] - story.times[first]


def _slowest(stories: list[Story], began: float, ended: float) -> float:
    """Payments per second in the worst ten seconds, by which one sees whether it was held."""
    stretches = max(1, int((ended - began) / STRETCH_SECONDS))
    length = (ended - began) / stretches
    counts = [0] * stretches
    for story in stories:
        counts[min(stretches - 1, int((story.times["read"] - began) / length))] += 1
    return min(counts) / length


class Mix:
    """Everything that is under way."""

    def __init__(self, world: World, under_way: int) -> None:
        self._world = world
        self._room = asyncio.Semaphore(under_way)
        self._stopping = False
        self._stories: dict[str, Story] = {}
        self._prepared: deque[Story] = deque()
        self._submitted: dict[bytes, list[Story]] = {}
        self._completed: asyncio.Queue[Story] = asyncio.Queue()
        self.finished: list[Story] = []
        self.told_twice = 0
        self._create_body = msgspec.json.encode(
            {
                "accountId": str(world.stack.shop.account_id),
                "settlementToken": TOKEN,
                "lineItems": [
                    {
                        "itemType": "one_time",
                        "quantity": 1,
                        "unitPrice": PRICE,
                        "productData": {"productName": "Tea"},
                    }
                ],
            }
        )

    @property
    def done(self) -> int:
        return len(self.finished)

    @property
    def _client(self) -> Client:
        return self._world.client

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All legs at work. Raises what one of them raised."""
        legs = [self._submit, self._watch]
        legs += [self._create] * CREATORS + [self._read] * READERS
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(leg()) for leg in legs]
            yield
            for task in tasks:
                task.cancel()

    async def tell_progress(self) -> None:
        """Say now and then how far it is, until cancelled."""
        while True:  # bounded: ends with the task
            before = self.done
            await asyncio.sleep(STRETCH_SECONDS)
            rate = (self.done - before) / STRETCH_SECONDS
            print(f"{rate:.0f} payments per second", file=sys.stderr, flush=True)

    async def drain(self) -> None:
        """Begin no more, and wait for those that were begun."""
        self._stopping = True
        async with asyncio.timeout(DRAIN_SECONDS):
            while self.done < len(self._stories):
                await asyncio.sleep(0.1)

    # --- the legs --------------------------------------------------------------------------

    async def _create(self) -> None:
        while not self._stopping:
            await self._room.acquire()
            story = Story()
            story.note("began")
            answer = await self._client.ask(
                "POST", "/api/v1/session/checkout/create", self._create_body
            )
            session = msgspec.json.decode(answer)["data"]
            story.note("created")
            story.session_id = session["sessionId"]
            self._stories[story.session_id] = story
            await self._prepare(story, session["clientCode"])

    async def _prepare(self, story: Story, client_code: str) -> None:
        choice = {
            "clientCode": client_code,
            "tokenId": TOKEN,
            "way": "approve",
            "payer": to_checksum(self._world.payer.address),
            "payerEmail": None,
        }
        answer = await self._client.ask(
            "POST",
            f"/pay/{story.session_id}/prepare",
            msgspec.json.encode(choice),
            {"origin": self._world.stack.base},
        )
        pay = msgspec.json.decode(answer)["pay"]
        story.call = address_from_text(pay["to"]), bytes.fromhex(pay["data"][2:])
        story.note("prepared")
        self._prepared.append(story)

    async def _submit(self) -> None:
        """Pay what was prepared, many in one transaction."""
        while True:  # bounded: ends with the task
            while self._prepared:
                batch = [
                    self._prepared.popleft() for _ in range(min(BATCH_MAX, len(self._prepared)))
                ]
                calls = [story.call for story in batch if story.call is not None]
                self._submitted[await self._world.payer.send(calls)] = batch
            await asyncio.sleep(BATCH_SECONDS)

    async def _watch(self) -> None:
        """Note when each block is seen first, and that what it holds has paid."""
        rpc = self._world.payer.rpc
        height = await rpc.block_number()
        while True:  # bounded: ends with the task
            now_at = await rpc.block_number()
            at = time.monotonic()
            for number in range(height + 1, now_at + 1):
                [block] = await rpc.ask([("eth_getBlockByNumber", [hex(number), False])])
                for tx_hash in block["transactions"]:
                    await self._mined(bytes.fromhex(tx_hash[2:]), at)
            height = now_at
            await asyncio.sleep(LOOK_SECONDS)

    async def _mined(self, tx_hash: bytes, at: float) -> None:
        batch = self._submitted.pop(tx_hash, None)
        if batch is None:
            return
        if not await succeeded(self._world.payer.rpc, tx_hash):
            raise RuntimeError(f"the payments of transaction 0x{tx_hash.hex()} failed")
        for story in batch:
            story.note("mined", at)

    def heard(self, event: Event, at: float) -> None:
        """A letter was received and verified."""
        story = self._stories[event.object_id]
        leg = event.event_type.removeprefix("session.")
        if not story.note(leg, at):
            self.told_twice += 1
        elif leg == "completed":
            self._completed.put_nowait(story)

    async def _read(self) -> None:
        while True:  # bounded: ends with the task
            story = await self._completed.get()
            answer = await self._client.ask("GET", f"/api/v1/session/{story.session_id}")
            status = msgspec.json.decode(answer)["data"]["session"]["status"]
            if status != "completed":
                raise RuntimeError(f"{story.session_id} was told as completed and is {status}")
            story.note("read")
            self.finished.append(story)
            self._room.release()

    # --- what must be so at the end --------------------------------------------------------

    async def check(self, receiver: Receiver) -> None:
        """Every payment once in the book, every letter verified, nothing left to do."""
        connection = await asyncpg.connect(self._world.stack.database_url)
        try:
            completed = await connection.fetchval(
                "SELECT count(*) FROM sessions WHERE state = 'completed'"
            )
            booked = await connection.fetchval(
                "SELECT count(*) FROM ledger_transfers WHERE kind = 'payment'"
            )
            odd = await connection.fetch(
                "SELECT token_id FROM ledger_entries GROUP BY 1 HAVING sum(amount) <> 0"
            )
            flagged = await connection.fetchval("SELECT count(*) FROM payments WHERE flags <> '{}'")
        finally:
            await connection.close()
        found = (completed, booked, len(odd), flagged, receiver.refused)
        if found != (self.done, self.done, 0, 0, 0):
            raise RuntimeError(f"{self.done} payments were made, but the end is {found}")


def table(report: Report) -> str:
    """The result for people."""
    lines = [
        f"{report.per_second:.0f} payments per second for {report.seconds:.0f} s "
        f"({report.payments}), {report.slowest_stretch:.0f} in the slowest ten seconds; "
        f"aim {AIM:.0f}",
        "",
        f"{'':26} {'p50':>8} {'p99':>8} {'longest':>8}   seconds",
    ]
    for name, leg in report.legs.items():
        lines.append(f"{name:26} {leg.p50:>8.3f} {leg.p99:>8.3f} {leg.longest:>8.3f}")
    lines += ["", f"{'':26} {'cores':>8} {'ms/payment':>11}   processor time"]
    for name, cores in report.cpu.items():
        lines.append(f"{name:26} {cores:>8.2f} {report.cpu_ms_per_payment[name]:>11.2f}")
    total = sum(report.cpu.values()), sum(report.cpu_ms_per_payment.values())
    lines.append(f"{'together':26} {total[0]:>8.2f} {total[1]:>11.2f}")
    lines.append(f"\nload average before and after: {report.load[0]:.1f}, {report.load[1]:.1f}")
    return "\n".join(lines)
