"""Whatever a chain, a node, a thief and the clock do in whatever order: one effect per cause."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gstable_server.chain.executor import operations
from gstable_server.chain.executor.model import Intent, Sender, State
from gstable_server.chain.executor.runner import Limits, Runner
from gstable_server.chain.executor.testing import FakeNode
from gstable_server.chain.networks import Gas
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import NodeRefused, ProviderFailed
from gstable_server.chain.signer import TxSigner
from gstable_server.chain.testing import fake_network
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock

GWEI = 10**9
ETHER = 10**18
TARGET = Address(b"\xc0" * 20)
NOBODY = Address(b"\x99" * 20)
START = datetime(2026, 1, 1, tzinfo=UTC)
NETWORK = replace(
    fake_network(confirmations=3), gas=Gas(price_max=100 * GWEI, tip=GWEI, funds_min=ETHER // 10)
)
LIMITS = Limits(in_flight=4, patience=timedelta(seconds=30))

HAPPENINGS = (
    "want", "turn", "turn", "turn", "mine", "mine", "time", "take back", "forget the pool",
    "dear", "cheap", "steal", "drop what is foreign", "no money", "money", "revert", "work again",
    "no answer", "lost answer", "restart",
)  # fmt: skip
_numbers = itertools.count()


class Play:
    """One executor on a fake chain, and everything that can happen to them."""

    def __init__(self, db: Database, clock: FakeClock) -> None:
        self.db = db
        self.clock = clock
        # Rows are told apart by the network, so that no play sees another one's.
        self.network = replace(NETWORK, name=f"fake{next(_numbers)}")
        self.node = FakeNode(self.network)
        self.signer = TxSigner(b"\x21" * 32)
        self.causes: list[str] = []
        self.money()
        self.restart()

    async def happen(self, what: str) -> None:
        done = getattr(self, what.replace(" ", "_"))()
        if done is not None:
            await done

    def restart(self) -> None:
        self.runner = Runner(self.db, self.network, Sender.RELAYER, self.signer, self.node, LIMITS)

    async def want(self) -> None:
        cause = f"{self.network.name} {len(self.causes)}"
        self.causes.append(cause)
        call = ContractCall(TARGET, cause.encode())
        async with self.db.begin() as tx:
            await operations.intend(
                tx, Intent(cause, self.network.name, Sender.RELAYER, call, "relay", cause)
            )

    async def turn(self) -> None:
        with contextlib.suppress(Passing):
            await self.runner.turn()

    def mine(self) -> None:
        self.node.mine()

    def time(self) -> None:
        self.clock.advance(31)

    def take_back(self) -> None:
        depth = min(NETWORK.confirmations, len(self.node.blocks)) - 1  # what is final stays
        if depth > 0:
            self.node.take_back(depth)

    def forget_the_pool(self) -> None:
        self.node.pool.clear()

    def dear(self) -> None:
        self.node.base_fee = 90 * GWEI

    def cheap(self) -> None:
        self.node.base_fee = GWEI

    async def steal(self) -> None:
        """Somebody else sends with our key, in the place of our next transaction."""
        with contextlib.suppress(Passing, NodeRefused):
            signed = self.signer.sign(
                ContractCall(NOBODY, b"%d" % next(_numbers)),
                self.network.chain_id,
                nonce=(await self.node.account(self.signer.address)).mined,
                gas=50_000,
                fee=200 * GWEI,
                tip=GWEI,
            )
            await self.node.send_raw(signed.raw)

    def drop_what_is_foreign(self) -> None:
        for key, tx in list(self.node.pool.items()):
            if tx.call.to == NOBODY:
                del self.node.pool[key]

    def no_money(self) -> None:
        self.node.balances[self.signer.address] = 0

    def money(self) -> None:
        self.node.balances[self.signer.address] = ETHER

    def revert(self) -> None:
        self.node.reverting.add(TARGET)

    def work_again(self) -> None:
        self.node.reverting.clear()

    def no_answer(self) -> None:
        self.node.trouble.append(ProviderFailed("no answer"))

    def lost_answer(self) -> None:
        self.node.lost_answers += 1

    async def come_to_rest(self) -> None:
        """Everything works again, and time passes, until nothing is open."""
        self.cheap()
        self.work_again()
        self.node.trouble.clear()
        self.node.lost_answers = 0
        for _ in range(60):
            self.money()
            self.restart()
            await self.turn()
            self.node.mine()
            self.time()
            if not await self.open_causes():
                return
        raise AssertionError(f"still open: {await self.open_causes()}")

    async def open_causes(self) -> list[str]:
        async with self.db.read() as tx:
            views = await operations.list_open(tx, 1000)
        own = [view for view in views if view.intent.network == self.network.name]
        return [f"{view.intent.cause}: {view.state}, {view.problem}" for view in own]

    async def judge(self) -> None:
        effects = self.node.effects()
        async with self.db.read() as tx:
            for cause in self.causes:
                view = await operations.find(tx, cause)
                assert view is not None
                count = effects[ContractCall(TARGET, cause.encode())]
                assert (view.state, count) in ((State.FINAL, 1), (State.FAILED, 0)), cause
                told = await tx.fetch(
                    "SELECT type FROM events WHERE object_id = $1 AND type <> 'executor.mined'",
                    cause,
                )
                assert [row["type"] for row in told] == [f"executor.{view.state}"]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(happenings=st.lists(st.sampled_from(HAPPENINGS), min_size=15, max_size=80))
def test_every_cause_has_one_effect_or_a_failure_on_the_chain(
    database_url: str, happenings: list[str]
) -> None:
    asyncio.run(_play(database_url, happenings))


async def _play(database_url: str, happenings: list[str]) -> None:
    clock = FakeClock(START)
    db = await Database.connect(database_url, clock=clock, ids=SystemIdMint(), size=4)
    try:
        play = Play(db, clock)
        await play.want()
        for happening in happenings:
            await play.happen(happening)
            assert max(play.node.effects().values(), default=0) <= 1
        await play.come_to_rest()
        await play.judge()
    finally:
        await db.close()
