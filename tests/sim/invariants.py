"""What must always hold, read from the database and compared with the chains' truth.

``Watch`` judges what has been written since it last looked: after every so many steps, and after
every single one when a failed seed is repeated. ``judge_the_end`` compares the whole.
"""

from __future__ import annotations

from typing import Any

from tests.sim.kernel import Violation
from tests.sim.world import World

_SUMS = "SELECT token_id, sum(amount) AS sum FROM ledger_entries GROUP BY 1 HAVING sum(amount) <> 0"
_TOLD = """
SELECT sequence, object_id, type, payload->'sessionData'->>'status' AS status FROM events
WHERE sequence > $1 AND type LIKE 'session.%' ORDER BY sequence
"""
_FACTS = """
SELECT fact_number, network, kind, what, tx_hash, block_number, block_hash FROM chain_facts
WHERE fact_number > $1 ORDER BY fact_number
"""
_BLOCKS = """
SELECT network, number, hash, parent_hash FROM chain_blocks WHERE number >= $1
ORDER BY network, number
"""
LOOKED_BACK = 400
"""Blocks below the highest that are looked at again; a reorganisation goes less deep."""

LEGAL = {
    ("initialized", "paid"),
    ("initialized", "expired"),
    ("initialized", "cancelled"),
    ("expired", "paid"),
    ("paid", "completed"),
    ("paid", "settling"),
    ("paid", "settlement_pending"),
    ("paid", "initialized"),
    ("settling", "completed"),
    ("settling", "settlement_pending"),
    ("settling", "initialized"),
    ("settlement_pending", "settling"),
    ("settlement_pending", "completed"),
    ("settlement_pending", "initialized"),
}
"""Edges that a session may take, as letters tell them; I4."""


class Watch:
    """The invariants that are judged while the history goes on."""

    def __init__(self, connection: Any, world: World) -> None:
        self._connection = connection
        self._world = world
        self._told = 0
        self._facts = 0
        self._states: dict[str, str] = {}
        self._judged: dict[tuple[str, int], bytes] = {}
        self._seen: set[tuple[str, bytes, bytes]] = set()
        """Network, block and transaction of every payment that was told as seen."""

    async def look(self) -> None:
        """Raises ``Violation``."""
        await self._book_is_balanced()
        await self._edges_are_legal()
        await self._facts_are_true()
        await self._frontiers_are_complete()

    async def _book_is_balanced(self) -> None:
        for row in await self._connection.fetch(_SUMS):
            raise Violation("I1", f"the book of {row['token_id']} sums to {row['sum']}")

    async def _edges_are_legal(self) -> None:
        for row in await self._connection.fetch(_TOLD, self._told):
            self._told = row["sequence"]
            session_id, after = row["object_id"], row["status"]
            before = self._states.get(session_id)
            self._states[session_id] = after
            if before is None or before == after:
                continue
            if (before, after) not in LEGAL:
                raise Violation("I4", f"{session_id} went from {before} to {after}")

    async def _facts_are_true(self) -> None:
        """I3: whatever is told of a log was in that block once, by a contract of ours."""
        for row in await self._connection.fetch(_FACTS, self._facts):
            self._facts = row["fact_number"]
            if (row["kind"], row["what"]) == ("payment", "seen"):
                self._seen.add((row["network"], row["block_hash"], row["tx_hash"]))
            block = self._world.chains[row["network"]].by_hash.get(row["block_hash"])
            if block is None:
                raise Violation("I3", f"a fact of a block that never was: {dict(row)}")
            router = self._world.networks.network(row["network"]).router
            logs = [log for log in block.logs if log.tx_hash == row["tx_hash"]]
            if row["kind"] == "payment" and all(log.address != router for log in logs):
                raise Violation("I3", f"a payment that our router did not take: {dict(row)}")

    async def _frontiers_are_complete(self) -> None:
        """I9: blocks are linked, and every payment of a block that was passed is known."""
        last: dict[str, Any] = {}
        fresh: list[tuple[str, int, bytes]] = []
        shortest = min(len(chain.blocks) for chain in self._world.chains.values())
        for row in await self._connection.fetch(_BLOCKS, shortest - LOOKED_BACK):
            network, number = row["network"], row["number"]
            below = last.get(network)
            follows = below is not None and below["number"] == number - 1
            if follows and below["hash"] != row["parent_hash"]:
                raise Violation("I9", f"block {number} of {network} does not follow")
            last[network] = row
            if self._judged.get((network, number)) != row["hash"]:
                self._judged[network, number] = row["hash"]
                fresh.append((network, number, row["hash"]))
        for network, number, name in fresh:
            self._require_complete(network, number, name)

    def _require_complete(self, network: str, number: int, name: bytes) -> None:
        block = self._world.chains[network].by_hash.get(name)
        if block is None:
            raise Violation("I9", f"block {number} of {network} never was")
        router = self._world.networks.network(network).router
        for log in block.logs:
            if log.address == router and (network, name, log.tx_hash) not in self._seen:
                what = f"0x{log.tx_hash.hex()}"
                raise Violation("I9", f"block {number} of {network} was passed without {what}")
