"""How the installation that the console's pictures show does: well, and then with troubles.

Nothing runs beside the gallery, so what an indexer, an executor and a reconciliation would record
is recorded here, by their own stores, as of the gallery's clock.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gstable_server.chain import store_states
from gstable_server.chain.executor import store as executor_store
from gstable_server.chain.executor.model import Funds, Sender
from gstable_server.chain.testing import FakeChain
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Tx
from gstable_server.reconciliation import store as outcomes
from gstable_server.reconciliation.model import Difference, Outcome, Reading
from tests.browser.studio import Studio

HEADS = {
    "ethereum": 24_137_904,
    "base": 40_218_377,
    "arbitrumone": 417_660_215,
    "polygon": 81_093_462,
}
"""The newest block by network."""

COIN = 10**18
RELAYER = Address(bytes.fromhex("9965507d1a55bcc2695c58ba16fb37d819b0a4dc"))
ASKED = 100
"""More questions than are asked while pictures are taken: none is answered."""


async def all_is_well(studio: Studio) -> None:
    """Every network is read to its newest block, there is gas money, and the book agrees."""
    while await studio.db.run(ledger.seal):
        pass
    async with studio.db.begin() as tx:
        for name, head in HEADS.items():
            await store_states.put_state(tx, name, head, head, None)
            await _funds(tx, name, 3 * COIN + COIN // 4, enough=True)
        await outcomes.add_outcome(tx, _outcome(tx))


async def troubles(studio: Studio) -> None:
    """What an operator may be woken by: a network that stands still, one that is behind, one that
    nobody reads and whose nodes do not answer; an empty account, and a book that differs."""
    async with studio.db.begin() as tx:
        why = f"polygon took back blocks {HEADS['polygon'] - 3} to {HEADS['polygon']} with a final"
        await store_states.put_state(tx, "polygon", HEADS["polygon"], 0, f"{why} log")
        await store_states.put_state(tx, "base", HEADS["base"] - 1_840, HEADS["base"], None)
        await tx.execute(
            "UPDATE chain_states SET updated_at = $1 WHERE network = 'arbitrumone'",
            tx.now - timedelta(minutes=9),
        )
        await _funds(tx, "base", COIN // 500, enough=False)
        found = Difference(None, "base::usdc", "fees", 1_290_000, 1_240_000)
        outcome = replace(_outcome(tx), at=tx.now - timedelta(minutes=4))
        await outcomes.add_outcome(tx, replace(outcome, count=1, differences=(found,)))
    silent = studio.outer.chains["arbitrumone"]
    assert isinstance(silent, FakeChain)
    silent.trouble = [Passing("no node answers")] * ASKED


async def _funds(tx: Tx, network: str, balance: int, *, enough: bool) -> None:
    found = Funds(network, Sender.RELAYER, RELAYER, balance, enough, tx.now)
    await executor_store.save_funds(tx, found)


def _outcome(tx: Tx) -> Outcome:
    readings = tuple(Reading(name, head) for name, head in HEADS.items())
    return Outcome(tx.now - timedelta(minutes=17), readings, 24, 0, 0, ())
