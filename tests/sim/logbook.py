"""What the processes log, read as it is written: bugs that a worker's loop survives must not be
survived here, and no secret may ever be logged (I11)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from gstable_server.plumbing.outbox import BatchFailed
from tests.sim.kernel import Kernel
from tests.sim.machines import TOLERATED


@contextmanager
def reading(kernel: Kernel, secrets: list[str]) -> Iterator[None]:
    """Judge everything that is logged meanwhile; nothing is printed."""

    def judge(_logger: object, _name: str, entry: MutableMapping[str, Any]) -> Any:
        text = str(entry)
        if any(secret in text for secret in secrets):
            kernel.report("I11", f"a secret was logged: {entry['event']}")
        failure = sys.exc_info()[1] if entry.get("exc_info") else None
        if failure is not None and not is_expected(failure):
            kernel.report("S1", f"{entry['event']}: {failure!r}")
        if entry["event"] == "network halted":
            kernel.report("I4", f"a network halted: {entry}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[judge])
    try:
        yield
    finally:
        structlog.configure(**before)


def is_expected(failure: BaseException) -> bool:
    """Whether it is only a simulated fault."""
    if isinstance(failure, BaseExceptionGroup):
        return all(is_expected(each) for each in failure.exceptions)
    if isinstance(failure, BatchFailed):
        return True  # its cause was logged before
    return isinstance(failure, TOLERATED)
