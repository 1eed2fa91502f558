"""The fakes of plumbing's ports: a clock that is set by hand, repeatable identifiers, and a web
that answers as it was told."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gstable_server.kernel.ids import ALPHABET, I, MerchantId
from gstable_server.plumbing.destinations import destination_problem
from gstable_server.plumbing.http_client import (
    BYTES_MAX,
    TIMEOUT_SECONDS,
    FailureReason,
    FetchFailed,
    Response,
)


class FakeClock:
    """Stands still until it is told to move."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: int) -> None:
        self._now += timedelta(seconds=seconds)

    def set(self, instant: datetime) -> None:
        self._now = instant


class FakeIdMint:
    """Identifiers from a seed: the same seed mints the same sequence."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def mint(self, kind: type[I]) -> I:
        return kind(kind.prefix + self.token(kind.random_length))

    def merchant_id(self) -> MerchantId:
        return MerchantId(self._random.randbytes(32).hex())

    def token(self, length: int) -> str:
        return "".join(self._random.choice(ALPHABET) for _ in range(length))


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What a ``FakeHttp`` was asked to send."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What stands behind a URL of a ``FakeHttp``: it answers after ``seconds``."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0


class FakeHttp:
    """Stands in for ``GuardedClient``: the same refusals and caps, no socket, no waiting.

    ``answers`` says what is behind each URL; any other URL names no host.
    """

    def __init__(
        self,
        answers: Mapping[str, FakeAnswer | FailureReason] | None = None,
        *,
        allow_loopback: bool = False,
    ) -> None:
        self.answers = dict(answers or {})
        self.sent: list[SentRequest] = []
        self._allow_loopback = allow_loopback

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
        problem = destination_problem(url, allow_loopback=self._allow_loopback)
        if problem:
            raise FetchFailed(FailureReason.URL_REFUSED, problem)
        answer = self.answers.get(url, FailureReason.NAME_NOT_FOUND)
        if isinstance(answer, FailureReason):
            raise FetchFailed(answer)
        self.sent.append(SentRequest(method, url, dict(headers), body))
        if answer.seconds >= timeout:
            raise FetchFailed(FailureReason.TIMEOUT, f"after {timeout:g} s")
        told: dict[str, str] = {}
        for name, value in answer.headers:
            key = name.lower()
            told[key] = f"{told[key]}, {value}" if key in told else value
        truncated = len(answer.body) > max_bytes
        return Response(answer.status, told, answer.body[:max_bytes], truncated)
