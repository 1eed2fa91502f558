"""A session paid across networks, under everything that the chains at both ends can do.

The real code on a real database, every fact through the outbox and all handlers, is compared after
each step with an independent model (``crossing_oracle``): paid once, settled once, the book to the
unit and zero in sum, each change told once. Either end may be told of first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from gstable_server.chain.facts import DeliveryLog, EscrowLog, EscrowWhat, PaymentLog, RailName
from gstable_server.sessions.model import SessionView
from tests.property.bench import START, Bench, bench_at, emptying, play
from tests.property.crossing_oracle import STANDS, Crossing, Expected, Place
from tests.unit.settlement.crossings import SOLVER, Crossings, new_crossings

# One a network: a router takes each session once.
PAYING = ("polygon::usdc", "arbitrumone::usdt", "ethereum::usdc")
EMPTY = emptying(
    "sessions",
    "payments",
    "ledger_transfers",
    "ledger_entries",
    "events",
    "outbox",
    "settlements",
    "settlement_legs",
    "executor_intents",
)
MOVES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11)), min_size=1, max_size=8)


@dataclass
class Both:
    """A crossing on both sides; ``told`` are the facts so far, to be told again."""

    payment: PaymentLog
    delivery: DeliveryLog
    reclaim: EscrowLog | None
    model: Crossing


Move = Callable[[Both], None]


class PaidAcross(RuleBasedStateMachine):
    bench: Bench[Crossings]

    def __init__(self) -> None:
        super().__init__()
        self.crossings, self.clock = self.bench.world, self.bench.clock
        self.clock.set(START)
        self.bench.run(self._execute(EMPTY))
        self.told: list[tuple[str, Any]] = []
        self.both: list[Both] = []

    async def _execute(self, sql: str) -> None:
        async with self.crossings.db.begin() as tx:
            await tx.execute(sql)

    @initialize(surplus=st.lists(st.sampled_from([0, 0, 1, -1]), min_size=3, max_size=3))
    def open(self, surplus: list[int]) -> None:
        self.view: SessionView = self.bench.run(self.crossings.open())
        for token, more in zip(PAYING, surplus, strict=True):
            payment = self.bench.run(self.crossings.paid(self.view, token))
            self.both.append(self._both(token, payment, more))
        self.expected = Expected([one.model for one in self.both])

    def _both(self, token: str, payment: PaymentLog, more: int) -> Both:
        assert payment.rail is not None
        is_escrow = payment.rail is RailName.ESCROW
        delivery = self.crossings.delivery(payment)
        reclaim = None
        if is_escrow:
            delivery = replace(delivery, amount=delivery.amount + more)
            reclaim = self.crossings.escrow(payment, EscrowWhat.RECLAIMED)
        model = Crossing(
            rail=payment.rail.value,
            paying=token,
            amount=payment.amount,
            fee=payment.fee_received,
            promised=payment.merchant_amount,
            delivered=delivery.amount,
        )
        return Both(payment, delivery, reclaim, model)

    # --- what happens -----------------------------------------------------------------------------

    @rule(moves=MOVES)
    def the_chains_move(self, moves: list[tuple[int, int]]) -> None:
        """Some of what can happen next, at either end of any crossing."""
        for pick, move in moves:
            one = self.both[pick]
            possible = [*self._near_moves(one), *self._far_moves(one)]
            if possible:
                possible[move % len(possible)](one)

    def _near_moves(self, one: Both) -> list[Move]:
        moves: dict[Place, list[Move]] = {
            Place.UNKNOWN: [self._paid],
            Place.CHAIN: [self._paid_for_good, self._unpaid, self._unpaid],
            Place.OFF: [self._paid, self._paid, self._given_up],
            Place.GONE: [self._paid],
            Place.DEEP: [],
        }
        return moves[one.model.source]

    def _far_moves(self, one: Both) -> list[Move]:
        if one.model.taken_home is not Place.UNKNOWN:
            return []
        moves: dict[Place, list[Move]] = {
            Place.UNKNOWN: [self._delivered],
            Place.CHAIN: [self._delivered_for_good, self._undelivered, self._undelivered],
            Place.OFF: [self._delivered, self._delivered_by_another],
            Place.GONE: [],
            Place.DEEP: [],
        }
        return moves[one.model.far]

    @rule(pick=st.integers(0, 2))
    def pay_and_deliver(self, pick: int) -> None:
        """The usual story in one go, as far as it is open."""
        one = self.both[pick]
        if one.model.source not in STANDS:
            self._paid(one)
        if one.model.source is Place.CHAIN:
            self._paid_for_good(one)
        if one.model.taken_home is Place.UNKNOWN and one.model.far in {Place.UNKNOWN, Place.OFF}:
            self._delivered(one)

    @rule(first=st.integers(0, 2), second=st.integers(0, 2))
    def one_vanishes_and_another_pays(self, first: int, second: int) -> None:
        gone, comes = self.both[first], self.both[second]
        if gone.model.source is Place.CHAIN and comes.model.source not in STANDS:
            self._unpaid(gone)
            self._paid(comes)

    @rule()
    def everything_returns(self) -> None:
        for one in self.both:
            if one.model.source in {Place.OFF, Place.GONE}:
                self._paid(one)

    @rule()
    def everything_is_delivered(self) -> None:
        for one in self.both:
            undelivered = one.model.far in {Place.UNKNOWN, Place.OFF}
            if undelivered and one.model.taken_home is Place.UNKNOWN:
                self._delivered(one)

    @rule()
    def the_payer_takes_the_money_back(self) -> None:
        one = self.both[1]
        assert one.reclaim is not None
        if one.model.source is not Place.DEEP or one.model.far is not Place.UNKNOWN:
            return
        if one.model.taken_home in {Place.UNKNOWN, Place.OFF}:
            one.model.taken_home = Place.CHAIN
            self._hear("seen", one.reclaim)
        elif one.model.taken_home is Place.CHAIN:
            self.expected.taken_home(one.model)
            self._hear("final", one.reclaim)

    @rule()
    def what_the_payer_took_is_taken_back(self) -> None:
        one = self.both[1]
        if one.model.taken_home is Place.CHAIN:
            one.model.taken_home = Place.OFF
            self._hear("reorged", one.reclaim)

    @rule(seconds=st.sampled_from([60, 120, 121]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        expected = self.expected.clock(self.clock.now())
        assert self.bench.run(self.crossings.watch()) == expected
        # Told to the operator only: no session moves by it.
        self.bench.run(self.crossings.watch_unpaid())
        self.bench.run(self.crossings.relay())

    @rule(pick=st.integers(0, 20))
    def a_fact_is_told_twice(self, pick: int) -> None:
        """The last one of its log: the indexer does not go back to earlier ones."""
        last = {log.object_id: (what, log) for what, log in self.told}
        if last:
            what, log = list(last.values())[pick % len(last)]
            self._hear(what, log)

    def _hear(self, what: str, log: Any) -> None:
        self.told.append((what, log))
        self.bench.run(self.crossings.hear((what, log)))

    def _paid(self, one: Both) -> None:
        if one.model.source is not Place.UNKNOWN:
            block = one.payment.block_number + 1
            one.payment = replace(
                one.payment, block_number=block, block_hash=block.to_bytes(32, "big")
            )
        self.expected.paid(one.model, self.clock.now())
        self._hear("seen", one.payment)

    def _paid_for_good(self, one: Both) -> None:
        self.expected.paid_for_good(one.model, self.clock.now())
        self._hear("final", one.payment)

    def _unpaid(self, one: Both) -> None:
        self.expected.unpaid(one.model)
        self._hear("reorged", one.payment)

    def _given_up(self, one: Both) -> None:
        self.expected.given_up(one.model)
        self._hear("lost", one.payment)

    def _delivered(self, one: Both) -> None:
        self.expected.delivered(one.model, self.clock.now())
        self._hear("seen", one.delivery)

    def _delivered_by_another(self, one: Both) -> None:
        """Another transaction delivers the same, and the first one does not return."""
        self._hear("lost", one.delivery)
        fresh = self.crossings.delivery(one.payment)
        one.delivery = replace(fresh, reference=one.delivery.reference, amount=one.delivery.amount)
        self._delivered(one)

    def _delivered_for_good(self, one: Both) -> None:
        self.expected.delivered_for_good(one.model, self.clock.now())
        self._hear("final", one.delivery)

    def _undelivered(self, one: Both) -> None:
        self.expected.undelivered(one.model, self.clock.now())
        self._hear("reorged", one.delivery)

    # --- what must be so --------------------------------------------------------------------------

    @invariant()
    def the_session_is_as_expected(self) -> None:
        if not self.both:
            return
        view = self.bench.run(self.crossings.view(self.view))
        assert view.session.state == self.expected.state
        known = {one.payment.tx_hash: one.model for one in self.both}
        for payment in view.payments:
            model = known[payment.tx_hash]
            assert set(payment.flags) == model.flags
            assert payment.pays is model.counts
            assert (payment.delivery is not None) is model.arrived
        credited = [one for one in self.both if one.model.counts and one.model.stands]
        assert len(credited) <= 1

    @invariant()
    def each_change_is_told_once(self) -> None:
        if self.both:
            assert self.bench.run(self._letters()) == self.expected.letters

    async def _letters(self) -> list[tuple[str, str]]:
        async with self.crossings.db.begin() as tx:
            rows = await tx.fetch(
                "SELECT type, payload->'sessionData'->>'status' AS status FROM events "
                "WHERE object_id = $1 ORDER BY sequence",
                self.view.session.session_id,
            )
        return [(row["type"], row["status"]) for row in rows]

    @invariant()
    def the_book_is_as_expected(self) -> None:
        if not self.both:
            return
        found = {
            (token, account.replace(f"solver:0x{SOLVER.hex()}", "solver")): amount
            for (token, account), amount in self.bench.run(self.crossings.balances()).items()
        }
        expected = self.expected.balances()
        assert found == {key: amount for key, amount in expected.items() if amount}
        sums: Counter[str] = Counter()
        for (token, _), amount in found.items():
            sums[token] += amount
        assert not any(sums.values())


@pytest.mark.slow
def test_crossings_do_what_an_independent_model_says(database_url: str) -> None:
    with bench_at(database_url, new_crossings) as bench:

        class OnThisBench(PaidAcross):
            pass

        OnThisBench.bench = bench
        play(OnThisBench, examples=40, steps=15)
