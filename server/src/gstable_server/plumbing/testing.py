"""The fakes of plumbing's ports: a clock that is set by hand and repeatable identifiers."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from gstable_server.kernel.ids import ALPHABET, I, MerchantId


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
