"""Writing acts down, reading them, and proving that none was changed.

What changes an entry, removes one, or adds one in between is found at the first entry that does
not fit. Who cuts off the last entries, or computes all hashes anew, is found only by a head that
was kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from gstable_server.accounts.audit import store
from gstable_server.accounts.audit.model import (
    BEFORE_ALL,
    Act,
    Actor,
    Entry,
    Head,
    Note,
    next_head,
    shortened,
)
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Database, Tx

READ_AT_ONCE = 1000
SHOWN = 50
NUMBER_MAX = 2**62


@dataclass(slots=True)
class Written:
    """What an act wrote down in its last transaction: one that was tried again left nothing."""

    notes: list[tuple[MerchantId, Note]] = field(default_factory=list)
    _tx: Tx | None = None

    def add(self, tx: Tx, merchant_id: MerchantId, note: Note) -> None:
        if tx is not self._tx:
            self._tx, self.notes = tx, []
        self.notes.append((merchant_id, note))

    @property
    def is_once(self) -> bool:
        """Whether it is one act, in the log of each merchant that it concerns: a password is that
        of all teams of a person."""
        merchants = {merchant_id for merchant_id, _ in self.notes}
        return len({note.what for _, note in self.notes}) == 1 and len(merchants) == len(self.notes)


_WRITTEN: ContextVar[Written | None] = ContextVar("audit_entries_of_an_act", default=None)


@contextmanager
def counted() -> Iterator[Written]:
    """What is written down until the end, by whoever begins this."""
    written = Written()
    token = _WRITTEN.set(written)
    try:
        yield written
    finally:
        _WRITTEN.reset(token)


async def record(tx: Tx, actor: Actor, action: Action, note: Note, mode: str = "") -> None:
    """Write one act down, in the transaction that does it: both are kept, or neither."""
    await store.take_turn(tx)
    act = Act(actor, action, mode, shortened(note), tx.now)
    await store.insert(tx, Entry(next_head(await store.newest(tx), act), act))
    written = _WRITTEN.get()
    if written is not None:
        written.add(tx, actor.merchant_id, note)


@dataclass(frozen=True, slots=True)
class Filter:
    """What of a merchant's log is to be seen; what is empty lets everything pass."""

    action: str = ""
    email: str = ""
    about: str = ""
    before: int = NUMBER_MAX


async def entries(tx: Tx, merchant_id: MerchantId, wanted: Filter) -> list[Entry]:
    """A merchant's latest entries, the newest first: one more than ``SHOWN`` where there are."""
    return await store.of_merchant(
        tx,
        merchant_id,
        action=wanted.action,
        email=wanted.email,
        about=wanted.about,
        before=wanted.before,
        limit=SHOWN + 1,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """``checked`` entries fit; ``head`` is the last of them, to be kept elsewhere. ``problem`` is
    "" or says what is wrong with entry ``head.number + 1``, or with the kept head."""

    checked: int
    head: Head
    problem: str


async def verify(db: Database, kept: Head | None = None) -> Verdict:
    """Read the whole log, a page at a time, and compare it with its hashes; ``kept`` is a head
    that an earlier run gave."""
    head, problem = await _chain(db)
    if not problem and kept is not None and kept != BEFORE_ALL:
        async with db.read() as tx:
            found = await store.find(tx, kept.number)
        if found is None:
            problem = f"the log was cut off: it has {head.number} entries, and had {kept.number}"
        elif found != kept:
            problem = f"entry {kept.number} had another hash when the head was kept"
    return Verdict(head.number, head, problem)


async def _chain(db: Database) -> tuple[Head, str]:
    head = BEFORE_ALL
    while True:  # bounded: by the log
        async with db.read() as tx:
            page = await store.after(tx, head.number, READ_AT_ONCE)
        for entry in page:
            if entry.head.number != head.number + 1:
                return head, f"entry {head.number + 1} was removed"
            if next_head(head, entry.act) != entry.head:
                return head, f"entry {entry.head.number} is not what was written"
            head = entry.head
        if not page:
            return head, ""
