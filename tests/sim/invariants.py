"""What must always hold, read from the database and compared with the chains' truth.

``Watch`` judges what has been written since it last looked: after every so many steps, and after
every single one when a failed seed is repeated. ``judge_the_end`` compares the whole.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gstable_server.chain.abi.payments import TRANSFERRED
from gstable_server.chain.orders import session_key
from gstable_server.chain.rpc import Log
from gstable_server.kernel.address import Address
from gstable_server.webhooks.machine import WAITS_SECONDS
from tests.sim.kernel import Violation
from tests.sim.world import World

_SUMS = "SELECT token_id, sum(amount) AS sum FROM ledger_entries GROUP BY 1 HAVING sum(amount) <> 0"
_TOLD = """
SELECT sequence, object_id, type, payload->'sessionData'->>'status' AS status FROM events
WHERE sequence > $1 AND type LIKE 'session.%' ORDER BY sequence
"""
_FACTS = """
SELECT fact_number, network, kind, what, tx_hash, log_position, block_number, block_hash,
    body->>'sessionKey' AS session_key, body->>'rail' AS rail, body->>'amount' AS amount,
    body->>'merchantReceived' AS received
FROM chain_facts WHERE fact_number > $1 ORDER BY fact_number
"""
_STATES = "SELECT session_id, session_key, state FROM sessions"
_SETTLED = """
SELECT t.session_id, sum(e.amount) AS amount
FROM ledger_entries e JOIN ledger_transfers t USING (transfer_id)
WHERE e.account LIKE 'merchant:%' AND e.account NOT LIKE 'merchant:%:%' GROUP BY 1
"""
_GIVEN_UP = """
SELECT event_id, attempts FROM webhook_messages WHERE state = 'exhausted' AND attempts < $1
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
    # All of a hold went back to its payer.
    ("paid", "cancelled"),
    ("settling", "cancelled"),
}
"""Edges that a session may take, as letters tell them; I4."""


STATE_OF = {
    "session.created": "initialized",
    "session.paid": "paid",
    "session.settling": "settling",
    "session.settlement_pending": "settlement_pending",
    "session.completed": "completed",
    "session.expired": "expired",
    "session.cancelled": "cancelled",
    "session.payment_reverted": "initialized",
}
"""Which letter tells of the change to which state; the others tell of money."""


class Watch:
    """The invariants that are judged while the history goes on."""

    def __init__(self, connection: Any, world: World) -> None:
        self._connection = connection
        self._world = world
        self._told = 0
        self._facts = 0
        self._states: dict[str, str] = {}
        self._judged: dict[tuple[str, int], bytes] = {}
        self._final: set[tuple[str, bytes, int]] = set()
        self._final_sessions: set[bytes] = set()
        self._held: Counter[bytes] = Counter()
        """What is held for a session for good, by its key, and has not left the hold for good."""
        self._received: Counter[bytes] = Counter()
        """What its merchant got out of it for good."""
        self._seen: set[tuple[str, bytes, bytes, str]] = set()
        """Network, block, transaction and kind of every log that was told as seen."""

    async def look(self) -> None:
        """Raises ``Violation``."""
        await self._facts_are_true()
        await self._book_is_balanced()
        await self._edges_are_legal()
        await self._states_are_told()
        await self._letters_are_not_given_up()
        await self._frontiers_are_complete()

    async def _book_is_balanced(self) -> None:
        for row in await self._connection.fetch(_SUMS):
            raise Violation("I1", f"the book of {row['token_id']} sums to {row['sum']}")
        for row in await self._connection.fetch(_SETTLED):
            self._require_final(row["session_id"], "money settled")
            key = session_key(row["session_id"])
            if key in self._held and row["amount"] > self._received[key]:
                got = f"{row['amount']} settled, {self._received[key]} captured for good"
                raise Violation("I5", f"{row['session_id']}: {got}")

    def _require_final(self, session_id: str, what: str) -> None:
        """I5: nothing is settled for a session without a payment that cannot be taken back."""
        if session_key(session_id) not in self._final_sessions:
            raise Violation("I5", f"{session_id}: {what} without a final payment")

    async def _edges_are_legal(self) -> None:
        for row in await self._connection.fetch(_TOLD, self._told):
            self._told = row["sequence"]
            session_id, after = row["object_id"], row["status"]
            before = self._states.get(session_id)
            self._states[session_id] = after
            changed = STATE_OF.get(row["type"])
            if changed is not None and (changed != after or before == after):
                raise Violation("I7", f"{session_id} was {before}: {row['type']} with {after}")
            if changed is None and before != after:
                raise Violation("I7", f"{session_id} was {before}: {row['type']} with {after}")
            if before is not None and before != after and (before, after) not in LEGAL:
                raise Violation("I4", f"{session_id} went from {before} to {after}")
            if changed == "completed":
                self._require_final(session_id, "completed")
                left = self._held[session_key(session_id)]
                if left:
                    raise Violation("I5", f"{session_id}: completed while {left} is held")

    async def _states_are_told(self) -> None:
        """I7: the last letter of every session tells its state; one that is committed without the
        other is seen here."""
        for row in await self._connection.fetch(_STATES):
            told = self._states.get(row["session_id"])
            if told != row["state"]:
                raise Violation("I7", f"{row['session_id']} is {row['state']}, told as {told}")

    async def _letters_are_not_given_up(self) -> None:
        """I7: a letter is tried as often as was promised before it is given up."""
        for row in await self._connection.fetch(_GIVEN_UP, len(WAITS_SECONDS)):
            raise Violation("I7", f"{row['event_id']} was given up after {row['attempts']} tries")

    async def _facts_are_true(self) -> None:
        """I3: whatever is told of a log was in that block once, by a contract of ours."""
        for row in await self._connection.fetch(_FACTS, self._facts):
            self._facts = row["fact_number"]
            self._follow(row)
            block = self._world.chains[row["network"]].by_hash.get(row["block_hash"])
            if block is None:
                raise Violation("I3", f"a fact of a block that never was: {dict(row)}")
            contract = self._contract_of(row["network"], row["kind"])
            logs = [log for log in block.logs if log.tx_hash == row["tx_hash"]]
            if not any(contract in {None, log.address} for log in logs):
                raise Violation("I3", f"a {row['kind']} of which no contract tells: {dict(row)}")

    def _contract_of(self, network: str, kind: str) -> Address | None:
        """Whose logs alone tell of that; None for tokens, which may be any."""
        contracts = self._world.chains[network].contracts
        router = self._world.networks.network(network).router
        told_by = {"payment": router, "hold": contracts.holds.address}
        return {**told_by, "recovery": contracts.deposits.address}.get(kind)

    def _follow(self, row: Any) -> None:
        """I4 and I6: final only what is deep enough on its chain, and then for ever."""
        log = row["network"], row["tx_hash"], row["log_position"]
        if log in self._final:
            raise Violation("I4", f"a final log was told as {row['what']}: {dict(row)}")
        # Final at once, as in a backfill, is seen, too.
        if row["what"] in ("seen", "final"):
            self._seen.add((row["network"], row["block_hash"], row["tx_hash"], row["kind"]))
        if row["what"] != "final":
            return
        chain = self._world.chains[row["network"]]
        depth = chain.highest - row["block_number"] + 1
        if depth < chain.network.confirmations:
            raise Violation("I6", f"final with {depth} confirmations: {dict(row)}")
        self._final.add(log)
        if row["kind"] == "payment":
            self._final_sessions.add(_key(row))
            if row["rail"] == "hold":
                self._held[_key(row)] += int(row["amount"])
        elif row["kind"] == "hold":
            self._held[_key(row)] -= int(row["amount"])
            self._received[_key(row)] += int(row["received"])

    async def _frontiers_are_complete(self) -> None:
        """I9: blocks are linked, and whatever of a block that was passed concerns us is known."""
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
        for log in block.logs:
            kind = self._kind_of(network, log)
            if kind is not None and (network, name, log.tx_hash, kind) not in self._seen:
                what = f"the {kind} 0x{log.tx_hash.hex()}"
                raise Violation("I9", f"block {number} of {network} was passed without {what}")

    def _kind_of(self, network: str, log: Log) -> str | None:
        """What the log must be told as; None for what concerns nobody, or was not asked for."""
        chain = self._world.chains[network]
        contracts = chain.contracts
        told_by = {
            chain.network.router: "payment",
            contracts.holds.address: "hold",
            contracts.deposits.address: "recovery",
        }
        if log.address in told_by:
            return told_by[log.address]
        if log.topics[0] != TRANSFERRED.topic:
            return None
        return "inbound" if Address(log.topics[2][12:]) in self._world.deposits.sales else None


def _key(row: Any) -> bytes:
    return bytes.fromhex(row["session_key"][2:])
