"""How deposit addresses are looked at: often enough, within bounds, and whatever a node says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gstable_server.chain.deposits import NATIVE, balances_data
from gstable_server.chain.executor.model import State
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import ProviderFailed
from gstable_server.chain.testing import FakeChain
from gstable_server.kernel.address import Address
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.deposits import machine, operations, watching
from gstable_server.sessions.deposits.machine import Step
from gstable_server.sessions.deposits.model import (
    BALANCES_MAX,
    SIGHTINGS_MAX,
    WATCHED_FOR,
    Deposit,
)
from tests.unit.sessions.deposit_desk import COLLECTOR, Counter
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio

USDC, BASE = "polygon::usdc", "base::usdc"
DUE = 10_000_000


@pytest.fixture
async def counter(world: World) -> Counter:
    return Counter.of(world)


async def test_dust_without_end_is_not_kept_without_end(counter: Counter) -> None:
    view, deposit = await counter.deposit()
    for number in range(1, SIGHTINGS_MAX + 20):
        await counter.see(deposit, USDC, number)
    assert len(await counter.rows("deposit_sightings")) == SIGHTINGS_MAX
    assert (await counter.world.told(view)).count("underpaid") == SIGHTINGS_MAX
    await counter.see(deposit, USDC, DUE)
    assert await counter.purposes() == [("sweep", "polygon")]


def chain_of(network: Network, balances: dict[Deposit, dict[Address, int]]) -> FakeChain:
    """A node that says so of these addresses, in this order."""
    chain = FakeChain(network)
    tokens = [*(token.address for token in network.tokens), NATIVE]
    words = [one.get(token, 0).to_bytes(32, "big") for one in balances.values() for token in tokens]
    question = balances_data([deposit.address for deposit in balances], tokens)
    head = (32).to_bytes(32, "big") + len(words).to_bytes(32, "big")
    chain.codes[COLLECTOR] = b"collector"
    chain.returns[COLLECTOR, question] = head + b"".join(words)
    return chain


async def test_all_addresses_of_a_network_are_one_question(
    counter: Counter, clock: FakeClock
) -> None:
    first, second, third = [(await counter.deposit())[1] for _ in range(3)]
    network, token = counter.place(USDC)
    chain = chain_of(network, {first: {}, second: {token: DUE}, third: {token: 1}})
    desk = counter.world.desk
    assert await watching.look(counter.db, desk, network, chain) == 3
    assert chain.asked == ["call"]
    assert [row["session_id"] for row in await counter.rows("deposit_sweeps")] == [
        second.session_id
    ]
    assert len(await counter.rows("deposit_sightings")) == 2
    # Not before the network's own pace.
    assert await watching.look(counter.db, desk, network, chain) == 0
    clock.advance(network.poll_milliseconds // 1000)
    assert await watching.look(counter.db, desk, network, chain) == 3
    assert chain.asked == ["call", "call"]


async def test_a_look_is_bounded(counter: Counter) -> None:
    _, deposit = await counter.deposit()
    async with counter.db.begin() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        await tx.execute(
            "INSERT INTO deposit_watches SELECT 'sess_' || lpad(n::text, 16, '0'), 'polygon', $1 "
            "FROM generate_series(1, 300) AS n",
            tx.now,
        )
        await tx.execute(
            "INSERT INTO deposits SELECT 'sess_' || lpad(n::text, 16, '0'), collector, "
            "decode(md5(n::text) || '00000000', 'hex'), session_key, merchant, "
            "settlement_chain_id, settlement_token, fee_receiver, refund_to, refundable_after, "
            "created_at FROM deposits, generate_series(1, 300) AS n WHERE session_id = $1",
            deposit.session_id,
        )
    network = counter.network("polygon")
    first = await counter.db.run(operations.take_due, network)
    second = await counter.db.run(operations.take_due, network)
    assert (len(first), len(second)) == (BALANCES_MAX, 301 - BALANCES_MAX)
    assert not {one.session_id for one in first} & {one.session_id for one in second}
    assert await counter.db.run(operations.take_due, network) == []


@pytest.mark.parametrize("broken", ["no answer", "refused", "nonsense"])
async def test_a_node_in_trouble_is_asked_again(
    counter: Counter, clock: FakeClock, broken: str
) -> None:
    _, deposit = await counter.deposit()
    network, token = counter.place(USDC)
    chain = chain_of(network, {deposit: {token: DUE}})
    told = dict(chain.returns)
    if broken == "no answer":
        chain.trouble.append(ProviderFailed("down"))
    elif broken == "refused":
        chain.returns.clear()
    else:
        chain.returns = dict.fromkeys(told, b"\x01")
    desk = counter.world.desk
    assert await watching.look(counter.db, desk, network, chain) == 1
    assert await counter.rows("deposit_sightings") == []
    chain.returns = told
    clock.advance(2)
    assert await watching.look(counter.db, desk, network, chain) == 1
    assert await counter.purposes() == [("sweep", "polygon")]


async def test_addresses_are_looked_at_ever_more_seldom_and_then_no_more(
    counter: Counter,
) -> None:
    view, deposit = await counter.deposit()
    network = counter.network("polygon")
    created, last = view.session.created_at, deposit.refundable_after
    pace = timedelta(seconds=2)
    assert deposit.next_look(network, created) == created + pace
    assert deposit.next_look(network, last) == last + pace
    hour, month = timedelta(hours=1), timedelta(days=30)
    assert deposit.next_look(network, last + hour) == last + hour * 5 / 4
    assert deposit.next_look(network, last + month) == last + month + timedelta(days=1)
    assert deposit.next_look(network, last + WATCHED_FOR + pace) is None
    # All in all, so many looks after the deadline.
    looks, at = 0, last
    while (following := deposit.next_look(network, at)) is not None:
        looks, at = looks + 1, following
    assert looks < 250


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [None, *State])
def test_every_state_of_a_collection_has_its_step(sent: State | None) -> None:
    over = sent is None or sent in machine.OVER
    for wanted in (True, False):
        for funded in (True, False):
            for covered in (True, False):
                step = machine.sweeping(sent, wanted=wanted, funded=funded, covered=covered)
                assert (step is Step.SEND) == (over and wanted and covered)
                useless = not wanted or (covered and not funded)
                withdrawn = sent is State.QUEUED and useless
                assert (step is Step.WITHDRAW) == withdrawn


@pytest.mark.parametrize("sent", [None, *State])
def test_every_state_of_a_return_has_its_step(sent: State | None) -> None:
    over = sent is None or sent in machine.OVER or sent is State.FINAL
    assert (machine.returning(sent, worth=True) is Step.SEND) == over
    assert (machine.returning(sent, worth=False) is Step.WITHDRAW) == (sent is State.QUEUED)
