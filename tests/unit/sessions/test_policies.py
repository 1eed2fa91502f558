"""What a merchant forgives without being asked: the rule as a table, and money that it accepts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.accounts.preferences import operations as preferences
from gstable_server.accounts.preferences.model import Policies, Preferences
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import MicroUsd
from gstable_server.sessions import paying
from gstable_server.sessions.model import Flag, SessionState
from gstable_server.sessions.unmatched import following
from gstable_server.sessions.unmatched.model import State
from gstable_server.sessions.unmatched.policies import reason_to_accept
from tests.unit.sessions.deposit_desk import Counter
from tests.unit.sessions.payments import NOW, PAYMENT
from tests.unit.sessions.sorting import RECEIVED, Sorter
from tests.unit.sessions.test_matching import SESSION
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio

L, U, O, D, W = (  # noqa: E741
    Flag.LATE, Flag.UNDER, Flag.OVER, Flag.DUPLICATE, Flag.WRONG_RECIPIENT
)  # fmt: skip
ALL = Policies(late_seconds=60, short=MicroUsd(10_000), keeps_surplus=True)
NONE = Policies()
CASES = [
    # flags, seconds late, short, policies, accepted
    ((), 0, 0, ALL, False),
    ((L,), 60, 0, ALL, True),
    ((L,), 61, 0, ALL, False),
    ((L,), 1, 0, NONE, False),
    ((U,), 0, 10_000, ALL, True),
    ((U,), 0, 10_001, ALL, False),
    ((U,), 0, 1, NONE, False),
    ((O,), 0, 0, ALL, True),
    ((O,), 0, 0, replace(ALL, keeps_surplus=False), False),
    ((L, U), 60, 10_000, ALL, True),
    ((L, U), 61, 10_000, ALL, False),
    ((L, U), 60, 10_001, ALL, False),
    ((L, O), 60, 0, ALL, True),
    ((L, O), 60, 0, replace(ALL, late_seconds=0), False),
    ((L, D), 1, 0, ALL, False),
    ((U, W), 0, 1, ALL, False),
    ((D,), 0, 0, ALL, False),
    ((L, Flag.ACCEPTED), 1, 0, ALL, False),
    ((Flag.WRONG_TOKEN,), 0, 0, ALL, False),
    ((Flag.UNMATCHED,), 0, 0, ALL, False),
]


@pytest.mark.parametrize(("flags", "late", "short", "policies", "accepted"), CASES)
@pytest.mark.parametrize("state", list(SessionState))
def test_only_what_is_forgiven_in_every_respect_is_accepted(
    state: SessionState,
    flags: tuple[Flag, ...],
    late: int,
    short: int,
    policies: Policies,
    accepted: bool,
) -> None:
    session = replace(SESSION, state=state, expires_at=NOW)
    payment = replace(
        PAYMENT,
        flags=frozenset(flags),
        block_time=NOW + timedelta(seconds=late),
        merchant_received=1_000_000,
        settlement_decimals=6,
        delivery=None,
        hold=None,
    )
    reason = reason_to_accept(policies, session, payment, 1_000_000 + short)
    # What the merchant called off stays called off.
    assert (reason is not None) is (accepted and state is not SessionState.CANCELLED)


def test_a_payer_never_has_the_greater_part_for_nothing() -> None:
    """Else whoever forgives 5 dollars gives away everything that costs 5."""
    generous = replace(ALL, short=MicroUsd(100_000_000))
    payment = replace(
        PAYMENT,
        flags=frozenset({U}),
        merchant_received=1_000_000,
        settlement_decimals=6,
        delivery=None,
        hold=None,
    )
    assert reason_to_accept(generous, SESSION, payment, 2_000_000) is not None
    assert reason_to_accept(generous, SESSION, payment, 2_000_001) is None


def test_money_that_nobody_asked_for_is_never_short_of_anything() -> None:
    payment = replace(PAYMENT, flags=frozenset({U}))
    assert reason_to_accept(ALL, SESSION, payment, None) is None
    unknown = replace(payment, settlement_decimals=None)
    assert reason_to_accept(ALL, SESSION, unknown, 1) is None


@pytest.fixture
def sorter(world: World) -> Sorter:
    return Sorter(Counter.of(world))


async def decide(sorter: Sorter, wanted: Preferences) -> None:
    world = sorter.world
    await world.db.run(preferences.save, world.tenant, wanted)


async def turn(sorter: Sorter) -> None:
    await sorter.world.db.run(following.follow_up, sorter.world.desk)
    await sorter.relay()


async def test_late_money_is_accepted_by_policy_once_it_is_final(sorter: Sorter) -> None:
    await decide(sorter, Preferences(policies=Policies(late_seconds=3600)))
    view = await sorter.late("seen")
    await turn(sorter)
    assert (await sorter.only()).state is State.OPEN
    await sorter.hear(sorter.log(view, tx=1, at=sorter.now), "final")
    await turn(sorter)
    found = await sorter.only()
    assert found.state is State.RESOLVED
    assert await sorter.trail(found) == [("accept", "gstable", "open", "resolved")]
    after = await sorter.world.view(view.session.session_id)
    assert after.session.state is SessionState.COMPLETED
    assert (await sorter.world.balances())["merchant"] == RECEIVED


async def test_money_that_no_policy_takes_waits_and_is_not_judged_again(sorter: Sorter) -> None:
    view = await sorter.late()
    await turn(sorter)
    assert (await sorter.only()).state is State.OPEN
    await decide(sorter, Preferences(policies=Policies(late_seconds=3600)))
    await turn(sorter)
    # A person has seen it waiting by now: it stays theirs.
    assert (await sorter.only()).state is State.OPEN
    after = await sorter.world.view(view.session.session_id)
    assert after.session.state is SessionState.EXPIRED


@pytest.mark.parametrize(
    "wanted",
    [
        Preferences(policies=Policies(late_seconds=-1)),
        Preferences(policies=Policies(late_seconds=7 * 86_400 + 1)),
        Preferences(policies=Policies(short=MicroUsd(100_000_001))),
        Preferences(networks=frozenset()),
    ],
)
async def test_policies_have_bounds(sorter: Sorter, wanted: Preferences) -> None:
    with pytest.raises(Refused) as refused:
        await decide(sorter, wanted)
    assert refused.value.code is Code.FIELD_INVALID
    async with sorter.world.db.read() as tx:
        assert await preferences.preferences(tx, sorter.world.tenant) == Preferences()


async def test_a_session_is_offered_only_the_networks_that_its_merchant_accepted(
    sorter: Sorter,
) -> None:
    world = sorter.world
    before = await world.open()
    assert {one.network.name for one in paying.options(world.desk, before.session, sorter.now)}
    await decide(sorter, Preferences(networks=frozenset({"somewhere"})))
    with pytest.raises(Refused) as refused:
        await world.open()
    assert refused.value.code is Code.CHANNEL_UNSUPPORTED
    # What is open already keeps what its payer was offered.
    kept = await world.view(before.session.session_id)
    assert paying.options(world.desk, kept.session, sorter.now)
    home = world.desk.networks.of(world.tenant.mode)[0].name
    await decide(sorter, Preferences(networks=frozenset({home})))
    after = await world.view((await world.open()).session.session_id)
    assert after.session.networks == frozenset({home})
    offered = paying.options(world.desk, after.session, sorter.now)
    assert {one.network.name for one in offered} == {home}
