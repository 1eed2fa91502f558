"""Secrets that stand in the database: sealed with a key that does not.

AES-256-GCM (NIST SP 800-38D). What is sealed says which key it needs, so that keys can be changed,
and fits only the row that it was made for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gstable_server.plumbing.config import Settings, SettingsInvalid

KEY_BYTES = 32
NONCE_BYTES = 12
_FORM = b"\x01"
_NAME_BYTES = 8
_HEAD_BYTES = len(_FORM) + _NAME_BYTES + NONCE_BYTES
_KEY = re.compile(r"[0-9a-fA-F]{64}")


class KeyLost(Exception):
    """None of the keys that this server was given opens it, or it is not what was sealed."""


class Sealer:
    """Seals with the first of ``keys`` and opens with any of them; each has 32 bytes."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        assert keys, "there is a key to seal with"
        assert all(len(key) == KEY_BYTES for key in keys), "keys have 32 bytes"
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0])

    @classmethod
    def from_text(cls, text: str) -> Sealer:
        """Keys in hexadecimal, the newest first, parted by commas. Raises ``ValueError``."""
        words = [word.strip() for word in text.split(",")]
        if not all(_KEY.fullmatch(word) for word in words):
            raise ValueError("must be 32 bytes in hexadecimal, older ones behind it after commas")
        return cls([bytes.fromhex(word) for word in words])

    def seal(self, secret: bytes, about: str, nonce: bytes) -> bytes:
        """``secret`` for the row that ``about`` names. ``nonce`` has 12 bytes and never repeats."""
        assert len(nonce) == NONCE_BYTES, "a nonce of AES-GCM has 12 bytes"
        sealed = self._ciphers[self._first].encrypt(nonce, secret, about.encode())
        return _FORM + self._first + nonce + sealed

    def open(self, sealed: bytes, about: str) -> bytes:
        """What was sealed for ``about``. Raises ``KeyLost``."""
        cipher = self._ciphers.get(_name_in(sealed))
        if cipher is None or not sealed.startswith(_FORM):
            raise KeyLost("it was sealed with a key that this server was not given")
        nonce = sealed[_HEAD_BYTES - NONCE_BYTES : _HEAD_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES:], about.encode())
        except (InvalidTag, ValueError):
            raise KeyLost("it is not what was sealed") from None

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the first key sealed it."""
        return _name_in(sealed) == self._first


def _name(key: bytes) -> bytes:
    """Tells keys apart and says nothing of them."""
    return sha256(b"name of a sealing key " + key).digest()[:_NAME_BYTES]


def _name_in(sealed: bytes) -> bytes:
    return sealed[len(_FORM) : len(_FORM) + _NAME_BYTES]


def sealer_of(settings: Settings) -> Sealer | None:
    """What seals secrets in the database, None without a key. Raises ``SettingsInvalid``."""
    if settings.secrets_key is None:
        return None
    try:
        return Sealer.from_text(settings.secrets_key.get_secret_value())
    except ValueError as problem:
        raise SettingsInvalid(f"GSTABLE_SECRETS_KEY: {problem}") from None
