"""What must become of a session, said in another way than the server says it.

The server keeps a state and moves it by a table. This model keeps only what happened, and derives
the state, the book and the letters from that: who was mined in time and in full, who is on the
chain now, and whether a payment that counted was taken back since the session was last open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

RATE_PPM = 2000


class Place(Enum):
    """Where a payment is."""

    CHAIN = "in a block"
    DEEP = "in a block for good"
    OFF = "taken back, may return"
    GONE = "given up, may return all the same"


@dataclass
class Money:
    """One payment, as it was when it was first seen; ``counts`` for its session or not."""

    token: str
    received: int
    fee: int
    flags: set[str]
    counts: bool
    place: Place = Place.CHAIN

    @property
    def stands(self) -> bool:
        return self.place in {Place.CHAIN, Place.DEEP}


LETTER = {
    "initialized": "session.payment_reverted",
    "paid": "session.paid",
    "settling": "session.settling",
    "settlement_pending": "session.settlement_pending",
    "completed": "session.completed",
    "expired": "session.expired",
    "cancelled": "session.cancelled",
}
LETTERS_OF_FLAGS = {
    "under": "session.underpaid",
    "over": "session.overpaid",
    "late": "session.paid_late",
    "duplicate": "session.overpaid",
}


@dataclass
class Expected:
    """One session: its terms, what happened, and the letters that must have been told."""

    amount: int
    payer_bears_fee: bool
    expires_at: datetime
    ordered: bool = False
    cancelled: bool = False
    closed: bool = False
    shaken: bool = False
    payments: list[Money] = field(default_factory=list)
    letters: list[tuple[str, str]] = field(
        default_factory=lambda: [("session.created", "initialized")]
    )
    paid_at: datetime | None = None

    @property
    def due(self) -> int:
        """What the merchant must receive, in atomic units of a token with six decimals."""
        if self.payer_bears_fee:
            return self.amount
        fee, rest = divmod(self.amount * RATE_PPM, 1_000_000)
        return self.amount - fee - (1 if rest else 0)

    @property
    def counting(self) -> Money | None:
        """The payment that pays the session now."""
        found = [money for money in self.payments if money.counts and money.stands]
        assert len(found) <= 1, "the model itself counts twice"
        return found[0] if found else None

    @property
    def state(self) -> str:
        money = self.counting
        if money is not None:
            if money.place is Place.DEEP:
                return "completed"
            return "settling" if self.shaken else "paid"
        if any(one.counts and one.place is Place.OFF for one in self.payments):
            return "settlement_pending"
        if self.cancelled:
            return "cancelled"
        return "expired" if self.closed else "initialized"

    def _tell_state(self, before: str) -> None:
        if self.state != before:
            self.letters.append((LETTER[self.state], self.state))

    def _tell_flags(self, flags: set[str]) -> None:
        told = dict.fromkeys(LETTERS_OF_FLAGS[flag] for flag in LETTERS_OF_FLAGS if flag in flags)
        self.letters += [(letter, self.state) for letter in told]

    # --- what people do ---------------------------------------------------------------------------

    def refusal_of_order(self, now: datetime) -> int | None:
        """The code that a payer who asks for an order gets; None when the order is signed."""
        known = {
            "paid": 100204,
            "completed": 100204,
            "settling": 100209,
            "settlement_pending": 100209,
            "expired": 100203,
            "cancelled": 100205,
        }
        if self.state in known:
            return known[self.state]
        if self.expires_at <= now:
            return 100203
        self.ordered = True
        return None

    def refusal_of_cancel(self) -> int | None:
        """The code that a merchant who cancels gets; None when the session is cancelled."""
        known = {
            "paid": 100204,
            "completed": 100209,
            "settling": 100209,
            "settlement_pending": 100209,
            "expired": 100203,
            "cancelled": 100205,
        }
        if self.state in known:
            return known[self.state]
        if self.ordered:
            return 100207
        self.cancelled = True
        self._tell_state("initialized")
        return None

    def expire(self, now: datetime) -> bool:
        """The clock's turn; True when it closed this session."""
        if self.state != "initialized" or self.expires_at > now:
            return False
        self.closed = True
        self._tell_state("initialized")
        return True

    # --- what the chain does ----------------------------------------------------------------------

    def mined(self, money: Money, block_time: datetime, *, right_wallet: bool) -> None:
        """A payment that nobody knew is in a block."""
        before = self.state
        money.flags = self._flags(money, block_time, right_wallet=right_wallet)
        money.counts = money.flags <= {"over"}
        self.payments.append(money)
        self._paid(before, block_time)
        self._tell_flags(money.flags)

    def _flags(self, money: Money, block_time: datetime, *, right_wallet: bool) -> set[str]:
        flags = set()
        if money.token != "polygon::usdc" or not self.ordered:
            flags.add("wrong_token")
        elif money.received != self.due:
            flags.add("under" if money.received < self.due else "over")
        if not right_wallet:
            flags.add("wrong_recipient")
        if block_time > self.expires_at or self.cancelled:
            flags.add("late")
        if self.counting is not None:
            flags.add("duplicate")
        return flags

    def _paid(self, before: str, block_time: datetime) -> None:
        if before in {"initialized", "expired"} and self.state == "paid":
            self.paid_at = block_time
        self._tell_state(before)

    def mined_again(self, money: Money, block_time: datetime) -> None:
        """A payment that was taken back is in a block once more, maybe with another amount."""
        before, flags = self.state, set(money.flags)
        if "wrong_token" not in flags:
            flags -= {"under", "over"}
            if money.received != self.due:
                flags.add("under" if money.received < self.due else "over")
        if self.counting is not None:
            flags.add("duplicate")
        news = flags - money.flags
        money.flags, money.counts, money.place = flags, flags <= {"over"}, Place.CHAIN
        self._reopen(before)
        self._paid(before, block_time)
        self._tell_flags(news)

    def deep(self, money: Money) -> None:
        before = self.state
        money.place = Place.DEEP
        self._tell_state(before)

    def taken_back(self, money: Money) -> None:
        before = self.state
        money.place = Place.OFF
        if money.counts:
            self.shaken = True
        self._tell_state(before)

    def given_up(self, money: Money) -> None:
        """The session is open again only when no payment that counts may still return."""
        before = self.state
        money.place = Place.GONE
        self._reopen(before)
        self._tell_state(before)

    def _reopen(self, before: str) -> None:
        if before == "settlement_pending" and self.state in {"initialized", "expired"}:
            self.shaken = self.closed = False
            self.paid_at = None

    # --- the book ---------------------------------------------------------------------------------

    def balances(self) -> Counter[tuple[str, str]]:
        """What this session's payments must have left in the book."""
        book: Counter[tuple[str, str]] = Counter()
        for money in self.payments:
            add_to_book(book, money, "merchant" if money.counts else "merchant:exceptional")
        return book


def add_to_book(book: Counter[tuple[str, str]], money: Money, account: str) -> None:
    """Add one payment: nothing while it is off the chain, pending until it is deep."""
    if not money.stands:
        return
    deep = money.place is Place.DEEP
    pending = account == "merchant" and not deep
    book[money.token, "payers"] -= money.received + money.fee
    book[money.token, "merchant:pending" if pending else account] += money.received
    book[money.token, "fees" if deep else "fees:pending"] += money.fee
