"""``gstable ledger``: looks at the book as it stands in the database."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gstable_server.ledger import operations as ledger
from gstable_server.ledger.seals import Seal
from gstable_server.ledger.verification import Verdict
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemClock, SystemIdMint


async def verify(database_url: str, kept: Seal | None, *, as_json: bool) -> bool:
    """Compare the book with its seals, print what was found, and say whether all is well."""
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=1)
    try:
        verdict = await ledger.verify(db, kept)
    finally:
        await db.close()
    if as_json:
        print(json.dumps({**asdict(verdict), "head": str(verdict.head)}))
    else:
        _show(verdict)
    return not verdict.problems


def _show(verdict: Verdict) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if verdict.problems:
        table = Table("seal", "transfer", "cause", "what is wrong", box=None)
        for one in verdict.problems:
            number = "" if one.seal_number is None else str(one.seal_number)
            table.add_row(
                number, *(escape(text or "") for text in (one.transfer_id, one.cause, one.what))
            )
        console.print(table, soft_wrap=False)
    console.print(f"{verdict.checked} seals fit, {verdict.unsealed} transfers wait for theirs")
    console.print(f"head {verdict.head}")
