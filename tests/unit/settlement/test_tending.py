"""The worker that asks rails for the next step: what it sends, when it waits, and who may ask."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import Sender, State
from gstable_server.chain.facts import DeliveryLog, EscrowWhat, PaymentLog, RailName
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.port import Done, Send, Wait
from gstable_server.chain.rails.testing import ScriptedRail
from gstable_server.chain.rpc import NodeRefused
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.model import SessionState, SessionView
from gstable_server.settlement import operations as settlement
from tests.running import eventually_async
from tests.unit.settlement.crossings import Crossings, later

pytestmark = pytest.mark.anyio


def step(purpose: str = "mint", sender: Sender = Sender.RELAYER) -> Send:
    call = ContractCall(Address(b"\x09" * 20), b"\x01")
    return Send("base", sender, call, purpose, f"{purpose}:this")


async def crossing(
    crossings: Crossings, *told: str, token_id: str = "polygon::usdc"
) -> tuple[SessionView, PaymentLog, ScriptedRail]:
    view = await crossings.open()
    payment = await crossings.paid(view, token_id)
    await crossings.hear(*[(what, payment) for what in told])
    assert payment.rail is not None
    return view, payment, crossings.rails[payment.rail]


async def row(crossings: Crossings) -> dict[str, Any]:
    async with crossings.db.begin() as tx:
        [found] = await tx.fetch("SELECT * FROM settlements")
    return dict(found)


async def test_a_step_is_sent_once_under_the_name_that_the_rail_gave(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, payment, rail = await crossing(crossings, "seen")
    rail.script = [step(), step(), step()]
    for _ in range(3):
        assert await crossings.tend() == 1
        clock.advance(10)
    assert await crossings.causes() == ["mint:this"]
    assert [asked.payment for asked in rail.asked] == [payment] * 3
    assert rail.asked[0].source.name == "polygon"
    assert rail.asked[0].destination.name == "base"
    assert not rail.asked[0].source_final


async def test_a_payment_is_asked_about_at_once_and_after_every_fact(
    crossings: Crossings,
) -> None:
    _, payment, rail = await crossing(crossings, "seen")
    delivery = crossings.delivery(payment)
    assert await crossings.tend() == 1
    assert await crossings.tend() == 0
    for fact in (("final", payment), ("seen", delivery), ("final", delivery)):
        await crossings.hear(fact)
        assert await crossings.tend() == 1
    assert [
        (one.source_final, one.delivery is not None, one.delivery_final) for one in rail.asked
    ] == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
    ]


async def test_a_rail_that_is_done_is_asked_no_more_until_something_changes(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, payment, rail = await crossing(crossings, "seen", "final")
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", delivery))
    rail.script = [Done()]
    assert await crossings.tend() == 1
    clock.advance(3600)
    assert await crossings.tend() == 0
    await crossings.hear(("reorged", delivery))
    assert await crossings.tend() == 1


async def test_a_payment_off_the_chain_is_not_asked_about(crossings: Crossings) -> None:
    _, payment, rail = await crossing(crossings, "seen", "reorged")
    assert await crossings.tend() == 0
    await crossings.hear(("seen", later(payment)))
    assert await crossings.tend() == 1
    assert rail.asked[0].payment.block_number == later(payment).block_number


async def test_a_rail_that_cannot_answer_is_asked_again_later(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, _, rail = await crossing(crossings, "seen")
    rail.script = [Passing("the node is away"), NodeRefused("reverted"), step()]
    assert await crossings.tend() == 1
    assert (await row(crossings))["reason"] == "the node is away"
    assert await crossings.tend() == 0
    clock.set(clock.now() + timedelta(milliseconds=250))
    assert await crossings.tend() == 1
    clock.set(clock.now() + timedelta(milliseconds=250))
    assert await crossings.tend() == 0
    clock.set(clock.now() + timedelta(milliseconds=250))
    assert await crossings.tend() == 1
    assert await crossings.causes() == ["mint:this"]


async def test_chn_17_nothing_of_ours_is_spent_on_a_payment_that_is_not_final(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, payment, rail = await crossing(crossings, "seen", token_id="polygon::usdt")
    assert rail.name is RailName.ESCROW
    rail.script = [step("fill", Sender.SOLVER), step("fill", Sender.SOLVER)]
    await crossings.tend()
    assert await crossings.causes() == []
    await crossings.hear(("final", payment))
    await crossings.tend()
    assert await crossings.causes() == ["fill:this"]


async def test_chn_17_a_fact_that_is_heard_while_the_rail_answers_makes_the_answer_void(
    crossings: Crossings,
) -> None:
    _, payment, rail = await crossing(crossings, "seen")
    rail.script = [step(), step()]
    [turn] = await crossings.db.run(settlement.take_due)
    await crossings.hear(("reorged", payment))
    await settlement.tend(crossings.db, crossings.flow.settler, turn)
    assert await crossings.causes() == []
    assert await crossings.tend() == 0
    await crossings.hear(("seen", payment))
    assert await crossings.tend() == 1
    assert await crossings.causes() == ["mint:this"]


# --- more than one worker, and workers that die ---------------------------------------------------


async def test_no_two_workers_ask_about_the_same_crossing(crossings: Crossings) -> None:
    for _ in range(5):
        await crossing(crossings, "seen")
    taken = await asyncio.gather(*[crossings.db.run(settlement.take_due, 2) for _ in range(6)])
    names = [turn.lease.settlement.name for turns in taken for turn in turns]
    assert len(names) == len(set(names)) == 5


async def test_a_crossing_comes_back_when_its_worker_dies(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, _, rail = await crossing(crossings, "seen")
    rail.script = [step()]
    [_] = await crossings.db.run(settlement.take_due)
    assert await crossings.tend() == 0
    clock.set(clock.now() + settlement.LEASE)
    assert await crossings.tend() == 1
    assert await crossings.causes() == ["mint:this"]


async def test_a_worker_that_was_too_slow_changes_nothing(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, _, rail = await crossing(crossings, "seen")
    [slow] = await crossings.db.run(settlement.take_due)
    clock.set(clock.now() + settlement.LEASE)
    [quick] = await crossings.db.run(settlement.take_due)
    rail.script = [step("mint"), Wait("somebody minted")]
    await settlement.tend(crossings.db, crossings.flow.settler, slow)
    assert await crossings.causes() == []
    await settlement.tend(crossings.db, crossings.flow.settler, quick)
    assert (await row(crossings))["reason"] == "somebody minted"


async def test_a_slow_rail_is_asked_by_one_worker_for_as_long_as_that_lives(
    crossings: Crossings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "RENEW_SECONDS", 0.001)
    _, _, rail = await crossing(crossings, "seen")

    async def slowly(_crossing: object) -> Wait:
        for _ in range(4):
            clock.set(clock.now() + 0.75 * settlement.LEASE)
            await eventually_async(leased_ahead, "the lease is prolonged")
            assert await crossings.db.run(settlement.take_due) == []
        return Wait("took its time")

    async def leased_ahead() -> bool:
        return bool((await row(crossings))["leased_until"] >= clock.now() + settlement.LEASE)

    monkeypatch.setattr(rail, "finish", slowly)
    assert await crossings.tend() == 1
    assert (await row(crossings))["reason"] == "took its time"


async def test_a_rail_that_hangs_does_not_hold_its_crossing(
    crossings: Crossings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "ANSWER_SECONDS", 0.01)
    _, _, rail = await crossing(crossings, "seen")

    async def never(_crossing: object) -> Wait:
        await asyncio.sleep(60)
        return Wait("")

    monkeypatch.setattr(rail, "finish", never)
    await crossings.tend()
    assert "no answer within" in (await row(crossings))["reason"]


# --- our transactions -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["failed", "refused"])
async def test_a_transaction_that_failed_is_a_race_first_and_sent_under_a_new_name_then(
    crossings: Crossings, clock: FakeClock, how: str
) -> None:
    _, _, rail = await crossing(crossings, "seen")
    rail.script = [step(), Wait("minted; the block is being read"), step()]
    await crossings.tend()
    await crossings.tell_executor(how, "mint:this", "reverted")
    await crossings.relay()
    assert await crossings.tend() == 0
    clock.advance(2)
    assert await crossings.tend() == 1
    assert await crossings.causes() == ["mint:this"]
    clock.advance(60)
    assert await crossings.tend() == 1
    assert await crossings.causes() == ["mint:this", "mint:this:1"]


async def test_a_mined_transaction_wakes_its_crossing(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, _, rail = await crossing(crossings, "seen")
    rail.script = [step()]
    await crossings.tend()
    assert await crossings.tend() == 0
    await crossings.tell_executor("mined", "mint:this")
    await crossings.tell_executor("mined", "relay:somebody else's")
    await crossings.relay()
    assert await crossings.tend() == 1


async def test_what_somebody_else_delivered_is_not_sent_any_more(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, payment, rail = await crossing(crossings, "seen")
    rail.script = [step()]
    await crossings.tend()
    await crossings.hear(("seen", crossings.delivery(payment)))
    async with crossings.db.begin() as tx:
        found = await executor.find(tx, "mint:this")
    assert found is not None
    assert found.state is State.WITHDRAWN


async def test_chn_16_what_was_not_sent_for_a_payment_that_left_the_chain_is_sent_anew(
    crossings: Crossings,
) -> None:
    _, payment, rail = await crossing(crossings, "seen")
    rail.script = [step(), step()]
    await crossings.tend()
    await crossings.hear(("reorged", payment), ("seen", later(payment)))
    await crossings.tend()
    async with crossings.db.begin() as tx:
        states = [
            found.state
            for cause in ("mint:this", "mint:this:1")
            if (found := await executor.find(tx, cause))
        ]
    assert states == [State.WITHDRAWN, State.QUEUED]


# --- the clock ------------------------------------------------------------------------------------


async def test_a_rail_that_does_not_deliver_hangs_and_goes_on_by_itself(
    crossings: Crossings, clock: FakeClock
) -> None:
    view, payment, rail = await crossing(crossings, "seen")
    clock.advance(1000)
    assert await crossings.watch() == 0, "confirmations are not the rail's to give"
    await crossings.hear(("final", payment))
    clock.advance(119)
    assert await crossings.watch() == 0
    clock.advance(1)
    assert await crossings.watch() == 1
    assert await crossings.watch() == 0
    await crossings.relay()
    assert (await crossings.view(view)).session.state is SessionState.SETTLEMENT_PENDING
    rail.script = [step()]
    await crossings.tend()
    await crossings.relay()
    assert (await crossings.view(view)).session.state is SessionState.SETTLING
    clock.advance(120)
    assert await crossings.watch() == 1
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", delivery), ("final", delivery))
    assert await crossings.told_of_crossings() == [
        "started",
        "stalled",
        "resumed",
        "stalled",
        "resumed",
        "delivered",
        "completed",
    ]
    assert await crossings.told_of_session(view) == [
        "created",
        "paid",
        "settling",
        "settlement_pending",
        "settling",
        "settlement_pending",
        "settling",
        "completed",
    ]


async def test_a_solver_who_is_not_paid_back_is_told_of_once_and_never_to_the_session(
    crossings: Crossings, clock: FakeClock
) -> None:
    view, payment, rail = await crossing(crossings, "seen", "final", token_id="polygon::usdt")
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", delivery), ("final", delivery))
    clock.advance(119)
    assert await crossings.watch_unpaid() == 0
    clock.advance(1)
    assert await crossings.watch_unpaid() == 1
    assert await crossings.watch_unpaid() == 0
    rail.script = [step("release"), Done()]
    assert await crossings.tend() == 1
    await crossings.relay()
    assert await crossings.causes() == ["release:this"]
    assert (await crossings.view(view)).session.state is SessionState.COMPLETED
    await crossings.hear(("seen", crossings.escrow(payment, EscrowWhat.RELEASED)))
    assert await crossings.tend() == 1
    clock.advance(1000)
    assert await crossings.watch_unpaid() == 0


async def test_a_payment_that_goes_back_does_not_go_on(
    crossings: Crossings, clock: FakeClock
) -> None:
    view, payment, rail = await crossing(crossings, "seen", "final", token_id="polygon::usdt")
    clock.advance(120)
    assert await crossings.watch() == 1
    await crossings.relay()
    rail.script = [step("recover")]
    assert await crossings.tend() == 1
    await crossings.relay()
    assert await crossings.causes() == ["recover:this"]
    assert (await crossings.view(view)).session.state is SessionState.SETTLEMENT_PENDING
    taken = crossings.escrow(payment, EscrowWhat.RECLAIMED)
    await crossings.hear(("seen", taken), ("final", taken))
    assert await crossings.told_of_crossings() == ["started", "stalled", "returned"]


async def test_a_delivery_that_is_taken_back_gives_the_rail_its_time_anew(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, payment, _ = await crossing(crossings, "seen", "final")
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", delivery))
    clock.advance(120)
    await crossings.hear(("reorged", delivery))
    assert await crossings.watch() == 0
    clock.advance(119)
    assert await crossings.watch() == 0
    clock.advance(1)
    assert await crossings.watch() == 1


async def test_a_crossing_without_its_rail_waits_for_it(
    crossings: Crossings, clock: FakeClock
) -> None:
    _, _, _ = await crossing(crossings, "seen")
    bare = settlement.Settler(crossings.world.desk.networks, (), timedelta(seconds=120))
    [turn] = await crossings.db.run(settlement.take_due)
    await settlement.tend(crossings.db, bare, turn)
    assert "not configured" in (await row(crossings))["reason"]
    clock.advance(1)
    assert await crossings.tend() == 1


async def test_open_crossings_can_be_listed(crossings: Crossings) -> None:
    _, payment, _ = await crossing(crossings, "seen")
    async with crossings.db.begin() as tx:
        [(found, _)] = await settlement.list_open(tx)
    assert found.payment == payment
    delivery: DeliveryLog = crossings.delivery(payment)
    await crossings.hear(("final", payment), ("seen", delivery))
    crossings.rails[RailName.CCTP].script = [Done()]
    await crossings.tend()
    async with crossings.db.begin() as tx:
        assert await settlement.list_open(tx) == []
