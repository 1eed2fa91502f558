"""Whether the book is still what was sealed.

What changes a row, removes one, adds one, or exchanges two, is found at the first seal that no
longer fits. Who cuts off the last transfers with their seals, or computes all seals anew, is found
only by a head that was kept elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.ledger import store_seals
from gstable_server.ledger.seals import BEFORE_ALL, Seal, next_seal
from gstable_server.ledger.store_seals import SealedRow, Waiting
from gstable_server.plumbing.db import Database

SEALS_AT_ONCE = 2000
SEALED_WITHIN = timedelta(seconds=60)
"""How long a transfer may wait for its seal before that is a problem."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and with which row: the seal, the transfer and its cause, as far as they are
    known."""

    what: str
    seal_number: int | None = None
    transfer_id: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``checked`` seals fit the book; ``head`` is the last of them, to be kept elsewhere.

    ``unsealed`` transfers wait for their seal, which is no problem for ``SEALED_WITHIN``.
    ``problems`` begin with the first row of the chain that was tampered with.
    """

    checked: int
    head: Seal
    unsealed: int
    problems: tuple[Problem, ...]


async def verify(db: Database, kept: Seal | None = None) -> Verdict:
    """Read the whole book, a page at a time, and compare it with its seals; ``kept`` is a head
    that an earlier run gave."""
    head, problem = await _chain(db)
    problems = [problem] if problem else []
    if kept is not None and (cut := await _behind(db, kept)):
        problems.append(cut)
    # What the pages before did not show, because no seal leads there.
    async with db.read() as tx:
        if added := await store_seals.stranger(tx):
            problems.append(Problem("has no seal and was not written by the server", None, *added))
        if lost := await store_seals.orphan(tx):
            number, transfer_id = lost
            problems.append(Problem(f"entry {number} belongs to no transfer", None, transfer_id))
        waiting = await store_seals.waiting(tx)
        if waiting is not None:
            problems += _late(waiting, tx.now - SEALED_WITHIN)
    return Verdict(head.number, head, waiting.count if waiting else 0, tuple(problems))


async def _chain(db: Database) -> tuple[Seal, Problem | None]:
    """The last seal that fits, and what is wrong with the one behind it."""
    head = BEFORE_ALL
    while True:  # bounded: by the book
        async with db.read() as tx:
            page = await store_seals.sealed(tx, head.number, SEALS_AT_ONCE)
        for place, row in enumerate(page):
            if not _fits(head, row):
                following = page[place + 1 : place + 2] or await _following(db, row)
                return head, _misfit(head, row, following)
            head = row.seal
        if not page:
            return head, None


def _fits(head: Seal, row: SealedRow) -> bool:
    return row.transfer is not None and next_seal(head, row.transfer) == row.seal


async def _following(db: Database, row: SealedRow) -> list[SealedRow]:
    async with db.read() as tx:
        return await store_seals.sealed(tx, row.seal.number, 1)


def _misfit(head: Seal, row: SealedRow, following: list[SealedRow]) -> Problem:
    """Name the first seal that does not fit. ``following`` tells whether the seal was changed or
    what it vouches for: the seal behind it was computed from what it was."""
    number = head.number + 1
    if row.seal.number != number:
        return Problem(f"seal {number} was removed", number)
    if row.transfer is None:
        return Problem("the transfer was removed", number, row.transfer_id)
    expected = next_seal(head, row.transfer)
    balances: dict[str, int] = {}
    for entry in row.transfer.entries:
        balances[entry.token_id] = balances.get(entry.token_id, 0) + entry.amount
    if any(_fits(expected, each) for each in following):
        what = "the seal was changed"
    elif not row.transfer.entries or any(balances.values()):
        what = "an entry was changed, added or removed: they do not sum to zero"
    else:
        what = "the transfer, an entry of it or its seal is not what was sealed"
    return Problem(what, number, row.transfer_id, row.transfer.cause)


async def _behind(db: Database, kept: Seal) -> Problem | None:
    """What is wrong with the chain if ``kept`` is not in it."""
    if kept == BEFORE_ALL:
        return None
    async with db.read() as tx:
        found = await store_seals.find(tx, kept.number)
        newest = await store_seals.newest(tx)
    if found is None:
        return Problem(
            f"the book was cut off: it has {newest.number} seals, and had {kept.number}",
            min(newest.number + 1, kept.number),
        )
    if found != kept:
        return Problem("another seal had that number when the head was kept", kept.number)
    return None


def _late(waiting: Waiting, since: datetime) -> list[Problem]:
    """What is wrong with transfers that wait for their seal."""
    if waiting.cause is None or waiting.posted_at is None:
        return [Problem("the transfer was removed before it was sealed", None, waiting.transfer_id)]
    if waiting.posted_at >= since:
        return []
    what = f"not sealed since {waiting.posted_at:%Y-%m-%d %H:%M:%S} UTC: is a worker running?"
    return [Problem(what, None, waiting.transfer_id, waiting.cause)]
