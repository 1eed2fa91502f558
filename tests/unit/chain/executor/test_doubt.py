"""Nodes that forget, turn back or lie, and somebody else with our key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from gstable_server.chain.executor.node import Account, HttpNode
from gstable_server.chain.executor.runner import Runner
from gstable_server.chain.rpc import ProviderFailed
from gstable_server.chain.rpc_answers import Receipt
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from tests.unit.chain.executor.conftest import Bench
from tests.unit.chain.executor.local_chain import counting

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]


class Liar:
    """The real node, but for what a test replaces."""

    def __init__(self, node: HttpNode) -> None:
        self._node = node
        self.receipt: Callable[[Receipt], Receipt | None] = lambda receipt: receipt
        self.tell: Callable[[Account], Account] = lambda account: account
        self.drops_answers = False
        self.drops_questions = False
        self.estimate_gas = node.estimate_gas
        self.blocks_by_number = node.blocks_by_number
        self.mined_at = node.mined_at
        self.spent_in = node.spent_in

    async def account(self, address: Address) -> Account:
        return self.tell(await self._node.account(address))

    async def receipts(self, tx_hashes: Sequence[bytes]) -> tuple[Receipt | None, ...]:
        found = await self._node.receipts(tx_hashes)
        return tuple(self.receipt(one) if one else None for one in found)

    async def send_raw(self, raw_tx: bytes) -> bytes:
        if self.drops_questions:
            raise ProviderFailed("the question never arrived")
        answer = await self._node.send_raw(raw_tx)
        if self.drops_answers:
            raise ProviderFailed("the connection was lost after the question arrived")
        return answer


def lied_to(bench: Bench) -> Liar:
    liar = Liar(bench.chain.node)
    bench.runner = bench.new_runner(liar)
    return liar


# --- what the node says of a mined transaction ------------------------------------------------


async def test_a_block_that_is_taken_back_is_left_and_the_same_bytes_are_sent_again(
    bench: Bench,
) -> None:
    await bench.intend(counting("turned back"))
    await bench.turn()
    await bench.chain.mine()
    await bench.turn()
    assert await bench.states("turned back") == ["mined"]
    await bench.chain.ask("anvil_reorg", 1, [])
    assert await bench.chain.count("turned back") == 0
    bench.runner = bench.new_runner()
    await bench.turn(2)
    assert await bench.states("turned back") == ["sent"]
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("turned back") == ["final"]
    assert await bench.chain.count("turned back") == 1
    assert len(await bench.rows("executor_attempts")) == 1
    assert await bench.told("turned back") == ["executor.mined"] * 2 + ["executor.final"]


@pytest.mark.parametrize(
    "lie",
    [
        lambda receipt: replace(receipt, block_hash=b"\x77" * 32),
        lambda receipt: replace(receipt, block_number=receipt.block_number + 50),
        lambda receipt: replace(receipt, block_number=receipt.block_number - 1),
        lambda receipt: None,
    ],
    ids=["another block", "a block to come", "the wrong number", "none at all"],
)
async def test_a_receipt_is_only_believed_with_its_block(
    bench: Bench, lie: Callable[[Receipt], Receipt | None]
) -> None:
    liar = lied_to(bench)
    await bench.intend(counting("doubted"))
    await bench.turn()
    await bench.chain.mine(3)
    liar.receipt = lie
    await bench.turn(3)
    assert await bench.states("doubted") == ["sent"]
    assert len(await bench.rows("executor_nonces")) == 1, "and nothing is sent a second time"
    liar.receipt = lambda receipt: receipt
    await bench.turn()
    assert await bench.states("doubted") == ["final"]


async def test_a_node_that_forgets_a_receipt_takes_nothing_back(bench: Bench) -> None:
    liar = lied_to(bench)
    await bench.intend(counting("kept"))
    await bench.turn()
    await bench.chain.mine()
    await bench.turn()
    liar.receipt = lambda receipt: None
    await bench.turn(2)
    assert await bench.states("kept") == ["mined"]


async def test_nothing_is_signed_on_the_word_of_a_node_that_lacks_what_was_final(
    bench: Bench,
) -> None:
    liar = lied_to(bench)
    await bench.intend(counting("old"))
    await bench.turn()
    await bench.chain.mine(2)
    await bench.turn()
    assert await bench.states("old") == ["final"]
    liar.tell = lambda account: replace(account, mined=0, waiting=0)
    await bench.intend(counting("new"))
    await bench.turn()
    assert await bench.states("new") == ["queued"]
    assert "final" in str((await bench.view("new")).problem)


async def test_nothing_is_signed_behind_more_nonces_than_anybody_has_waiting(
    bench: Bench,
) -> None:
    liar = lied_to(bench)
    liar.tell = lambda account: replace(account, waiting=10_000)
    await bench.intend(counting("far"))
    await bench.turn()
    assert await bench.states("far") == ["queued"]
    assert await bench.rows("executor_nonces") == []


# --- sending --------------------------------------------------------------------------------


async def test_ops_09_a_lost_answer_to_a_sent_transaction_costs_nothing(bench: Bench) -> None:
    liar = lied_to(bench)
    liar.drops_answers = True
    await bench.intend(counting("unsure"))
    await bench.turn()
    assert await bench.states("unsure") == ["signed"], "what is not known is not claimed"
    liar.drops_answers = False
    bench.runner = bench.new_runner()
    await bench.turn()
    assert await bench.states("unsure") == ["sent"], "the node says that it knows it already"
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.chain.count("unsure") == 1
    assert len(await bench.rows("executor_attempts")) == 1


async def test_the_cheaper_transaction_may_be_mined_after_all(bench: Bench) -> None:
    liar = lied_to(bench)
    await bench.intend(counting("raised in vain"))
    await bench.turn()
    await bench.chain.mine_dear(2)
    bench.clock.advance(31)
    liar.drops_questions = True
    await bench.turn()
    assert await bench.states("raised in vain") == ["repriced"]
    cheap, dear = await bench.rows("executor_attempts")
    assert cheap["nonce"] == dear["nonce"]
    await bench.chain.mine_cheap(1)
    await bench.chain.send_again(cheap["raw"])  # another node of the network still had it
    await bench.chain.mine_cheap(2)
    await bench.turn()
    assert await bench.states("raised in vain") == ["final"]
    assert (await bench.view("raised in vain")).tx_hash == cheap["tx_hash"]
    assert await bench.chain.count("raised in vain") == 1


async def test_a_node_that_forgets_its_pool_is_given_the_same_bytes_again(bench: Bench) -> None:
    causes = [f"forgotten {number}" for number in range(4)]
    await bench.intend(*(counting(cause) for cause in causes))
    await bench.turn()
    await bench.chain.ask("anvil_dropAllTransactions")
    bench.runner = bench.new_runner()
    await bench.turn()
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states(*causes) == ["final"] * 4
    assert len(await bench.rows("executor_attempts")) == 4


async def test_without_a_node_nothing_moves(bench: Bench) -> None:
    liar = lied_to(bench)

    def silence(account: Account) -> Account:
        raise ProviderFailed("no answer")

    liar.tell = silence
    await bench.intend(counting("patient"))
    with pytest.raises(Passing):
        await bench.runner.turn()
    assert await bench.states("patient") == ["queued"]


# --- somebody else with our key ---------------------------------------------------------------


async def test_a_stolen_nonce_is_proven_and_the_intent_sent_with_another(bench: Bench) -> None:
    await bench.intend(counting("robbed"), counting("behind"))
    await bench.turn()
    thief = await bench.chain.steal_nonce(0)
    await bench.chain.mine()
    await bench.turn(2)
    assert await bench.states("robbed", "behind") == ["sent", "mined"], "no proof before depth"
    await bench.chain.mine()
    await bench.turn(2)
    [replacement] = await bench.rows("executor_replacements")
    assert replacement["tx_hash"] == thief
    assert await bench.states("robbed", "behind") == ["sent", "final"]
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("robbed") == ["final"]
    assert [await bench.chain.count(cause) for cause in ("robbed", "behind")] == [1, 1]
    nonces = {row["nonce"]: row["cause"] for row in await bench.rows("executor_nonces")}
    assert nonces == {0: "robbed", 1: "behind", 2: "robbed"}


async def test_a_used_nonce_without_a_foreign_transaction_proves_nothing(bench: Bench) -> None:
    liar = lied_to(bench)
    await bench.intend(counting("late receipt"))
    await bench.turn()
    await bench.chain.mine(5)
    liar.receipt = lambda receipt: None
    await bench.turn(3)
    assert await bench.states("late receipt") == ["sent"]
    assert await bench.rows("executor_replacements") == []
    liar.receipt = lambda receipt: receipt
    await bench.turn()
    assert await bench.states("late receipt") == ["final"]
    assert await bench.chain.count("late receipt") == 1


async def test_foreign_transactions_that_wait_are_stepped_over(bench: Bench) -> None:
    await bench.chain.steal_nonce(0)
    await bench.intend(counting("after"))
    await bench.turn()
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("after") == ["final"]
    assert [row["nonce"] for row in await bench.rows("executor_nonces")] == [1]


async def test_the_gap_of_a_dropped_foreign_transaction_is_closed(bench: Bench) -> None:
    thief = await bench.chain.steal_nonce(0)
    await bench.intend(counting("waits for nobody"))
    await bench.turn()
    await bench.chain.ask("anvil_dropTransaction", "0x" + thief.hex())
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("waits for nobody") == ["sent"]
    bench.clock.advance(31)
    await bench.turn(3)
    await bench.chain.mine()
    bench.runner = bench.new_runner()  # the node has dropped what stood behind the gap, too
    await bench.turn()
    await bench.chain.mine(2)
    await bench.turn()
    assert await bench.states("waits for nobody") == ["final"]
    causes = [str(row["cause"]) for row in await bench.rows("executor_nonces")]
    assert causes[0] == "waits for nobody"
    assert causes[1].startswith("gap:fake:0x")


async def test_the_next_intent_takes_the_gap(bench: Bench) -> None:
    thief = await bench.chain.steal_nonce(0)
    await bench.intend(counting("stuck"))
    await bench.turn()
    await bench.chain.ask("anvil_dropTransaction", "0x" + thief.hex())
    await bench.intend(counting("helps"))
    await bench.turn()
    await bench.chain.mine()
    bench.runner = bench.new_runner()  # the node has dropped what stood behind the gap, too
    await bench.turn()
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states("stuck", "helps") == ["final", "final"]
    nonces = {row["cause"]: row["nonce"] for row in await bench.rows("executor_nonces")}
    assert nonces == {"stuck": 1, "helps": 0}


# --- two executors ----------------------------------------------------------------------------


async def test_ops_07_two_executors_by_mistake_do_no_harm(bench: Bench) -> None:
    causes = [f"twice {number}" for number in range(24)]
    await bench.intend(*(counting(cause) for cause in causes))
    runners = [bench.new_runner(), bench.new_runner()]

    async def work(runner: Runner) -> None:
        for _ in range(14):
            await runner.turn()
            await asyncio.sleep(0.01)

    async def make_blocks() -> None:
        for _ in range(14):
            await bench.chain.mine()
            await asyncio.sleep(0.02)

    await asyncio.gather(*(work(runner) for runner in runners), make_blocks())
    for _ in range(4):  # what those turns did not come to
        await bench.chain.mine(2)
        await bench.turn(2)
    assert await bench.states(*causes) == ["final"] * 24
    assert [await bench.chain.count(cause) for cause in causes] == [1] * 24
    assert len(await bench.rows("executor_attempts")) == 24
    told = [await bench.told(cause) for cause in causes]
    assert told == [["executor.mined", "executor.final"]] * 24
