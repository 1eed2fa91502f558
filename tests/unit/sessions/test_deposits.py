"""What follows from what is seen at a deposit address: nothing is credited, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from gstable_server.chain import abi
from gstable_server.chain.deposits import NATIVE, deposit_address, recover_call
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.networks import Networks
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.testing import FakeClock
from gstable_server.routing.model import Way
from gstable_server.sessions import hearing
from gstable_server.sessions.deposits import operations
from gstable_server.sessions.deposits.model import (
    RECOVERIES_MAX,
    SWEEPS_MAX,
    is_worth_returning,
)
from gstable_server.sessions.model import SessionState, SessionView
from tests.unit.sessions.deposit_desk import COLLECTOR, REFUND_TO, Counter
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio

USDC, USDT, BASE = "polygon::usdc", "polygon::usdt", "base::usdc"
DUE = 10_000_000
EXPIRY, GRACE = 1800, 600


@pytest.fixture
async def counter(world: World) -> Counter:
    return Counter.of(world)


async def refusal(awaitable: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


# --- the address ----------------------------------------------------------------------------------


async def test_the_address_commits_to_the_session(counter: Counter) -> None:
    view = await counter.world.open()
    opened, option = await counter.open(view)
    session, terms = view.session, opened.deposit.terms
    settlement = counter.world.desk.networks.require_token(USDC, session.tenant.mode)
    assert (terms.session_key, terms.merchant) == (session.session_key, session.recipient)
    assert (terms.settlement_chain_id, terms.settlement_token) == (1337137, settlement.address)
    assert (terms.fee_receiver, terms.refund_to) == (counter.world.desk.fee_receiver, REFUND_TO)
    assert terms.refundable_after == unix_seconds(session.expires_at) + GRACE
    assert opened.deposit.address == deposit_address(COLLECTOR, terms)
    assert (option.token.token_id, opened.missing(option), opened.arrived(option)) == (USDC, DUE, 0)
    assert opened.session.signed_once
    assert (await counter.world.view(session.session_id)).session.signed_once


async def test_one_address_for_every_token_and_network(counter: Counter) -> None:
    view, deposit = await counter.deposit()
    for token_id, due in ((USDT, DUE), (BASE, DUE), ("ethereum::usdt", DUE)):
        again, option = await counter.open(view, token_id, refund_to=None)
        assert again.deposit == deposit
        assert (option.token.token_id, again.missing(option)) == (token_id, due)
    other, _ = await counter.open(await counter.world.open())
    assert other.deposit.address != deposit.address
    assert len(await counter.rows("deposits")) == 2
    watched = {row["network"] for row in await counter.rows("deposit_watches")}
    assert watched == {"ethereum", "base", "arbitrumone", "polygon"}


async def test_what_is_not_paid_goes_to_the_merchant_unless_the_payer_says_otherwise(
    counter: Counter,
) -> None:
    view = await counter.world.open()
    opened, _ = await counter.open(view, refund_to=None)
    assert opened.deposit.terms.refund_to == view.session.recipient


async def test_an_address_is_refused_like_an_order(counter: Counter, clock: FakeClock) -> None:
    view = await counter.world.open(payerEmailRequired=1)
    missing = await refusal(counter.open(view))
    assert (missing.code, missing.detail) == (Code.FIELD_INVALID, "payerEmail is required")
    wrong = await refusal(counter.open(view, client_code="cc_other", payer_email="a@example.com"))
    assert wrong.code is Code.SESSION_CLIENT_KEY_INVALID
    unknown = await refusal(counter.open(view, "solana::usdc", payer_email="a@example.com"))
    assert unknown.code is Code.CHANNEL_UNSUPPORTED
    network = counter.network("polygon")
    for bad in (ZERO_ADDRESS, COLLECTOR, network.router, network.tokens[0].address):
        refused = await refusal(counter.open(view, refund_to=bad, payer_email="a@example.com"))
        assert refused.detail == "refundTo must be a wallet of the payer"
    assert await counter.rows("deposits") == []
    opened, _ = await counter.open(view, payer_email="a@example.com")
    assert opened.session.payer_email == "a@example.com"
    other = await refusal(counter.open(view, refund_to=Address(b"\x66" * 20)))
    assert other.detail.startswith("refundTo was chosen for this session already")
    clock.advance(EXPIRY)
    assert (await refusal(counter.open(view))).code is Code.SESSION_EXPIRED


async def test_without_a_relayer_or_a_collector_no_transfer_can_pay(counter: Counter) -> None:
    view = await counter.world.open()
    world, desk = counter.world, counter.world.desk
    world.desk = replace(desk, relays=False)
    assert (await refusal(counter.open(view))).code is Code.CHANNEL_UNSUPPORTED
    bare = tuple(
        replace(one, contracts=replace(one.contracts, deposit_collector=None))
        if one.name == "polygon"
        else one
        for one in desk.networks.all
    )
    world.desk = replace(desk, networks=Networks(bare))
    assert (await refusal(counter.open(view))).code is Code.CHANNEL_UNSUPPORTED
    assert (await counter.open(view, BASE))[1].token.token_id == BASE


# --- collecting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("token_id", [USDC, USDT, BASE, "arbitrumone::usdt"])
async def test_enough_is_collected_once(counter: Counter, token_id: str) -> None:
    view, deposit = await counter.deposit()
    for _ in range(3):
        await counter.see(deposit, token_id, DUE)
    [view_of_intent] = await counter.intents()
    intent = view_of_intent.intent
    [row] = await counter.rows("session_orders")
    assert (row["way"], row["payer"], row["token_id"]) == (Way.DEPOSIT, deposit.address, token_id)
    assert intent.cause == f"sweep:{row['digest'].hex()}:1"
    assert (intent.purpose, intent.sender) == ("sweep", Sender.RELAYER)
    assert (intent.subject, intent.deadline) == (view.session.session_id, row["deadline"])
    network = counter.network(token_id.split("::")[0])
    direct = token_id == USDC
    wanted = abi.selector(abi.PAY_WITH if direct else abi.ROUTE_WITH)
    assert (intent.network, intent.call.to, intent.call.data[:4]) == (
        network.name,
        network.router,
        wanted,
    )
    assert deposit.terms.encoded in intent.call.data
    # Nothing is credited, and nothing told, before the router's log.
    assert (await counter.world.view(view.session.session_id)).payments == ()
    assert await counter.world.told(view) == ["created"]
    assert len(await counter.rows("deposit_sightings")) == 1


async def test_less_is_told_once_and_the_rest_may_follow(counter: Counter) -> None:
    view, deposit = await counter.deposit()
    for balance in (4_000_000, 4_000_000, 3_000_000, 4_000_000, 9_999_999):
        await counter.see(deposit, USDC, balance)
    # A balance that a reorganisation took back and gave again is no news.
    assert await counter.world.told(view) == ["created", "underpaid", "underpaid"]
    assert await counter.intents() == []
    shown, option = await counter.open(view)
    assert (shown.arrived(option), shown.missing(option)) == (9_999_999, 1)
    await counter.see(deposit, USDC, DUE)
    assert await counter.purposes() == [("sweep", "polygon")]
    assert await counter.world.told(view) == ["created", "underpaid", "underpaid"]


async def test_a_token_that_cannot_pay_is_not_less(counter: Counter) -> None:
    view, deposit = await counter.deposit(price=500_000)
    await counter.see(deposit, BASE, 500_000)
    await counter.see(deposit, "polygon::native", 10**18)
    assert await counter.world.told(view) == ["created"]
    assert await counter.intents() == []


async def test_a_wrong_token_pays_where_it_can(counter: Counter) -> None:
    # Asked for USDC, and USDT came, on another network: that is a way to pay too.
    _, deposit = await counter.deposit()
    await counter.see(deposit, "ethereum::usdt", DUE)
    assert await counter.purposes() == [("sweep", "ethereum")]


async def test_one_collection_at_a_time_over_all_networks(counter: Counter) -> None:
    _, deposit = await counter.deposit()
    await counter.see(deposit, USDC, DUE)
    for state in ("queued", "signed", "sent", "mined", "final"):
        await counter.executor_says(state)
        await counter.see(deposit, BASE, DUE)
        await counter.see(deposit, USDC, 2 * DUE)
        assert [row["network"] for row in await counter.rows("deposit_sweeps")] == ["polygon"]


@pytest.mark.parametrize("state", ["refused", "failed"])
async def test_a_collection_that_failed_is_tried_again_so_many_times(
    counter: Counter, state: str
) -> None:
    _, deposit = await counter.deposit()
    for _ in range(SWEEPS_MAX + 2):
        await counter.see(deposit, USDC, DUE)
        await counter.executor_says(state)
    assert len(await counter.rows("deposit_sweeps")) == SWEEPS_MAX
    assert len(await counter.rows("session_orders")) == 1


async def test_what_a_reorganisation_took_back_is_not_waited_for(counter: Counter) -> None:
    view, deposit = await counter.deposit()
    await counter.see(deposit, USDC, DUE)
    # The transfer's block left the chain. It may come back, or the node be behind.
    for balance in (0, DUE, 0):
        await counter.see(deposit, USDC, balance)
        assert [one.intent.cause[-2:] for one in await counter.intents()] == [":1"]
    # The payer sends on another network instead.
    await counter.see(deposit, BASE, DUE)
    assert await counter.purposes() == [("sweep", "base")]
    # The first one comes back: it stays until it goes back to the payer.
    await counter.see(deposit, USDC, DUE)
    assert await counter.purposes() == [("sweep", "base")]
    assert await counter.world.told(view) == ["created"]


async def test_what_another_network_says_does_not_take_it_back(counter: Counter) -> None:
    _, deposit = await counter.deposit()
    await counter.see(deposit, USDC, DUE)
    await counter.see(deposit, BASE, 0)
    await counter.see(deposit, BASE, 1)
    assert await counter.purposes() == [("sweep", "polygon")]


async def test_a_process_that_dies_has_seen_nothing(counter: Counter) -> None:
    _, deposit = await counter.deposit()
    network, token = counter.place(USDC)
    balances = {one.address: 0 for one in network.tokens} | {NATIVE: 0, token: DUE}
    with pytest.raises(ZeroDivisionError):
        async with counter.db.begin() as tx:
            await operations.found(tx, counter.world.desk, network, deposit, balances)
            raise ZeroDivisionError
    for table in ("deposit_sightings", "deposit_sweeps", "session_orders", "executor_intents"):
        assert await counter.rows(table) == []
    await counter.see(deposit, USDC, DUE)
    assert await counter.purposes() == [("sweep", "polygon")]


async def test_two_workers_at_once_collect_once(counter: Counter) -> None:
    _, deposit = await counter.deposit()
    seen = [counter.see(deposit, token, DUE) for token in (USDC, BASE, USDC, "ethereum::usdt")]
    await asyncio.gather(*seen)
    assert len(await counter.intents()) == 1


async def paid_by_wallet(counter: Counter, view: SessionView) -> None:
    world = counter.world
    await world.prepare(view)
    _, token = counter.place(USDC)
    log = replace(world.log(view), token=token, settlement_token=token)
    await world.hear("seen", log)
    found = await world.view(view.session.session_id)
    assert found.session.state is SessionState.PAID


async def test_a_session_paid_another_way_takes_its_collection_back(
    counter: Counter, clock: FakeClock
) -> None:
    view, deposit = await counter.deposit()
    await counter.see(deposit, USDC, DUE)
    await paid_by_wallet(counter, view)
    await counter.see(deposit, USDC, DUE)
    assert await counter.intents() == []
    await counter.see(deposit, BASE, DUE)
    assert await counter.intents() == []
    clock.advance(EXPIRY + GRACE + 1)
    await counter.see(deposit, USDC, DUE)
    await counter.see(deposit, BASE, DUE)
    assert await counter.purposes() == [("recover", "polygon"), ("recover", "base")]


async def test_what_comes_after_the_expiry_goes_back(counter: Counter, clock: FakeClock) -> None:
    view, deposit = await counter.deposit()
    clock.advance(EXPIRY)
    # Also while the clock has not closed the session yet.
    await counter.see(deposit, USDC, DUE)
    await counter.db.run(hearing.expire_due, counter.world.desk)
    await counter.see(deposit, USDC, DUE + 1)
    clock.advance(GRACE)
    await counter.see(deposit, USDC, DUE)
    assert await counter.intents() == []
    clock.advance(1)
    await counter.see(deposit, USDC, DUE)
    [sent] = await counter.intents()
    assert sent.intent.call == recover_call(COLLECTOR, deposit.terms, counter.place(USDC)[1])
    assert await counter.world.told(view) == ["created", "expired"]


async def test_a_collection_that_is_staged_in_time_is_kept_past_the_expiry(
    counter: Counter, clock: FakeClock
) -> None:
    _, deposit = await counter.deposit()
    await counter.see(deposit, USDC, DUE)
    clock.advance(EXPIRY + 1)
    await counter.see(deposit, USDC, DUE)
    await counter.db.run(hearing.expire_due, counter.world.desk)
    await counter.see(deposit, USDC, DUE)
    [sent] = await counter.intents()
    assert sent.intent.purpose == "sweep"
    # Its order ends with the second after which the money goes back: never both.
    assert sent.intent.deadline is not None
    assert unix_seconds(sent.intent.deadline) == deposit.terms.refundable_after


# --- sending back ---------------------------------------------------------------------------------


async def test_everything_goes_back_from_everywhere(counter: Counter, clock: FakeClock) -> None:
    _, deposit = await counter.deposit(price=500_000)
    clock.advance(EXPIRY + GRACE + 1)
    places = ["base::usdc", "ethereum::usdt", "polygon::native", "arbitrumone::usdc"]
    for place in places * 2:
        await counter.see(deposit, place, 10**18)
    sent = await counter.intents()
    assert len(sent) == len(places)
    for place, one in zip(places, sent, strict=True):
        network, token = counter.place(place)
        address_hex, token_hex = deposit.address.hex(), token.hex()
        assert one.intent.cause == f"recover:{network.name}:0x{address_hex}:0x{token_hex}:1"
        assert one.intent.call == recover_call(COLLECTOR, deposit.terms, token)
        assert one.intent.network == network.name


async def test_what_comes_again_goes_back_again_so_many_times(
    counter: Counter, clock: FakeClock
) -> None:
    _, deposit = await counter.deposit()
    clock.advance(EXPIRY + GRACE + 1)
    for _ in range(RECOVERIES_MAX + 2):
        await counter.see(deposit, USDC, DUE)
        await counter.executor_says("final")
        await counter.see(deposit, USDC, 0)
    assert len(await counter.rows("deposit_recoveries")) == RECOVERIES_MAX


async def test_a_return_that_somebody_else_made_is_taken_back(
    counter: Counter, clock: FakeClock
) -> None:
    _, deposit = await counter.deposit()
    clock.advance(EXPIRY + GRACE + 1)
    await counter.see(deposit, USDC, DUE)
    await counter.see(deposit, USDC, 0)
    assert await counter.intents() == []


@pytest.mark.parametrize(
    ("place", "balance", "worth"),
    [
        (USDC, 99_999, False),
        (USDC, 100_000, True),
        ("polygon::native", 10**15 - 1, False),
        ("polygon::native", 10**15, True),
        ("polygon::native", 0, False),
    ],
)
async def test_dust_is_not_worth_our_gas(
    counter: Counter, place: str, balance: int, worth: bool
) -> None:
    assert is_worth_returning(*counter.place(place), balance) is worth
    assert not is_worth_returning(counter.network("polygon"), Address(b"\x99" * 20), 10**30)
