"""Deposit addresses and holds, judged at the end against what stands on the chains."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from gstable_server.kernel.address import Address
from tests.sim.chain import SimTx
from tests.sim.effects import Effects, Gone, at_address
from tests.sim.kernel import Violation
from tests.sim.networks import RELAYER
from tests.sim.sales import Sale, Way
from tests.sim.world import World

RETURNED = ("voided", "reclaimed")
_KIND_OF = {"captured": "capture", "voided": "void", "reclaimed": "reclaim"}
"""What we are asked for, so that this happens to a hold."""


def standing(world: World) -> Iterator[tuple[str, SimTx, Effects]]:
    """Every transaction that did something and stands on its chain."""
    for network, chain in world.chains.items():
        for tx, effects in chain.canonical():
            if effects.succeeded:
                yield network, tx, effects


def gone_from(world: World, *, deposits: bool) -> Iterator[tuple[str, SimTx, Gone]]:
    """What left deposit addresses by being sent back, or what left holds."""
    for network, tx, effects in standing(world):
        for gone in effects.gone:
            if (gone.what == "recovered") is deposits:
                yield network, tx, gone


# --- deposits -------------------------------------------------------------------------------------

_INFLOWS = """
SELECT network, tx_hash, token, receiver, state, final, amount, collected, returned FROM inflows
WHERE source = 'transfer'
"""


async def deposits_are_right(connection: Any, world: World) -> None:
    """I2: whatever came to an address was collected for its merchant, once, or was sent back, or
    is there still because it is worth nothing to us; and all of that is known."""
    if not world.deposits.given:
        return
    _none_is_collected_twice(world)
    left = world.deposits.to_be_returned()
    if left:
        raise Violation("I2", f"neither collected nor sent back: {left}")
    came, taken, back = _flows(world)
    rows = await connection.fetch(_INFLOWS)
    known: Counter[tuple[str, bytes]] = Counter()
    told: dict[tuple[str, bytes], Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row["state"] == "gone":
            continue
        known[row["network"], row["tx_hash"]] += int(row["amount"])
        place = row["network"], at_address(Address(row["token"]), Address(row["receiver"]))
        told[place].update(collected=int(row["collected"]), returned=int(row["returned"]))
        if not row["final"]:
            raise Violation("I12", f"what came to an address is not final: {dict(row)}")
    _require_same("came to addresses", known, came)
    _require_same("was collected", {key: one["collected"] for key, one in told.items()}, taken)
    _require_same("was sent back", {key: one["returned"] for key, one in told.items()}, back)


def _none_is_collected_twice(world: World) -> None:
    collected = Counter(
        paid.session_key
        for _, _, effects in standing(world)
        for paid in effects.paid
        if paid.collected
    )
    for key, count in collected.items():
        if count > 1:
            raise Violation("I5", f"session 0x{key.hex()} was collected {count} times")


def _flows(world: World) -> tuple[Counter[Any], Counter[Any], Counter[Any]]:
    """What came to addresses by transaction, and what payments and returns took by place."""
    addresses = world.deposits.sales
    came: Counter[Any] = Counter()
    taken: Counter[Any] = Counter()
    back: Counter[Any] = Counter()
    for network, tx, effects in standing(world):
        for place, change in effects.kept:
            if Address(place[20:]) not in addresses:
                continue
            if change > 0:
                came[network, tx.tx_hash] += change
            else:
                (taken if effects.paid else back)[network, place] -= change
    return came, taken, back


def _require_same(what: str, found: Any, expected: Counter[Any]) -> None:
    for key in sorted(expected.keys() | found.keys()):
        amount = found.get(key, 0)
        if amount != expected[key]:
            network, name = key
            raise Violation(
                "I2", f"{what} on {network}, 0x{name.hex()}: {amount} known, {expected[key]} there"
            )


# --- holds ----------------------------------------------------------------------------------------

_MOVES = "SELECT state, log FROM hold_moves"
_HELD = """
SELECT network, tx_hash, amount, hold_captured, hold_returned FROM payments
WHERE state = 'final' AND hold_capture_before IS NOT NULL
"""
_INSTRUCTIONS = (
    "SELECT instruction_id, network, kind, amount, state, tx_hash FROM hold_instructions"
)


async def holds_are_right(connection: Any, world: World) -> None:
    """I2: what was held reached the merchant and the fees, or went back; nothing is held any more,
    and all of that is known. I5: nothing was moved by us that nobody asked for, or twice."""
    if not any(sale.way is Way.HELD for sale in world.sales):
        return
    left = list(world.holds.left(world.sales))
    if left:
        raise Violation("I2", f"still held: {left}")
    gone = {(network, tx.tx_hash): one for network, tx, one in gone_from(world, deposits=False)}
    for row in await connection.fetch(_MOVES):
        log = row["log"]
        if row["state"] == "lost":
            continue
        if row["state"] != "final":
            raise Violation("I12", f"what left a hold rests as {row['state']}: {log}")
        expected = gone.pop((log["network"], _bytes(log["txHash"])), None)
        found = (log["what"], *(int(log[name]) for name in _AMOUNTS))
        if expected is None or found != _told(expected):
            raise Violation("I2", f"{found} left a hold, {expected} on the chain")
    for (network, tx_hash), one in gone.items():
        raise Violation("I2", f"{one} by 0x{tx_hash.hex()} on {network} is not known")
    await _payments_are_emptied(connection)
    await _instructions_are_done(connection, world)


_AMOUNTS = ("amount", "merchantReceived", "feeReceived")


def _told(gone: Gone) -> tuple[str, int, int, int]:
    return gone.what, gone.amount, gone.received, gone.fee


def _bytes(text_hex: str) -> bytes:
    return bytes.fromhex(text_hex.removeprefix("0x"))


async def _payments_are_emptied(connection: Any) -> None:
    for row in await connection.fetch(_HELD):
        if row["hold_captured"] + row["hold_returned"] != row["amount"]:
            raise Violation("I2", f"counted wrongly, though nothing is held: {dict(row)}")


async def _instructions_are_done(connection: Any, world: World) -> None:
    """Each transaction of ours at a hold was one that somebody asked for, and did just that."""
    ours = {
        (network, tx.tx_hash): gone
        for network, tx, gone in gone_from(world, deposits=False)
        if tx.sender == RELAYER
    }
    for row in await connection.fetch(_INSTRUCTIONS):
        if row["state"] in {"requested", "mined"}:
            raise Violation("I12", f"a hold's instruction is still open: {dict(row)}")
        if row["state"] != "done":
            continue
        gone = ours.pop((row["network"], row["tx_hash"]), None)
        if gone is None or _KIND_OF[gone.what] != row["kind"]:
            raise Violation("I5", f"{dict(row)} is done, and that was {gone}")
        if gone.what == "captured" and gone.amount != row["amount"]:
            raise Violation("I5", f"{dict(row)} moved {gone.amount}")
    for (network, tx_hash), gone in ours.items():
        raise Violation("I5", f"nobody asked for {gone} by 0x{tx_hash.hex()} on {network}")


# --- sessions -------------------------------------------------------------------------------------


def captured(world: World) -> Counter[bytes]:
    """What merchants have got out of holds for good, by the session's key."""
    found: Counter[bytes] = Counter()
    for _, _, gone in gone_from(world, deposits=False):
        found[gone.session_key] += gone.received
    return found


def resting_states(sale: Sale, paying: bool, captures: Counter[bytes]) -> set[str]:
    """Where the session of ``sale`` may rest when it is ``paying`` by a payment that stands, or
    is not."""
    if not paying:
        return {"expired", "cancelled"}
    assert sale.session is not None
    if sale.way is Way.HELD and not captures[sale.session.session_key]:
        return {"cancelled"}
    return {"completed"}
