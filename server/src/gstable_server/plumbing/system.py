"""The real clock and the real source of randomness; tests use ``plumbing.testing``."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from gstable_server.kernel.ids import ALPHABET, I, MerchantId

_WHOLE = 256 - 256 % len(ALPHABET)
_LETTERS = bytes(ord(ALPHABET[value % len(ALPHABET)]) for value in range(256))
_SURPLUS = bytes(range(_WHOLE, 256))


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
        # One letter a byte; bytes past the last whole alphabet are dropped, so that no letter is
        # likelier than another. One call for all letters: every request mints an id.
        text = b""
        while len(text) < length:
            text += secrets.token_bytes(2 * length).translate(_LETTERS, _SURPLUS)
        return text[:length].decode()
