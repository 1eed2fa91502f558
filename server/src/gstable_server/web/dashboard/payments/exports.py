"""Exports: everything that passes, as a stream, in one snapshot of the database.

A row leaves the database when the client has taken the rows before it, so memory is flat however
long the export is, and a client that hangs up ends the query.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from gstable_server.accounts.audit.model import Note
from gstable_server.kernel.errors import Passing
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.tenant import Mode
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.ledger.days import TokenTotal
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.lists import operations as lists
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.web.dashboard.payments import export_formats as formats
from gstable_server.web.dashboard.payments.export_columns import COLUMNS, VERSION, What, Writer
from gstable_server.web.dashboard.payments.export_formats import CONTENT_TYPES, Format
from gstable_server.web.dashboard.payments.session_filter import NAMES, Typed, typed
from gstable_server.web.dashboard.purse import Purse
from gstable_server.web.dashboard.speech import N_

AT_ONCE = 8
"""Exports that one process makes at the same time, one for each merchant: each holds a connection
of its own, for as long as its reader takes."""
PART_BYTES = 64 * 1024
PARTS_AHEAD = 2
WAIT_SECONDS = 60.0
"""How long a client may take for one part, before it counts as gone."""
SECONDS_MAX = 3600.0
"""A snapshot that stays open keeps the database from tidying up."""
_SLOW_READERS = f"SET LOCAL idle_in_transaction_session_timeout = '{int(WAIT_SECONDS) * 2}s'"

ABOUT = {
    What.SESSIONS: N_("One row for each session, with its payment, fee and refunds."),
    What.REFUNDS: N_("One row for each refund that was prepared, and what became of it."),
    What.LEDGER: N_("Every entry of the book about your payments, in the order of booking."),
    What.FEES: N_("The platform's fees of your payments, as they became final."),
}
TITLES = {
    What.SESSIONS: N_("Sessions"),
    What.REFUNDS: N_("Refunds"),
    What.LEDGER: N_("Ledger"),
    What.FEES: N_("Fees"),
}
Rows = AsyncGenerator[Mapping[str, Any], None]
Parts = AsyncGenerator[bytes, None]


class Exports:
    """The handlers of the page and of the files."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.networks = guard.desk.networks
        self._under_way: set[MerchantId] = set()
        self._making: set[asyncio.Task[None]] = set()

    async def show(self, visit: Visit) -> Response:
        return await self._show(visit, 200)

    async def _show(self, visit: Visit, status: int) -> Response:
        """What can be exported, with the filters of the list that it was asked from, beside what
        the book says at this moment."""
        asked = typed(visit, self.networks)
        async with self.db.snapshot() as tx:
            totals = await ledger.holdings(tx, visit.tenant)
        return self.guard.show(
            visit,
            "exports.html",
            "exports",
            status=status,
            form=asked.form,
            filters=[(name, asked.form.value(name)) for name in NAMES if asked.form.value(name)],
            kinds=[(what.value, TITLES[what], ABOUT[what]) for what in What],
            formats=[one.value for one in Format],
            totals=[self._total(total, visit.tenant.mode) for total in totals.values()],
        )

    async def make(self, visit: Visit) -> Response:
        """The file. Who took it, of what and by which filters, is in the audit log before the
        first byte leaves."""
        name = visit.request.path_params["what"]
        if name not in set(What):
            return self.guard.missing()
        what = What(name)
        asked = typed(visit, self.networks)
        chosen = visit.entries.get("format", "")
        form = Format(chosen) if chosen in set(Format) else Format.CSV
        if asked.form.errors:
            # Else a filter that was mistyped would export more than was asked for.
            return await self._show(visit, 422)
        if visit.tenant.merchant_id in self._under_way or len(self._under_way) >= AT_ONCE:
            raise Passing("as many exports as may be are under way", retry_after=10)
        note = _note(what, form, asked)
        await self.guard.do(visit, lambda _: note, _nothing)
        suffix = "jsonl" if form is Format.JSON else "csv"
        file_name = f"{what.value}-v{VERSION}-{visit.tenant.mode.value}.{suffix}"
        return Download(
            self._apart(self._file(visit, what, form, asked)),
            media_type=CONTENT_TYPES[form],
            headers={
                **PAGE_HEADERS,
                "content-disposition": f'attachment; filename="{file_name}"',
                "x-gstable-export": f"{what.value}/{VERSION}",
            },
        )

    async def _apart(self, parts: Parts) -> Parts:
        """``parts``, made by a task of its own: the request's is cancelled again and again when the
        client hangs up, and could not even give its connection back."""
        made: asyncio.Queue[bytes | None] = asyncio.Queue()
        room = asyncio.Semaphore(PARTS_AHEAD)
        task = asyncio.create_task(_fill(parts, made, room))
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        try:
            while (part := await made.get()) is not None:
                yield part
                room.release()
            # A file that broke off must not look like a whole one.
            await task
        finally:
            task.cancel()

    async def _file(self, visit: Visit, what: What, form: Format, asked: Typed) -> Parts:
        columns = COLUMNS[what]
        writer = Writer(self.networks, visit.tenant.mode)
        with self._turn(visit.tenant.merchant_id):
            async with asyncio.timeout(SECONDS_MAX), self._snapshot() as tx:
                part = bytearray(formats.head(form, columns))
                async with aclosing(self._rows(tx, visit, what, asked)) as rows:
                    async for row in rows:
                        part += formats.line(form, columns, writer.cells(what, row))
                        if len(part) >= PART_BYTES:
                            yield bytes(part)
                            part.clear()
                yield bytes(part)

    @contextmanager
    def _turn(self, merchant_id: MerchantId) -> Iterator[None]:
        """One merchant's slow reader must not keep the others waiting."""
        self._under_way.add(merchant_id)
        try:
            yield
        finally:
            self._under_way.discard(merchant_id)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Tx]:
        """On a connection of its own: slow readers take none from the pages."""
        async with self.db.apart("gstable export") as own, own.snapshot() as tx:
            await tx.execute(_SLOW_READERS)
            yield tx

    async def _rows(self, tx: Tx, visit: Visit, what: What, asked: Typed) -> Rows:
        wanted, tenant = asked.wanted, visit.tenant
        since: datetime | None = wanted.since
        if what is What.SESSIONS:
            found = lists.export(tx, self.networks, tenant, wanted)
        elif what is What.REFUNDS:
            found = lists.export_refunds(tx, tenant, since, wanted.until)
        else:
            account = book.FEES if what is What.FEES else None
            found = ledger.export(tx, tenant, account=account, since=since, until=wanted.until)
        async with aclosing(found) as rows:
            async for row in rows:
                yield row

    def _total(self, total: TokenTotal, mode: Mode) -> tuple[str, tuple[str, ...]]:
        """Settled, given back and kept; and beside them what is no revenue."""
        purse = Purse(self.networks, mode)
        amounts = (
            total.settled, total.refunded, total.kept, total.pending, total.exceptional, total.fees,
        )  # fmt: skip
        return total.token_id, tuple(purse.text(total.token_id, amount) for amount in amounts)


class Download(StreamingResponse):
    """A stream that is closed when nobody reads it: at its end, when the client hangs up, and when
    it takes no part within ``WAIT_SECONDS``."""

    async def stream_response(self, send: Send) -> None:
        async def patient(message: Any) -> None:
            async with asyncio.timeout(WAIT_SECONDS):
                await send(message)

        assert isinstance(self.body_iterator, AsyncGenerator)
        async with aclosing(self.body_iterator):
            await super().stream_response(patient)


async def _fill(parts: Parts, made: asyncio.Queue[bytes | None], room: asyncio.Semaphore) -> None:
    """Make parts as there is room for them; None at the end, whatever that was."""
    try:
        async with aclosing(parts):
            await room.acquire()
            async for part in parts:
                made.put_nowait(part)
                await room.acquire()
    finally:
        made.put_nowait(None)


async def _nothing(tx: Tx) -> None:
    """Only the audit log's line is written."""


def _note(what: What, form: Format, asked: Typed) -> Note:
    filters = {name: asked.form.value(name) for name in NAMES if asked.form.value(name)}
    return Note("exported", what.value, after={"format": form.value, **filters})
