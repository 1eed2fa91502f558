"""Booking and reading the book."""

from __future__ import annotations

from gstable_server.ledger import store
from gstable_server.ledger.model import Transfer
from gstable_server.plumbing.db import Tx


async def post(tx: Tx, transfer: Transfer) -> bool:
    """Book ``transfer``, once per cause; False when it had been booked before."""
    if not transfer.entries:
        return False
    return await store.insert(tx, transfer)


async def balances(tx: Tx) -> dict[tuple[str, str], int]:
    """Every account's balance in atomic units, by (token id, account)."""
    return await store.balances(tx)
