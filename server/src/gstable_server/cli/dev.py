"""``gstable dev``: a whole installation that runs until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path

from rich.console import Console

from gstable_server.cli.stack import Stack, open_stack


async def run(port: int, state: Path | None, *, robot: bool, as_json: bool) -> None:
    """Start, say where everything is, wait for SIGINT or SIGTERM, and leave nothing behind.

    What dies meanwhile is started again. Raises ``DatabaseFailed`` or ``DevnetFailed`` where that
    cannot be done.
    """
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        async with open_stack(port, state, robot=robot) as stack:
            if as_json:
                print(json.dumps(stack.description()), flush=True)
            else:
                _show(stack, robot=robot)
            await stack.watching


def _show(stack: Stack, *, robot: bool) -> None:
    about = stack.description()
    console = Console(highlight=False)
    console.print("[bold]GStable is running.[/bold] Ctrl-C ends it.\n")
    rows = [
        ("merchant API", about["baseUrl"]),
        ("documentation", f"{stack.base}/docs"),
        ("dashboard", about["dashboardUrl"]),
        ("  e-mail", about["dashboardEmail"]),
        ("  password", about["dashboardPassword"]),
        ("API key", about["apiKey"]),
        ("account", about["accountId"]),
        ("webhook inbox", about["webhookInbox"]),
        ("e-mails", about["mail"]),
        ("database", about["databaseUrl"]),
        ("networks file", about["networksFile"]),
    ]
    rows += [(f"{one['name']}, chain {one['chainId']}", one["rpcUrl"]) for one in about["networks"]]
    rows += [("payer's private key", key) for key in about["payerPrivateKeys"]]
    rows += [("merchant's private key", about["merchantPrivateKey"])]
    rows += [("robot payer", "pays magic totals (docs/guide/test-mode.md)")] if robot else []
    for name, value in rows:
        console.print(f"  {name:<28} {value}", soft_wrap=True)
