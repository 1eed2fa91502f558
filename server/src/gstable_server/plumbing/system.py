"""The real clock and the real source of randomness; tests use ``plumbing.testing``."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from gstable_server.kernel.ids import ALPHABET, I, MerchantId


class SystemClock:
    """The machine's clock in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemIdMint:
    """Identifiers from the operating system's randomness."""

    def mint(self, kind: type[I]) -> I:
        return kind(kind.prefix + self.token(kind.random_length))

    def merchant_id(self) -> MerchantId:
        return MerchantId(secrets.token_hex(32))

    def token(self, length: int) -> str:
        return "".join(secrets.choice(ALPHABET) for _ in range(length))
