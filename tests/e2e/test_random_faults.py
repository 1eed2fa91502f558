"""Many payments while the chain turns back and processes die, at random: all end right, once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import pytest

from gstable_server.chain.devnet import BLOCK_SECONDS
from gstable_server.reconciliation.model import Outcome
from tests.e2e.reconciled import reconciled
from tests.e2e.shop import Shop
from tests.running import Running, eventually

SESSIONS = 10
SHARE = 9_980_000
NETWORK, TOKEN = "polygon", "polygon::usdc"
DEEPEST = 2
"""One block less than the network's confirmations: what is final does not turn back."""

ROLES = ("worker", "indexer")

_BOOK = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM ledger_entries GROUP BY transfer_id, token_id
            HAVING sum(amount) <> 0) AS unbalanced) AS unbalanced,
       (SELECT sum(amount) FROM ledger_entries) AS rest,
       (SELECT count(*) FROM outbox o JOIN events e USING (sequence) WHERE e.type LIKE 'chain.%')
            AS unheard,
       sum(e.amount) FILTER (WHERE e.account ~ '^merchant:[0-9a-f]+$') AS settled,
       sum(e.amount) FILTER (WHERE e.account ~ ':(pending|exceptional)$') AS unsettled,
       count(DISTINCT t.session_id) AS sessions
FROM ledger_entries e JOIN ledger_transfers t USING (transfer_id) WHERE t.session_id = ANY($1)
"""


@pytest.mark.parametrize("seed", [1])
def test_i2_random_reorganisations_and_deaths_credit_every_payment_once(
    shop: Shop, seed: int
) -> None:
    chance = random.Random(seed)
    # Given a merchant's wallet and ten sessions
    before = shop.balance(TOKEN)
    session_ids = [shop.session(TOKEN) for _ in range(SESSIONS)]
    # When each is paid, and after each something goes wrong or not
    for session_id in session_ids:
        shop.pays(session_id, TOKEN)
        for _ in range(chance.randrange(3)):
            if chance.random() < 0.6:
                _turn_back(shop.running, chance.randint(1, DEEPEST))
            else:
                _kill(shop.running, chance.choice(ROLES))
    # Then every session completes, and says so once
    for session_id in session_ids:
        shop.reaches(session_id, "completed")
        eventually(
            lambda session_id=session_id: (
                shop.running.told(session_id)[-1:] == ["session.completed"]
            ),
            f"the last letter of {session_id}",
        )
        told = shop.running.told(session_id)
        assert (told.count("session.paid"), told.count("session.completed")) == (1, 1)
    # And the wallet has what the book says, which is each share once
    book = asyncio.run(_book(shop.running, session_ids))
    assert shop.balance(TOKEN) - before == book["settled"] == SESSIONS * SHARE
    assert (book["unbalanced"], book["rest"], book["unsettled"]) == (0, 0, 0)
    assert (book["sessions"], book["unheard"]) == (SESSIONS, 0)
    # And an independent reader of all chains finds what the book says
    outcome = eventually(lambda: _compared(shop.running), "all is read and heard")
    assert outcome.differences == ()


def _compared(running: Running) -> Outcome | None:
    """None while something is in motion, or a chain has just turned back."""
    outcome = asyncio.run(reconciled(running))
    return None if outcome.left_out or outcome.unread else outcome


def _turn_back(running: Running, depth: int) -> None:
    """Replace the newest blocks by empty ones, and mine again what was in them."""
    # Standing still, the chain grows by no block between the look and the turn.
    running.rpc(NETWORK, "evm_setIntervalMining", 0)
    head = int(running.rpc(NETWORK, "eth_blockNumber"), 16)
    taken = []
    for number in range(head - depth, head + 1):
        block = running.rpc(NETWORK, "eth_getBlockByNumber", hex(number), False)
        for tx_hash in block["transactions"]:
            raw = running.rpc(NETWORK, "eth_getRawTransactionByHash", tx_hash)
            taken.append((tx_hash, raw))
    running.rpc(NETWORK, "anvil_reorg", depth, [])
    for tx_hash, raw in taken:
        if running.rpc(NETWORK, "eth_getTransactionReceipt", tx_hash) is None:
            running.rpc(NETWORK, "eth_sendRawTransaction", raw)
    running.rpc(NETWORK, "evm_mine")
    running.rpc(NETWORK, "evm_setIntervalMining", BLOCK_SECONDS)


def _kill(running: Running, role: str) -> None:
    """End a role that is running, also one that was ended a moment ago and came back."""
    running.kill(role)


async def _book(running: Running, session_ids: Sequence[str]) -> asyncpg.Record:
    connection = await asyncpg.connect(running.about["databaseUrl"])
    try:
        row = await connection.fetchrow(_BOOK, session_ids)
        assert row is not None
        return row
    finally:
        await connection.close()
