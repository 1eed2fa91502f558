"""Refunds over HTTP: what is prepared, what is refused, and what the chain makes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import unix_seconds, wire_time
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.refunds import operations
from tests.unit.catalog.support import Server
from tests.unit.sessions.refunding import (
    CANCEL,
    OTHER,
    PAYER,
    PREPARE,
    RECEIVED,
    Refunder,
    text,
)
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import POLYGON, USDC, USDT

pytestmark = pytest.mark.anyio

UNKNOWN_SESSION = "sess_00000000000000000000000000000000"
UNKNOWN_REFUND = "rfd_000000000000000000000000"


@pytest.fixture
def refunder(till: Till) -> Refunder:
    return Refunder.at(till)


# --- prepared ----------------------------------------------------------------------------------


async def test_a_refund_is_one_plain_transfer_of_what_arrived(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, reason="Out of stock")
    [payment] = view.payments
    assert made == {
        "refundId": made["refundId"],
        "sessionId": view.session.session_id,
        "paymentId": payment.payment_id,
        "status": "prepared",
        "amount": RECEIVED,
        "token": "polygon::usdc",
        "chainId": 1337137,
        "from": text(view.session.recipient),
        "to": text(PAYER),
        "amountInToken": str(RECEIVED),
        "reason": "Out of stock",
        "expiresAt": unix_seconds(clock.now() + timedelta(hours=24)),
        "txHash": "",
        "createAt": wire_time(clock.now()),
        "transaction": {
            "chainId": 1337137,
            "to": text(USDC.address),
            # transfer(address,uint256) of EIP-20, word by word.
            "data": "0xa9059cbb" + "00" * 12 + PAYER.hex() + f"{RECEIVED:064x}",
            "value": "0",
        },
    }
    assert made["refundId"].startswith("rfd_")
    assert await refunder.caller.data(f"/session/refund/detail/{made['refundId']}") == made
    listed = await refunder.caller.data(f"/session/refund/list/{view.session.session_id}")
    assert listed == {"refunds": [made]}
    assert await refunder.watches() == 1


async def test_a_session_shows_its_refunds_only_when_it_has_any(refunder: Refunder) -> None:
    view = await refunder.paid()
    path = f"/session/{view.session.session_id}"
    before = await refunder.caller.data(path)
    assert "refunds" not in before["session"]
    made = await refunder.prepare(view, amount=1_000_000)
    after = await refunder.caller.data(path)
    assert after["session"].pop("refunds") == [made]
    assert after == before


async def test_partial_refunds_share_the_payment_to_the_unit(refunder: Refunder) -> None:
    view = await refunder.paid()
    assert (await refunder.prepare(view, amount=9_979_999))["amountInToken"] == "9979999"
    code, message = await refunder.refused(view, amount=2)
    assert (code, message) == (
        100502,
        "Refund is not possible: amount is more than remains: 1 (0.000001 USD)",
    )
    assert (await refunder.prepare(view, amount=1))["amountInToken"] == "1"
    code, message = await refunder.refused(view)
    assert code == 100502
    assert "nothing remains" in message


@pytest.mark.parametrize("written", [text(OTHER), text(OTHER).lower()])
async def test_another_receiver_may_be_named(refunder: Refunder, written: str) -> None:
    view = await refunder.paid()
    assert (await refunder.prepare(view, to=written))["to"] == text(OTHER)


@pytest.mark.parametrize(
    "changes",
    [
        {"merchant_received": 5},
        {"merchant_received": RECEIVED + 7},
        {"token": USDT},
    ],
    ids=["too little", "too much", "another token"],
)
async def test_unusual_money_is_given_back_in_what_it_came_in(
    refunder: Refunder, changes: dict[str, Any]
) -> None:
    view = await refunder.paid(**changes)
    made = await refunder.prepare(view)
    assert int(made["amountInToken"]) == changes.get("merchant_received", RECEIVED)
    token = changes.get("token", USDC)
    assert (made["token"], made["transaction"]["to"]) == (token.token_id, text(token.address))


async def test_late_and_repeated_money_is_given_back(refunder: Refunder) -> None:
    view = await refunder.paid()
    again = refunder.world.log(view, tx=2)
    for what in ("seen", "final"):
        await refunder.world.hear(what, again)
    view = await refunder.world.view(view.session.session_id)
    first, second = view.payments
    code, message = await refunder.refused(view)
    assert code == 400101
    assert message.startswith("Invalid field format: paymentId is required")
    assert first.payment_id in message
    assert second.payment_id in message
    made = await refunder.prepare(view, paymentId=second.payment_id)
    assert made["paymentId"] == second.payment_id
    # With nothing left of the second, only the first can be meant.
    assert (await refunder.prepare(view))["paymentId"] == first.payment_id


# --- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [("seen",), ("seen", "reorged"), ("seen", "reorged", "lost")])
async def test_api_24_chn_17_nothing_is_given_back_of_unfinal_money(
    refunder: Refunder, facts: tuple[str, ...]
) -> None:
    view = await refunder.paid(*facts)
    answer = await refunder.refused(view)
    problem = "names a payment that is not final yet"
    assert answer == (100502, f"Refund is not possible: sessionId {problem}")
    answer = await refunder.refused(view, paymentId=view.payments[0].payment_id)
    assert answer == (100502, f"Refund is not possible: paymentId {problem}")


async def test_chn_17_a_payment_mined_again_is_refunded_once_it_is_final(
    refunder: Refunder,
) -> None:
    view = await refunder.paid("seen", "reorged", "seen")
    assert (await refunder.refused(view))[0] == 100502
    await refunder.world.hear("final", refunder.world.log(view))
    assert (await refunder.prepare(view))["status"] == "prepared"


async def test_a_session_without_a_payment_has_nothing_to_give_back(refunder: Refunder) -> None:
    view = await refunder.world.open()
    code, message = await refunder.refused(view)
    assert (code, "without a payment" in message) == (100502, True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": "1"}, "amount"),
        ({"amount": 10**18}, "amount"),
        ({"to": "0x123"}, "to"),
        ({"to": ""}, "to"),
        ({"to": text(OTHER).swapcase()}, "to"),
        ({"to": text(ZERO_ADDRESS)}, "to"),
        ({"to": text(Address(b"\x77" * 20))}, "to"),
        ({"to": text(USDC.address)}, "to"),
        ({"to": text(POLYGON.router)}, "to"),
        ({"paymentId": "pay_000000000000000000000000"}, "paymentId"),
        ({"paymentId": "nonsense"}, "paymentId"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "\x00"}, "reason"),
        ({"token": "polygon::usdt"}, "token"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    refunder: Refunder, body: dict[str, Any], field: str
) -> None:
    view = await refunder.paid()
    code, message = await refunder.refused(view, **body)
    assert code == 400101, message
    assert message.startswith(f"Invalid field format: {field} "), message


async def test_the_receiver_must_be_named_where_the_payer_named_no_wallet(
    refunder: Refunder,
) -> None:
    # What paid is a contract, an exchange or a deposit address: no order was asked for by it.
    view = await refunder.world.open()
    await refunder.world.prepare(view)
    strange = replace(refunder.world.log(view), payer=OTHER)
    for what in ("seen", "final"):
        await refunder.world.hear(what, strange)
    code, message = await refunder.refused(view)
    assert code == 400101
    assert message.startswith("Invalid field format: to is required")
    assert (await refunder.prepare(view, to=text(PAYER)))["to"] == text(PAYER)


async def test_a_payment_of_another_session_is_not_this_ones(refunder: Refunder) -> None:
    view, other = await refunder.paid(), await refunder.paid(tx=2)
    code, message = await refunder.refused(view, paymentId=other.payments[0].payment_id)
    assert (code, message) == (
        400101,
        "Invalid field format: paymentId names no payment of this session",
    )


async def test_somebody_elses_session_and_refund_are_unknown(
    server: Server, refunder: Refunder
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1)
    session_id, refund_id = view.session.session_id, made["refundId"]
    live = await server.caller(replace(refunder.world.tenant, mode=Mode.LIVE))
    for stranger in (await server.merchant(), live):
        assert await stranger.refusal(PREPARE, {"sessionId": session_id}) == (
            100201,
            "Session not found",
        )
        assert await stranger.refusal(f"/session/refund/list/{session_id}") == (
            100201,
            "Session not found",
        )
        for path, body in (
            (CANCEL, {"refundId": refund_id}),
            (f"/session/refund/detail/{refund_id}", None),
        ):
            assert await stranger.refusal(path, body) == (100501, "Refund not found")
    assert await refunder.status(made) == "prepared"


@pytest.mark.parametrize("unknown", [UNKNOWN_REFUND, "nonsense", "sess_x"])
async def test_unknown_refunds(refunder: Refunder, unknown: str) -> None:
    for path, body in (
        (CANCEL, {"refundId": unknown}),
        (f"/session/refund/detail/{unknown}", None),
    ):
        assert await refunder.caller.refusal(path, body) == (100501, "Refund not found")


@pytest.mark.parametrize("unknown", [UNKNOWN_SESSION, "nonsense"])
async def test_unknown_sessions(refunder: Refunder, unknown: str) -> None:
    for path, body in (
        (PREPARE, {"sessionId": unknown}),
        (f"/session/refund/list/{unknown}", None),
    ):
        assert await refunder.caller.refusal(path, body) == (100201, "Session not found")


async def test_a_token_that_left_the_configuration_is_not_given_back(refunder: Refunder) -> None:
    stranger = replace(USDT, address=Address(b"\x0e" * 20))
    view = await refunder.paid(token=stranger)
    code, message = await refunder.refused(view)
    assert (code, "token that is not configured" in message) == (100502, True)


# --- the chain ---------------------------------------------------------------------------------


async def test_a_transfer_is_seen_and_completes_the_refund(refunder: Refunder) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=4_000_000)
    before = await refunder.world.balances()
    log = refunder.transfer(made)
    await refunder.hear("seen", log=log)
    seen = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert (seen["status"], seen["txHash"]) == ("seen", f"0x{log.tx_hash.hex()}")
    assert "transaction" not in seen
    assert await refunder.told(view) == []
    assert await refunder.world.balances() == before
    await refunder.hear("final", log=log)
    done = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert done["status"] == "completed"
    [letter] = await refunder.told(view)
    detail = await refunder.caller.data(f"/session/{view.session.session_id}")
    assert detail["session"].pop("refunds") == [done]
    assert letter == {
        "sessionData": {**detail["session"], "currency": "polygon::usdc"},
        "transaction": detail["transaction"],
        "refundData": done,
    }
    assert await refunder.world.balances() == {
        **before,
        "merchant": before["merchant"] - 4_000_000,
        "payers": before["payers"] + 4_000_000,
    }
    assert await refunder.watches() == 0


async def test_every_fact_counts_once(refunder: Refunder) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1_000_000)
    log = refunder.transfer(made)
    await refunder.hear("seen", "seen", "final", "final", "seen", log=log)
    assert await refunder.status(made) == "completed"
    assert len(await refunder.told(view)) == 1
    assert (await refunder.world.balances())["merchant"] == RECEIVED - 1_000_000


async def test_money_that_pays_nothing_is_booked_back_from_where_it_stands(
    refunder: Refunder,
) -> None:
    view = await refunder.paid(merchant_received=5)
    made = await refunder.prepare(view)
    await refunder.hear("seen", "final", log=refunder.transfer(made))
    balances = await refunder.world.balances()
    assert "merchant:exceptional" not in balances
    assert balances == {"payers": -20_000, "fees": 20_000}


async def test_refunds_of_identical_terms_are_proven_once_each(refunder: Refunder) -> None:
    view = await refunder.paid()
    first = await refunder.prepare(view, amount=1_000_000)
    second = await refunder.prepare(view, amount=1_000_000)
    sent = refunder.transfer(first, 1)
    await refunder.hear("seen", "final", log=sent)
    assert [await refunder.status(one) for one in (first, second)] == ["completed", "prepared"]
    # Both may stand in one transaction, as of a wallet that sends several at once.
    await refunder.hear("seen", log=replace(sent, log_position=1))
    assert [await refunder.status(one) for one in (first, second)] == ["completed", "seen"]
    # A third one of the kind has no refund to prove.
    await refunder.hear("seen", "final", log=refunder.transfer(first, 3))
    assert len(await refunder.told(view)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"token": USDT.address},
        {"token": Address(b"\x99" * 20)},
        {"sender": OTHER},
        {"receiver": OTHER},
        {"amount": 999_999},
        {"amount": 1_000_001},
        {"network": "base"},
    ],
    ids=["token", "look-alike", "sender", "receiver", "less", "more", "network"],
)
async def test_a_transfer_of_other_terms_proves_nothing(
    refunder: Refunder, change: dict[str, Any]
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1_000_000)
    await refunder.hear("seen", "final", log=refunder.transfer(made, **change))
    assert await refunder.status(made) == "prepared"
    assert await refunder.told(view) == []


async def test_a_transfer_from_before_the_refund_was_for_something_else(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view, amount=1_000_000)
    old = refunder.transfer(made, block_time=clock.now() - timedelta(minutes=5, seconds=1))
    await refunder.hear("seen", "final", log=old)
    assert await refunder.status(made) == "prepared"
    # A block's time may be a little before that of what is in it.
    recent = refunder.transfer(made, 2, block_time=clock.now() - timedelta(seconds=12))
    await refunder.hear("seen", log=recent)
    assert await refunder.status(made) == "seen"


async def test_a_reorganised_transfer_proves_again_when_it_returns(refunder: Refunder) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    log = refunder.transfer(made)
    await refunder.hear("seen", "reorged", log=log)
    found = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert found == made
    # What it sets aside stays set aside: the transaction may be mined again.
    assert (await refunder.refused(view, amount=1))[0] == 100502
    await refunder.hear("seen", "final", log=replace(log, block_number=300))
    assert await refunder.status(made) == "completed"
    assert len(await refunder.told(view)) == 1


async def test_a_transfer_that_is_lost_leaves_the_refund_to_be_sent_again(
    refunder: Refunder,
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    before = await refunder.world.balances()
    await refunder.hear("seen", "reorged", "lost", log=refunder.transfer(made, 1))
    assert await refunder.status(made) == "prepared"
    await refunder.hear("seen", "final", log=refunder.transfer(made, 2))
    assert await refunder.status(made) == "completed"
    assert (await refunder.world.balances())["payers"] == before["payers"] + RECEIVED


# --- the clock, and giving up ------------------------------------------------------------------


async def test_a_refund_that_nobody_sends_frees_its_part(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    clock.advance(24 * 3600 - 1)
    assert await refunder.world.db.run(operations.expire_due) == 0
    clock.advance(1)
    assert await refunder.world.db.run(operations.expire_due) == 1
    assert await refunder.world.db.run(operations.expire_due) == 0
    assert await refunder.status(made) == "expired"
    assert (await refunder.prepare(view))["amount"] == RECEIVED


async def test_a_transfer_after_the_expiry_is_still_proven(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    clock.advance(24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    clock.advance(7 * 24 * 3600 - 1)
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    await refunder.hear("seen", "final", log=refunder.transfer(made))
    assert await refunder.status(made) == "completed"
    assert len(await refunder.told(view)) == 1
    assert (await refunder.refused(view))[0] == 100502


async def test_a_live_refund_is_proven_before_one_that_was_given_up(refunder: Refunder) -> None:
    view = await refunder.paid()
    given_up = await refunder.prepare(view)
    await refunder.caller.data(CANCEL, {"refundId": given_up["refundId"]})
    live = await refunder.prepare(view)
    await refunder.hear("seen", log=refunder.transfer(live))
    assert [await refunder.status(one) for one in (given_up, live)] == ["cancelled", "seen"]
    # And the other one as well, if the merchant really sent both.
    await refunder.hear("seen", log=refunder.transfer(live, 2))
    assert [await refunder.status(one) for one in (given_up, live)] == ["seen", "seen"]


async def test_a_week_after_the_expiry_nobody_looks_any_more(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    expired = await refunder.prepare(view, amount=1_000_000)
    cancelled = await refunder.prepare(view, amount=2_000_000)
    await refunder.caller.data(CANCEL, {"refundId": cancelled["refundId"]})
    assert await refunder.watches() == 2
    clock.advance(8 * 24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    assert await refunder.world.db.run(operations.unwatch_due) == 2
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    assert await refunder.watches() == 0
    for refund in (expired, cancelled):
        await refunder.hear("seen", log=refunder.transfer(refund))
    assert [await refunder.status(one) for one in (expired, cancelled)] == ["expired", "cancelled"]


async def test_a_reorganised_transfer_is_looked_for_as_long_as_a_new_one(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    clock.advance(24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    clock.advance(7 * 24 * 3600 - 1)
    log = refunder.transfer(made)
    await refunder.hear("seen", "reorged", log=log)
    clock.advance(2)
    await refunder.world.db.run(operations.expire_due)
    assert await refunder.status(made) == "expired"
    assert await refunder.world.db.run(operations.unwatch_due) == 0
    await refunder.hear("seen", "final", log=log)
    assert await refunder.status(made) == "completed"


async def test_a_cancelled_refund_frees_its_part_and_offers_no_transaction(
    refunder: Refunder,
) -> None:
    view = await refunder.paid()
    made = await refunder.prepare(view)
    answer = await refunder.caller.data(CANCEL, {"refundId": made["refundId"]})
    assert answer == {"success": True}
    found = await refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert found == {**{k: v for k, v in made.items() if k != "transaction"}, "status": "cancelled"}
    assert (await refunder.prepare(view))["amount"] == RECEIVED


async def test_what_is_on_the_chain_or_given_up_cannot_be_cancelled(
    refunder: Refunder, clock: FakeClock
) -> None:
    view = await refunder.paid()
    made = [await refunder.prepare(view, amount=number) for number in (1, 2, 3, 4)]
    seen, completed, cancelled, expired = made
    await refunder.hear("seen", log=refunder.transfer(seen, 1))
    await refunder.hear("seen", "final", log=refunder.transfer(completed, 2))
    await refunder.caller.data(CANCEL, {"refundId": cancelled["refundId"]})
    clock.advance(24 * 3600)
    await refunder.world.db.run(operations.expire_due)
    before = await refunder.rows()
    for refund, words in (
        (seen, "whose transfer is on the chain"),
        (completed, "that is completed"),
        (cancelled, "that is cancelled"),
        (expired, "that is expired"),
    ):
        answer = await refunder.caller.refusal(CANCEL, {"refundId": refund["refundId"]})
        assert answer == (100502, f"Refund is not possible: refundId names a refund {words}")
    assert await refunder.rows() == before


# --- at once -----------------------------------------------------------------------------------


async def test_api_24_refunds_prepared_at_once_cannot_exceed_what_remains(
    refunder: Refunder,
) -> None:
    view = await refunder.paid()
    body = {"sessionId": view.session.session_id, "amount": 4_000_000}
    answers = await refunder.at_once(*[body] * 6)
    assert sorted(answer["code"] for answer in answers) == [0, 0, *[100502] * 4]
    assert await refunder.watches() == 2


async def test_a_transfer_of_a_refund_given_up_and_a_new_refund_at_once(
    refunder: Refunder,
) -> None:
    """Whichever is first, the other one knows of it."""
    view = await refunder.paid()
    made = await refunder.prepare(view)
    await refunder.caller.data(CANCEL, {"refundId": made["refundId"]})
    log = refunder.transfer(made)
    body = {"sessionId": view.session.session_id, "to": text(OTHER)}
    answers, _ = await asyncio.gather(refunder.at_once(body), refunder.hear("seen", log=log))
    assert await refunder.status(made) == "seen"
    if answers[0]["code"] == 0:
        # It was prepared first; from now on nothing more is.
        assert (await refunder.refused(view, amount=1))[0] == 100502
    else:
        assert answers[0]["code"] == 100502
