"""``gstable reconcile``: the book beside what the networks' nodes say."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gstable_server import reconciling
from gstable_server.chain.networks_toml import load_networks
from gstable_server.plumbing.config import DoctorSettings
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.reconciliation.model import Outcome

SHOWN = 50


DIFFERS = 1
NOT_ALL_COMPARED = 2


async def run(database_url: str, file: Path | None, *, anew: bool, as_json: bool) -> Outcome:
    """Compare, and print what was found. Raises ``ConfigurationError``."""
    networks = load_networks(file or DoctorSettings().networks_file)
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=2)
    try:
        outcome = await reconciling.reconcile(db, networks, anew=anew)
    finally:
        await db.close()
    if as_json:
        print(json.dumps({**asdict(outcome), "at": outcome.at.isoformat()}))
    else:
        _show(outcome)
    return outcome


def exit_code(outcome: Outcome) -> int:
    """0 only if everything was compared and nothing differs. A network that could not be read is no
    difference, and no proof that there is none."""
    if outcome.count:
        return DIFFERS
    return NOT_ALL_COMPARED if outcome.unread else 0


def _show(outcome: Outcome) -> None:
    console = Console(highlight=False)
    table = Table("network", "read up to", "", title="Networks", box=None)
    for each in outcome.readings:
        block = "" if each.to_block is None else str(each.to_block)
        table.add_row(each.network, block, f"not checked: {each.unread}" if each.unread else "")
    console.print(table)
    if outcome.count:
        console.print(_differences(outcome))
    if outcome.count > SHOWN:
        console.print(f"{outcome.count - SHOWN} more: --json has them")
    console.print(
        f"\n{outcome.sessions} sessions compared, {outcome.left_out} in motion,"
        f" {outcome.count} differences"
    )


def _differences(outcome: Outcome) -> Table:
    table = Table(
        "session", "token", "account", "by the chain", "by the book", title="Differences", box=None
    )
    for one in outcome.differences[:SHOWN]:
        table.add_row(
            one.session_id or "all",
            escape(one.token_id),
            escape(one.account),
            str(one.expected),
            str(one.booked),
        )
    return table
