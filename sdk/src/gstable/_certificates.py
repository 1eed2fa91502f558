"""The certificates that connections trust unless others are given."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext


@cache
def trusted_by_the_system() -> SSLContext:
    """The system's certificates, read once in a process: reading them takes longer than all else
    that a new client does, and than most requests. No setting of the environment is asked."""
    import httpx2  # here, so that `import gstable` stays fast

    return httpx2.create_ssl_context(trust_env=False)
