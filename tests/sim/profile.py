"""What kind of a world a seed makes: how many of everything, and how much of it fails.

Every seed draws its own rates, because faults that always come together hide each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tests.sim.chain import SimChain
from tests.sim.providers import Outlet
from tests.sim.sales import Way


@dataclass(frozen=True, slots=True)
class Profile:
    """Weights are relative; ``statement_faults`` and ``commit_faults`` say one of how many."""

    confirmations: dict[str, int]
    payments: int
    ways: Mapping[Way, int]
    refunds: float
    paces: Mapping[str, float]
    """How likely a loop takes its turn when it comes round; by default surely."""
    instances: int
    hooks: int
    block_size: int
    mining: float
    eagerness: float
    reorganisations: float
    reorganisation_depth: int
    bursts: float
    crashes: float
    disturbances: float
    hostility: float
    statement_faults: int
    commit_faults: int
    rpc_errors: float
    omissions: float
    lies: float
    lag: int
    providers: int
    gives_receipts: bool
    quorum: bool

    def outlet(self, chain: SimChain, chance: Random, *, first: bool) -> Outlet:
        """A provider of ``chain``; the first may be the worse one."""
        return Outlet(
            chain,
            chance,
            errors=self.rpc_errors,
            omissions=self.omissions,
            lies=self.lies,
            lag=self.lag if first else 0,
            gives_receipts=self.gives_receipts or not first,
        )


def profile_of(seed: int) -> Profile:
    chance = Random(f"profile {seed}")
    deep = chance.random() < 0.08
    providers = chance.choice((1, 2, 2, 3))
    return Profile(
        confirmations={
            "north": 320 if deep else chance.choice((3, 4, 6, 12)),
            "south": chance.choice((2, 3, 5)),
        },
        payments=102,
        ways={
            Way.DIRECT: 80,
            Way.RELAYED: chance.choice((0, 0, 6)),
            Way.SWAP: chance.choice((0, 5)),
            Way.ACROSS: chance.choice((0, 0, 5)),
            Way.DEPOSIT: chance.choice((0, 0, 0, 6)),
            Way.HELD: chance.choice((0, 0, 0, 6)),
        },
        refunds=chance.choice((0, 0.1)),
        paces={"relay": chance.choice((0.1, 0.3, 1)), "deliver": chance.choice((0.1, 0.5))},
        instances=chance.choice((1, 1, 2, 3)),
        hooks=chance.choice((0, 1, 1, 2)),
        block_size=chance.choice((5, 10, 20)),
        mining=chance.choice((1, 2, 3)),
        eagerness=chance.choice((0.6, 0.8, 0.9)),
        reorganisations=chance.choice((0, 0.5, 1.5)),
        reorganisation_depth=300,
        bursts=0.3 if deep else chance.choice((0, 0, 0.05)),
        crashes=chance.choice((0, 0.5, 1.5)),
        disturbances=chance.choice((0, 0.5, 1.5)),
        hostility=chance.choice((0, 0.2, 0.6)),
        statement_faults=chance.choice((0, 80, 300)),
        commit_faults=chance.choice((0, 20, 80)),
        rpc_errors=chance.choice((0, 0.05, 0.2)),
        omissions=chance.choice((0, 0.05)),
        lies=chance.choice((0, 0.1)),
        lag=chance.choice((0, 0, 3, 30)),
        providers=providers,
        gives_receipts=chance.random() < 0.7 or providers == 1,
        quorum=providers > 1 and chance.random() < 0.5,
    )
