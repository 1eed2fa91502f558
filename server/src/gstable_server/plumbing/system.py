"""The real clock and the real source of randomness; tests use ``plumbing.testing``."""

from __future__ import annotations

import math
import secrets
import time
from datetime import UTC, datetime, timedelta

from gstable_server.kernel.clock import Clock
from gstable_server.kernel.ids import ALPHABET, I, MerchantId

_WHOLE = 256 - 256 % len(ALPHABET)
_LETTERS = bytes(ord(ALPHABET[value % len(ALPHABET)]) for value in range(256))
_SURPLUS = bytes(range(_WHOLE, 256))


class SystemClock:
    """The machine's clock in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


LATE_SECONDS = 1.0
"""An answer that takes longer is of a time that is over: the process, or its machine, stood still
while it waited."""

_PASSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""What Linux calls monotonic stands still while a machine is suspended."""


class SharedClock:
    """The database's clock, which all processes of an installation share, as it was last told;
    carried on by this machine's monotonic clock. So no session expires early or comes back to life
    because one machine's clock is wrong, or is set anew (API-34). This machine's time until it was
    told for the first time."""

    def __init__(self, machine: Clock | None = None) -> None:
        self._told = (machine or SystemClock()).now()
        self._told_at = self.passed()
        self._was_told = False

    def now(self) -> datetime:
        return self._told + timedelta(seconds=self.passed() - self._told_at)

    @staticmethod
    def passed() -> float:
        """Seconds since the machine was started, those in which it was suspended among them."""
        return time.clock_gettime(_PASSED)

    def tell(self, now: datetime, asked_at: float) -> None:
        """It is ``now`` by the database's clock, which was asked when so much had ``passed``."""
        if self._was_told and self.passed() - asked_at > LATE_SECONDS:
            return
        self._told, self._told_at, self._was_told = now, self.passed(), True

    @property
    def age_seconds(self) -> float:
        """How long ago it was told; infinite before the first time."""
        return self.passed() - self._told_at if self._was_told else math.inf


class SystemIdMint:
    """Identifiers from the operating system's randomness."""

    def mint(self, kind: type[I]) -> I:
        return kind(kind.prefix + self.token(kind.random_length))

    def merchant_id(self) -> MerchantId:
        return MerchantId(secrets.token_hex(32))

    def token(self, length: int) -> str:
        # One letter a byte; bytes past the last whole alphabet are dropped, so that no letter is
        # likelier than another. One call for all letters: every request mints an id.
        text = b""
        while len(text) < length:
            text += secrets.token_bytes(2 * length).translate(_LETTERS, _SURPLUS)
        return text[:length].decode()
