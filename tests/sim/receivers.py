"""The merchants' receivers of webhooks, which answer as badly as the seed says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from gstable_server.plumbing.http_client import (
    BYTES_MAX,
    TIMEOUT_SECONDS,
    FailureReason,
    FetchFailed,
    Response,
)
from tests.sim.kernel import Kernel, Process

ANSWERS = ("hang", "500", "429", "redirect", "reset after", "reset") * 3 + ("410",)


@dataclass
class Receivers:
    """What stands behind every merchant's URL, and what has arrived there."""

    chance: Random
    hostility: float = 0.0
    """The share of letters that are not simply taken."""
    arrived: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each (URL, webhook-id) has arrived and was taken with a good answer."""
    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)


class SimHttp:
    """The port ``HttpClient`` of one process."""

    def __init__(self, kernel: Kernel, process: Process, receivers: Receivers) -> None:
        self._kernel = kernel
        self._process = process
        self._receivers = receivers

    async def fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        max_bytes: int = BYTES_MAX,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Response:
        """See ``HttpClient.fetch``."""
        name = headers["webhook-id"]
        await self._kernel.park(self._process, f"letter {name}")
        known = self._receivers
        answer = "ok"
        if known.chance.random() < known.hostility:
            answer = known.chance.choice(ANSWERS)
        self._kernel.note(answer)
        if answer in {"ok", "reset after"}:
            self._take(url, name, body)
        match answer:
            case "ok":
                return Response(200, {}, b"", truncated=False)
            case "hang":
                raise FetchFailed(FailureReason.TIMEOUT, f"after {timeout:g} s")
            case "reset" | "reset after":
                raise FetchFailed(FailureReason.CONNECTION, "reset by peer")
            case "redirect":
                return Response(302, {"location": "http://169.254.169.254/"}, b"", truncated=False)
            case "429":
                wait = str(known.chance.choice((1, 30, 600)))
                return Response(429, {"retry-after": wait}, b"", truncated=False)
        return Response(int(answer), {}, b"no", truncated=False)

    def _take(self, url: str, name: str, body: bytes) -> None:
        known = self._receivers
        known.arrived[url, name] += 1
        before = known.bodies.setdefault((url, name), body)
        if before != body:
            self._kernel.report("I7", f"letter {name} came with another body than before")
