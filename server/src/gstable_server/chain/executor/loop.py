"""Runs the senders of a process, each at its own pace, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from gstable_server.chain.executor import store
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.executor.node import Node
from gstable_server.chain.executor.runner import Limits, Runner
from gstable_server.chain.networks import Network
from gstable_server.chain.signer import TxSigner
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.regularly import pause

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.1
"""How often the queue is looked at: one question for all senders together."""
IDLE_SECONDS = 4.0
"""How often an executor without work looks for what another one signed and left behind; nothing
else tells of it, and it is to go on within ten seconds."""
BACK_OFF_SECONDS = (0.25, 10.0)


class Executor:
    """The sending accounts of this process: ``keys`` are private keys, 32 bytes each.

    Raises ``ValueError`` when one is no key.
    """

    def __init__(self, db: Database, keys: Mapping[Sender, bytes], limits: Limits) -> None:
        self._db = db
        self._signers = {sender: TxSigner(key) for sender, key in keys.items()}
        self._limits = limits
        self._wakes: dict[tuple[str, Sender], asyncio.Event] = {}

    async def send_on(self, network: Network, node: Node, stop: asyncio.Event) -> None:
        """Send what is wanted on ``network`` until ``stop``; trouble here reaches no other."""
        async with asyncio.TaskGroup() as group:
            for sender, signer in self._signers.items():
                runner = Runner(self._db, network, sender, signer, node, self._limits)
                wake = self._wakes.setdefault(runner.key, asyncio.Event())
                group.create_task(_take_turns(runner, wake, stop))

    async def watch_queue(self, stop: asyncio.Event) -> None:
        """Wake the senders that have something to do, until ``stop``."""
        while not stop.is_set():
            try:
                async with self._db.read() as tx:
                    due = await store.senders_due(tx)
            except Exception:  # the edge: a lost database must not end the process
                log.exception("queue of transactions not read")
                due = set()
            for key, wake in self._wakes.items():
                if key in due:
                    wake.set()
            await pause(stop, LOOK_SECONDS)
        for wake in self._wakes.values():
            wake.set()


async def _take_turns(runner: Runner, wake: asyncio.Event, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        wake.clear()
        try:
            busy = await runner.turn()
        except asyncio.CancelledError:
            raise
        except Passing as failure:
            failures += 1
            log.warning("no turn of the executor", sender=runner.key, reason=str(failure))
            await pause(stop, max(_back_off(failures), failure.retry_after or 0))
        except Exception:  # the edge: a bug or a lost database must not end the process
            failures += 1
            log.exception("turn of the executor failed", sender=runner.key)
            await pause(stop, _back_off(failures))
        else:
            failures = 0
            # What becomes due is begun at once if there is room; what is in flight is looked at
            # once a pause.
            seconds = runner.pause_seconds if busy else IDLE_SECONDS
            await pause(wake if runner.has_room else stop, seconds)


def _back_off(failures: int) -> float:
    least, most = BACK_OFF_SECONDS
    return min(least * 2.0 ** min(failures - 1, 10), most)
