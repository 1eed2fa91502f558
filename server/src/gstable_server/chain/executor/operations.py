"""What the rest of the server may ask of the executor: want, take back, look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gstable_server.chain.executor import moves, store
from gstable_server.chain.executor.model import Funds, Intent, IntentView
from gstable_server.plumbing.db import Tx


async def intend(tx: Tx, intent: Intent) -> bool:
    """Want ``intent`` sent, from the commit of ``tx`` on; False when its cause is known already,
    whatever became of it: another try after a refusal needs another cause.

    The executor of any process takes it up. Its moves are told as ``executor.mined``, ``final``,
    ``failed`` and ``refused``, with the intent's ``subject`` as their object; ``mined`` is told
    again when it is mined again.
    """
    return await store.insert(tx, intent)


async def withdraw(tx: Tx, cause: str) -> bool:
    """Take an intent back; False when it is unknown, signed already, or over."""
    return bool(await withdraw_all(tx, [cause]))


async def withdraw_all(tx: Tx, causes: Sequence[str]) -> frozenset[str]:
    """The same of several: which were taken back."""
    return await moves.withdraw(tx, causes)


async def find(tx: Tx, cause: str) -> IntentView | None:
    """What has become of the intent with that cause."""
    return await store.find(tx, cause)


async def find_all(tx: Tx, causes: Sequence[str]) -> dict[str, IntentView]:
    """The same of several, by cause; those that are unknown are left out."""
    return {view.intent.cause: view for view in await store.find_all(tx, causes)}


async def list_open(tx: Tx, limit: int = 100) -> list[IntentView]:
    """Intents whose outcome is not known yet, the oldest first."""
    return await store.list_open(tx, limit)


async def funds(tx: Tx) -> list[Funds]:
    """The sending accounts and what they had when they were last looked at."""
    return await store.list_funds(tx)


async def backlog(tx: Tx) -> list[tuple[str, str, int, datetime]]:
    """By network and sender: how many intents are without an outcome, and since when the oldest
    has been wanted."""
    return await store.backlog(tx)
