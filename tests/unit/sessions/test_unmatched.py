"""Money that pays nothing as asked: how it is found, told apart, and resolved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from gstable_server.chain.facts import TransferLog
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import InflowId, MerchantId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.unmatched import operations
from gstable_server.sessions.unmatched.model import Act, How, Source, State, Why
from tests.unit.sessions.deposit_desk import REFUND_TO, Counter
from tests.unit.sessions.sorting import DUE, RECEIVED, SENDER, UNKNOWN, Sorter
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def sorter(world: World) -> Sorter:
    return Sorter(Counter.of(world))


def of(*flags: Why) -> frozenset[Why]:
    return frozenset(flags)


async def refusal(sorter: Sorter, act: Act, inflow: Any, **changes: Any) -> str:
    """Why it cannot be done; nothing may have changed."""
    before = await sorter.all(), await sorter.trail(inflow)
    with pytest.raises(Refused) as refused:
        await sorter.do(act, inflow, **changes)
    assert (await sorter.all(), await sorter.trail(inflow)) == before
    return refused.value.message


# --- payments -------------------------------------------------------------------------------------


async def test_a_payment_as_asked_is_no_row(sorter: Sorter) -> None:
    view = await sorter.world.open()
    await sorter.world.prepare(view)
    await sorter.hear(sorter.log(view), "seen", "final")
    assert await sorter.all() == []


async def test_chn_07_late_money_waits_and_is_accepted(sorter: Sorter) -> None:
    view = await sorter.late("seen")
    found = await sorter.only()
    assert (found.state, found.flags) == (State.OPEN, of(Why.LATE))
    assert (found.source, found.amount, found.final) == (Source.PAYMENT, RECEIVED, False)
    # Nothing is credited on money that a reorganisation may take back.
    assert "not final" in await refusal(sorter, Act.ACCEPT, found)
    await sorter.hear(sorter.log(view, tx=1, at=sorter.now), "final")
    assert (await sorter.world.balances())["merchant:exceptional"] == RECEIVED
    done = await sorter.do(Act.ACCEPT, found)
    assert (done.state, done.how, done.flags) == (
        State.RESOLVED, How.ACCEPTED, of(Why.LATE)
    )  # fmt: skip
    after = await sorter.world.view(view.session.session_id)
    assert after.session.state is SessionState.COMPLETED
    assert after.session.receipt_id is not None
    assert after.payment is not None
    balances = await sorter.world.balances()
    assert balances["merchant"] == RECEIVED
    assert "merchant:exceptional" not in balances
    assert (await sorter.world.told(view))[-1] == "completed"
    assert await sorter.waiting() == []
    assert await sorter.trail(found) == [("accept", "Olga", "open", "resolved")]
    assert "is resolved" in await refusal(sorter, Act.DISMISS, found)


async def test_chn_07_what_was_paid_twice_is_booked_and_the_session_stays(sorter: Sorter) -> None:
    view = await sorter.late(pay_again=True)
    found = await sorter.only()
    assert found.flags == of(Why.DUPLICATE)
    told = await sorter.world.told(view)
    await sorter.do(Act.ACCEPT, found)
    assert await sorter.world.told(view) == told
    assert (await sorter.world.view(view.session.session_id)).session.state == "completed"
    assert (await sorter.world.balances())["merchant"] == 2 * RECEIVED
    # What was accepted is given back from where it is booked now.
    after = await sorter.world.view(view.session.session_id)
    async with sorter.world.db.read() as tx:
        assert refunds.refundable(after, await refunds.of_view(tx, after))[found.payment_id or ""]


async def test_late_money_is_given_back(sorter: Sorter) -> None:
    await sorter.late()
    found = await sorter.only()
    resolving = await sorter.do(Act.REFUND, found)
    assert (resolving.state, resolving.refund_id is not None) == (State.RESOLVING, True)
    view = await sorter.detail(found)
    assert view.refund is not None
    assert view.refund.terms.receiver == Address(b"\x01" * 20)
    assert "already" in await refusal(sorter, Act.ACCEPT, found)
    # The merchant's wallet sends it.
    terms = view.refund.terms
    sent = sorter.inbound(terms.receiver, terms.amount)
    await sorter.hear(_transfer(sent, terms.sender), "seen", "final")
    await sorter.relay()
    done = await sorter.only()
    assert (done.state, done.how) == (State.RESOLVED, How.REFUNDED)
    assert [step[:1] + step[2:] for step in await sorter.trail(found)] == [
        ("refund", "open", "resolving"), (None, "resolving", "resolved")
    ]  # fmt: skip


def _transfer(sent: Any, sender: Address) -> Any:
    return TransferLog(
        network=sent.network,
        chain_id=sent.chain_id,
        tx_hash=sent.tx_hash,
        log_position=0,
        block_number=sent.block_number,
        block_hash=sent.block_hash,
        block_time=sent.block_time,
        token=sent.token,
        sender=sender,
        receiver=sent.receiver,
        amount=sent.amount,
    )


async def test_a_refund_that_is_not_sent_opens_it_again(sorter: Sorter) -> None:
    await sorter.late()
    found = await sorter.only()
    await sorter.do(Act.REFUND, found)
    assert await sorter.follow_up() == 0
    sorter.world.db.clock.advance(25 * 3600)  # type: ignore[attr-defined]
    await sorter.world.db.run(refunds.expire_due)
    assert await sorter.follow_up() == 1
    assert (await sorter.only()).state is State.OPEN
    # A part of it goes back: then what is left waits again.
    await sorter.do(Act.REFUND, found, amount=1_000_000)
    view = await sorter.detail(found)
    assert view.refund is not None
    sent = sorter.inbound(view.refund.terms.receiver, 1_000_000)
    await sorter.hear(_transfer(sent, view.refund.terms.sender), "seen", "final")
    await sorter.relay()
    assert await sorter.follow_up() == 0
    sorter.world.db.clock.advance(61)  # type: ignore[attr-defined]
    assert await sorter.follow_up() == 1
    assert (await sorter.only()).state is State.OPEN
    assert "went back in part" in await refusal(sorter, Act.ACCEPT, found)


@pytest.mark.parametrize("what", ["reorged", "lost"])
async def test_chn_16_a_reorganisation_takes_it_out_and_brings_it_back(
    sorter: Sorter, what: str
) -> None:
    view = await sorter.late("seen")
    log = sorter.log(view, tx=1, at=sorter.now)
    await sorter.hear(log, "reorged", *(["lost"] if what == "lost" else []))
    found = await sorter.only()
    assert found.state is State.GONE
    assert "left its chain" in await refusal(sorter, Act.DISMISS, found)
    await sorter.hear(log, "seen", "final")
    assert (await sorter.only()).state is State.OPEN
    steps = [step[2:] for step in await sorter.trail(found)]
    assert steps == [("open", "gone"), ("gone", "open")]


async def test_money_for_no_session_is_only_booked(sorter: Sorter) -> None:
    view = await sorter.world.open()
    stray = sorter.log(view, session_key=b"\x99" * 32)
    await sorter.hear(stray, "seen", "final")
    found = await sorter.only()
    assert (found.flags, found.merchant_id) == (
        of(Why.UNMATCHED), sorter.world.tenant.merchant_id
    )  # fmt: skip
    assert "no session" in await refusal(sorter, Act.REFUND, found)
    await sorter.do(Act.ACCEPT, found)
    assert (await sorter.world.balances())["merchant"] == RECEIVED
    assert "unmatched" not in await sorter.world.balances()


async def test_what_went_to_another_wallet_is_nobodys_to_accept(sorter: Sorter) -> None:
    view = await sorter.world.open()
    await sorter.world.prepare(view)
    elsewhere = sorter.log(view, merchant=Address(b"\x55" * 20))
    await sorter.hear(elsewhere, "seen", "final")
    found = await sorter.only()
    assert found.flags == of(Why.WRONG_RECIPIENT)
    assert "went to another wallet" in await refusal(sorter, Act.ACCEPT, found)
    assert "went to another wallet" in await refusal(sorter, Act.REFUND, found)
    assert (await sorter.do(Act.DISMISS, found)).state is State.DISMISSED
    assert "is dismissed" in await refusal(sorter, Act.DISMISS, found)


async def test_a_cancelled_session_stays_cancelled(sorter: Sorter) -> None:
    view = await sorter.world.open()
    await sorter.world.db.run(
        sessions.cancel, sorter.world.desk, sorter.world.tenant, view.session.session_id
    )
    # By an order that nobody knows of any more.
    await sorter.hear(sorter.log(view), "seen", "final")
    found = await sorter.only()
    assert found.flags == of(Why.LATE, Why.WRONG_TOKEN)
    await sorter.do(Act.ACCEPT, found)
    assert (await sorter.world.view(view.session.session_id)).session.state == "cancelled"
    assert (await sorter.world.balances())["merchant"] == RECEIVED


async def test_a_session_of_which_money_goes_back_is_not_completed(sorter: Sorter) -> None:
    view = await sorter.late()
    [first] = await sorter.all()
    await sorter.do(Act.REFUND, first)
    await sorter.hear(sorter.log(view, tx=2, at=sorter.now), "seen", "final")
    [_, second] = await sorter.all()
    await sorter.do(Act.ACCEPT, second)
    assert (await sorter.world.view(view.session.session_id)).session.state == "expired"


# --- deposit addresses ----------------------------------------------------------------------------


async def test_a_deposit_that_is_collected_never_waits_for_a_person(sorter: Sorter) -> None:
    view, deposit = await sorter.counter.deposit()
    await sorter.hear(sorter.inbound(deposit.address, DUE))
    assert (await sorter.only()).state is State.EXPECTED
    await sorter.counter.see(deposit, "polygon::usdc", DUE)
    await sorter.hear(sorter.collection(view, deposit), "seen")
    done = await sorter.only()
    assert (done.state, done.how, done.collected) == (State.RESOLVED, How.COLLECTED, DUE)
    assert await sorter.trail(done) == []


async def test_the_collection_may_be_heard_of_first(sorter: Sorter) -> None:
    view, deposit = await sorter.counter.deposit()
    await sorter.counter.see(deposit, "polygon::usdc", DUE)
    await sorter.hear(sorter.collection(view, deposit), "seen")
    await sorter.hear(sorter.inbound(deposit.address, DUE))
    assert (await sorter.only()).how is How.COLLECTED


async def test_chn_06_too_little_waits_for_the_rest_until_the_session_ends(sorter: Sorter) -> None:
    _, deposit = await sorter.counter.deposit()
    await sorter.hear(sorter.inbound(deposit.address, 4_000_000), "seen", "final")
    assert await sorter.states() == [(State.EXPECTED, of(Why.UNDER))]
    assert "may still take it" in await refusal(sorter, Act.DISMISS, await sorter.only())
    await sorter.expire()
    found = await sorter.only()
    assert (found.state, found.flags) == (State.OPEN, of(Why.UNDER))
    assert "not in the merchant's wallet" in await refusal(sorter, Act.ACCEPT, found)
    assert "can go back only after" in await refusal(sorter, Act.SWEEP, found)
    sorter.world.db.clock.advance(601)  # type: ignore[attr-defined]
    resolving = await sorter.do(Act.SWEEP, found)
    assert resolving.state is State.RESOLVING
    assert ("recover", "polygon") in await sorter.counter.purposes()
    assert "already" in await refusal(sorter, Act.SWEEP, found)
    recovery = sorter.recovery(deposit, 4_000_000)
    await sorter.hear(recovery, "seen")
    done = await sorter.only()
    assert (done.state, done.how, done.returned) == (State.RESOLVED, How.RETURNED, 4_000_000)
    # Taken back by a reorganisation: it waits again, and the same return is found again.
    await sorter.hear(recovery, "reorged")
    assert (await sorter.only()).state is State.OPEN
    await sorter.hear(recovery, "seen", "final")
    assert (await sorter.only()).state is State.RESOLVED


async def test_chn_06_too_much_is_collected_in_part_and_the_rest_goes_back(sorter: Sorter) -> None:
    view, deposit = await sorter.counter.deposit()
    await sorter.hear(sorter.inbound(deposit.address, 3 * DUE))
    await sorter.counter.see(deposit, "polygon::usdc", 3 * DUE)
    await sorter.hear(sorter.collection(view, deposit), "seen", "final")
    found = await sorter.only()
    assert (found.state, found.flags, found.left) == (State.OPEN, of(Why.OVER), 2 * DUE)
    await sorter.hear(sorter.recovery(deposit, 2 * DUE))
    done = await sorter.only()
    assert (done.how, done.collected, done.returned) == (How.RETURNED, DUE, 2 * DUE)


async def test_chn_07_a_second_transfer_and_one_to_an_old_address_wait(sorter: Sorter) -> None:
    view, deposit = await sorter.counter.deposit()
    await sorter.hear(sorter.inbound(deposit.address, DUE))
    await sorter.counter.see(deposit, "polygon::usdc", DUE)
    await sorter.hear(sorter.collection(view, deposit), "seen", "final")
    await sorter.hear(sorter.inbound(deposit.address, DUE))
    await sorter.expire()
    await sorter.hear(sorter.inbound(deposit.address, 1_000_000))
    first, second, late = await sorter.all()
    assert (first.state, second.flags) == (State.RESOLVED, of(Why.DUPLICATE))
    assert (late.state, late.flags) == (State.OPEN, of(Why.DUPLICATE, Why.LATE))


@pytest.mark.parametrize(
    ("token_id", "token", "why"),
    [
        ("polygon::usdc", UNKNOWN, of(Why.UNKNOWN_TOKEN, Why.WRONG_TOKEN)),
        ("base::usdc", None, of(Why.WRONG_CHAIN)),
    ],
)
async def test_the_wrong_token_and_the_wrong_network_wait_at_once(
    sorter: Sorter, token_id: str, token: Address | None, why: frozenset[Why]
) -> None:
    # A session that is too small to be paid from another network.
    view = await sorter.world.open(500_000)
    opened, _ = await sorter.counter.open(view)
    await sorter.hear(sorter.inbound(opened.deposit.address, 500_000, token_id, token=token))
    found = await sorter.only()
    assert (found.state, found.flags) == (State.OPEN, why)
    assert (found.decimals is None) is (token is not None)
    sorter.world.db.clock.advance(2402)  # type: ignore[attr-defined]
    await sorter.do(Act.SWEEP, found)
    assert [purpose for purpose, _ in await sorter.counter.purposes()] == ["recover"]


async def test_a_return_that_fails_opens_it_again(sorter: Sorter) -> None:
    _, deposit = await sorter.counter.deposit()
    await sorter.hear(sorter.inbound(deposit.address, 50_000))
    await sorter.expire()
    sorter.world.db.clock.advance(601)  # type: ignore[attr-defined]
    found = await sorter.only()
    await sorter.do(Act.SWEEP, found)
    # What is not worth its gas is not taken back from the executor: a person asked for it.
    await sorter.counter.see(deposit, "polygon::usdc", 50_000)
    assert await sorter.follow_up() == 0
    assert [purpose for purpose, _ in await sorter.counter.purposes()] == ["recover"]
    await sorter.counter.executor_says("failed")
    assert await sorter.follow_up() == 1
    assert (await sorter.only()).state is State.OPEN
    # By now nothing is on its way, so it may be tried again.
    await sorter.do(Act.SWEEP, found)


async def test_a_return_of_less_than_a_token_told_of_opens_what_is_left(sorter: Sorter) -> None:
    _, deposit = await sorter.counter.deposit()
    await sorter.hear(sorter.inbound(deposit.address, DUE))
    await sorter.expire()
    sorter.world.db.clock.advance(601)  # type: ignore[attr-defined]
    found = await sorter.only()
    await sorter.do(Act.SWEEP, found)
    await sorter.counter.executor_says("final")
    assert await sorter.follow_up() == 0, "what came back may not be told yet"
    await sorter.hear(sorter.recovery(deposit, DUE - 1), "seen", "final")
    sorter.world.db.clock.advance(61)  # type: ignore[attr-defined]
    assert await sorter.follow_up() == 1
    left = await sorter.only()
    assert (left.state, left.left) == (State.OPEN, 1)
    assert (await sorter.do(Act.DISMISS, left)).state is State.DISMISSED


async def test_chn_16_a_transfer_that_is_mined_again_counts_as_what_it_brings_now(
    sorter: Sorter,
) -> None:
    _, deposit = await sorter.counter.deposit()
    first = sorter.inbound(deposit.address, DUE)
    await sorter.hear(first, "seen", "reorged")
    await sorter.hear(replace(first, amount=DUE - 1, block_number=900), "seen", "final")
    found = await sorter.only()
    assert (found.amount, found.flags) == (DUE - 1, of(Why.UNDER))


async def test_coins_are_known_by_their_balance(sorter: Sorter) -> None:
    _, deposit = await sorter.counter.deposit()
    await sorter.coins(deposit, 5 * 10**17)
    found = await sorter.only()
    assert (found.state, found.flags, found.amount) == (State.OPEN, of(Why.COIN), 5 * 10**17)
    assert (found.source, found.tx_hash, found.sender) == (Source.COIN, None, None)
    await sorter.coins(deposit, 7 * 10**17)
    assert (await sorter.only()).left == 7 * 10**17
    # It went back; whichever of balance and log is heard first.
    await sorter.coins(deposit, 0)
    assert (await sorter.only()).state is State.RESOLVED
    await sorter.hear(sorter.recovery(deposit, 7 * 10**17, "polygon::native"))
    done = await sorter.only()
    assert (done.amount, done.returned, done.how) == (7 * 10**17, 7 * 10**17, How.RETURNED)
    await sorter.coins(deposit, 10**17)
    again = await sorter.only()
    assert (again.state, again.left) == (State.OPEN, 10**17)
    await sorter.hear(sorter.recovery(deposit, 10**17, "polygon::native"))
    await sorter.coins(deposit, 0)
    assert (await sorter.only()).state is State.RESOLVED


# --- contracts ------------------------------------------------------------------------------------


async def test_con_15_what_is_sent_to_a_contract_can_only_be_dismissed(sorter: Sorter) -> None:
    router = sorter.counter.network("polygon").router
    await sorter.hear(sorter.inbound(router, 3_000_000), "seen", "final")
    found = await sorter.only()
    assert (found.state, found.flags) == (State.OPEN, of(Why.STRAY, Why.UNMATCHED))
    assert (found.sender, found.session_id, found.merchant_id) == (SENDER, None, None)
    possible = await sorter.possible(found)
    assert [act for act, problem in possible.items() if problem is None] == [Act.DISMISS]
    assert "no function gives it out" in (possible[Act.SWEEP] or "")
    done = await sorter.do(Act.DISMISS, found, reason="gone for good")
    assert done.state is State.DISMISSED
    assert (await sorter.detail(found)).decisions[0].reason == "gone for good"


async def test_dust_is_told_apart(sorter: Sorter) -> None:
    router = sorter.counter.network("polygon").router
    await sorter.hear(sorter.inbound(router, 9_999))
    assert (await sorter.only()).flags == of(Why.STRAY, Why.UNMATCHED, Why.DUST)


async def test_a_fact_that_repeats_changes_nothing(sorter: Sorter) -> None:
    _, deposit = await sorter.counter.deposit()
    log = sorter.inbound(deposit.address, 1_000_000)
    await sorter.hear(log, "seen", "final")
    before = await sorter.all()
    await sorter.hear(log, "final", "final")
    assert await sorter.all() == before


# --- the list -------------------------------------------------------------------------------------


async def test_the_list_and_its_sum(sorter: Sorter) -> None:
    router = sorter.counter.network("polygon").router
    for amount in (1_000_000, 2_000_000, 3_000_000):
        await sorter.hear(sorter.inbound(router, amount))
    await sorter.hear(sorter.inbound(router, 10**30, token=UNKNOWN))
    await sorter.do(Act.DISMISS, (await sorter.all())[0])
    async with sorter.world.db.read() as tx:
        known, unknown = sorted(
            await operations.summary(tx), key=lambda total: total.decimals is None
        )
        assert (known.token_id, known.count, known.amount) == ("polygon::usdc", 2, 5_000_000)
        assert (unknown.decimals, unknown.count, unknown.amount) == (None, 1, 10**30)
        by_flag = await operations.list_inflows(tx, flag=Why.UNKNOWN_TOKEN)
        assert [one.amount for one in by_flag] == [10**30]
        dismissed = await operations.list_inflows(tx, states=[State.DISMISSED])
        assert [one.amount for one in dismissed] == [1_000_000]
        [newest] = await operations.list_inflows(tx, limit=1)
        behind = await operations.list_inflows(tx, limit=2, before=newest.inflow_id)
        assert (len(behind), newest in behind) == (2, False)


async def test_nobody_sees_or_resolves_what_is_another_tenants(sorter: Sorter) -> None:
    await sorter.late()
    found = await sorter.only()
    stranger = Tenant(MerchantId("f" * 64), Mode.TEST)
    live = Tenant(sorter.world.tenant.merchant_id, Mode.LIVE)
    for tenant in (stranger, live):
        async with sorter.world.db.read() as tx:
            assert await operations.list_inflows(tx, tenant=tenant) == []
        message = await refusal(sorter, Act.ACCEPT, found, tenant=tenant)
        assert message == Code.INFLOW_NOT_FOUND.message
    done = await sorter.do(Act.ACCEPT, found, tenant=sorter.world.tenant)
    assert done.state is State.RESOLVED


async def test_what_is_not_there_and_what_has_no_reason_is_refused(sorter: Sorter) -> None:
    await sorter.late()
    found = await sorter.only()
    for reason in ("a\1b", "a\0b"):
        refused = await refusal(sorter, Act.REFUND, found, reason=reason)
        assert "reason contains characters that cannot be stored" in refused
    for reason in ("", "  ", "x" * 501):
        assert "reason must have" in await refusal(sorter, Act.ACCEPT, found, reason=reason)
    with pytest.raises(Refused, match="not found"):
        operations.inflow_id_of("pay_1")
    nobody = InflowId("inf_" + "A" * 24)
    with pytest.raises(Refused, match="not found"):
        await sorter.world.db.run(operations.detail, sorter.world.desk, nobody)


async def test_decisions_cannot_be_changed_afterwards(sorter: Sorter) -> None:
    await sorter.late()
    await sorter.do(Act.DISMISS, await sorter.only())
    for change in ("UPDATE inflow_decisions SET reason = ''", "DELETE FROM inflow_decisions"):
        with pytest.raises(asyncpg.PostgresError):
            async with sorter.world.db.begin() as tx:
                await tx.execute(change)


async def test_a_return_needs_an_account_that_sends(sorter: Sorter) -> None:
    _, deposit = await sorter.counter.deposit()
    await sorter.hear(sorter.inbound(deposit.address, 50_000))
    await sorter.expire()
    sorter.world.db.clock.advance(601)  # type: ignore[attr-defined]
    found = await sorter.only()
    view = await sorter.detail(found)
    assert view.call is not None
    assert view.call.to == deposit.collector
    assert deposit.terms.refund_to == REFUND_TO
    sorter.world.desk = replace(sorter.world.desk, relays=False)
    assert "sends no transactions" in await refusal(sorter, Act.SWEEP, found)
