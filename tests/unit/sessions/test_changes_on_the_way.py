"""What changes between a signed order and its final payment: rates, configuration, the block."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.chain.networks import Networks
from gstable_server.plumbing.db import Database
from gstable_server.routing.model import Schedule
from gstable_server.sessions import wire
from gstable_server.sessions.model import Flag, SessionState
from tests.unit.sessions.world import POLYGON, USDT, World, new_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database: Database) -> World:
    return await new_world(database)


@pytest.mark.parametrize(
    ("received", "flags"),
    [
        (9_980_000, set()),
        (9_990_000, set()),
        (9_979_999, {Flag.UNDER}),
        (9_985_000, {Flag.OVER}),
        (9_990_001, {Flag.OVER}),
    ],
)
async def test_every_order_that_was_signed_pays_its_session(
    world: World, received: int, flags: set[Flag]
) -> None:
    # One tab holds an order of 9.98, another one of 9.99, signed after the rate was lowered.
    view = await world.open()
    await world.prepare(view)
    world.desk = replace(world.desk, schedule=Schedule(same_token_ppm=1000))
    await world.prepare(view)
    await world.hear("seen", world.log(view, merchant_received=received))
    after = await world.view(view.session.session_id)
    assert [set(payment.flags) for payment in after.payments] == [flags]
    assert after.session.state is (
        SessionState.INITIALIZED if Flag.UNDER in flags else SessionState.PAID
    )


async def test_chn_16_a_fee_that_is_skipped_in_one_block_only_is_booked_as_it_stands(
    world: World,
) -> None:
    # The fee receiver could not be paid in the first block, and could in the second.
    view = await world.open()
    await world.prepare(view)
    skipped = world.log(view, fee_received=0)
    taken = world.log(view, block=102)
    await world.hear("seen", skipped)
    await world.hear("reorged", skipped)
    await world.hear("seen", taken)
    await world.hear("final", taken)
    assert await world.balances() == {
        "payers": -10_000_000,
        "merchant": 9_980_000,
        "fees": 20_000,
    }
    [payment] = (await world.view(view.session.session_id)).payments
    assert payment.fee_received == 20_000


async def test_chn_16_a_payment_that_returns_too_small_pays_nothing_any_more(
    world: World,
) -> None:
    view = await world.open()
    await world.prepare(view)
    whole, short = world.log(view), world.log(view, block=102, merchant_received=9_000_000)
    for kind, log in (("seen", whole), ("reorged", whole), ("seen", short), ("final", short)):
        await world.hear(kind, log)
    after = await world.view(view.session.session_id)
    assert [set(payment.flags) for payment in after.payments] == [{Flag.UNDER}]
    assert after.session.state is SessionState.INITIALIZED
    assert (await world.balances())["merchant:exceptional"] == 9_000_000
    assert await world.told(view) == [
        "created",
        "paid",
        "settlement_pending",
        "payment_reverted",
        "underpaid",
    ]


async def test_a_payment_completes_after_its_token_left_the_configuration(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    await world.hear("seen", world.log(view))
    without = Networks((replace(POLYGON, tokens=(USDT,)),))
    world.desk = replace(world.desk, networks=without)
    await world.hear("final", world.log(view))
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.COMPLETED
    transaction = wire.render_detail(after, world.desk.public_url)["transaction"]
    assert (transaction["totalValue"], transaction["netValue"]) == (10_000_000, 9_980_000)
    assert transaction["channelId"] == "polygon"


async def test_a_skipped_fee_is_shown_as_none(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    log = world.log(view, fee_received=0)
    await world.hear("seen", log)
    await world.hear("final", log)
    after = await world.view(view.session.session_id)
    assert after.session.state is SessionState.COMPLETED
    shown = wire.render_detail(after, world.desk.public_url)["transaction"]
    assert (shown["totalValue"], shown["feeValue"], shown["netValue"]) == (9_980_000, 0, 9_980_000)
    assert await world.balances() == {"payers": -9_980_000, "merchant": 9_980_000}


async def test_an_absurd_surplus_is_credited_and_told_exactly(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    most = 2**256 - 1 - 20_000
    log = world.log(view, merchant_received=most)
    await world.hear("seen", log)
    await world.hear("final", log)
    assert (await world.balances())["merchant"] == most
    after = await world.view(view.session.session_id)
    assert wire.render_detail(after, world.desk.public_url)["transaction"]["netValue"] == most
