"""What goes wrong between the wish and its end, on a real chain and a real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.chain.executor import operations
from gstable_server.chain.executor.model import Intent, Sender
from gstable_server.chain.executor.runner import Limits
from gstable_server.chain.orders import ContractCall
from tests.unit.chain.executor.conftest import Bench
from tests.unit.chain.executor.local_chain import (
    COUNTER_CODE,
    ETHER,
    GWEI,
    REVERTING,
    counting,
)

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

REVERTING_HEX = "0x" + REVERTING.hex()


def reverting(cause: str, **terms: object) -> Intent:
    call = ContractCall(REVERTING, b"")
    intent = Intent(cause, "fake", Sender.RELAYER, call, "relay", f"subject:{cause}")
    return replace(intent, **terms)  # type: ignore[arg-type]


# --- the price ----------------------------------------------------------------------------


async def gas_becomes_dear(bench: Bench, base_fee: int) -> None:
    await bench.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    await bench.chain.mine()
    await bench.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    await bench.chain.mine()


async def test_a_stuck_transaction_is_signed_again_with_the_same_nonce(bench: Bench) -> None:
    await bench.intend(counting("stuck"), counting("behind"))
    await bench.turn()
    await gas_becomes_dear(bench, 50 * GWEI)
    await bench.turn(2)
    assert len(await bench.rows("executor_attempts")) == 2, "patience first"
    bench.clock.advance(31)
    await bench.turn(2)
    attempts = await bench.rows("executor_attempts")
    assert [each["nonce"] for each in attempts] == [0, 1, 0, 1]
    assert all(each["fee"] >= 50 * GWEI for each in attempts[2:])  # type: ignore[operator]
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("stuck", "behind") == ["final", "final"]
    assert await bench.chain.count("stuck") == 1
    assert (await bench.view("stuck")).tx_hash == attempts[2]["tx_hash"]


async def test_nothing_is_raised_while_the_chain_stands_still(bench: Bench) -> None:
    await bench.intend(counting("waits"))
    await bench.turn()
    bench.clock.advance(3600)
    await bench.turn(3)
    assert len(await bench.rows("executor_attempts")) == 1


async def test_above_the_cap_it_waits_with_a_reason(bench: Bench) -> None:
    await bench.intend(counting("sent"))
    await bench.turn()
    await gas_becomes_dear(bench, 600 * GWEI)
    await bench.intend(counting("not signed"))
    bench.clock.advance(31)
    await bench.turn(2)
    assert await bench.states("sent", "not signed") == ["sent", "queued"]
    assert "gas costs" in str((await bench.view("not signed")).problem)
    assert len(await bench.rows("executor_attempts")) == 1
    assert "would exceed" in str((await bench.view("sent")).problem)
    await bench.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    await bench.chain.mine()
    bench.clock.advance(2)
    await bench.turn(2)
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("sent", "not signed") == ["final", "final"]
    assert [await bench.chain.count(cause) for cause in ("sent", "not signed")] == [1, 1]


async def test_more_gas_than_allowed_is_not_signed(bench: Bench) -> None:
    bench.runner = bench.new_runner(limits=Limits(gas_max=30_000))
    await bench.intend(counting("greedy"))
    await bench.turn()
    view = await bench.view("greedy")
    assert view.state == "queued"
    assert "more than 30000" in str(view.problem)


# --- money --------------------------------------------------------------------------------


async def test_without_money_it_waits_and_with_money_it_goes_on(bench: Bench) -> None:
    await bench.chain.give(0)
    await bench.intend(counting("poor"))
    await bench.turn()
    assert await bench.states("poor") == ["queued"]
    assert "not enough" in str((await bench.view("poor")).problem)
    async with bench.db.read() as tx:
        [funds] = await operations.funds(tx)
    assert (funds.balance, funds.enough) == (0, False)
    await bench.chain.give(ETHER)
    bench.clock.advance(2)
    await bench.turn()
    async with bench.db.read() as tx:
        [funds] = await operations.funds(tx)
    assert (funds.balance, funds.enough) == (ETHER, True)
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("poor") == ["final"]


async def test_money_that_is_promised_to_one_transaction_is_not_promised_to_another(
    bench: Bench,
) -> None:
    await bench.chain.give(3 * 10**14)
    await bench.intend(*(counting(f"share {number}") for number in range(8)))
    await bench.turn()
    states = await bench.states(*(f"share {number}" for number in range(8)))
    assert set(states) == {"sent", "queued"}
    for _ in range(12):
        await bench.chain.mine()
        await bench.chain.give(3 * 10**14)
        bench.clock.advance(2)
        await bench.turn()
    states = await bench.states(*(f"share {number}" for number in range(8)))
    assert states == ["final"] * 8


# --- the call -----------------------------------------------------------------------------


async def test_what_would_revert_waits_without_a_nonce_until_its_deadline(bench: Bench) -> None:
    deadline = bench.clock.now() + timedelta(seconds=60)
    await bench.intend(reverting("hopeless", deadline=deadline))
    await bench.turn()
    view = await bench.view("hopeless")
    assert (view.state, view.reservation, view.tries) == ("queued", None, 1)
    assert "revert" in str(view.problem)
    bench.clock.advance(30)
    await bench.turn()
    assert (await bench.view("hopeless")).tries == 2
    bench.clock.advance(30)
    await bench.turn()
    view = await bench.view("hopeless")
    assert view.state == "refused"
    assert "revert" in str(view.problem)
    assert await bench.told("hopeless") == ["executor.refused"]
    assert await bench.rows("executor_nonces") == []


async def test_what_would_revert_is_sent_once_it_would_not(bench: Bench) -> None:
    await bench.intend(reverting("early"))
    await bench.turn(1)
    await bench.chain.ask("anvil_setCode", REVERTING_HEX, COUNTER_CODE)
    bench.clock.advance(1)
    await bench.turn()
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("early") == ["final"]


async def test_our_own_mined_transaction_makes_what_waits_due_at_once(bench: Bench) -> None:
    await bench.intend(counting("first"))
    await bench.turn()
    await bench.intend(reverting("second"))
    for _ in range(12):  # its waits grow to many seconds
        bench.clock.advance(16)
        await bench.turn()
    await bench.chain.ask("anvil_setCode", REVERTING_HEX, COUNTER_CODE)
    await bench.chain.mine()
    await bench.turn(2)
    assert await bench.states("first", "second") == ["mined", "sent"]


async def test_what_is_signed_is_sent_even_if_it_would_revert_by_then(bench: Bench) -> None:
    call = ContractCall(REVERTING, b"")
    await bench.chain.ask("anvil_setCode", REVERTING_HEX, COUNTER_CODE)
    await bench.intend(
        Intent("late", "fake", Sender.RELAYER, call, "relay", "subject:late"), counting("next")
    )
    await bench.turn()
    await bench.chain.ask("anvil_setCode", REVERTING_HEX, "0x5f5ffd")
    await bench.chain.mine()
    await bench.turn()
    assert await bench.states("late", "next") == ["mined", "mined"]
    await bench.chain.mine()
    await bench.turn()
    assert await bench.states("late", "next") == ["failed", "final"]
    assert await bench.told("late") == ["executor.mined", "executor.failed"]
    assert (await bench.view("late")).problem == "the call reverted"


async def test_only_what_is_not_signed_can_be_withdrawn(bench: Bench) -> None:
    await bench.intend(reverting("waiting"), counting("sent"))
    await bench.turn()
    for cause, answer in (("waiting", True), ("sent", False), ("unknown", False)):
        async with bench.db.begin() as tx:
            assert await operations.withdraw(tx, cause) is answer
    bench.clock.advance(60)
    await bench.turn()
    assert await bench.states("waiting", "sent") == ["withdrawn", "sent"]
    async with bench.db.read() as tx:
        assert [view.intent.cause for view in await operations.list_open(tx)] == ["sent"]
