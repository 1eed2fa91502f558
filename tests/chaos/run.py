"""One run: an installation of real processes, payers, faults, rest, and a look at everything."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gstable import AsyncClient
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.cli.stack import Stack, open_stack
from gstable_server.webhooks.model import EVENT_TYPES
from tests.chaos.checks import Scene, Verdict, judge
from tests.chaos.crowd import Crowd
from tests.chaos.faults import Happened, Storm
from tests.chaos.gates import Gate, Gates, open_gate
from tests.chaos.patience import TROUBLE, Book, GivenUp, patiently, until
from tests.chaos.plan import Plan
from tests.chaos.receiver import Receiver, open_receiver

REST_SECONDS = 420.0
HURRY_SECONDS = 0.3
"""Between two blocks when nothing goes wrong any more and all that is missing is depth."""

# The crowd comes from one address, and one merchant sells to all of it.
SETTINGS = {
    "GSTABLE_ADDRESS_RATE_PER_SECOND": "1000",
    "GSTABLE_ADDRESS_BURST": "1000",
    "GSTABLE_KEY_RATE_PER_SECOND": "1000",
    "GSTABLE_KEY_BURST": "1000",
    "GSTABLE_RAISE_FEES_SECONDS": "10",
}


@dataclass(slots=True)
class Outcome:
    """What a run came to. ``stages`` are seconds."""

    plan: Plan
    happened: Sequence[Happened] = ()
    verdict: Verdict = field(default_factory=Verdict)
    stages: dict[str, float] = field(default_factory=dict)


async def run(plan: Plan, confirmations: int, state: Path | None) -> Outcome:
    """Do what the plan says. ``state`` keeps the installation's files; without it they are gone
    at the end."""
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="gstable-chaos-") as name:
        directory = state or Path(name)
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)  # under root the database runs as a user of its own
        gates = Gates(confirmations)
        async with (
            open_stack(0, directory / "installation", front=gates.between) as stack,
            _tools(stack) as tools,
        ):
            stack.attester.confirmations = confirmations
            return await _Run(plan, stack, gates, tools, confirmations).go()


@dataclass(frozen=True, slots=True)
class _Tools:
    client: AsyncClient
    http: aiohttp.ClientSession
    rpcs: dict[str, HttpRpc]
    receiver: Receiver
    door: Gate


@asynccontextmanager
async def _tools(stack: Stack) -> AsyncIterator[_Tools]:
    """What the crowd and the merchant use; their nodes are not behind the proxies."""
    async with AsyncExitStack() as held:
        receiver = await held.enter_async_context(open_receiver())
        door = await held.enter_async_context(open_gate(receiver.url))
        client = AsyncClient(
            stack.shop.api_key,
            base_url=f"{stack.base}/api/v1",
            public_base_url=f"{stack.base}/public/api/v1",
        )
        await held.enter_async_context(client)
        http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=30),
        )
        await held.enter_async_context(http)
        rpcs = {
            network.name: await held.enter_async_context(open_rpc(network))
            for network in stack.devnet.networks.all
        }
        endpoint = await client.webhook.create(
            webhook_name="Chaos",
            webhook_url=f"{door.url}/",
            subscribed_events=sorted(each for each in EVENT_TYPES if each.startswith("session.")),
        )
        receiver.secret = endpoint.key
        await client.webhook.disable(stack.shop.webhook_id)
        yield _Tools(client, http, rpcs, receiver, door)


class _Run:
    def __init__(
        self, plan: Plan, stack: Stack, gates: Gates, tools: _Tools, confirmations: int
    ) -> None:
        self._plan = plan
        self._stack = stack
        self._tools = tools
        self._confirmations = confirmations
        self._book = Book(stack.database_url)
        self._outcome = Outcome(plan)
        self._crowd = Crowd(stack, tools.client, tools.http, tools.rpcs, plan.payments)
        self._storm = Storm(stack, gates, tools.door, tools.rpcs, tools.http)

    async def go(self) -> Outcome:
        """The stages, each timed."""
        keeping = [
            asyncio.create_task(self._crowd.keep_sending(network))
            for network in self._stack.networks.all
        ]
        keeping.append(asyncio.create_task(self._keep_looking()))
        try:
            await self._stage("fund", self._fund())
            await self._stage("storm", self._rage())
            await self._stage("rest", self._come_to_rest())
            scene = Scene(
                stack=self._stack,
                client=self._tools.client,
                rpcs=self._tools.rpcs,
                buyers=self._crowd.buyers,
                receiver=self._tools.receiver,
                book=self._book,
            )
            await self._stage("judge", self._judge(scene))
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
        return self._outcome

    async def _stage(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        print(f"{name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        await work
        self._outcome.stages[name] = time.monotonic() - began

    async def _fund(self) -> None:
        """Money that no reorganisation takes back, because it is given deep enough below."""
        await self._crowd.fund()
        for network in self._stack.networks.all:
            await self._stack.devnet.mine(network.name, 2 * self._confirmations)

    async def _rage(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._crowd.pay_all())
            group.create_task(self._storm.rage(self._plan))
        self._outcome.happened = sorted(self._storm.happened, key=lambda one: one.at)
        for one in self._outcome.happened:
            self._outcome.verdict.require(not one.problem, f"{one.fault}: {one.problem}")

    async def _come_to_rest(self) -> None:
        """Nothing goes wrong any more: every payment has to reach its end by itself."""
        hurrying = asyncio.create_task(self._hurry())
        try:
            await until("every session is completed", self._is_all_done, REST_SECONDS)
            await until("every letter is delivered", self._is_all_told, REST_SECONDS)
        except GivenUp as failure:
            self._outcome.verdict.violations.append(str(failure))
        finally:
            hurrying.cancel()

    async def _hurry(self) -> None:
        while True:  # bounded: ends with the task
            for network in self._stack.networks.all:
                try:
                    await self._stack.devnet.mine(network.name)
                except TROUBLE:
                    continue
            await asyncio.sleep(HURRY_SECONDS)

    async def _keep_looking(self) -> None:
        """Note who has got what they paid for: nothing has to be sent again for them."""
        while True:  # bounded: ends with the task
            rows = await patiently(
                "look at the sessions",
                lambda: self._book.rows(
                    "SELECT session_id FROM sessions WHERE state = 'completed'"
                ),
            )
            completed = {row["session_id"] for row in rows}
            for buyer in self._crowd.buyers:
                buyer.completed = buyer.session_id in completed
            await asyncio.sleep(1)

    async def _is_all_done(self) -> bool:
        open_intents = await self._book.value(
            "SELECT count(*) FROM executor_intents "
            "WHERE state NOT IN ('final', 'failed', 'refused', 'withdrawn')"
        )
        given_up = [buyer for buyer in self._crowd.buyers if buyer.problem]
        done = [buyer for buyer in self._crowd.buyers if buyer.completed]
        return not open_intents and len(done) + len(given_up) == len(self._crowd.buyers)

    async def _is_all_told(self) -> bool:
        waiting = await self._book.value("SELECT count(*) FROM outbox")
        undelivered = await self._book.value(
            "SELECT count(*) FROM webhook_messages m JOIN webhook_endpoints e USING (webhook_id) "
            "WHERE m.state = 'pending' AND e.status = 'active'"
        )
        return not waiting and not undelivered

    async def _judge(self, scene: Scene) -> None:
        found = await judge(scene)
        self._outcome.verdict.violations += found.violations
        self._outcome.verdict.counts |= found.counts | {"sent again": self._crowd.sent_again}
