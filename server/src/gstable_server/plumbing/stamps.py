"""Tokens for browsers that this server knows again as its own without having stored anything.

A stranger can ask for as many as they like: each costs a hash. What a token is answered with is
kept, if it was right, so that it counts once (``accounts/members/store_passkeys.py``).
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import UTC, datetime

KEY_BYTES_MIN = 32
_FORM = re.compile(r"([0-9A-Za-z]{40,64})\.([0-9]{1,12})\.([0-9A-Za-z_-]{43})")


class Stamps:
    """Makes and knows tokens by HMAC-SHA256 under ``key``, which all processes of this server
    have and nobody else."""

    def __init__(self, key: bytes) -> None:
        assert len(key) >= KEY_BYTES_MIN, "a key that can be guessed stamps nothing"
        self._key = key

    def token(self, purpose: str, letters: str, until: datetime) -> str:
        """A token that is good for ``purpose`` and nothing else before ``until`` (whole seconds).
        ``letters`` are random and tell it apart from all others."""
        said = f"{letters}.{int(until.timestamp())}"
        return f"{said}.{self._stamp(purpose, said)}"

    def end_of(self, purpose: str, token: str, now: datetime) -> datetime | None:
        """Until when a token of ours is good; None for all others, and once it is over."""
        match = _FORM.fullmatch(token)
        if match is None:
            return None
        said, _, stamp = token.rpartition(".")
        if not hmac.compare_digest(stamp.encode(), self._stamp(purpose, said).encode()):
            return None
        until = datetime.fromtimestamp(int(match[2]), UTC)
        return until if now < until else None

    def _stamp(self, purpose: str, said: str) -> str:
        digest = hmac.digest(self._key, f"{purpose}.{said}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
