"""Secrets that people type: wrong ones are counted, and after some the next try has to wait."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping

from gstable_server.accounts.members import store
from gstable_server.accounts.members.model import FAILURES_REMEMBERED, LoginRefused, back_off
from gstable_server.plumbing.db import Tx


async def guarded(
    tx: Tx, subjects: Mapping[str, int], is_right: Callable[[], Awaitable[bool]]
) -> LoginRefused | None:
    """None if ``is_right``, which is not asked while a wait is due. ``subjects`` are what a wrong
    try is counted against, each with how many are free of waiting.

    A refusal is an answer and not an exception, because its counting has to be committed.
    """
    wait = await _wait(tx, subjects)
    if wait:
        return LoginRefused(wait)
    if await is_right():
        return None
    for subject in subjects:
        await store.insert_failure(tx, subject)
    return LoginRefused(0)


async def _wait(tx: Tx, subjects: Mapping[str, int]) -> int:
    """Seconds until the next try may be made, 0 for now. Tries for one subject take turns, else a
    hundred at once would all be the first."""
    waits = [0]
    for subject, allowed in subjects.items():
        if not await store.try_lock_login(tx, subject):
            waits.append(1)
            continue
        many, last = await store.failures(tx, subject, tx.now - FAILURES_REMEMBERED)
        if last is not None:
            remaining = last + back_off(many, allowed) - tx.now
            waits.append(math.ceil(remaining.total_seconds()))
    return max(waits)
