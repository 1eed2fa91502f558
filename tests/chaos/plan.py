"""What a run does, decided before it begins: the same seed makes the same plan."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gstable_server.routing.model import Way

CONFIRMATIONS = 12
"""Blocks. A chain that is killed comes back some blocks short, and what is final must not be among
them; more than ``DEEPEST`` and a slow machine's loss together."""

DEEPEST = 5
"""Blocks that one reorganisation replaces at most."""

PAYMENTS_A_SECOND = 2.2
SECONDS_A_KILL = 4.5
SHORTEST_SECONDS = 6.0
TWICE = 0.2
"""Of the kills: while a process starts, it is in the middle of something else than when it runs."""
LEAST_AMOUNT = 2_000_000
"""Micro-USD; each payment's price is another, so that no two can be taken for each other."""


class Kind(StrEnum):
    """What goes wrong."""

    KILL = "kill -9"
    REORGANISATION = "reorganisation"
    CUT = "cut"
    """Nodes that refuse, hang or answer late."""
    ABSENCE = "absence"
    """The same of the merchant's webhook receiver."""


class Mode(StrEnum):
    """How a cut connection behaves."""

    REFUSE = "refuses"
    HANG = "hangs"
    LATE = "answers late"


KILLED = ("api", "worker", "indexer", "executor", "postgres", "anvil")
NETWORKS = ("ethereum", "polygon", "arbitrumone", "base")
DIRECT = (
    "ethereum::usdc",
    "ethereum::usdt",
    "polygon::usdc",
    "polygon::usdt",
    "arbitrumone::usdc",
    "arbitrumone::usdt",
    "base::usdc",
)
DOLLARS = tuple(name for name in DIRECT if name.endswith("::usdc"))
TETHERS = tuple(name for name in DIRECT if name.endswith("::usdt"))


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment: what pays, what the merchant gets, and the price in Micro-USD."""

    number: int
    at: float
    paying: str
    settlement: str
    way: Way
    amount: int

    @property
    def kind(self) -> str:
        """How it is told in the summary."""
        if self.paying.split("::")[0] != self.settlement.split("::")[0]:
            return "cctp" if self.paying.endswith("::usdc") else "escrow"
        return {Way.ERC3009: "relayed", Way.DEPOSIT: "deposit"}.get(self.way, "direct")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong ``at`` so many seconds; ``seconds`` is how long a cut lasts,
    ``depth`` how many blocks are replaced, ``moved`` whether their transactions are mined again by
    the chain itself or are gone from it; ``twice`` strikes what has just been started again too."""

    at: float
    kind: Kind
    target: str
    seconds: float = 0.0
    mode: Mode = Mode.REFUSE
    depth: int = 0
    moved: bool = False
    twice: bool = False

    def __str__(self) -> str:
        match self.kind:
            case Kind.REORGANISATION:
                what = "mined elsewhere" if self.moved else "dropped"
                return f"{self.target}: {self.depth} blocks replaced, transactions {what}"
            case Kind.CUT | Kind.ABSENCE:
                return f"{self.target} {self.mode.value} for {self.seconds:.0f} s"
            case Kind.KILL:
                return f"{self.target} killed{' twice' if self.twice else ''}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole run. ``seconds`` is how long payments begin and faults happen."""

    seed: int
    seconds: float
    payments: tuple[Payment, ...]
    faults: tuple[Fault, ...]


def make_plan(
    payments: int, kills: int, reorgs: int, seed: int, seconds: float | None = None
) -> Plan:
    """The plan of ``seed`` for so many payments, kills and reorganisations, in as many seconds as
    leave each its time unless ``seconds`` says how many."""
    chance = random.Random(seed)
    if seconds is None:
        seconds = max(payments / PAYMENTS_A_SECOND, kills * SECONDS_A_KILL, SHORTEST_SECONDS)
    faults = [
        *_kills(chance, kills, seconds),
        *_reorganisations(chance, reorgs, seconds),
        *_cuts(chance, 1 + kills // 3, seconds),
        *_absences(chance, 1 + kills // 25, seconds),
    ]
    return Plan(
        seed=seed,
        seconds=seconds,
        payments=tuple(_payment(chance, number, seconds) for number in range(payments)),
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
    )


def _payment(chance: random.Random, number: int, seconds: float) -> Payment:
    at = chance.uniform(0, seconds * 0.95)
    amount = LEAST_AMOUNT + 1_003 * number
    lot = chance.random()
    if lot < 0.40:
        paying = settlement = chance.choice(DIRECT)
        way = Way.APPROVE
    elif lot < 0.65:
        paying = settlement = chance.choice(DOLLARS)
        way = Way.ERC3009
    elif lot < 0.75:
        paying = settlement = chance.choice(DIRECT)
        way = Way.DEPOSIT
    elif lot < 0.90:
        paying, settlement = chance.sample(DOLLARS, 2)
        way = chance.choice((Way.APPROVE, Way.ERC3009))
    else:
        paying, settlement = chance.sample(TETHERS, 2)
        way = Way.APPROVE
    return Payment(number, at, paying, settlement, way, amount)


def _kills(chance: random.Random, count: int, seconds: float) -> list[Fault]:
    """Spread over the time, and dealt in rounds, so that none is spared by chance."""
    targets: list[str] = []
    while len(targets) < count:
        targets += chance.sample(KILLED, len(KILLED))
    times = _times(chance, count, seconds)
    return [
        Fault(at, Kind.KILL, _detailed(chance, target), twice=chance.random() < TWICE)
        for at, target in zip(times, targets, strict=False)
    ]


def _detailed(chance: random.Random, target: str) -> str:
    if target == "anvil":
        return f"anvil {chance.choice(NETWORKS)}"
    if target == "postgres":
        return chance.choice(("postgres", "postgres backend"))
    return target


def _reorganisations(chance: random.Random, count: int, seconds: float) -> list[Fault]:
    return [
        Fault(
            at,
            Kind.REORGANISATION,
            chance.choice(NETWORKS),
            depth=chance.randint(1, DEEPEST),
            moved=chance.random() < 0.5,
        )
        for at in _times(chance, count, seconds)
    ]


def _cuts(chance: random.Random, count: int, seconds: float) -> list[Fault]:
    return [
        Fault(
            at,
            Kind.CUT,
            chance.choice(NETWORKS),
            seconds=min(chance.uniform(2, 10), seconds / 3),
            mode=chance.choice(tuple(Mode)),
        )
        for at in _times(chance, count, seconds)
    ]


def _absences(chance: random.Random, count: int, seconds: float) -> list[Fault]:
    return [
        Fault(
            at,
            Kind.ABSENCE,
            "receiver",
            seconds=min(chance.uniform(5, 15), seconds / 3),
            mode=chance.choice((Mode.REFUSE, Mode.HANG)),
        )
        for at in _times(chance, count, seconds)
    ]


def _times(chance: random.Random, count: int, seconds: float) -> Sequence[float]:
    """One instant in each of ``count`` equal parts of the time."""
    return [(place + chance.random()) * seconds / count for place in range(count)]
