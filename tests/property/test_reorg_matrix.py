"""Reorganisations of every depth, whatever becomes of a payment and whatever is under way.

The real indexer on a fake chain, the real database and every handler of ``flow``. Each test takes
five payments, one for each fate, back at once; in the end each session is in its right state and
credited exactly once, or not at all, and the book says so to the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pytest

from gstable_server.chain.abi.payments import TRANSFERRED
from gstable_server.chain.facts import PaymentLog, RailName
from gstable_server.chain.indexer import Indexer, NetworkHalted, Step
from gstable_server.chain.networks import Network, Networks, Trust
from gstable_server.chain.operations import network_states
from gstable_server.chain.rails.escrow import EscrowRail
from gstable_server.chain.rails.port import Wait
from gstable_server.chain.rpc import Log
from gstable_server.chain.testing import FakeChain, FakePayment, FakeRouted, event_log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Refused
from gstable_server.plumbing.db import Database, Tx
from gstable_server.sessions.model import SessionState, SessionView
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import Refund, RefundState
from gstable_server.sessions.refunds.wire import PrepareRefund
from tests.unit.settlement.crossings import Crossings, new_crossings

pytestmark = pytest.mark.anyio

DEPTHS = (1, 2, 5, 12, 32, 64, 157, 300)
POLICY = 200
"""Deeper than this, the network halts until the operator allows more."""
RECEIVED, FEE = 9_980_000, 20_000


class Fate(StrEnum):
    """What becomes of the transaction in the new branch."""

    DROPPED = "dropped"
    OTHER_INDEX = "other index"
    LATER_BLOCK = "later block"
    DOUBLE_SPENT = "double-spent"
    OTHER_SESSION = "other session"


RETURNING = (Fate.OTHER_INDEX, Fate.LATER_BLOCK, Fate.DOUBLE_SPENT)


@dataclass
class Branches:
    """What is mined before the reorganisation, and after it: the blocks after the common one."""

    first: list[Log] = field(default_factory=list)
    again: list[Log] = field(default_factory=list)
    later: list[Log] = field(default_factory=list)

    def add(self, fate: Fate, made: Callable[[bytes], Log], other: Callable[[bytes], Log]) -> None:
        """``made`` and ``other`` are the two logs that a transaction of the given hash may write:
        for the object of this fate, and for another one."""
        tx_hash = fate.encode().ljust(32, b"\x01")
        rival = fate.encode().ljust(32, b"\x02")
        self.first.append(made(tx_hash))
        match fate:
            case Fate.DROPPED:
                pass
            case Fate.OTHER_INDEX:
                # It was behind another transaction, and is the first of its block now.
                self.again.insert(0, made(tx_hash))
            case Fate.LATER_BLOCK:
                self.later.append(made(tx_hash))
            case Fate.DOUBLE_SPENT:
                self.again.append(made(rival))
            case Fate.OTHER_SESSION:
                self.again.append(other(tx_hash))


@dataclass
class Scene:
    """A chain that is read, and everything behind it. ``restarts``: each step is taken by a
    process that knows nothing of the one before."""

    crossings: Crossings
    chain: FakeChain
    restarts: bool = False
    policy: int = POLICY
    indexer: Indexer | None = None

    @classmethod
    async def at(cls, db: Database, depth: int) -> Scene:
        crossings = await new_crossings(db)
        networks = crossings.world.desk.networks
        polygon = replace(networks.network("polygon"), confirmations=depth + 4)
        others = tuple(each for each in networks.all if each.name != "polygon")
        desk = replace(crossings.world.desk, networks=Networks((polygon, *others)))
        crossings.world.desk = desk
        crossings.flow = replace(crossings.flow, desk=desk)
        chain = FakeChain(polygon)
        chain.mine_empty(3)
        return cls(crossings, chain)

    @property
    def network(self) -> Network:
        trust = Trust(reorg_limit=self.policy)
        return replace(self.chain.network, trust=trust)

    def reader(self) -> Indexer:
        if self.indexer is None or self.restarts:
            rails = self.crossings.world.desk.rails
            self.indexer = Indexer(self.crossings.db, self.network, [self.chain], rails)
        return self.indexer

    async def read(self) -> None:
        """Read all there is, and let everybody hear of it."""
        while await self.reader().converge() is not Step.NOTHING_NEW:
            if self.restarts:
                await self.crossings.relay()
        await self.crossings.relay()

    async def mine(self, logs: Sequence[Log], empty: int) -> None:
        self._mine(logs)
        self.chain.mine_empty(empty)
        await self.read()

    def _mine(self, logs: Sequence[Log]) -> None:
        self.chain.mine_logs(logs, timestamp=unix_seconds(self.crossings.db.clock.now()))

    async def reorganise(
        self, depth: int, branches: Branches, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Take ``depth`` blocks back, and mine as many others and some more."""
        self.chain.take_back(depth)
        self._mine(branches.again)
        self._mine(branches.later)
        self.chain.mine_empty(depth)
        if depth > self.policy:
            await self._halt()
        if self.restarts:
            await self._die(monkeypatch)
        await self.read()

    async def bury(self) -> None:
        """Until everything is final or given up."""
        self.chain.mine_empty(2 * self.network.confirmations + 2)
        await self.read()

    async def _halt(self) -> None:
        before = await self._rows()
        with pytest.raises(NetworkHalted, match="more than 200 blocks"):
            await self.reader().converge()
        assert await self._rows() == before
        async with self.crossings.db.read() as tx:
            [state] = await network_states(tx)
        assert state.halted_reason is not None
        self.policy, self.indexer = 2 * POLICY, None

    async def _rows(self) -> list[int]:
        async with self.crossings.db.read() as tx:
            row = await tx.fetchrow(
                "SELECT (SELECT count(*) FROM chain_facts), (SELECT max(number) FROM chain_blocks),"
                " (SELECT count(*) FROM events), (SELECT count(*) FROM ledger_entries)"
            )
        assert row is not None
        return list(row)

    async def _die(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process that would take the blocks back ends before its commit."""

        async def die(_tx: Tx) -> None:
            raise ConnectionResetError("the process died")

        before = await self._rows()
        with monkeypatch.context() as patched:
            patched.setattr(Tx, "finish", die)
            with pytest.raises(ConnectionResetError):
                await self.reader().converge()
        assert await self._rows() == before

    # What is paid.

    def direct(self, view: SessionView) -> Callable[[bytes], Log]:
        network, desk = self.chain.network, self.crossings.world.desk

        def made(tx_hash: bytes) -> Log:
            return FakePayment(
                tx_hash,
                view.session.session_key,
                merchant=view.session.recipient,
                token=network.tokens[1].address,
                merchant_received=RECEIVED,
                fee_received=FEE,
                fee_receiver=desk.fee_receiver,
            ).log(network.router)

        return made

    async def crossing(self, view: SessionView) -> tuple[PaymentLog, Callable[[bytes], Log]]:
        """A payment that crosses to ``base`` over the escrow rail."""
        paid = await self.crossings.paid(view, "polygon::usdt")
        network = self.chain.network
        rail = network.contracts.escrow_rail
        assert rail is not None
        address = rail.address

        def made(tx_hash: bytes) -> Log:
            return FakeRouted(
                tx_hash,
                paid.session_key,
                address,
                payer=paid.payer,
                merchant=paid.merchant,
                token=paid.token,
                spent=paid.amount,
                fee_received=paid.fee_received,
                fee_receiver=paid.fee_receiver,
                settlement_chain_id=paid.settlement_chain_id,
                settlement_token=paid.settlement_token,
                merchant_amount=paid.merchant_amount,
                rail_data=paid.rail_data,
            ).log(network.router)

        return paid, made

    async def open_direct(self) -> SessionView:
        view = await self.crossings.world.open(settlementToken="polygon::usdc")
        await self.crossings.world.prepare(view)
        return view

    async def state(self, view: SessionView) -> SessionState:
        return (await self.crossings.view(view)).session.state

    async def finals(self, view: SessionView) -> int:
        """How often a payment of the session was told as final."""
        async with self.crossings.db.read() as tx:
            count: int = await tx.fetchval(
                "SELECT count(*) FROM chain_facts WHERE kind = 'payment' AND what = 'final'"
                " AND body->>'sessionKey' = $1",
                "0x" + view.session.session_key.hex(),
            )
        return count


@pytest.mark.parametrize("restarts", [False, True], ids=["idle", "restarting"])
@pytest.mark.parametrize("depth", DEPTHS)
async def test_chn_16_payments_of_every_fate(
    database: Database, monkeypatch: pytest.MonkeyPatch, depth: int, restarts: bool
) -> None:
    scene = await Scene.at(database, depth)
    scene.restarts = restarts
    branches, views, other = Branches(), dict[Fate, SessionView](), await scene.open_direct()
    for fate in Fate:
        views[fate] = await scene.open_direct()
        branches.add(fate, scene.direct(views[fate]), scene.direct(other))
    await scene.mine(branches.first, depth - 1)
    for fate, view in views.items():
        assert await scene.state(view) is SessionState.PAID, fate
    await scene.reorganise(depth, branches, monkeypatch)
    await scene.bury()
    for fate, view in views.items():
        paid = fate in RETURNING
        expected = SessionState.COMPLETED if paid else SessionState.INITIALIZED
        assert await scene.state(view) is expected, fate
        assert await scene.finals(view) == paid, fate
        told = await scene.crossings.told_of_session(view)
        assert told.count("completed") == paid, fate
        assert told.count("payment_reverted") == (not paid), fate
    assert await scene.state(other) is SessionState.COMPLETED
    await assert_credited(scene, len(RETURNING) + 1)


@pytest.mark.parametrize("depth", DEPTHS)
async def test_chn_17_payments_that_are_being_settled_of_every_fate(
    database: Database, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    scene = await Scene.at(database, depth)
    crossings = scene.crossings
    branches, views, paid = Branches(), dict[Fate, SessionView](), dict[Fate, PaymentLog]()
    other = await crossings.open()
    other_paid, other_made = await scene.crossing(other)
    for fate in Fate:
        views[fate] = await crossings.open()
        paid[fate], made = await scene.crossing(views[fate])
        branches.add(fate, made, other_made)
    await scene.mine(branches.first, depth - 1)
    assert await crossings.told_of_crossings() == ["started"] * len(Fate)
    await scene.reorganise(depth, branches, monkeypatch)
    await crossings.tend()
    escrow = EscrowRail(crossings.world.desk.networks, {})
    for crossing in crossings.rails[RailName.ESCROW].asked:
        assert await escrow.finish(crossing) == Wait("the payment is not final yet")
    assert await crossings.causes() == [], "nothing is sent on unfinal credit"
    await scene.bury()
    delivered = [paid[fate] for fate in RETURNING]
    for log in (*delivered, other_paid):
        delivery = crossings.delivery(log)
        await crossings.hear(("seen", delivery), ("final", delivery))
    for fate, view in (*views.items(), (Fate.OTHER_INDEX, other)):
        expected = SessionState.COMPLETED if fate in RETURNING else SessionState.INITIALIZED
        assert await scene.state(view) is expected, fate
        assert await scene.finals(view) == (fate in RETURNING), fate
        told = await crossings.told_of_session(view)
        assert told.count("completed") == (fate in RETURNING), fate
    balances = await crossings.balances()
    credited = balances["base::usdc", "merchant"]
    assert credited == sum(log.merchant_amount for log in (*delivered, other_paid))
    assert not [key for key in balances if "pending" in key[1]]


@pytest.mark.parametrize("depth", DEPTHS)
async def test_chn_17_refunds_that_are_under_way_of_every_fate(
    database: Database, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    scene = await Scene.at(database, depth)
    views = [await scene.open_direct() for _ in range(len(Fate) + 1)]
    await scene.mine([scene.direct(view)(view.session.session_key) for view in views], 0)
    with pytest.raises(Refused):  # what a reorganisation can still take away is not given back
        await prepared(scene, views[0], 1_000_000)
    await scene.bury()
    # Each has an amount of its own, because amounts are what tells refunds of one wallet apart.
    made = [await prepared(scene, view, 1_000_000 + at) for at, view in enumerate(views)]
    *mine, other = made
    branches = Branches()
    for fate, refund in zip(Fate, mine, strict=True):
        branches.add(fate, sent(refund), sent(other))
    await scene.mine(branches.first, depth - 1)
    assert await refund_states(scene, mine) == [RefundState.SEEN] * len(Fate)
    await scene.reorganise(depth, branches, monkeypatch)
    await scene.bury()
    for fate, state in zip(Fate, await refund_states(scene, mine), strict=True):
        expected = RefundState.COMPLETED if fate in RETURNING else RefundState.PREPARED
        assert state is expected, fate
    assert await refund_states(scene, [other]) == [RefundState.COMPLETED]
    given_back = sum(
        refund.terms.amount
        for fate, refund in (*zip(Fate, mine, strict=True), (Fate.OTHER_INDEX, other))
        if fate in RETURNING
    )
    await assert_credited(scene, len(views), given_back)


async def prepared(scene: Scene, view: SessionView, amount: int) -> Refund:
    world = scene.crossings.world
    asked = PrepareRefund.model_validate(
        {"sessionId": view.session.session_id, "amount": amount, "to": "0x" + "09" * 20}
    )
    return await world.db.run(refunds.prepare, world.desk, world.tenant, asked)


def sent(refund: Refund) -> Callable[[bytes], Log]:
    terms = refund.terms

    def made(tx_hash: bytes) -> Log:
        return event_log(
            TRANSFERRED, terms.token, tx_hash, terms.sender, Address(b"\x09" * 20), terms.amount
        )

    return made


async def refund_states(scene: Scene, made: Sequence[Refund]) -> list[RefundState]:
    world = scene.crossings.world
    found = [await world.db.run(refunds.detail, world.tenant, refund.refund_id) for refund in made]
    return [refund.state for refund in found]


async def assert_credited(scene: Scene, times: int, given_back: int = 0) -> None:
    """The book holds so many payments, each once, and nothing is left pending."""
    balances = await scene.crossings.balances()
    assert {account: amount for (_, account), amount in balances.items()} == {
        "merchant": times * RECEIVED - given_back,
        "fees": times * FEE,
        "payers": given_back - times * (RECEIVED + FEE),
    }
