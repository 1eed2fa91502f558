"""The whole, judged at the end against what stands on the chains and what people were promised."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from gstable_server.kernel.clock import unix_seconds
from tests.sim.chain import Paid, SimTx
from tests.sim.kernel import Violation
from tests.sim.world import Sale, World

STANDING = ("final",)


async def judge(connection: Any, world: World) -> None:
    """Raises ``Violation`` for the first thing that is not as the chains say."""
    payments = await _payments_are_the_chains(connection, world)
    await _sessions_are_right(connection, world, payments)
    await _books_are_right(connection, world)


async def _payments_are_the_chains(connection: Any, world: World) -> dict[bytes, Any]:
    """I2, I3: every payment that stands on a chain is known once, as it is, and nothing else."""
    rows = await connection.fetch("SELECT * FROM payments ORDER BY payment_id")
    standing: dict[tuple[str, bytes], Any] = {}
    for row in rows:
        if row["state"] == "final":
            if (row["network"], row["tx_hash"]) in standing:
                raise Violation("I2", f"0x{row['tx_hash'].hex()} is credited twice")
            standing[row["network"], row["tx_hash"]] = row
        elif row["state"] != "lost":
            raise Violation("I12", f"a payment rests as {row['state']}")
    for network, chain in world.chains.items():
        for _, tx in chain.canonical():
            for paid in tx.paid:
                if not tx.succeeded or not paid.by_router:
                    continue
                row = standing.pop((network, tx.tx_hash), None)
                _is_the_payment(tx, paid, row)
    for network, tx_hash in standing:
        raise Violation("I3", f"0x{tx_hash.hex()} is not on {network} and was credited")
    return {row["tx_hash"]: row for row in rows}


def _is_the_payment(tx: SimTx, paid: Paid, row: Any) -> None:
    if row is None:
        raise Violation("I2", f"0x{tx.tx_hash.hex()} stands on the chain and was not credited")
    found = (int(row["merchant_received"]), int(row["fee_received"]))
    if found != (paid.received, paid.fee):
        raise Violation("I2", f"{paid} was credited as {found}")


async def _sessions_are_right(connection: Any, world: World, payments: dict[bytes, Any]) -> None:
    rows = await connection.fetch("SELECT session_id, session_key, state FROM sessions")
    states = {row["session_key"]: row["state"] for row in rows}
    for sale in world.sales:
        if sale.session is None:
            continue
        state = states.pop(sale.session.session_key, None)
        _sale_is_right(sale, state, [payments.get(tx.tx_hash) for tx, _ in sale.paid], world)
    for key, state in states.items():
        if state != "expired":
            raise Violation("I12", f"session 0x{key.hex()}, that nobody knows, is {state}")


def _sale_is_right(sale: Sale, state: str | None, rows: list[Any], world: World) -> None:
    chain = world.chains[sale.network.name]
    canonical = {tx.tx_hash for _, tx in chain.canonical() if tx.succeeded}
    good = [tx for tx, paid in sale.paid if tx.tx_hash in canonical and _may_pay(sale, tx, paid)]
    paying = [row for row in rows if row is not None and row["pays"] and row["state"] == "final"]
    if len(paying) > 1:
        raise Violation("I5", f"{sale.key} ({sale.plan}) is paid by {len(paying)} payments")
    if paying and paying[0]["tx_hash"] not in {tx.tx_hash for tx in good}:
        raise Violation("I2", f"{sale.key} ({sale.plan}) is paid by what does not pay it")
    if (state == "completed") != bool(paying):
        raise Violation("I4", f"{sale.key} ({sale.plan}) is {state}, payments: {len(paying)}")
    surely = [tx for tx in good if _must_pay(sale, tx)]
    if surely and len(sale.paid) == 1 and not paying:
        raise Violation("I12", f"{sale.key} ({sale.plan}) was paid and is {state}")


def _may_pay(sale: Sale, tx: SimTx, paid: Paid) -> bool:
    """Whether the payment may complete its session: it can have been in time, and is enough."""
    if sale.order is None or sale.session is None or not paid.by_router:
        return False
    order = sale.order.order
    enough = paid.received >= order.merchant_amount
    right = paid.token == order.token.address and paid.merchant == order.merchant
    return enough and right and min(tx.tries) <= unix_seconds(sale.session.expires_at)


def _must_pay(sale: Sale, tx: SimTx) -> bool:
    """Whether it was in time in every block that it was ever in."""
    assert sale.session is not None
    return max(tx.tries) <= unix_seconds(sale.session.expires_at)


async def _books_are_right(connection: Any, world: World) -> None:
    """I2 and I13: the book is the sum of what stands on the chains, and of nothing else."""
    expected: Counter[tuple[str, str]] = Counter()
    for network, chain in world.chains.items():
        for _, tx in chain.canonical():
            for paid in tx.paid:
                if tx.succeeded and paid.by_router:
                    token = world.networks.token_id_at(network, paid.token)
                    expected[token, "payers"] -= paid.received + paid.fee
                    expected[token, "fees"] += paid.fee
                    expected[token, "merchants"] += paid.received
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
