"""The robot payer: watches the merchant's events for test sessions with a magic total, and plays
on each what its total says.

It keeps nothing but where it has read to. Killed at any moment it goes on from there, or, without a
file to keep that in, from what is new: a session that it was at is played again only while it is
open, and no scenario pays twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import structlog

from gstable import Event, GStableError
from gstable_server.chain.devnet_controls import hurry, is_local
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.rpc import NodeRefused
from gstable_server.cli.payer import PaymentFailed
from gstable_server.cli.robot.magic import scenario_of
from gstable_server.cli.robot.scenarios import Scenario, play
from gstable_server.cli.robot.stage import RobotFailed, Stage, open_stage
from gstable_server.kernel.errors import Passing
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.log import configure_logging

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
RETRY_SECONDS = 2.0
PAYABLE = frozenset({"checkout", "payment_link"})
"""Kinds of session that are paid on the hosted page; a paying agent's own are left to it."""


async def run(environment: Mapping[str, str], cursor_file: Path | None) -> None:
    """Watch until SIGINT or SIGTERM. Raises ``RobotFailed`` naming a variable that is wrong, and
    ``ConfigurationError`` for the networks file."""
    configure_logging("info")
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        async with open_stage(environment) as stage:
            await watch(stage, cursor_file)


async def watch(stage: Stage, cursor_file: Path | None = None) -> None:
    """Play until cancelled. One session after the other, because one wallet pays them all."""
    await _restore(stage)
    cursor = _kept(cursor_file)
    while True:  # bounded: ends with the task
        try:
            feed = await stage.client.event.feed(cursor)
        except GStableError as failure:
            log.warning("no events", reason=str(failure))
            await asyncio.sleep(RETRY_SECONDS)
            continue
        for event in feed.events:
            await _act(stage, event)
        if feed.cursor != cursor:
            cursor = feed.cursor
            _keep(cursor_file, cursor)
        if not feed.events:
            await asyncio.sleep(LOOK_SECONDS)


async def _restore(stage: Stage) -> None:
    """Hurry the local chains that a robot before this one may have left slow."""
    for network in stage.networks.of(Mode.TEST):
        if is_local(network):
            async with open_rpc(network) as rpc:
                await hurry(rpc)


def wanted(event: Event) -> tuple[str, Scenario] | None:
    """The session to play on, and what; None for every event that is none of ours."""
    session = event.payload.get("sessionData")
    if event.event_type != "session.created" or not isinstance(session, Mapping):
        return None
    scenario = scenario_of(int(session["amount"]))
    if scenario is None or session["sessionType"] not in PAYABLE:
        return None
    return str(session["sessionId"]), scenario


async def _act(stage: Stage, event: Event) -> None:
    """Play on one session. What fails is said, and left: the next session is another's."""
    found = wanted(event)
    if found is None:
        return
    session_id, scenario = found
    try:
        played = await play(scenario, stage, session_id)
    except (
        GStableError,
        NodeRefused,
        Passing,
        PaymentFailed,
        RobotFailed,
        TimeoutError,
        aiohttp.ClientError,
    ) as failure:
        log.warning("not played", session=session_id, scenario=scenario, reason=str(failure))
    else:
        log.info("played", session=session_id, scenario=scenario, tx=played.tx_hash_hex)


def _kept(file: Path | None) -> str:
    return file.read_text() if file is not None and file.is_file() else "start"


def _keep(file: Path | None, cursor: str) -> None:
    """Written beside and moved into place, so that a death leaves the old one or the new one."""
    if file is not None:
        fresh = file.with_suffix(".new")
        fresh.write_text(cursor)
        fresh.replace(file)
