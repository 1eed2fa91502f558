"""Booking and reading the book."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from gstable_server.kernel.ids import TransferId
from gstable_server.kernel.tenant import Tenant
from gstable_server.ledger import store, store_days, store_exports, store_seals
from gstable_server.ledger.days import (
    DayTotal,
    Pocket,
    TokenTotal,
    by_token,
    pockets,
    summed,
)
from gstable_server.ledger.model import Kind, Standing, Transfer
from gstable_server.ledger.seals import Seal, TransferRow, next_seal
from gstable_server.ledger.verification import verify as verify
from gstable_server.plumbing.db import Tx

SEALS_AT_ONCE = 5000
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9999, 12, 31)


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


async def seal(tx: Tx) -> int:
    """Seal transfers that were committed without one; returns how many, 0 also while another
    process does it.

    After the commit, so that those who book never wait for each other. What this process has not
    committed when it dies, the next one seals.
    """
    if not await store_seals.lock(tx):
        return 0
    waiting = await store_seals.unsealed(tx, SEALS_AT_ONCE)
    if not waiting:
        return 0
    head = await store_seals.newest(tx)
    sealed: list[tuple[Seal, TransferRow]] = []
    for transfer in waiting:
        head = next_seal(head, transfer)
        sealed.append((head, transfer))
    await store_seals.insert(tx, sealed)
    await store_days.add(tx, summed(waiting))
    return len(sealed)


async def unsealed(tx: Tx) -> tuple[int, datetime | None]:
    """How many transfers are booked and not sealed, and since when the oldest is."""
    waiting = await store_seals.waiting(tx)
    return (waiting.count, waiting.posted_at) if waiting else (0, None)


async def totals(
    tx: Tx, tenant: Tenant, since: date = FIRST_DAY, until: date = LAST_DAY
) -> list[DayTotal]:
    """What a merchant's pockets gained from ``since`` to ``until`` (days in UTC, both included), by
    day, token and kind, as the whole book says at this moment: sealed or not.

    Read in one ``Database.snapshot`` with whatever is to agree with it to the unit.
    """
    names = pockets(tenant.merchant_id)
    rows = await store_days.totals(tx, tenant, since, until, list(names))
    return [_day_total(row, names) for row in rows]


async def holdings(tx: Tx, tenant: Tenant) -> dict[str, TokenTotal]:
    """What is in a merchant's pockets now, by token id; of the same kind as ``totals``."""
    names = pockets(tenant.merchant_id)
    rows = await store_days.totals(tx, tenant, FIRST_DAY, LAST_DAY, list(names), by_day=False)
    return by_token(_day_total(row, names) for row in rows)


def _day_total(row: Mapping[str, Any], names: Mapping[str, Pocket]) -> DayTotal:
    return DayTotal(
        day=row["day"],
        token_id=row["token_id"],
        pocket=names[row["account"]],
        kind=Kind(row["kind"]),
        amount=int(row["amount"]),
        entries=int(row["entries"]),
    )


async def export(
    tx: Tx,
    tenant: Tenant,
    *,
    account: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncGenerator[Mapping[str, Any], None]:
    """The entries of a merchant's transfers booked in that time, of ``account`` or of all,
    in their order, as they are in the transaction's one snapshot."""
    async for row in store_exports.entries(tx, tenant, account, since, until):
        yield row


async def balances(tx: Tx) -> dict[tuple[str, str], int]:
    """Every account's balance in atomic units, by (token id, account)."""
    return await store.balances(tx)


def standing(tx: Tx) -> AsyncIterator[list[Standing]]:
    """What the book adds up to, for comparing it with the chains, in parts; nothing that is 0."""
    return store.standing(tx)
