"""Both ends of a crossing, heard in any order, and what becomes of session and books."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from gstable_server.chain.facts import EscrowWhat, RailName
from gstable_server.kernel.address import Address
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import hearing
from gstable_server.sessions.model import Flag, PaymentState, SessionState
from tests.unit.settlement.crossings import PAYING, SOLVER, Crossings, after_payment, later

pytestmark = pytest.mark.anyio

CROSSING = [RailName.CCTP, RailName.ESCROW]
SOLVED = f"solver:0x{SOLVER.hex()}"


@pytest.mark.parametrize("rail", CROSSING)
async def test_a_crossing_goes_from_paid_over_settling_to_completed(
    crossings: Crossings, rail: RailName
) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, PAYING[rail])
    delivery = crossings.delivery(payment)
    states = []
    for what, log in (
        ("seen", payment),
        ("final", payment),
        ("seen", delivery),
        ("final", delivery),
    ):
        await crossings.hear((what, log))
        states.append((await crossings.view(view)).session.state)
    assert states == [
        SessionState.PAID,
        SessionState.SETTLING,
        SessionState.SETTLING,
        SessionState.COMPLETED,
    ]
    assert await crossings.told_of_session(view) == ["created", "paid", "settling", "completed"]
    assert await crossings.told_of_crossings() == ["started", "delivered", "completed"]


async def test_the_book_of_a_cctp_payment_to_the_unit(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdc")
    delivery = crossings.delivery(payment)
    on_the_way = {
        **after_payment(payment, "polygon::usdc", "fees:pending"),
        ("polygon::usdc", "rail:cctp"): payment.amount,
    }
    await crossings.hear(("seen", payment))
    assert await crossings.balances() == on_the_way
    await crossings.hear(("seen", delivery))
    crossed = {
        ("polygon::usdc", "conversion:cctp"): payment.amount,
        ("base::usdc", "conversion:cctp"): -payment.amount,
    }
    assert await crossings.balances() == {
        **after_payment(payment, "polygon::usdc", "fees:pending"),
        **crossed,
        ("base::usdc", "merchant:pending"): payment.amount,
    }
    await crossings.hear(("final", delivery), ("final", payment))
    assert await crossings.balances() == {
        **after_payment(payment, "polygon::usdc", "fees"),
        **crossed,
        ("base::usdc", "merchant"): payment.amount,
    }


async def test_what_circle_keeps_on_the_way_is_booked_apart(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdc")
    payment = replace(payment, amount=payment.amount + 700)
    delivery = crossings.delivery(payment, fee=700)
    await crossings.hear(("seen", payment), ("seen", delivery))
    balances = await crossings.balances()
    assert balances["base::usdc", "costs:cctp"] == 700
    assert balances["base::usdc", "merchant:pending"] == payment.merchant_amount
    assert balances["base::usdc", "conversion:cctp"] == -payment.amount
    assert (await crossings.view(view)).payments[0].flags == frozenset()


async def test_the_book_of_an_escrow_payment_to_the_unit(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    delivery = crossings.delivery(payment)
    release = crossings.escrow(payment, EscrowWhat.RELEASED)
    await crossings.hear(("seen", payment), ("final", payment))
    assert (await crossings.balances())["polygon::usdt", "rail:escrow"] == payment.amount
    await crossings.hear(("seen", delivery), ("final", delivery))
    filled = {
        **after_payment(payment, "polygon::usdt", "fees"),
        ("base::usdc", SOLVED): -payment.merchant_amount,
        ("base::usdc", "merchant"): payment.merchant_amount,
    }
    in_escrow = {("polygon::usdt", "rail:escrow"): payment.amount}
    assert await crossings.balances() == {**filled, **in_escrow}
    await crossings.hear(("seen", release), ("final", release))
    assert await crossings.balances() == {**filled, ("polygon::usdt", SOLVED): payment.amount}


@pytest.mark.parametrize("rail", CROSSING)
async def test_chn_26_every_order_of_the_facts_of_both_ends_converges(
    crossings: Crossings, rail: RailName
) -> None:
    """Facts of one end are told in order; the ends are told apart."""
    ends = []
    for order in sorted(set(permutations("ssdd"))):
        view = await crossings.open()
        payment = await crossings.paid(view, PAYING[rail])
        delivery = crossings.delivery(payment)
        told = {
            "s": iter([("seen", payment), ("final", payment)]),
            "d": iter([("seen", delivery), ("final", delivery)]),
        }
        for end in order:
            await crossings.hear(next(told[end]))
        after = await crossings.view(view)
        ends.append((after.session.state, await crossings.told_of_session(view)))
        assert after.payments[0].delivery is not None
        assert after.payments[0].delivery.received == delivery.amount
    assert ends == [(SessionState.COMPLETED, ["created", "paid", "settling", "completed"])] * 6
    balances = await crossings.balances()
    assert balances["base::usdc", "merchant"] == 6 * 10_000_000 - 6 * 60_000
    assert not any(account.endswith("pending") for _, account in balances)


async def test_chn_26_a_delivery_told_before_its_payment_is_kept_and_joined(
    crossings: Crossings,
) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdc")
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", delivery), ("final", delivery))
    assert await crossings.balances() == {}
    assert (await crossings.view(view)).session.state is SessionState.INITIALIZED
    await crossings.hear(("seen", payment))
    assert (await crossings.view(view)).session.state is SessionState.PAID
    assert (await crossings.balances())["base::usdc", "merchant:pending"] == payment.amount
    await crossings.hear(("final", payment))
    assert (await crossings.view(view)).session.state is SessionState.COMPLETED
    assert await crossings.told_of_crossings() == ["started", "delivered", "completed"]


async def test_all_facts_together_while_no_worker_ran(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    delivery = crossings.delivery(payment)
    for what, log in (
        ("seen", delivery),
        ("seen", payment),
        ("reorged", payment),
        ("final", delivery),
        ("seen", later(payment)),
        ("final", later(payment)),
    ):
        await crossings.tell(what, log)
    await crossings.relay()
    assert (await crossings.view(view)).session.state is SessionState.COMPLETED
    assert (await crossings.balances())["base::usdc", "merchant"] == payment.merchant_amount


async def test_the_same_fact_many_times_counts_once(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdc")
    delivery = crossings.delivery(payment)
    for what, log in (
        ("seen", payment),
        ("seen", delivery),
        ("final", payment),
        ("final", delivery),
    ):
        await crossings.hear(*[(what, log)] * 3)
    assert await crossings.told_of_session(view) == ["created", "paid", "settling", "completed"]
    assert (await crossings.balances())["base::usdc", "merchant"] == payment.amount


@pytest.mark.parametrize(
    "changes",
    [
        {"merchant": Address(b"\x66" * 20)},
        {"amount": 1},
        {"token": Address(b"\x67" * 20)},
        {"source_chain_id": 1331001},
        {"reference": b"\x68" * 32, "rail": RailName.ESCROW},
    ],
)
async def test_dust_in_the_name_of_somebody_elses_session_delivers_nothing(
    crossings: Crossings, changes: dict[str, Any]
) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdc")
    dust = crossings.delivery(payment, **changes)
    await crossings.hear(("seen", payment), ("final", payment), ("seen", dust), ("final", dust))
    assert (await crossings.view(view)).session.state is SessionState.SETTLING
    assert ("base::usdc", "merchant:pending") not in await crossings.balances()
    true = crossings.delivery(payment)
    await crossings.hear(("seen", true), ("final", true))
    assert (await crossings.view(view)).session.state is SessionState.COMPLETED


# --- reorganisations ------------------------------------------------------------------------------


async def test_chn_17_a_delivery_that_is_taken_back_is_booked_back_and_comes_again(
    crossings: Crossings,
) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    first, second = crossings.delivery(payment), crossings.delivery(payment)
    await crossings.hear(("seen", payment), ("final", payment), ("seen", first))
    await crossings.hear(("reorged", first))
    pending = await crossings.view(view)
    assert pending.session.state is SessionState.SETTLEMENT_PENDING
    assert pending.payments[0].delivery is None
    assert ("base::usdc", SOLVED) not in await crossings.balances()
    await crossings.hear(("seen", second), ("lost", first), ("final", second))
    assert await crossings.told_of_session(view) == [
        "created",
        "paid",
        "settling",
        "settlement_pending",
        "settling",
        "completed",
    ]
    assert (await crossings.balances())["base::usdc", "merchant"] == payment.merchant_amount


async def test_chn_16_a_payment_that_is_taken_back_after_its_delivery(
    crossings: Crossings,
) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdc")
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", payment), ("seen", delivery), ("final", delivery))
    await crossings.hear(("reorged", payment))
    assert (await crossings.view(view)).session.state is SessionState.SETTLEMENT_PENDING
    # The rail has given out what it does not have: the book says so.
    assert (await crossings.balances())["polygon::usdc", "rail:cctp"] == -payment.amount
    await crossings.hear(("seen", later(payment)), ("final", later(payment)))
    after = await crossings.view(view)
    assert after.session.state is SessionState.COMPLETED
    assert ("polygon::usdc", "rail:cctp") not in await crossings.balances()
    assert (await crossings.balances())["base::usdc", "merchant"] == payment.amount


async def test_chn_16_a_payment_replaced_by_another_of_its_payer(crossings: Crossings) -> None:
    view = await crossings.open()
    first = await crossings.paid(view, "polygon::usdt")
    second = await crossings.paid(view, "polygon::usdt")
    delivery = crossings.delivery(second)
    await crossings.hear(
        ("seen", first),
        ("reorged", first),
        ("seen", second),
        ("final", second),
        ("seen", delivery),
        ("lost", first),
        ("final", delivery),
    )
    after = await crossings.view(view)
    assert after.session.state is SessionState.COMPLETED
    assert [one.delivery is not None for one in after.payments] == [False, True]
    assert (await crossings.balances())["base::usdc", "merchant"] == second.merchant_amount


async def test_chn_16_a_delivered_payment_that_returns_as_the_second_one(
    crossings: Crossings,
) -> None:
    view = await crossings.open()
    first = await crossings.paid(view, "polygon::usdc")
    second = await crossings.paid(view, "arbitrumone::usdc")
    delivery = crossings.delivery(first)
    await crossings.hear(("seen", first), ("seen", delivery), ("reorged", first))
    await crossings.hear(("seen", second), ("seen", later(first)), ("final", later(first)))
    await crossings.hear(("final", delivery), ("final", second))
    after = await crossings.view(view)
    assert [set(one.flags) for one in after.payments] == [{Flag.DUPLICATE}, set()]
    assert after.session.state is SessionState.SETTLING
    balances = await crossings.balances()
    assert balances["base::usdc", "merchant:exceptional"] == first.amount
    assert ("base::usdc", "merchant:pending") not in balances


async def test_a_second_payment_on_another_network_is_delivered_too(crossings: Crossings) -> None:
    view = await crossings.open()
    first = await crossings.paid(view, "polygon::usdc")
    second = await crossings.paid(view, "arbitrumone::usdt")
    for payment in (first, second):
        delivery = crossings.delivery(payment)
        await crossings.hear(
            ("seen", payment), ("final", payment), ("seen", delivery), ("final", delivery)
        )
    after = await crossings.view(view)
    assert [set(one.flags) for one in after.payments] == [set(), {Flag.DUPLICATE}]
    balances = await crossings.balances()
    assert balances["base::usdc", "merchant"] == first.merchant_amount
    assert balances["base::usdc", "merchant:exceptional"] == second.merchant_amount
    told = await crossings.told_of_session(view)
    assert told == ["created", "paid", "settling", "completed", "overpaid"]


async def test_money_for_no_session_crosses_and_is_kept(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdc", session_key=b"\x99" * 32)
    delivery = crossings.delivery(payment)
    await crossings.hear(("seen", payment), ("seen", delivery))
    await crossings.hear(("final", payment), ("final", delivery))
    assert (await crossings.balances())["base::usdc", "unmatched"] == payment.amount


# --- short money, and money that goes back --------------------------------------------------------


async def test_less_than_promised_does_not_pay(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    short = crossings.delivery(payment, amount=payment.merchant_amount - 1)
    await crossings.hear(("seen", payment), ("final", payment), ("seen", short), ("final", short))
    after = await crossings.view(view)
    assert after.session.state is SessionState.INITIALIZED
    assert after.payments[0].flags == {Flag.UNDER}
    assert (await crossings.told_of_session(view))[-2:] == ["payment_reverted", "underpaid"]
    exceptional = (await crossings.balances())["base::usdc", "merchant:exceptional"]
    assert exceptional == payment.merchant_amount - 1


async def test_a_session_waits_on_when_one_payment_is_short_and_another_may_return(
    crossings: Crossings,
) -> None:
    view = await crossings.open()
    gone = await crossings.paid(view, "polygon::usdc")
    short = await crossings.paid(view, "arbitrumone::usdt")
    less = crossings.delivery(short, amount=short.merchant_amount - 1)
    await crossings.hear(("seen", gone), ("reorged", gone), ("seen", short), ("seen", less))
    assert (await crossings.view(view)).session.state is SessionState.SETTLEMENT_PENDING
    await crossings.hear(("lost", gone))
    assert (await crossings.view(view)).session.state is SessionState.INITIALIZED


async def test_more_than_promised_pays_and_is_told(crossings: Crossings) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    more = crossings.delivery(payment, amount=payment.merchant_amount + 1)
    await crossings.hear(("seen", payment), ("final", payment), ("seen", more), ("final", more))
    assert await crossings.told_of_session(view) == [
        "created",
        "paid",
        "settling",
        "overpaid",
        "completed",
    ]


async def test_a_payer_who_took_the_money_back_has_not_paid(
    crossings: Crossings, clock: FakeClock
) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    reclaim = crossings.escrow(payment, EscrowWhat.RECLAIMED)
    await crossings.hear(("seen", payment), ("final", payment))
    clock.advance(121)
    assert await crossings.watch() == 1
    await crossings.relay()
    await crossings.hear(("seen", reclaim))
    # It may still be taken back by a reorganisation; then the money is in the escrow again.
    assert (await crossings.view(view)).session.state is SessionState.SETTLEMENT_PENDING
    await crossings.hear(("reorged", reclaim))
    assert (await crossings.balances())["polygon::usdt", "rail:escrow"] == payment.amount
    await crossings.hear(("seen", reclaim), ("final", reclaim))
    after = await crossings.view(view)
    assert after.session.state is SessionState.INITIALIZED
    assert after.payments[0].state is PaymentState.RETURNED
    assert after.session.paid_at is None
    assert await crossings.balances() == {
        ("polygon::usdt", "payers"): -payment.fee_received,
        ("polygon::usdt", "fees"): payment.fee_received,
    }
    assert (await crossings.told_of_session(view))[-1] == "payment_reverted"
    clock.advance(1800)
    await crossings.db.run(hearing.expire_due, crossings.world.desk)
    assert (await crossings.view(view)).session.state is SessionState.EXPIRED


async def test_a_session_whose_payer_took_the_money_back_can_be_paid_again(
    crossings: Crossings,
) -> None:
    view = await crossings.open()
    payment = await crossings.paid(view, "polygon::usdt")
    reclaim = crossings.escrow(payment, EscrowWhat.RECLAIMED)
    await crossings.hear(("seen", payment), ("final", payment))
    await crossings.hear(("seen", reclaim), ("final", reclaim))
    again = await crossings.paid(view, "ethereum::usdc")
    delivery = crossings.delivery(again)
    await crossings.hear(("seen", again), ("final", again), ("seen", delivery))
    await crossings.hear(("final", delivery))
    after = await crossings.view(view)
    assert after.session.state is SessionState.COMPLETED
    assert after.payment is not None
    assert after.payment.token_id == "ethereum::usdc"


async def test_con_16_money_for_another_token_of_the_merchants_does_not_pay(
    crossings: Crossings,
) -> None:
    """Who has stolen the key that signs orders may promise the amount in another token."""
    view = await crossings.open()
    usdt = crossings.world.desk.networks.require_token("ethereum::usdt", view.session.tenant.mode)
    payment = await crossings.paid(
        view,
        "polygon::usdc",
        settlement_chain_id=usdt.chain_id,
        settlement_token=usdt.address,
    )
    await crossings.hear(("seen", payment), ("final", payment))
    after = await crossings.view(view)
    assert after.session.state is SessionState.INITIALIZED
    assert [one.flags for one in after.payments] == [frozenset({Flag.WRONG_TOKEN})]
