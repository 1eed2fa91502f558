"""Paying by rails and by signatures: what is attested, what a wallet is asked for, what we send."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.chain import abi
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import Sender, State
from gstable_server.chain.facts import RailName
from gstable_server.chain.orders import PaymentOrder, RoutedOrder, approve_call
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.testing import FakeClock
from gstable_server.routing.model import Schedule, Way
from gstable_server.sessions import hearing, paying
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.paying import Authorized, PreparedPayment
from tests.unit.routing.market import every_network, rails_of
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio

PAYER = Address(b"\x01" * 20)
OTHER = Address(b"\x02" * 20)
SIGNATURE = bytes(range(65))
OF_WALLETS = (Way.ERC3009, Way.PERMIT2, Way.PERMIT, Way.APPROVE)


@pytest.fixture
async def wide(world: World) -> World:
    """A desk of four networks with every rail and collector, which sends what payers sign."""
    networks = every_network()
    world.desk = replace(world.desk, networks=networks, rails=rails_of(networks), relays=True)
    return world


def prepare(
    world: World, view: SessionView, token_id: str, way: Way = Way.APPROVE, payer: Address = PAYER
) -> Awaitable[PreparedPayment]:
    return world.db.run(
        paying.prepare,
        world.desk,
        view.session.session_id,
        client_code=view.session.client_code,
        token_id=token_id,
        way=way,
        payer=payer,
        payer_email=None,
    )


def authorize(world: World, prepared: PreparedPayment, **changes: Any) -> Awaitable[Authorized]:
    asked = {
        "client_code": prepared.session.client_code,
        "digest": prepared.signed.digest,
        "way": prepared.way,
        "payer": PAYER,
        "signature": SIGNATURE,
        **changes,
    }
    return world.db.run(paying.authorize, world.desk, prepared.session.session_id, **asked)


async def refusal(awaitable: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


async def orders(world: World) -> list[dict[str, Any]]:
    async with world.db.read() as tx:
        rows = await tx.fetch("SELECT * FROM session_orders ORDER BY order_number")
    return [dict(row) for row in rows]


# --- orders by rails ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token_id", "rail", "fee"),
    [
        # Of 0.3 % the pool may cost 0.1 %; CCTP costs nothing; the solver keeps 0.1 %.
        ("polygon::usdt", RailName.SWAP, 20_030),
        ("base::usdc", RailName.CCTP, 60_000),
        ("arbitrumone::usdt", RailName.ESCROW, 50_060),
    ],
)
async def test_a_routed_order_says_all_that_was_agreed(
    wide: World, token_id: str, rail: RailName, fee: int
) -> None:
    view = await wide.open()
    prepared = await prepare(wide, view, token_id)
    order, session = prepared.signed.order, view.session
    assert isinstance(order, RoutedOrder)
    assert (order.session_key, order.merchant) == (session.session_key, session.recipient)
    assert (order.token.token_id, order.settlement.token_id) == (token_id, "polygon::usdc")
    assert order.total == 10_000_000
    assert (order.fee_amount, order.fee_receiver) == (fee, wide.desk.fee_receiver)
    assert order.merchant_amount == prepared.option.quote.merchant_receives.atomic
    contracts = prepared.signed.network.contracts.rails
    assert order.rail == contracts[f"{rail.value}_rail"].address
    work = prepared.work
    assert work.pay is not None
    assert work.pay.to == work.spender == prepared.signed.network.router
    assert work.pay.data[:4] == abi.selector(abi.ROUTE)
    assert work.approve == approve_call(order.token, work.pay.to, 10_000_000)
    (row,) = await orders(wide)
    assert (row["rail"], row["way"], row["payer"]) == (rail.value, "approve", PAYER)
    assert row["digest"] == prepared.signed.digest
    assert (int(row["merchant_amount"]), int(row["fee_amount"])) == (order.merchant_amount, fee)


async def test_a_rails_price_ends_before_the_session(wide: World, clock: FakeClock) -> None:
    view = await wide.open()
    direct = await prepare(wide, view, "polygon::usdc")
    crossing = await prepare(wide, view, "base::usdc")
    late = unix_seconds(view.session.expires_at + wide.desk.order_grace)
    assert direct.signed.order.deadline == late
    assert crossing.signed.order.deadline == unix_seconds(clock.now() + timedelta(seconds=900))
    wide.desk = replace(wide.desk, schedule=Schedule(quote_seconds=86_400))
    longer = await prepare(wide, view, "base::usdc", payer=OTHER)
    assert longer.signed.order.deadline == late


async def test_an_order_is_given_again_while_most_of_its_time_is_left(
    wide: World, clock: FakeClock
) -> None:
    view = await wide.open()
    first = await prepare(wide, view, "arbitrumone::usdt")
    clock.advance(450)
    again = await prepare(wide, view, "arbitrumone::usdt")
    assert again.signed == first.signed
    assert len(await orders(wide)) == 1
    clock.advance(1)
    later = await prepare(wide, view, "arbitrumone::usdt")
    assert later.signed.order.deadline == first.signed.order.deadline + 451
    # Another way, another payer and other terms are orders of their own.
    await prepare(wide, view, "arbitrumone::usdt", Way.PERMIT2)
    await prepare(wide, view, "arbitrumone::usdt", payer=OTHER)
    wide.desk = replace(wide.desk, schedule=Schedule(crosschain_ppm=5000))
    changed = await prepare(wide, view, "arbitrumone::usdt")
    assert changed.signed.order.fee_amount < later.signed.order.fee_amount
    assert len(await orders(wide)) == 5


# --- ways -----------------------------------------------------------------------------------------


async def test_each_way_says_what_the_wallet_has_to_do(wide: World) -> None:
    view = await wide.open()
    prepared = {way: await prepare(wide, view, "polygon::usdc", way) for way in OF_WALLETS}
    assert {one.ways for one in prepared.values()} == {OF_WALLETS}
    digest = f"0x{prepared[Way.ERC3009].signed.digest.hex()}"
    authorization = prepared[Way.ERC3009].work.typed_data
    assert authorization is not None
    assert authorization["message"]["from"] == to_checksum(PAYER)
    assert authorization["message"]["nonce"] == digest
    assert prepared[Way.ERC3009].work.approve is None
    permit2 = prepared[Way.PERMIT2]
    assert permit2.work.typed_data is not None
    assert permit2.work.typed_data["message"]["witness"]["digest"] == digest
    assert permit2.signed.network.permit2 is not None
    assert permit2.work.approve == approve_call(
        permit2.option.token, permit2.signed.network.permit2, 10_000_000
    )
    permit = prepared[Way.PERMIT].work
    assert permit.typed_data is not None
    assert permit.typed_data["message"]["value"] == "10000000"
    # Only the token knows it: the payer's side fills it in.
    assert "nonce" not in permit.typed_data["message"]
    assert (permit.approve, permit.pay) == (None, None)


async def test_a_way_that_is_not_offered_is_refused(wide: World) -> None:
    view = await wide.open()
    refused = await refusal(prepare(wide, view, "polygon::usdt", Way.ERC3009))
    assert refused.code is Code.CHANNEL_UNSUPPORTED
    wide.desk = replace(wide.desk, relays=False)
    for way in (Way.ERC3009, Way.PERMIT2):
        assert (await refusal(prepare(wide, view, "polygon::usdc", way))).code is (
            Code.CHANNEL_UNSUPPORTED
        )
    assert not (await wide.view(view.session.session_id)).session.signed_once


# --- signatures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("token_id", ["polygon::usdc", "base::usdc"])
@pytest.mark.parametrize("way", [Way.ERC3009, Way.PERMIT2])
async def test_a_signature_becomes_one_payment_of_ours(
    wide: World, token_id: str, way: Way
) -> None:
    prepared = await prepare(wide, await wide.open(), token_id, way)
    first, again = [await authorize(wide, prepared) for _ in range(2)]
    assert first == again
    assert first.cause is not None
    assert first.call is None
    async with wide.db.read() as tx:
        (view,) = await executor.list_open(tx)
        ours = (prepared.session.session_id, first.cause)
        made_up = {(ours[0], "relay:\x00"), (SessionId("sess_other"), first.cause)}
        assert await paying.relayed_all(tx, {ours, *made_up}) == {ours: view}
        assert await paying.relayed(tx, prepared.session.session_id, "mint:1") is None
    intent = view.intent
    assert (view.state, intent.cause, intent.purpose) == (State.QUEUED, first.cause, "relay")
    assert (intent.sender, intent.network) == (Sender.RELAYER, prepared.option.network.name)
    assert intent.subject == prepared.session.session_id
    assert intent.deadline is not None
    assert unix_seconds(intent.deadline) == prepared.signed.order.deadline
    direct = isinstance(prepared.signed.order, PaymentOrder)
    wanted = abi.selector(abi.PAY_WITH if direct else abi.ROUTE_WITH)
    assert (intent.call.to, intent.call.data[:4]) == (prepared.signed.network.router, wanted)
    assert SIGNATURE in intent.call.data


async def test_chn_07_a_signature_is_not_used_once_the_session_is_paid_another_way(
    wide: World,
) -> None:
    view = await wide.open(settlementToken="polygon::usdc")
    prepared = await prepare(wide, view, "polygon::usdc", Way.ERC3009)
    first = await authorize(wide, prepared)
    order = prepared.signed.order
    paid = wide.log(view, token=order.token, merchant_received=order.merchant_amount)
    await wide.hear("seen", paid)
    assert await states(wide) == {first.cause: State.WITHDRAWN}
    # It is taken back for good: the same signature pays after all, once.
    await wide.hear("reorged", paid)
    await wide.hear("lost", paid)
    second, again = [await authorize(wide, prepared) for _ in range(2)]
    assert second == again
    assert await states(wide) == {first.cause: State.WITHDRAWN, second.cause: State.QUEUED}


async def test_chn_07_a_signature_is_not_used_after_the_expiry(
    wide: World, clock: FakeClock
) -> None:
    view = await wide.open()
    first = await authorize(wide, await prepare(wide, view, "polygon::usdc", Way.ERC3009))
    clock.set(view.session.expires_at)
    assert await wide.db.run(hearing.expire_due, wide.desk) == 1
    assert await states(wide) == {first.cause: State.WITHDRAWN}


async def states(world: World) -> dict[str | None, State]:
    async with world.db.read() as tx:
        rows = await tx.fetch("SELECT cause, state FROM executor_intents")
    return {row["cause"]: State(row["state"]) for row in rows}


async def test_a_permit_is_the_payers_own_to_send(wide: World) -> None:
    prepared = await prepare(wide, await wide.open(), "polygon::usdc", Way.PERMIT)
    authorized = await authorize(wide, prepared)
    assert authorized.cause is None
    assert authorized.call is not None
    assert authorized.call.data[:4] == abi.selector(abi.PAY_WITH)
    short = await refusal(authorize(wide, prepared, signature=SIGNATURE[:64]))
    assert (short.code, short.detail.split()[0]) == (Code.FIELD_INVALID, "signature")


async def test_con_07_a_wrong_signature_does_not_block_the_right_one(wide: World) -> None:
    prepared = await prepare(wide, await wide.open(), "polygon::usdc", Way.ERC3009)
    causes = set()
    for number in range(paying.RELAYS_MAX):
        causes.add((await authorize(wide, prepared, signature=bytes([number]) * 65)).cause)
    assert len(causes) == paying.RELAYS_MAX
    async with wide.db.read() as tx:
        assert len(await executor.list_open(tx)) == paying.RELAYS_MAX
    refused = await refusal(authorize(wide, prepared))
    assert refused.code is Code.ROUTE_UNAVAILABLE
    # What was handed in before is still answered.
    assert (await authorize(wide, prepared, signature=bytes(65))).cause in causes


async def test_only_what_was_attested_for_that_payer_and_way_can_be_authorized(
    wide: World,
) -> None:
    view = await wide.open()
    prepared = await prepare(wide, view, "polygon::usdc", Way.ERC3009)
    approved = await prepare(wide, view, "polygon::usdc")
    for changes in (
        {"digest": bytes(32)},
        {"payer": OTHER},
        {"way": Way.PERMIT2},
        {"way": Way.APPROVE, "digest": approved.signed.digest},
    ):
        refused = await refusal(authorize(wide, prepared, **changes))
        assert (refused.code, refused.detail.split()[0]) == (Code.FIELD_INVALID, "digest")
    for signature in (b"", bytes(paying.SIGNATURE_BYTES_MAX + 1)):
        refused = await refusal(authorize(wide, prepared, signature=signature))
        assert refused.detail.startswith("signature ")
    wrong = await refusal(authorize(wide, prepared, client_code="cc_other"))
    assert wrong.code is Code.SESSION_CLIENT_KEY_INVALID
    other = await prepare(wide, await wide.open(), "polygon::usdc", Way.ERC3009)
    mixed = replace(prepared, session=other.session)
    assert (await refusal(authorize(wide, mixed))).code is Code.FIELD_INVALID
    async with wide.db.read() as tx:
        assert await executor.list_open(tx) == []


async def test_an_order_whose_time_is_over_is_not_sent(wide: World, clock: FakeClock) -> None:
    prepared = await prepare(wide, await wide.open(), "base::usdc", Way.ERC3009)
    clock.advance(900)
    assert (await refusal(authorize(wide, prepared))).code is Code.AUTHORIZATION_EXPIRED
    clock.advance(900)
    assert (await refusal(authorize(wide, prepared))).code is Code.SESSION_EXPIRED


async def test_what_the_operator_took_away_is_not_sent(wide: World) -> None:
    prepared = await prepare(wide, await wide.open(), "base::usdc", Way.ERC3009)
    networks = every_network()
    left = tuple(one for one in networks.all if one.name != "base")
    wide.desk = replace(wide.desk, networks=type(networks)(left))
    assert (await refusal(authorize(wide, prepared))).code is Code.ROUTE_UNAVAILABLE
