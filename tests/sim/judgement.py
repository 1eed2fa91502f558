"""The whole, judged at the end against what stands on the chains and what people were promised."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.sessions.model import Session
from gstable_server.sessions.refunds.model import Refund
from gstable_server.webhooks.machine import WAITS_SECONDS
from tests.sim.chain import SimChain, SimTx
from tests.sim.custody_judgement import (
    captured,
    deposits_are_right,
    gone_from,
    holds_are_right,
    resting_states,
)
from tests.sim.kernel import Violation
from tests.sim.networks import SOLVER
from tests.sim.payments import Paid
from tests.sim.receivers import Receivers
from tests.sim.sales import Sale, Way
from tests.sim.world import TOLD, World

STANDING = ("final", "returned")
"""Where a payment rests that stands on its chain: returned, when its rail gave it back later."""


async def judge(connection: Any, world: World, receivers: Receivers) -> None:
    """Raises ``Violation`` for the first thing that is not as the chains say."""
    payments = await _payments_are_the_chains(connection, world)
    await _sessions_are_right(connection, world, payments)
    await _books_are_right(connection, world)
    await _refunds_are_right(connection, world)
    await deposits_are_right(connection, world)
    await holds_are_right(connection, world)
    await _keys_make_one_object(connection, world)
    await _each_call_took_effect_once(connection, world)
    await _what_was_sent_stands(connection, world)
    await _letters_are_delivered(connection, world, receivers)


async def _payments_are_the_chains(connection: Any, world: World) -> dict[bytes, Any]:
    """I2, I3: every payment that stands on a chain is known once, as it is, and nothing else."""
    rows = await connection.fetch("SELECT * FROM payments ORDER BY payment_id")
    standing: dict[tuple[str, bytes], Any] = {}
    for row in rows:
        if row["state"] in STANDING:
            if (row["network"], row["tx_hash"]) in standing:
                raise Violation("I2", f"0x{row['tx_hash'].hex()} is credited twice")
            standing[row["network"], row["tx_hash"]] = row
        elif row["state"] != "lost":
            raise Violation("I12", f"a payment rests as {row['state']}")
    for network, tx, paid in _credited(world):
        _is_the_payment(tx, paid, standing.pop((network, tx.tx_hash), None))
    for network, tx_hash in standing:
        raise Violation("I3", f"0x{tx_hash.hex()} is not on {network} and was credited")
    return {row["tx_hash"]: row for row in rows}


def _credited(world: World) -> Iterator[tuple[str, SimTx, Paid]]:
    """Every payment that stands on a canonical branch, by our own router."""
    for network, chain in world.chains.items():
        for tx, effects in chain.canonical():
            for paid in effects.paid if effects.succeeded else ():
                if paid.by_router:
                    yield network, tx, paid


def _is_the_payment(tx: SimTx, paid: Paid, row: Any) -> None:
    if row is None:
        raise Violation("I2", f"0x{tx.tx_hash.hex()} stands on the chain and was not credited")
    found = (int(row["amount"]), int(row["fee_received"]), int(row["merchant_received"]))
    if found != (paid.amount, paid.fee, paid.arrived):
        raise Violation("I2", f"{paid} was credited as {found}")


async def _sessions_are_right(connection: Any, world: World, payments: dict[bytes, Any]) -> None:
    rows = await connection.fetch("SELECT session_id, session_key, state FROM sessions")
    states = {row["session_key"]: row["state"] for row in rows}
    standing: dict[bytes, list[tuple[SimTx, Paid]]] = defaultdict(list)
    for _, tx, paid in _credited(world):
        standing[paid.session_key].append((tx, paid))
    captures = captured(world)
    for sale in world.sales:
        if sale.session is None:
            continue
        key = sale.session.session_key
        rows = [payments[tx.tx_hash] for tx, _ in standing[key]]
        paying = [row for row in rows if row["pays"]]
        state = states.pop(key, None)
        _sale_is_right(sale, state, rows, standing[key])
        if state not in resting_states(sale, bool(paying), captures):
            what = f"{sale.key}, whose payer {sale.plan.value} {sale.way.value},"
            raise Violation("I4", f"{what} is {state}, paid by {len(paying)} payments")
    for key, state in states.items():
        if state != "expired":
            raise Violation("I12", f"session 0x{key.hex()}, that nobody knows, is {state}")


def _sale_is_right(
    sale: Sale, state: str | None, rows: list[Any], standing: list[tuple[SimTx, Paid]]
) -> None:
    good = [tx for tx, paid in standing if _may_pay(sale, tx, paid)]
    paying = [row for row in rows if row["pays"]]
    what = f"{sale.key}, whose payer {sale.plan.value} {sale.way.value},"
    if len(paying) > 1:
        raise Violation("I5", f"{what} is paid by {len(paying)} payments")
    if paying and paying[0]["tx_hash"] not in {tx.tx_hash for tx in good}:
        raise Violation("I2", f"{what} is paid by what does not pay it")
    is_only = sale.way is Way.DEPOSIT or sale.sent + (sale.call is not None) == 1
    once = len(good) == 1 and is_only
    went_back = any(row["state"] == "returned" for row in rows)
    if once and not paying and not went_back and _surely_in_time(sale, good[0]):
        raise Violation("I12", f"{what} was paid in time and is {state}")


def _surely_in_time(sale: Sale, tx: SimTx) -> bool:
    return max(tx.tries) <= unix_seconds(_session(sale).expires_at)


def _session(sale: Sale) -> Session:
    assert sale.session is not None
    return sale.session


def _may_pay(sale: Sale, tx: SimTx, paid: Paid) -> bool:
    """Whether the payment may complete its session: it can have been in time, and is enough."""
    in_time = min(tx.tries) <= unix_seconds(_session(sale).expires_at)
    if sale.deposit is not None:
        asked = {one.token.address: one.quote for one in sale.deposit.options}
        quote = asked.get(paid.token)
        enough = quote is not None and paid.promised >= quote.merchant_receives.atomic
        return in_time and enough and paid.merchant == sale.merchant.wallet
    if sale.order is None:
        return False
    order = sale.order.order
    enough = paid.arrived >= order.merchant_amount or paid.rail in {"escrow", "hold"}
    right = paid.token == order.token.address and paid.merchant == order.merchant
    return in_time and enough and right


async def _books_are_right(connection: Any, world: World) -> None:
    """I2 and I13: the book is the sum of what stands on the chains, and of nothing else."""
    expected: Counter[tuple[str, str]] = Counter()
    for network, _, paid in _credited(world):
        paying = world.networks.token_id_at(network, paid.token)
        expected[paying, "payers"] -= paid.amount + paid.fee
        expected[paying, "fees"] += paid.fee
        expected[paid.settlement, "merchants"] += paid.arrived
        if paid.rail == "swap":
            expected[paying, "conversion:swap"] += paid.amount
            expected[paid.settlement, "conversion:swap"] -= paid.arrived
        elif paid.rail is not None:
            expected[paying, f"rail:{paid.rail}"] += paid.amount
    for network, _, gone in gone_from(world, deposits=False):
        held = world.networks.token_id_at(network, gone.token)
        expected[held, "rail:hold"] -= gone.amount
        expected[held, "fees"] += gone.fee
        expected[held, "merchants"] += gone.received
        expected[held, "payers"] += gone.amount - gone.received - gone.fee
    for chain in world.chains.values():
        _add_crossings(expected, world, chain)
    for refund in _given_back(world):
        expected[refund.terms.token_id, "payers"] += refund.terms.amount
        expected[refund.terms.token_id, "merchants"] -= refund.terms.amount
    rows = await connection.fetch(
        "SELECT token_id, account, sum(amount) AS sum FROM ledger_entries GROUP BY 1, 2"
    )
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        account = row["account"]
        if account.endswith(":pending") and row["sum"]:
            raise Violation("I12", f"{row['sum']} rests in {account}")
        merchant = account.startswith("merchant:") or account == "unmatched"
        found[row["token_id"], "merchants" if merchant else account] += int(row["sum"])
    wrong = {key for key in found.keys() | expected.keys() if found[key] != expected[key]}
    for key in sorted(wrong):
        raise Violation("I2", f"{key}: {found[key]} in the book, {expected[key]} on the chain")


def _given_back(world: World) -> list[Refund]:
    """The refunds whose transfer stands on its chain."""
    standing = {tx for chain in world.chains.values() for tx, _ in chain.canonical()}
    return [sale.refund for sale in world.sales if sale.refund and sale.refunded in standing]


_OVERDRAWN = """
SELECT t.session_id FROM ledger_entries e JOIN ledger_transfers t USING (transfer_id)
WHERE t.session_id IS NOT NULL AND e.account LIKE 'merchant:%'
GROUP BY t.session_id, e.token_id HAVING sum(e.amount) < 0
"""


async def _refunds_are_right(connection: Any, world: World) -> None:
    """I6: a refund is completed when its transfer stands, and no session gives back more than
    it was paid."""
    rows = await connection.fetch("SELECT refund_id, state FROM refunds")
    done = {row["refund_id"] for row in rows if row["state"] == "completed"}
    expected = {refund.refund_id for refund in _given_back(world)}
    if done != expected:
        raise Violation("I6", f"completed: {done - expected}, not completed: {expected - done}")
    rows = await connection.fetch(_OVERDRAWN)
    for row in rows:
        raise Violation("I6", f"{row['session_id']} has given back more than it was paid")


async def _keys_make_one_object(connection: Any, world: World) -> None:
    """I10: a sale that was opened under an idempotency key has one session."""
    rows = await connection.fetch(
        "SELECT metadata->>'sale' AS sale, count(*) AS count FROM sessions GROUP BY 1"
    )
    counts = {row["sale"]: row["count"] for row in rows}
    for sale in world.sales:
        if sale.is_idempotent and counts.get(sale.key, 0) > 1:
            raise Violation("I10", f"{sale.key} has {counts[sale.key]} sessions")


def _add_crossings(expected: Counter[tuple[str, str]], world: World, chain: SimChain) -> None:
    """What left the escrows of a chain, and what solvers brought to merchants there."""
    solver = f"solver:0x{SOLVER.hex()}"
    for what, order in chain.branch.done:
        here = chain.contracts.escrowed.get(order)
        if what == "released" and here is not None:
            paying = world.networks.token_id_at(chain.network.name, here.token)
            expected[paying, "rail:escrow"] -= here.amount
            expected[paying, solver] += here.amount
        elif what == "reclaimed" and here is not None:
            paying = world.networks.token_id_at(chain.network.name, here.token)
            expected[paying, "rail:escrow"] -= here.amount
            expected[paying, "payers"] += here.amount
        elif what == "filled":
            there = next(
                one.contracts.escrowed[order]
                for one in world.chains.values()
                if order in one.contracts.escrowed
            )
            arrived = world.networks.token_id_at(chain.network.name, there.settlement_token)
            expected[arrived, solver] -= there.merchant_amount
            expected[arrived, "merchants"] += there.merchant_amount


async def _each_call_took_effect_once(connection: Any, world: World) -> None:
    """I5: no call of ours was ever mined with two nonces, whatever became of the first; but for
    those that may be asked for twice, which are judged by what they did."""
    for network, chain in world.chains.items():
        nonces: dict[bytes, set[tuple[Address, int]]] = defaultdict(set)
        for block in chain.by_hash.values():
            for tx, _ in block.txs:
                if tx.call is not None and not chain.contracts.is_repeatable(tx.call):
                    nonces[tx.call.data].add((tx.sender, tx.nonce))
        for data, used in nonces.items():
            if len(used) > 1:
                raise Violation("I5", f"0x{data[:4].hex()}… on {network} was sent with {used}")


async def _what_was_sent_stands(connection: Any, world: World) -> None:
    """I6: what our executor holds for final is in the block that it says, on its chain."""
    rows = await connection.fetch("""
SELECT cause, network, block_number, block_hash FROM executor_intents
WHERE state IN ('final', 'failed') AND block_number IS NOT NULL
""")
    for row in rows:
        blocks, number = world.chains[row["network"]].blocks, row["block_number"]
        if number >= len(blocks) or blocks[number].header.hash != row["block_hash"]:
            raise Violation("I6", f"{dict(row)} is final and not on its chain")


_LETTERS = """
SELECT m.state, m.attempts, m.event_id, e.type
FROM webhook_messages m JOIN events e USING (event_id)
WHERE m.webhook_id = $1
"""
_TOLD = """
SELECT event_id, type, object_id FROM events WHERE merchant_id = $1 AND type = ANY($2)
"""

_CLOSED = "SELECT count(*) FROM events WHERE object_id = $1 AND type LIKE 'webhook.%'"


async def _letters_are_delivered(connection: Any, world: World, receivers: Receivers) -> None:
    """I7 and I8: each event of a subscribed type has one message, which has arrived; and nothing
    arrived that was not committed."""
    rows = await connection.fetch("SELECT event_id FROM events WHERE merchant_id IS NOT NULL")
    committed = {row["event_id"] for row in rows}
    for url, name in receivers.arrived:
        if name not in committed:
            raise Violation("I8", f"{name} arrived at {url} and was never committed")
    for merchant in world.merchants:
        if merchant.hook is None:
            continue
        told = await connection.fetch(_TOLD, merchant.tenant.merchant_id, list(TOLD))
        letters = await connection.fetch(_LETTERS, merchant.hook.webhook_id)
        closed = await connection.fetchval(_CLOSED, merchant.hook.webhook_id)
        states = {row["event_id"]: row["state"] for row in letters}
        if len(states) != len(letters):
            raise Violation("I7", "an event has two messages for one receiver")
        for row in letters:
            if row["state"] == "exhausted" and row["attempts"] < len(WAITS_SECONDS):
                raise Violation("I7", f"{dict(row)} was given up")
        for row in told:
            state = states.get(row["event_id"], "not posted")
            arrived = receivers.arrived[merchant.hook.target.url, row["event_id"]]
            if state == "delivered" and not arrived:
                raise Violation("I7", f"{dict(row)} is delivered and never arrived")
            # Nothing is posted to a receiver that is switched off.
            allowed = {"delivered", "exhausted", *(("not posted",) if closed else ())}
            if state not in allowed:
                raise Violation("I7", f"{dict(row)} is {state}")
