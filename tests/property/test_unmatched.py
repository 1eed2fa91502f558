"""Unmatched money, compared with an independent count: what is in the list is what is on the chain,
to the unit, whatever is heard in whichever order and how often."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.facts import ChainLog
from gstable_server.kernel.ids import InflowId
from gstable_server.kernel.tenant import Mode
from gstable_server.sessions.deposits.model import Deposit
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.unmatched.model import How, Inflow, Source, State
from gstable_server.sessions.unmatched.rules import spread
from tests.unit.sessions.conftest import world
from tests.unit.sessions.deposit_desk import Counter as Desk
from tests.unit.sessions.sorting import DUE, UNKNOWN, Sorter
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio
__all__ = ["world"]

ORDERS = 12
AMOUNTS = st.integers(0, 10**9)


def inflow(number: int, amount: int) -> Inflow:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Inflow(
        inflow_id=InflowId(f"inf_{number:024}"),
        source=Source.TRANSFER,
        network="polygon",
        mode=Mode.TEST,
        token=UNKNOWN,
        token_id="polygon::usdc",
        decimals=6,
        amount=amount,
        sender=UNKNOWN,
        receiver=UNKNOWN,
        tx_hash=bytes(32),
        log_position=number,
        block_number=number,
        arrived_at=at,
        final=True,
        flags=frozenset(),
        state=State.OPEN,
        seen_at=at,
    )


@given(st.lists(AMOUNTS, max_size=6), AMOUNTS, AMOUNTS)
def test_what_left_is_counted_once_against_what_came_first(
    amounts: list[int], collected: int, returned: int
) -> None:
    came = [inflow(number, amount) for number, amount in enumerate(amounts)]
    told = spread(came, collected, returned)
    total = sum(amounts)
    taken = min(collected, total)
    assert sum(one.collected for one in told) == taken
    assert sum(one.returned for one in told) <= min(returned, total - taken)
    assert sum(one.left for one in told) >= total - collected - returned
    for one, before in zip(told, came, strict=True):
        assert 0 <= one.collected <= one.amount
        assert 0 <= one.left <= one.amount
        assert replace(one, collected=0, returned=0) == before
    # First come, first gone: before the last that was collected from nothing is left uncollected.
    for first, second in pairwise(told):
        assert not second.collected or first.collected == first.amount


@dataclass(frozen=True)
class Story:
    """What happened at one session's address, and how much of it stands at the end."""

    facts: Sequence[tuple[ChainLog, tuple[str, ...]]]
    came: Counter[str]
    collected: int
    returned: int


def story(sorter: Sorter, view: SessionView, deposit: Deposit, chance: random.Random) -> Story:
    """Transfers in and out, some of them taken back by a reorganisation and some mined again."""
    facts: list[tuple[ChainLog, tuple[str, ...]]] = []
    came: Counter[str] = Counter()
    for _ in range(chance.randint(1, 5)):
        token_id, token = chance.choice([("polygon::usdc", None), ("polygon::usdc", UNKNOWN)])
        log = sorter.inbound(deposit.address, chance.randint(10_000, DUE), token_id, token=token)
        ends = chance.choice(
            [
                ("seen",),
                ("seen", "final"),
                ("seen", "reorged"),
                ("seen", "reorged", "lost"),
                ("seen", "reorged", "seen", "final"),
            ]
        )
        facts.append((log, ends))
        if ends[-1] in {"seen", "final"}:
            came["unknown" if token else token_id] += log.amount
    collected = returned = 0
    if chance.random() < 0.7:
        ends = chance.choice([("seen", "final"), ("seen", "reorged"), ("seen",)])
        facts.append((sorter.collection(view, deposit), ends))
        collected = DUE if ends[-1] != "reorged" else 0
    if chance.random() < 0.5:
        back = sorter.recovery(deposit, chance.randint(1, DUE))
        ends = chance.choice([("seen", "final"), ("seen", "reorged")])
        facts.append((back, ends))
        returned = back.amount if ends[-1] == "final" else 0
    return Story(facts, came, collected, returned)


def shuffled(
    facts: Sequence[tuple[ChainLog, tuple[str, ...]]], chance: random.Random
) -> list[tuple[ChainLog, str]]:
    """All of it in another order; what is told of one log keeps its own, and may repeat."""
    queues = [[(log, what) for what in ends] for log, ends in facts]
    heard = []
    while queues:
        queue = chance.choice(queues)
        heard.append(queue.pop(0))
        if not queue:
            queues.remove(queue)
    return heard


@pytest.mark.parametrize("seed", range(ORDERS))
async def test_the_list_is_the_chain_in_whichever_order_it_is_heard(
    world: World, seed: int
) -> None:
    chance = random.Random(seed)
    sorter = Sorter(Desk.of(world))
    view, deposit = await sorter.counter.deposit()
    await sorter.counter.see(deposit, "polygon::usdc", DUE)
    told = story(sorter, view, deposit, chance)
    for log, what in shuffled(told.facts, chance):
        await sorter.hear(log, what)
    standing = [one for one in await sorter.all() if one.state is not State.GONE]
    # Σ of the rows of each token is Σ of what stands on the chain.
    came: Counter[str] = Counter()
    for one in standing:
        came["unknown" if one.decimals is None else one.token_id] += one.amount
    assert came == told.came
    known = [one for one in standing if one.decimals is not None]
    total = told.came["polygon::usdc"]
    collected = min(told.collected, total)
    assert sum(one.collected for one in known) == collected
    assert sum(one.left for one in known) >= total - told.collected - told.returned
    for one in standing:
        assert (one.left == 0) is (one.state is State.RESOLVED)
        assert (one.how is How.COLLECTED) is (not one.left and not one.returned)
