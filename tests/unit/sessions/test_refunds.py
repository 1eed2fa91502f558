"""Refunds over HTTP: what is prepared and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import unix_seconds, wire_time
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.testing import FakeClock
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
