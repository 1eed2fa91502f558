"""Booking and reading the book."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gstable_server.kernel.ids import TransferId
from gstable_server.ledger import store
from gstable_server.ledger.model import Transfer
from gstable_server.plumbing.db import Tx


async def post(tx: Tx, transfer: Transfer) -> bool:
    """Book ``transfer``, once per cause; False when it had been booked before."""
    return bool(await post_all(tx, (transfer,)))


async def post_all(tx: Tx, transfers: Sequence[Transfer]) -> frozenset[str]:
    """Book ``transfers`` as if one after the other, each once per cause, also when two of them
    have the same; those without entries are left out. Returns the causes that were new.

    The number of statements does not grow with the number of transfers.
    """
    once: dict[str, Transfer] = {}
    for transfer in transfers:
        if transfer.entries:
            once.setdefault(transfer.cause, transfer)
    names: dict[str, TransferId] = {}
    for together in _turns(once.values()):
        names |= await store.insert(tx, together)
    new = [(names[cause], transfer) for cause, transfer in once.items() if cause in names]
    if new:
        await store.insert_entries(tx, new)
    return frozenset(names)


def _turns(transfers: Iterable[Transfer]) -> list[list[Transfer]]:
    """``transfers`` in as few statements as can be: what takes one back comes after it, because
    it names the row."""
    turn_of: dict[str, int] = {}
    turns: list[list[Transfer]] = []
    for transfer in transfers:
        turn = turn_of.get(transfer.reverses or "", -1) + 1
        turn_of[transfer.cause] = turn
        if turn == len(turns):
            turns.append([])
        turns[turn].append(transfer)
    return turns


async def balances(tx: Tx) -> dict[tuple[str, str], int]:
    """Every account's balance in atomic units, by (token id, account)."""
    return await store.balances(tx)
