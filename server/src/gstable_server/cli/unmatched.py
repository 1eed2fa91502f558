"""``gstable unmatched``: an operator's list of money that pays nothing as asked.

It works on the database of ``DATABASE_URL`` with the settings of the server, so it belongs on the
server's machine: whoever may run it decides for every merchant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, help="Sort out money that came in and pays nothing as asked."
)

Id = Annotated[str, typer.Argument(help="inf_…, as the list shows it")]
Reason = Annotated[str, typer.Option(help="why, for whoever asks later")]
By = Annotated[str | None, typer.Option(help="who decides; the user of this machine if left out")]
Json = Annotated[bool, typer.Option("--json", help="one object instead of a table")]


@app.command("list")
def show_list(
    state: Annotated[
        list[str] | None, typer.Option(help="open, resolving, resolved, dismissed, expected, gone")
    ] = None,
    flag: Annotated[
        str | None, typer.Option(help="only what has this flag, as late or stray")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many at most")] = 100,
    json: Json = False,
) -> None:
    """What waits for a decision, newest first, and its sums."""
    from gstable_server.cli import unmatched_desk as desk

    states, chosen = desk.states_of(state or ()), desk.flag_of(flag)
    _run(lambda counter: counter.show_list(states, chosen, limit, as_json=json))


@app.command()
def show(inflow_id: Id, json: Json = False) -> None:
    """One of them: where it is, what can be done, and what was done."""
    _run(lambda counter: counter.show(inflow_id, as_json=json))


@app.command()
def accept(inflow_id: Id, reason: Reason, by: By = None, json: Json = False) -> None:
    """Take money that is in the merchant's wallet as payment; it completes its open session."""
    _run(lambda counter: counter.accept(inflow_id, reason, by, as_json=json))


@app.command()
def refund(
    inflow_id: Id,
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="to whom; the payer if left out")] = None,
    amount: Annotated[
        int | None, typer.Option(help="Micro-USD; all that is left if left out")
    ] = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Prepare the transfer by which the merchant's wallet gives it back."""
    _run(lambda counter: counter.refund(inflow_id, reason, by, to, amount, as_json=json))


@app.command()
def sweep(inflow_id: Id, reason: Reason, by: By = None, json: Json = False) -> None:
    """Send what is at a deposit address back to where the address commits to."""
    _run(lambda counter: counter.sweep(inflow_id, reason, by, as_json=json))


@app.command()
def dismiss(inflow_id: Id, reason: Reason, by: By = None, json: Json = False) -> None:
    """Take it out of the list, because nothing is to be done."""
    _run(lambda counter: counter.dismiss(inflow_id, reason, by, as_json=json))


def _run(work: Callable[[Any], Awaitable[None]]) -> None:
    import asyncio
    import sys

    from gstable_server.chain.configuration import ConfigurationError
    from gstable_server.cli.unmatched_desk import counter
    from gstable_server.kernel.errors import Refused
    from gstable_server.plumbing.config import SettingsInvalid
    from gstable_server.plumbing.db import DATABASE_FAILED

    async def opened() -> None:
        async with counter() as one:
            await work(one)

    try:
        asyncio.run(opened())
    except (ConfigurationError, Refused, SettingsInvalid, *DATABASE_FAILED) as failure:
        print(f"gstable: {failure}", file=sys.stderr)
        raise typer.Exit(1) from None
