"""Passwords as argon2id hashes (RFC 9106); hashing runs beside the event loop, not in it."""

from __future__ import annotations

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

# OWASP's minimum for argon2id: 19 MiB, two passes; some 30 ms on one core.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


async def hash_password(password: str) -> str:
    """The hash to store, with its salt and parameters inside."""
    return await asyncio.to_thread(_hasher.hash, password)


async def password_matches(password: str, stored_hash: str | None) -> bool:
    """True if ``password`` made ``stored_hash``.

    Without a stored hash the same work is done for nothing, so that an unknown name takes as
    long to refuse as a wrong password.
    """
    return await asyncio.to_thread(_verify, password, stored_hash)


def _verify(password: str, stored_hash: str | None) -> bool:
    try:
        _hasher.verify(stored_hash or _nobodys_hash(), password)
    except VerifyMismatchError:
        return False
    return stored_hash is not None


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody")
