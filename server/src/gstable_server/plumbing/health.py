"""Whether a process can do its work now. Alive is another question: a process that answers is.

A lost database or node makes a process unready, which takes it out of a balancer; restarting it
would change nothing and costs what it knows, so ``live`` stays true and nothing here ever ends a
process. It is ready again by itself when what it needs is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import DATABASE_FAILED, Database

log = structlog.get_logger(__name__)

WITHIN_SECONDS = 2.0
KEPT_SECONDS = 1.0
"""A finding is told again for so long: the question is open to everybody and costs a query."""

Probe = Callable[[], Awaitable[str | None]]
"""Answers None when all is well, else a few words that anybody may read."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. Of the checks with the same ``any_of`` one must pass; each without
    one must; one with ``is_advice`` is only told."""

    name: str
    probe: Probe
    any_of: str | None = None
    is_advice: bool = False
    kept_seconds: float = KEPT_SECONDS


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; ``problem`` None is well."""

    name: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, and what they come to."""

    is_ready: bool
    findings: tuple[Finding, ...]

    @property
    def status(self) -> str:
        """``ok``; ``degraded``: ready, but not all is well; or ``failing``."""
        if not self.is_ready:
            return "failing"
        return "degraded" if any(each.problem for each in self.findings) else "ok"

    def as_json(self) -> dict[str, object]:
        """The report as the health pages show it."""
        return {
            "status": self.status,
            "checks": [
                {"name": each.name, "ok": each.problem is None, "problem": each.problem}
                for each in self.findings
            ],
        }


def database_check(db: Database) -> Check:
    """Whether the database answers."""

    async def probe() -> str | None:
        return None if await db.answers(within_seconds=WITHIN_SECONDS) else "does not answer"

    return Check("database", probe)


class Health:
    """Looks when it is asked, at nothing more often than it says and never twice at a time."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)
        self._lock = asyncio.Lock()
        self._found: dict[str, tuple[float, Finding]] = {}

    async def report(self) -> Report:
        """What the checks find; each has ``WITHIN_SECONDS``, and none can fail the whole."""
        async with self._lock:
            findings = await asyncio.gather(*(self._finding(check) for check in self._checks))
        return judged(self._checks, findings)

    async def _finding(self, check: Check) -> Finding:
        loop = asyncio.get_running_loop()
        at, finding = self._found.get(check.name, (0.0, None))
        if finding is None or loop.time() - at >= check.kept_seconds:
            finding = await _look(check)
            self._found[check.name] = loop.time(), finding
        return finding


def judged(checks: Sequence[Check], findings: Sequence[Finding]) -> Report:
    """What findings come to, in the order of their checks."""
    groups: dict[str, bool] = {}
    is_ready = True
    for check, finding in zip(checks, findings, strict=True):
        passed = finding.problem is None
        if check.any_of is not None:
            groups[check.any_of] = groups.get(check.any_of, False) or passed
        elif not check.is_advice:
            is_ready = is_ready and passed
    return Report(is_ready and all(groups.values()), tuple(findings))


async def _look(check: Check) -> Finding:
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            return Finding(check.name, await check.probe())
    except TimeoutError:
        return Finding(check.name, f"no answer within {WITHIN_SECONDS:g} s")
    except (Passing, *DATABASE_FAILED) as failure:
        # What it says may name an address with a key in it, and is not for everybody.
        log.warning("health check failed", check=check.name, reason=str(failure))
        return Finding(check.name, "could not be looked at")
