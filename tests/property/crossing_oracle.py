"""What must become of a session that is paid across networks, said in another way than the server.

The server moves states by tables, and two slices of it tell each other of events. This model only
keeps where each transaction is now, and derives the state, the letters and the book from that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

STALL = timedelta(seconds=120)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
LETTERS_OF_FLAGS = {
    "under": "session.underpaid",
    "over": "session.overpaid",
    "duplicate": "session.overpaid",
}
LETTER = {"initialized": "session.payment_reverted"}


class Place(Enum):
    """Where a transaction is."""

    UNKNOWN = "not told of yet"
    CHAIN = "in a block"
    DEEP = "in a block for good"
    OFF = "taken back, may return"
    GONE = "given up, may return all the same"


STANDS = {Place.CHAIN, Place.DEEP}


@dataclass
class Crossing:
    """One payment and what delivers it. ``came`` is when either end last came closer."""

    rail: str
    paying: str
    amount: int
    fee: int
    promised: int
    delivered: int
    source: Place = Place.UNKNOWN
    far: Place = Place.UNKNOWN
    taken_home: Place = Place.UNKNOWN
    flags: set[str] = field(default_factory=set)
    counts: bool = False
    hangs: bool = False
    interrupted: bool = False
    came: datetime = LONG_AGO

    @property
    def stands(self) -> bool:
        return self.source in STANDS and self.taken_home is not Place.DEEP

    @property
    def arrived(self) -> bool:
        """Whether the merchant has the money, as far as we can know whose it is."""
        return self.source is not Place.UNKNOWN and self.far in STANDS

    @property
    def complete(self) -> bool:
        return self.source is Place.DEEP and self.far is Place.DEEP


@dataclass
class Expected:
    """The session, the crossings that pay it, and the letters that must have been told."""

    crossings: list[Crossing]
    shaken: bool = False
    letters: list[tuple[str, str]] = field(
        default_factory=lambda: [("session.created", "initialized")]
    )

    @property
    def counting(self) -> Crossing | None:
        found = [one for one in self.crossings if one.counts and one.stands]
        assert len(found) <= 1, "the model itself counts twice"
        return found[0] if found else None

    @property
    def state(self) -> str:
        one = self.counting
        if one is not None:
            if one.complete:
                return "completed"
            if one.interrupted:
                return "settlement_pending"
            return "settling" if self.shaken or one.source is Place.DEEP else "paid"
        if any(other.counts and other.source is Place.OFF for other in self.crossings):
            return "settlement_pending"
        return "initialized"

    def _told(self, before: str) -> None:
        after = self.state
        if after == "settlement_pending":
            self.shaken = True
        if after == "initialized":
            self.shaken = False
        if before == "paid" and after == "completed":
            self.letters.append(("session.settling", "settling"))
        if after != before:
            self.letters.append((LETTER.get(after, f"session.{after}"), after))

    def _told_flags(self, news: set[str]) -> None:
        told = dict.fromkeys(LETTERS_OF_FLAGS[flag] for flag in LETTERS_OF_FLAGS if flag in news)
        self.letters += [(letter, self.state) for letter in told]

    # --- the payer's end --------------------------------------------------------------------------

    def paid(self, one: Crossing, now: datetime) -> None:
        """The payment is in a block, for the first time or again."""
        before, known = self.state, set(one.flags)
        first = one.source is Place.UNKNOWN
        if self.counting is not None:
            one.flags.add("duplicate")
        one.counts = not one.flags & {"duplicate", "under"}
        one.source, one.came = Place.CHAIN, now
        one.hangs = one.interrupted = False
        self._told(before)
        self._told_flags(one.flags - known)
        if first and one.far in STANDS:
            self._arrived(one)

    def paid_for_good(self, one: Crossing, now: datetime) -> None:
        before = self.state
        one.source, one.came = Place.DEEP, now
        self._told(before)

    def unpaid(self, one: Crossing) -> None:
        before = self.state
        one.source = Place.OFF
        self._told(before)

    def given_up(self, one: Crossing) -> None:
        before = self.state
        one.source = Place.GONE
        self._told(before)

    # --- the merchant's end -----------------------------------------------------------------------

    def delivered(self, one: Crossing, now: datetime) -> None:
        one.far, one.came = Place.CHAIN, now
        if one.source is not Place.UNKNOWN:
            self._arrived(one)

    def _arrived(self, one: Crossing) -> None:
        before, known = self.state, set(one.flags)
        one.hangs = one.interrupted = False
        one.flags -= {"over"}
        if one.delivered < one.promised:
            one.flags.add("under")
            one.counts = False
        elif one.delivered > one.promised:
            one.flags.add("over")
        self._told(before)
        self._told_flags(one.flags - known)

    def delivered_for_good(self, one: Crossing, now: datetime) -> None:
        before = self.state
        one.far, one.came = Place.DEEP, now
        self._told(before)

    def undelivered(self, one: Crossing, now: datetime) -> None:
        before = self.state
        one.far, one.came = Place.OFF, now
        if one.stands:
            one.interrupted = True
        self._told(before)

    # --- the escrow and the clock -----------------------------------------------------------------

    def taken_home(self, one: Crossing) -> None:
        """The payer has the money again, for good."""
        before = self.state
        one.taken_home, one.counts, one.hangs = Place.DEEP, False, False
        self._told(before)

    def clock(self, now: datetime) -> int:
        """How many rails are told to hang now."""
        slow = [
            one
            for one in self.crossings
            if one.source is Place.DEEP
            and one.far not in STANDS
            and one.taken_home is not Place.DEEP
            and not one.hangs
            and now - one.came >= STALL
        ]
        for one in slow:
            before = self.state
            one.hangs = True
            one.interrupted = True
            self._told(before)
        return len(slow)

    # --- the book ---------------------------------------------------------------------------------

    def balances(self) -> Counter[tuple[str, str]]:
        book: Counter[tuple[str, str]] = Counter()
        for one in self.crossings:
            self._near(book, one)
            if one.arrived:
                self._far(book, one)
        return book

    def _near(self, book: Counter[tuple[str, str]], one: Crossing) -> None:
        if one.source in STANDS:
            book[one.paying, "payers"] -= one.amount + one.fee
            book[one.paying, f"rail:{one.rail}"] += one.amount
            fees = "fees" if one.source is Place.DEEP else "fees:pending"
            book[one.paying, fees] += one.fee
        if one.taken_home in STANDS:
            book[one.paying, f"rail:{one.rail}"] -= one.amount
            book[one.paying, "payers"] += one.amount

    def _far(self, book: Counter[tuple[str, str]], one: Crossing) -> None:
        if one.rail == "cctp":
            book[one.paying, "rail:cctp"] -= one.amount
            book[one.paying, "conversion:cctp"] += one.amount
            book["base::usdc", "conversion:cctp"] -= one.delivered
        else:
            book["base::usdc", "solver"] -= one.delivered
        account = "merchant:exceptional"
        if one.counts:
            account = "merchant" if one.complete else "merchant:pending"
        book["base::usdc", account] += one.delivered
