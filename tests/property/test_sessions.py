"""Sessions under everything a chain, a clock, a payer and a merchant can do, in any order.

The real code on a real database is compared after every step with an independent model
(``session_oracle``): state, flags, letters, book, and what the verbs answer.

I1 the book sums to zero per token; I2 credited is what stands on the chain and counts, once;
I4 only legal edges, and completed is never left; I5 a session is credited by one payment at most;
I7 each change of state is told exactly once, and nothing else is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from gstable_server.chain.facts import PaymentLog
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import SessionId
from gstable_server.sessions import hearing, operations
from gstable_server.sessions.model import PaymentState, SessionState
from tests.property.bench import START, Bench, bench_at, emptying, play
from tests.property.session_oracle import Expected, Money, Place, add_to_book
from tests.unit.sessions.world import USDC, USDT, World, new_world

SESSIONS_MAX = 2
PAYMENTS_MAX = 5
UNLISTED = replace(USDC, address=Address(b"\x0e" * 20))
TOKENS = {"usdc": USDC, "usdt": USDT, "unlisted": UNLISTED}
TOKEN_IDS = {"usdc": "polygon::usdc", "usdt": "polygon::usdt"}
TOKEN_IDS["unlisted"] = f"polygon::0x{UNLISTED.address.hex()}"
PLACES = {
    PaymentState.SEEN: Place.CHAIN,
    PaymentState.FINAL: Place.DEEP,
    PaymentState.REVERTED: Place.OFF,
    PaymentState.LOST: Place.GONE,
}
LEGAL = {
    ("initialized", "paid"),
    ("initialized", "expired"),
    ("initialized", "cancelled"),
    ("expired", "paid"),
    ("paid", "completed"),
    ("paid", "settlement_pending"),
    ("settling", "completed"),
    ("settling", "settlement_pending"),
    ("settlement_pending", "settling"),
    ("settlement_pending", "initialized"),
}
EMPTY = emptying("sessions", "payments", "ledger_transfers", "ledger_entries", "events", "outbox")
ORDERED = st.sampled_from([True, True, True, False])


@dataclass
class Sold:
    """A session on both sides."""

    session_id: SessionId
    session_key: bytes
    expected: Expected
    state: str = "initialized"


@dataclass
class Paid:
    """A payment on both sides; ``sold`` is None for money that names no session of ours."""

    log: PaymentLog
    told: str
    money: Money
    sold: Sold | None


@dataclass(frozen=True)
class Way:
    """How a payment differs from the one that was asked for; ``after_expiry`` in seconds."""

    surplus: int = 0
    fee: int = 20_000
    token: str = "usdc"
    right_wallet: bool = True
    known: bool = True
    after_expiry: int = 0


ways = st.builds(
    Way,
    surplus=st.sampled_from([0, 0, -1, 1, 10**6]),
    fee=st.sampled_from([20_000, 0]),
    token=st.sampled_from(["usdc", "usdc", "usdt", "unlisted"]),
    right_wallet=st.sampled_from([True, True, False]),
    known=st.sampled_from([True, True, False]),
    after_expiry=st.sampled_from([-1800, 0, 1]),
)


class Sessions(RuleBasedStateMachine):
    """The rules: what may happen. The invariants: what must be so after each."""

    bench: Bench[World]

    def __init__(self) -> None:
        super().__init__()
        self.sold: list[Sold] = []
        self.paid: list[Paid] = []
        self.blocks = 100
        self.world, self.clock = self.bench.world, self.bench.clock
        self.clock.set(START)
        self.bench.run(self._execute(EMPTY))

    async def _execute(self, sql: str) -> None:
        async with self.world.db.begin() as tx:
            await tx.execute(sql)

    # --- people -----------------------------------------------------------------------------------

    @initialize(price=st.integers(10_000, 10**9), model=st.sampled_from([1, 2]), order=ORDERED)
    def open_first(self, price: int, model: int, order: bool) -> None:
        self._open(price, model)
        if order:
            self.ask_for_an_order(0)

    @precondition(lambda self: len(self.sold) < SESSIONS_MAX)
    @rule(price=st.integers(10_000, 10**9), model=st.sampled_from([1, 2]))
    def open(self, price: int, model: int) -> None:
        self._open(price, model)

    def _open(self, price: int, model: int) -> None:
        view = self.bench.run(self.world.open(price, feeModel=model))
        session = view.session
        expected = Expected(price, model == 2, self.clock.now() + timedelta(minutes=30))
        self.sold.append(Sold(session.session_id, session.session_key, expected))

    @rule(pick=st.integers(0, SESSIONS_MAX - 1))
    def ask_for_an_order(self, pick: int) -> None:
        sold = self.sold[pick % len(self.sold)]
        view = self.bench.run(self.world.view(sold.session_id))
        refused = self._code(self.world.prepare(view))
        assert refused == sold.expected.refusal_of_order(self.clock.now())

    @rule(pick=st.integers(0, SESSIONS_MAX - 1))
    def cancel(self, pick: int) -> None:
        sold = self.sold[pick % len(self.sold)]
        world = self.world
        asked = world.db.run(operations.cancel, world.desk, world.tenant, sold.session_id)
        assert self._code(asked) == sold.expected.refusal_of_cancel()

    def _code(self, asked: Awaitable[object]) -> int | None:
        """The refusal's number, None when what was asked was done."""
        try:
            self.bench.run(asked)
        except Refused as refused:
            return refused.code.number
        return None

    # --- the clock --------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 600, 1799, 1801]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def expire(self) -> None:
        closed = self.bench.run(self.world.db.run(hearing.expire_due, self.world.desk))
        assert closed == sum(sold.expected.expire(self.clock.now()) for sold in self.sold)

    # --- the chain --------------------------------------------------------------------------------

    @precondition(lambda self: len(self.paid) < PAYMENTS_MAX)
    @rule(pick=st.integers(0, SESSIONS_MAX - 1))
    def pay_in_full(self, pick: int) -> None:
        self._pay(self.sold[pick % len(self.sold)], Way())

    @precondition(lambda self: len(self.paid) < PAYMENTS_MAX)
    @rule(pick=st.integers(0, SESSIONS_MAX - 1), way=ways)
    def pay_somehow(self, pick: int, way: Way) -> None:
        self._pay(self.sold[pick % len(self.sold)], way)

    def _pay(self, sold: Sold, way: Way) -> None:
        expected = sold.expected
        view = self.bench.run(self.world.view(sold.session_id))
        self.blocks += 1
        log = self.world.log(
            view,
            tx=len(self.paid) + 1,
            block=self.blocks,
            merchant_received=expected.due + way.surplus,
            fee_received=way.fee,
            at=expected.expires_at + timedelta(seconds=way.after_expiry),
            token=TOKENS[way.token],
            merchant=None if way.right_wallet else Address(b"\x66" * 20),
            session_key=None if way.known else b"\x99" * 32,
        )
        flags = set() if way.known else {"unmatched"}
        money = Money(TOKEN_IDS[way.token], log.merchant_received, way.fee, flags, counts=False)
        self.paid.append(Paid(log, "seen", money, sold if way.known else None))
        self.bench.run(self.world.hear("seen", log))
        if way.known:
            expected.mined(money, log.block_time, right_wallet=way.right_wallet)

    @precondition(lambda self: self.paid)
    @rule(pick=st.integers(0, PAYMENTS_MAX - 1), move=st.integers(0, 2))
    def chain_moves(self, pick: int, move: int) -> None:
        """One of the facts that can follow the last one about a payment."""
        paid = self.paid[pick % len(self.paid)]
        moves: dict[str, list[Callable[[Paid], None]]] = {
            "seen": [self._deep, self._taken_back],
            "reorged": [self._mined_again, self._mined_in_the_same_block, self._given_up],
            "lost": [self._mined_again],
            "final": [self._told_twice],
        }
        possible = moves[paid.told]
        possible[move % len(possible)](paid)

    @precondition(lambda self: any(paid.told == "seen" for paid in self.paid))
    @rule()
    def a_deep_reorganisation(self) -> None:
        """Everything that is not final is taken back, newest first."""
        for paid in reversed(self.paid):
            if paid.told == "seen":
                self._taken_back(paid)

    @precondition(lambda self: len(self.paid) < PAYMENTS_MAX)
    @precondition(lambda self: any(paid.told == "reorged" and paid.sold for paid in self.paid))
    @rule()
    def the_payer_pays_again(self) -> None:
        """A wallet that sees its payment vanish sends another one, which may vanish too."""
        for paid in list(self.paid):
            if paid.told == "reorged" and paid.sold and len(self.paid) < PAYMENTS_MAX:
                self._pay(paid.sold, Way())
                self.sessions_are_as_expected()
                self._taken_back(self.paid[-1])
                self.sessions_are_as_expected()

    @precondition(lambda self: any(paid.told == "reorged" for paid in self.paid))
    @rule()
    def nothing_returns(self) -> None:
        for paid in self.paid:
            if paid.told == "reorged":
                self._given_up(paid)

    @precondition(lambda self: any(paid.told in {"reorged", "lost"} for paid in self.paid))
    @rule(surplus=st.sampled_from([-1, 1]), fee=st.sampled_from([0, 20_000]))
    def another_amount_arrives(self, surplus: int, fee: int) -> None:
        paid = next(paid for paid in self.paid if paid.told in {"reorged", "lost"})
        self._mined_with(paid, surplus, fee)

    @precondition(lambda self: self.paid)
    @rule(pick=st.integers(0, PAYMENTS_MAX - 1))
    def a_fact_is_told_twice(self, pick: int) -> None:
        self._told_twice(self.paid[pick % len(self.paid)])

    def _hear(self, paid: Paid, told: str) -> None:
        paid.told = told
        self.bench.run(self.world.hear(told, paid.log))

    def _told_twice(self, paid: Paid) -> None:
        self._hear(paid, paid.told)

    def _deep(self, paid: Paid) -> None:
        self._hear(paid, "final")
        if paid.sold:
            paid.sold.expected.deep(paid.money)
        paid.money.place = Place.DEEP

    def _taken_back(self, paid: Paid) -> None:
        self._hear(paid, "reorged")
        if paid.sold:
            paid.sold.expected.taken_back(paid.money)
        paid.money.place = Place.OFF

    def _given_up(self, paid: Paid) -> None:
        self._hear(paid, "lost")
        if paid.sold:
            paid.sold.expected.given_up(paid.money)
        paid.money.place = Place.GONE

    def _mined_again(self, paid: Paid) -> None:
        self._mined_with(paid, 0, paid.log.fee_received)

    def _mined_with(self, paid: Paid, surplus: int, fee: int) -> None:
        """In another block, where the token may take its own fee or the router skip ours."""
        self.blocks += 1
        received = paid.log.merchant_received + surplus
        paid.log = replace(
            paid.log,
            block_number=self.blocks,
            block_hash=self.blocks.to_bytes(32, "big"),
            block_time=paid.log.block_time + timedelta(seconds=5),
            amount=received,
            merchant_amount=received,
            merchant_received=received,
            fee_received=fee,
        )
        paid.money.received, paid.money.fee = paid.log.merchant_received, fee
        self._mined_in_the_same_block(paid)

    def _mined_in_the_same_block(self, paid: Paid) -> None:
        """The chain turned back to the branch that it had left."""
        self._hear(paid, "seen")
        if paid.sold:
            paid.sold.expected.mined_again(paid.money, paid.log.block_time)
        paid.money.place = Place.CHAIN

    # --- what must be so --------------------------------------------------------------------------

    @invariant()
    def sessions_are_as_expected(self) -> None:
        for sold in self.sold:
            view = self.bench.run(self.world.view(sold.session_id))
            session, expected = view.session, sold.expected
            assert session.state == expected.state
            if session.state != sold.state:
                assert (sold.state, str(session.state)) in LEGAL  # I4
                sold.state = str(session.state)
            assert session.paid_at == expected.paid_at
            assert (session.receipt_id is None) == (expected.paid_at is None)
            assert (session.completed_at is None) == (session.state != SessionState.COMPLETED)
            assert [(set(one.flags), PLACES[one.state], one.pays) for one in view.payments] == [
                (set(one.flags), one.place, one.counts) for one in expected.payments
            ]
            credited = [one for one in view.payments if one.pays and PLACES[one.state] in STANDING]
            assert len(credited) <= 1  # I5

    @invariant()
    def each_change_is_told_once(self) -> None:
        told = self.bench.run(self._letters())
        expected = {str(sold.session_id): sold.expected.letters for sold in self.sold}
        assert told == expected  # I7

    async def _letters(self) -> dict[str, list[tuple[str, str]]]:
        async with self.world.db.read() as tx:
            rows = await tx.fetch(
                "SELECT object_id, type, payload->'sessionData'->>'status' AS status "
                "FROM events ORDER BY sequence"
            )
        letters: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            letters.setdefault(row["object_id"], []).append((row["type"], row["status"]))
        return letters

    @invariant()
    def the_book_is_as_expected(self) -> None:
        expected: Counter[tuple[str, str]] = Counter()
        for sold in self.sold:
            expected.update(sold.expected.balances())
        for paid in self.paid:
            if paid.sold is None:
                add_to_book(expected, paid.money, "unmatched")
        found = self.bench.run(self._balances())
        assert found == {key: amount for key, amount in expected.items() if amount}  # I2
        sums: Counter[str] = Counter()
        for (token, _), amount in found.items():
            sums[token] += amount
        assert not any(sums.values())  # I1

    async def _balances(self) -> dict[tuple[str, str], int]:
        merchant = f"merchant:{self.world.tenant.merchant_id}"
        async with self.world.db.read() as tx:
            rows = await tx.fetch(
                "SELECT token_id, account, sum(amount) AS balance FROM ledger_entries "
                "GROUP BY 1, 2 HAVING sum(amount) <> 0"
            )
        return {
            (row["token_id"], row["account"].replace(merchant, "merchant")): int(row["balance"])
            for row in rows
        }


STANDING = frozenset({Place.CHAIN, Place.DEEP})


@pytest.mark.slow
def test_sessions_do_what_an_independent_model_says(database_url: str) -> None:
    with bench_at(database_url, new_world) as bench:

        class OnThisBench(Sessions):
            pass

        OnThisBench.bench = bench
        play(OnThisBench, examples=60, steps=30)
