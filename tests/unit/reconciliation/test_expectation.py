"""What each happening should add to the book, and what is left out: pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gstable_server.chain.checksum import keccak256
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.reconciliation import comparing, logs, store_work
from gstable_server.reconciliation.expectation import Expectation
from gstable_server.reconciliation.logs import (
    TRANSFER,
    Brought,
    Escrowed,
    Given,
    Happening,
    Released,
    Unheld,
)
from gstable_server.reconciliation.model import Booked, Claim, Difference, Owner, RawLog
from tests.unit.routing.market import every_network

NETWORKS = every_network()
KEY, OTHER = b"\x01" * 32, b"\x02" * 32
OWNER = Owner(SystemIdMint().mint(SessionId), KEY, "ab" * 32)
MERCHANT = f"merchant:{OWNER.merchant_id}"
WALLET, SOLVER = Address(b"\x77" * 20), Address(b"\x0b" * 20)
ORDER = b"\x44" * 32


def tx(number: int) -> bytes:
    return number.to_bytes(32, "big")


def at(token_id: str) -> Address:
    network = NETWORKS.network(token_id.partition("::")[0])
    return next(token.address for token in network.tokens if token.token_id == token_id)


def given(rail: str | None, paying: str, settlement: str, **changes: Any) -> Given:
    there = NETWORKS.network(settlement.partition("::")[0])
    one = Given(
        KEY,
        paying.partition("::")[0],
        tx(1),
        token=at(paying),
        amount=1000,
        fee=6,
        rail=rail,
        merchant=WALLET,
        settlement_chain_id=there.chain_id,
        settlement_token=at(settlement),
        delivered=0,
    )
    return replace(one, **changes)


def brought(rail: str, of: Given, **changes: Any) -> Brought:
    here = NETWORKS.at_chain(of.settlement_chain_id)
    assert here is not None
    escrow = rail == "escrow"
    one = Brought(
        KEY,
        here.name,
        tx(2),
        rail=rail,
        token=of.settlement_token,
        amount=999,
        costs=0 if escrow else 1,
        merchant=WALLET,
        source_chain_id=NETWORKS.network(of.network).chain_id,
        solver=SOLVER if escrow else None,
        order_id=ORDER if escrow else None,
    )
    return replace(one, **changes)


def sums(*happenings: Happening, known: bool = True) -> dict[tuple[str, str], int]:
    """What the book should say, without what is 0."""
    owners = {KEY: OWNER} if known else {}
    total: Counter[tuple[str, str]] = Counter()
    for one in Expectation(NETWORKS, happenings, owners).all():
        total[one.token_id, one.account] += one.amount
    for token_id in {token_id for token_id, _ in total}:
        assert sum(amount for (token, _), amount in total.items() if token == token_id) == 0
    return {name: amount for name, amount in total.items() if amount}


CCTP = given("cctp", "polygon::usdc", "base::usdc")
ESCROW = given("escrow", "polygon::usdt", "base::usdc")
PLACED = Escrowed(KEY, "polygon", tx(1), ORDER)


def test_a_swap_is_two_assets() -> None:
    swap = given("swap", "polygon::usdt", "polygon::usdc", delivered=998)
    assert sums(swap) == {
        ("polygon::usdt", "payers"): -1006,
        ("polygon::usdt", "fees"): 6,
        ("polygon::usdt", "conversion:swap"): 1000,
        ("polygon::usdc", "conversion:swap"): -998,
        ("polygon::usdc", MERCHANT): 998,
    }


def test_money_between_two_networks_is_in_the_rail() -> None:
    assert sums(CCTP)["polygon::usdc", "rail:cctp"] == 1000
    assert sums(PLACED, ESCROW)["polygon::usdt", "rail:escrow"] == 1000


def test_a_mint_less_its_costs() -> None:
    assert sums(CCTP, brought("cctp", CCTP)) == {
        ("polygon::usdc", "payers"): -1006,
        ("polygon::usdc", "fees"): 6,
        ("polygon::usdc", "conversion:cctp"): 1000,
        ("base::usdc", "conversion:cctp"): -1000,
        ("base::usdc", "costs:cctp"): 1,
        ("base::usdc", MERCHANT): 999,
    }


def test_a_fill_and_its_release() -> None:
    filled = {
        ("polygon::usdt", "payers"): -1006,
        ("polygon::usdt", "fees"): 6,
        ("polygon::usdt", "rail:escrow"): 1000,
        ("base::usdc", f"solver:0x{SOLVER.hex()}"): -999,
        ("base::usdc", MERCHANT): 999,
    }
    assert sums(PLACED, ESCROW, brought("escrow", ESCROW)) == filled
    released = Released(KEY, "polygon", tx(3), SOLVER, at("polygon::usdt"), 1000, returned=False)
    del filled["polygon::usdt", "rail:escrow"]
    filled["polygon::usdt", f"solver:0x{SOLVER.hex()}"] = 1000
    assert sums(PLACED, ESCROW, brought("escrow", ESCROW), released) == filled


def test_what_nobody_filled_goes_back_less_the_fee() -> None:
    back = Released(KEY, "polygon", tx(3), WALLET, at("polygon::usdt"), 1000, returned=True)
    assert sums(PLACED, ESCROW, back) == {
        ("polygon::usdt", "payers"): -6,
        ("polygon::usdt", "fees"): 6,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": b"\x45" * 32},
        {"source_chain_id": 1},
        {"merchant": SOLVER},
        {"token": SOLVER},
        {"session_key": OTHER},
        {"rail": "cctp", "order_id": None},
    ],
)
def test_a_fill_that_is_not_of_the_payment_is_nobodys(changes: dict[str, Any]) -> None:
    forged = replace(brought("escrow", ESCROW), **changes)
    assert sums(PLACED, ESCROW, forged) == sums(PLACED, ESCROW)


def test_a_mint_of_another_amount_is_not_of_the_payment() -> None:
    assert sums(CCTP, brought("cctp", CCTP, amount=5)) == sums(CCTP)


def test_a_release_of_no_payment_is_nobodys() -> None:
    released = Released(KEY, "base", tx(3), SOLVER, at("base::usdc"), 1000, returned=False)
    assert sums(PLACED, ESCROW, released) == sums(PLACED, ESCROW)


def test_a_hold_is_captured_in_part_and_the_rest_goes_back() -> None:
    held = given("hold", "base::usdc", "base::usdc")
    captured = Unheld(KEY, "base", tx(2), at("base::usdc"), 600, 590, 8, returned=False)
    voided = Unheld(KEY, "base", tx(3), at("base::usdc"), 400, 0, 0, returned=True)
    assert sums(held, captured, voided) == {
        ("base::usdc", "payers"): -606,
        ("base::usdc", "fees"): 14,
        ("base::usdc", MERCHANT): 590,
        ("base::usdc", "costs:hold"): 2,
    }


def test_money_for_no_session_is_unmatched() -> None:
    found = sums(given(None, "base::usdc", "base::usdc"), known=False)
    assert found["base::usdc", "unmatched"] == 1000


def refund(**changes: Any) -> Claim:
    one = Claim(OWNER.session_id, "base", tx(5), at("base::usdc"), WALLET, SOLVER, 70)
    return replace(one, **changes)


def moved(claim: Claim) -> RawLog:
    topics = (TRANSFER, claim.sender.rjust(32, b"\0"), claim.receiver.rjust(32, b"\0"))
    data = claim.amount.to_bytes(32, "big")
    return RawLog("base", 9, 0, claim.tx_hash, claim.token, topics, data)


@pytest.mark.parametrize(
    ("claims", "transfers", "returned"),
    [
        ([refund()], [moved(refund())], 70),
        ([refund()], [], 0),
        ([refund(), refund()], [moved(refund())], 70),
        ([refund(), refund()], [moved(refund()), moved(refund())], 140),
        ([refund()], [moved(refund(amount=71))], 0),
        ([refund()], [moved(refund(sender=SOLVER))], 0),
        ([refund()], [moved(refund(receiver=WALLET))], 0),
        ([refund()], [moved(refund(tx_hash=tx(6)))], 0),
        ([refund()], [moved(refund(token=WALLET))], 0),
    ],
)
def test_a_refund_is_what_a_transfer_of_its_own_proves(
    claims: Sequence[Claim], transfers: Sequence[RawLog], returned: int
) -> None:
    expectation = Expectation(NETWORKS, [], {KEY: OWNER})
    total: Counter[str] = Counter()
    for one in expectation.of_claims(claims, transfers):
        total[one.account] += one.amount
    assert (total["payers"], total[MERCHANT]) == (returned, -returned)


Compared = tuple[int, int, tuple[Difference, ...]]
"""Sessions compared, sessions left out, differences."""


async def compared(
    db: Database,
    happenings: Sequence[Happening],
    *booked: Booked,
    unread: Sequence[str] = (),
    in_motion: Sequence[bytes] = (),
) -> Compared:
    owners = {KEY: OWNER}
    async with db.apart("test") as work, work.read() as tx:
        await store_work.lay_out(tx)
        await store_work.leave_out(tx, in_motion)
        await store_work.add_sums(tx, comparing.of_book(booked, owners))
        for place, one in enumerate(happenings):
            log = RawLog(one.network, 1, place, one.tx_hash, WALLET, (), b"")
            keys = [one.session_key]
            await store_work.add_logs(tx, one.network, [log], keys, [False], are_new=True)
        await store_work.add_sums(tx, comparing.of_sessions(NETWORKS, happenings, owners))
        await store_work.leave_out(tx, list(comparing.crossing(NETWORKS, happenings, unread)))
        await store_work.leave_out_together(tx)
        sessions, left_out = await store_work.count_sessions(tx)
        _, differences = await store_work.differences(tx, unread, 100)
    return sessions, left_out, differences


def booked(
    token_id: str, account: str, amount: int, *, about: tuple[str, bytes] | None = None
) -> Booked:
    network, tx_hash = about or (None, None)
    session_id = None if about else OWNER.session_id
    return Booked(session_id, network, tx_hash, token_id, account, amount, by_hand=False)


# What the book says of a crossing stands under the session, and under either transaction.


@pytest.mark.anyio
async def test_a_crossing_from_a_network_that_was_not_read_is_left_out(database: Database) -> None:
    session = booked("base::usdc", MERCHANT, 999)
    leg = booked("base::usdc", "rail:cctp", 999, about=("base", tx(2)))
    arrived = [brought("cctp", CCTP)]
    found = await compared(database, arrived, session, leg, unread=["polygon"])
    assert found == (0, 1, ())


@pytest.mark.anyio
async def test_a_crossing_to_a_network_that_was_not_read_is_left_out(database: Database) -> None:
    session = booked("polygon::usdc", "payers", -6)
    leg = booked("polygon::usdc", "rail:cctp", -1000, about=("base", tx(2)))
    assert await compared(database, [CCTP], session, leg, unread=["base"]) == (0, 1, ())


@pytest.mark.anyio
async def test_what_was_brought_for_a_payment_that_is_gone_is_left_out(database: Database) -> None:
    session = booked("base::usdc", MERCHANT, 999)
    assert await compared(database, [brought("cctp", CCTP)], session) == (0, 1, ())


@pytest.mark.anyio
async def test_what_shares_a_transaction_with_what_is_in_motion_is_left_out(
    database: Database,
) -> None:
    one = given(None, "base::usdc", "base::usdc")
    beside = replace(one, session_key=OTHER)
    further = replace(one, session_key=OTHER, tx_hash=tx(8))
    at_last = replace(one, session_key=b"\x05" * 32, tx_hash=tx(8))
    apart = replace(one, session_key=b"\x03" * 32, tx_hash=tx(9))
    nobodys = booked("base::usdc", "unmatched", 7, about=("base", tx(8)))
    elsewhere = booked("base::usdc", "rail:cctp", 3, about=("base", tx(10)))
    happened = [one, beside, further, at_last, apart]
    sessions, left_out, differences = await compared(
        database, happened, nobodys, elsewhere, in_motion=[KEY]
    )
    assert (sessions, left_out) == (1, 3)
    assert {(one.account, one.expected, one.booked) for one in differences} == {
        ("payers", -1006, 0),
        ("fees", 6, 0),
        ("unmatched", 1000, 0),
        ("rail:cctp", 0, 3),
    }


def test_sessions_are_whole_however_their_logs_are_cut() -> None:
    one = given(None, "base::usdc", "base::usdc")
    other, third = replace(one, session_key=OTHER), replace(one, session_key=b"\x03" * 32)
    assert comparing.whole_sessions([], [one]) == ([], [one])
    assert comparing.whole_sessions([one], [one, other]) == ([one, one], [other])
    assert comparing.whole_sessions([other], [third]) == ([other], [third])
    assert comparing.whole_sessions([], [one, other, third]) == ([one, other], [third])


@pytest.mark.parametrize(
    ("artifact", "event", "topic"),
    [
        ("PaymentRouter", "Paid", logs.PAID),
        ("PaymentRouter", "Routed", logs.ROUTED),
        ("EscrowRail", "Escrowed", logs.ESCROWED),
        ("EscrowRail", "Filled", logs.FILLED),
        ("EscrowRail", "Released", logs.RELEASED),
        ("EscrowRail", "Reclaimed", logs.ESCROW_RECLAIMED),
        ("HoldRail", "Captured", logs.CAPTURED),
        ("HoldRail", "Voided", logs.VOIDED),
        ("HoldRail", "Reclaimed", logs.HOLD_RECLAIMED),
        ("MessageTransmitterDouble", "MessageReceived", logs.MESSAGE_RECEIVED),
        ("TetherDouble", "Transfer", logs.TRANSFER),
    ],
)
def test_topics_are_those_of_the_compiled_contracts(
    repository: Path, artifact: str, event: str, topic: bytes
) -> None:
    compiled = json.loads((repository / f"contracts/artifacts/{artifact}.json").read_text())
    [found] = [one for one in compiled["abi"] if one["type"] == "event" and one["name"] == event]
    members = ",".join(member["type"] for member in found["inputs"])
    assert keccak256(f"{event}({members})".encode()) == topic
