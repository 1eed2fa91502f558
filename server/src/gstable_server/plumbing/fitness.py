"""Whether settings are good enough for real money: a server in live mode refuses to start with
secrets that are missing, weak, known to everybody or used twice, and with doors left open that
are there for development.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from urllib.parse import parse_qs, unquote, urlsplit

from gstable_server.plumbing.config import Settings

PASSWORD_CHARACTERS_MIN = 12
DISTINCT_BYTES_MIN = 16
"""Of 32. One random key in more than 10^12 has fewer."""

# The ten accounts that every local chain begins with, whose keys are printed at each start: by the
# beginning of their SHA-256, so that no key stands in this file.
_OF_LOCAL_CHAINS = frozenset({
    "59891c96881dfbcf", "bca4c2c0761d850f", "193ae84c4c9567c2", "e25a680eff8baac7",
    "6718ba8966161cc8", "ac29b3735d1b5718", "93e372c67f7238fa", "59ad99d565557cc0",
    "2d1831e800ec18fe", "25061aad2bb09178",
})  # fmt: skip


def problems_in_live_mode(settings: Settings) -> list[str]:
    """What has to be changed before this server may take real money, each naming its variable."""
    problems = [*_open_doors(settings), *_weak_keys(settings)]
    problem = _weak_password(settings.database_url)
    if problem:
        problems.append(f"DATABASE_URL: {problem}")
    if not settings.fee_receiver.lower().removeprefix("0x").strip("0"):
        problems.append("GSTABLE_FEE_RECEIVER: must not be the zero address")
    return problems


def _open_doors(settings: Settings) -> list[str]:
    problems = []
    public = urlsplit(settings.public_url)
    if public.scheme != "https" or not public.hostname or public.username or public.query:
        problems.append("GSTABLE_PUBLIC_URL: must be an https:// address")
    if settings.log_level.lower() == "debug":
        problems.append("GSTABLE_LOG_LEVEL: must not be debug")
    if settings.webhook_allow_loopback:
        problems.append("GSTABLE_WEBHOOK_ALLOW_LOOPBACK: must be false")
    return problems


def _weak_keys(settings: Settings) -> list[str]:
    problems: list[str] = []
    holders: dict[bytes, str] = {}
    for name in ("order_signing_key", "relayer_key", "solver_key", "attestor_key", "secrets_key"):
        secret, variable = getattr(settings, name), f"GSTABLE_{name.upper()}"
        if secret is None:
            continue
        # Only the newest of several is used for anything new.
        key = _bytes_of(secret.get_secret_value().partition(",")[0].strip())
        problem = "must be 32 bytes in hexadecimal" if key is None else _weakness(key)
        if key is not None and problem is None and key in holders:
            problem = f"must not be the key of {holders[key]}"
        if problem:
            problems.append(f"{variable}: {problem}")
        elif key is not None:
            holders[key] = variable
    return problems


def _bytes_of(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return None
    return key if len(key) == 32 else None


def _weakness(key: bytes) -> str | None:
    """Why a key was not drawn at random, as far as its looks tell."""
    if sha256(key).hexdigest()[:16] in _OF_LOCAL_CHAINS:
        return "is a key that everybody knows, of local chains"
    counts = {(after - before) % 256 for before, after in pairwise(key)}
    if len(set(key)) < DISTINCT_BYTES_MIN or len(counts) == 1 or key[:16] == key[16:]:
        return "was not drawn at random"
    return None


def _weak_password(url: str) -> str | None:
    """A socket of this machine needs no password; one in a file is PostgreSQL's business."""
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    if not host or host.startswith("/") or parts.password is None:
        return None
    password = unquote(parts.password)
    if len(password) < PASSWORD_CHARACTERS_MIN or len(set(password)) < PASSWORD_CHARACTERS_MIN // 2:
        return f"its password must have at least {PASSWORD_CHARACTERS_MIN} characters, not repeated"
    if password.lower() in {"changeme", "postgres", "password"} or password == parts.username:
        return "its password is one that is tried first"
    return None
