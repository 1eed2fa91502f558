"""What is unusual about a payment, rule by rule and at each rule's edge."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gstable_server.chain.facts import PaymentLog, RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import AccountId, ClientCode, MerchantId, SessionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.routing.model import FeeModel
from gstable_server.sessions.matching import delivery_flags, events_of, flags_of, pays
from gstable_server.sessions.model import (
    BusinessType,
    Flag,
    Session,
    SessionState,
    SessionType,
)

DEADLINE = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
MERCHANT, STRANGER = Address(b"\x01" * 20), Address(b"\x02" * 20)
ATTESTED = (900, 1_000)
MINT = SystemIdMint()
SESSION = Session(
    session_id=MINT.mint(SessionId),
    session_key=b"\x07" * 32,
    tenant=Tenant(MerchantId("ab" * 32), Mode.TEST),
    session_type=SessionType.CHECKOUT,
    business_type=BusinessType.CHECKOUT_SESSION,
    business_id="",
    client_code=MINT.mint(ClientCode),
    account_id=MINT.mint(AccountId),
    recipient=MERCHANT,
    settlement_token="polygon::usdc",
    fee_model=FeeModel.MERCHANT_PAYS,
    amount=MicroUsd(1_000),
    line_items=(),
    payer_email_required=False,
    expires_at=DEADLINE,
    created_at=DEADLINE - timedelta(minutes=30),
)
EXACT = PaymentLog(
    network="polygon",
    chain_id=1337137,
    tx_hash=b"\x11" * 32,
    log_position=0,
    block_number=5,
    block_hash=b"\x12" * 32,
    block_time=DEADLINE,
    session_key=SESSION.session_key,
    payer=STRANGER,
    merchant=MERCHANT,
    token=Address(b"\x0c" * 20),
    amount=1_000,
    fee_received=2,
    fee_receiver=Address(b"\x0f" * 20),
    rail=None,
    rail_data=b"",
    settlement_chain_id=1337137,
    settlement_token=Address(b"\x0c" * 20),
    merchant_amount=1_000,
    merchant_received=1_000,
)


def judged(log: PaymentLog, session: Session = SESSION, *, again: bool = False) -> set[Flag]:
    return set(flags_of(session, ATTESTED, log, paid_already=again))


def test_every_attested_amount_is_exact_until_the_deadline_itself() -> None:
    assert judged(EXACT) == set()
    assert judged(replace(EXACT, merchant_received=900)) == set()


@pytest.mark.parametrize(
    ("received", "flag"),
    [(899, Flag.UNDER), (901, Flag.OVER), (999, Flag.OVER), (1_001, Flag.OVER), (0, Flag.UNDER)],
)
def test_other_amounts_are_less_than_the_least_or_more(received: int, flag: Flag) -> None:
    assert judged(replace(EXACT, merchant_received=received)) == {flag}


@pytest.mark.parametrize("rail", [RailName.CCTP, RailName.ESCROW, RailName.HOLD])
def test_what_arrives_later_is_judged_by_its_promise(rail: RailName) -> None:
    on_the_way = replace(EXACT, rail=rail, merchant_received=0)
    assert judged(on_the_way) == set()
    assert judged(replace(on_the_way, merchant_amount=899)) == {Flag.UNDER}


def test_a_swap_is_judged_by_what_arrived() -> None:
    assert judged(replace(EXACT, rail=RailName.SWAP, merchant_received=899)) == {Flag.UNDER}
    assert judged(replace(EXACT, rail=RailName.SWAP, merchant_amount=1)) == set()


def test_a_token_that_no_order_was_signed_for() -> None:
    assert flags_of(SESSION, (), EXACT, paid_already=False) == {Flag.WRONG_TOKEN}


def test_late_by_the_blocks_time_or_after_it_was_cancelled() -> None:
    a_second_late = replace(EXACT, block_time=DEADLINE + timedelta(seconds=1))
    assert judged(a_second_late) == {Flag.LATE}
    assert judged(EXACT, replace(SESSION, state=SessionState.CANCELLED)) == {Flag.LATE}
    assert judged(EXACT, replace(SESSION, state=SessionState.EXPIRED)) == set()


def test_what_is_unusual_adds_up() -> None:
    assert judged(replace(EXACT, merchant=STRANGER)) == {Flag.WRONG_RECIPIENT}
    assert judged(EXACT, again=True) == {Flag.DUPLICATE}
    worst = replace(
        EXACT, merchant=STRANGER, block_time=DEADLINE + timedelta(days=1), merchant_received=1
    )
    assert judged(worst, again=True) == {
        Flag.WRONG_RECIPIENT,
        Flag.DUPLICATE,
        Flag.LATE,
        Flag.UNDER,
    }


@pytest.mark.parametrize(
    ("received", "flags"),
    [(100, set()), (99, {Flag.UNDER}), (101, {Flag.OVER}), (0, {Flag.UNDER})],
)
def test_a_delivery_is_held_to_its_promise(received: int, flags: set[Flag]) -> None:
    assert delivery_flags(100, received) == flags


@pytest.mark.parametrize("flag", Flag)
def test_only_too_much_still_pays(flag: Flag) -> None:
    assert pays(frozenset({flag})) is (flag is Flag.OVER)
    assert pays(frozenset({flag, Flag.OVER})) is (flag is Flag.OVER)
    assert pays(frozenset())


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (set(), ()),
        ({Flag.UNDER}, ("session.underpaid",)),
        ({Flag.OVER}, ("session.overpaid",)),
        ({Flag.DUPLICATE}, ("session.overpaid",)),
        ({Flag.LATE}, ("session.paid_late",)),
        ({Flag.DUPLICATE, Flag.OVER}, ("session.overpaid",)),
        ({Flag.LATE, Flag.UNDER}, ("session.underpaid", "session.paid_late")),
        ({Flag.WRONG_TOKEN, Flag.WRONG_RECIPIENT, Flag.UNMATCHED}, ()),
    ],
)
def test_each_event_is_told_once_in_a_fixed_order(flags: set[Flag], told: tuple[str, ...]) -> None:
    assert events_of(frozenset(flags)) == told
