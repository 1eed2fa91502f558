"""Held payments under everything that merchants, wallets, the executor and a chain can do to them,
in any order, with the real code on a real database.

What left a hold never exceeds what was authorised; what is promised besides never exceeds what
remains; nothing is in flight twice; the book sums to zero and has with the rail exactly what the
contract has; and a session ends once, by what became of its money.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gstable_server.chain.facts import HoldLog
from gstable_server.kernel.errors import Refused
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.holds import operations, store
from gstable_server.sessions.holds.model import free, held_payment, in_flight
from gstable_server.sessions.holds.wire import CaptureSession, VoidSession
from gstable_server.sessions.model import SessionView
from tests.property.bench import emptying
from tests.unit.sessions.holding import CAPTURE_SECONDS, PRICE, Holder, with_holds
from tests.unit.sessions.world import World, new_world

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
EMPTY = emptying(
    "sessions",
    "payments",
    "ledger_transfers",
    "ledger_entries",
    "events",
    "outbox",
    "executor_intents",
    "hold_instructions",
    "hold_moves",
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(2, PRICE)),
        st.tuples(st.sampled_from(["void", "reclaim", "final", "reorg", "again"]), st.just(0)),
        st.tuples(st.just("mine"), st.integers(0, 5)),
        st.tuples(st.just("wallet captures"), st.integers(2, PRICE)),
        st.tuples(st.just("wallet voids"), st.just(0)),
    ),
    max_size=25,
)


class Contract:
    """HoldRail.sol in a few lines: what it lets happen is what the chain tells."""

    def __init__(self, world: World, holder: Holder, view: SessionView) -> None:
        self.world, self.holder, self.view = world, holder, view
        self.chain: list[HoldLog] = []
        self.off: list[HoldLog] = []
        self.deep = 0
        self.causes: set[str] = set()

    @property
    def left(self) -> int:
        return PRICE - sum(log.amount for log in self.chain)

    async def move(self, what: str, amount: int) -> HoldLog | None:
        if not 0 < amount <= self.left:
            return None
        log = self.holder.log(self.view, what, amount)
        self.chain.append(log)
        await self.holder.hear("seen", log=log)
        return log

    async def mine(self, number: int) -> None:
        """The relayer sends what was asked for, as far as the contract takes it."""
        intents = [one for one in await self.holder.intents() if one.cause not in self.causes]
        if number >= len(intents):
            return
        intent = intents[number]
        if intent.purpose == "capture":
            log = await self.move("captured", int.from_bytes(intent.call.data[-32:], "big"))
        else:
            what = "voided" if intent.purpose == "void" else "reclaimed"
            log = await self.move(what, self.left)
        if log is not None:
            self.causes.add(intent.cause)
            await self.holder.executed("mined", intent.cause, log)

    async def final(self) -> None:
        for log in self.chain[self.deep :]:
            await self.holder.hear("final", log=log)
        self.deep = len(self.chain)

    async def reorganise(self) -> None:
        for log in self.chain[self.deep :]:
            await self.holder.hear("reorged", log=log)
            self.off.append(log)
        del self.chain[self.deep :]

    async def again(self) -> None:
        """What a reorganisation took away is mined again, as far as the contract takes it."""
        for log in self.off:
            whole = log.what != "captured"
            if self.left and (log.amount == self.left if whole else log.amount <= self.left):
                moved = replace(log, block_number=log.block_number + 500)
                self.chain.append(moved)
                await self.holder.hear("seen", log=moved)
        self.off = [log for log in self.off if log.tx_hash not in {c.tx_hash for c in self.chain}]


async def step(contract: Contract, clock: FakeClock, what: str, amount: int) -> None:
    world, session_id = contract.world, contract.view.session.session_id
    match what:
        case "ask":
            request = CaptureSession.model_validate({"sessionId": session_id, "amount": amount})
            await attempt(world, operations.capture, request)
        case "void":
            await attempt(
                world, operations.void, VoidSession.model_validate({"sessionId": session_id})
            )
        case "reclaim":
            clock.advance(CAPTURE_SECONDS)
            await world.db.run(operations.reclaim_due, world.desk)
        case "mine":
            await contract.mine(amount)
        case "wallet captures":
            await contract.move("captured", amount)
        case "wallet voids":
            await contract.move("voided", contract.left)
        case "final":
            await contract.final()
        case "reorg":
            await contract.reorganise()
        case "again":
            await contract.again()


async def attempt(world: World, verb: object, request: object) -> None:
    try:
        await world.db.run(verb, world.desk, world.tenant, request)  # type: ignore[arg-type]
    except Refused:
        return


async def check(contract: Contract) -> None:
    view = await contract.world.view(contract.view.session.session_id)
    payment = held_payment(view.payments)
    assert payment is not None
    assert payment.hold is not None
    captured = sum(log.amount for log in contract.chain if log.what == "captured")
    assert payment.hold.captured == captured
    assert payment.hold.captured + payment.hold.returned == PRICE - contract.left <= PRICE
    assert payment.remaining == contract.left
    async with contract.world.db.read() as tx:
        moves = await store.moves_of(tx, view.session.session_id)
        instructions = await store.instructions_of(tx, view.session.session_id)
    flying = in_flight(instructions, moves)
    assert 0 <= free(payment, flying) <= payment.remaining
    book = await contract.world.balances()
    assert sum(book.values()) == 0
    assert book.get("rail:hold", 0) == contract.left
    expected = "paid"
    if contract.left == 0 and contract.deep == len(contract.chain):
        expected = "completed" if captured else "cancelled"
    assert view.session.state.value == expected


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_no_order_of_facts_takes_more_than_is_held(
    database_url: str, steps: list[tuple[str, int]]
) -> None:
    asyncio.run(story(database_url, steps))


async def story(database_url: str, steps: list[tuple[str, int]]) -> None:
    clock = FakeClock(START)
    db = await Database.connect(database_url, clock=clock, ids=SystemIdMint(), size=2)
    try:
        async with db.begin() as tx:
            await tx.execute(EMPTY)
        world = with_holds(await new_world(db))
        holder = Holder(None, world)  # type: ignore[arg-type]
        view = await holder.authorized()
        contract = Contract(world, holder, view)
        for what, amount in steps:
            await step(contract, clock, what, amount)
            await check(contract)
    finally:
        await db.close()
