"""Time-based one-time passwords (RFC 6238, on RFC 4226): pure.

Six digits, SHA-1, 30 seconds: what every authenticator app knows. SHA-1's weakness, collisions,
is none of HMAC.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from urllib.parse import quote

SECRET_BYTES = 20
STEP_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1
"""How many steps the clock of a phone may be early or late."""


def step_of(now: datetime) -> int:
    """The number of the 30 seconds that ``now`` is in."""
    return int(now.timestamp()) // STEP_SECONDS


def code_at(secret: bytes, step: int) -> str:
    """The code of one step (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: bytes, code: str, now: int, used: int) -> int | None:
    """The step around ``now`` whose code that is; None for a wrong one, and for one of step
    ``used`` or before, which may have been seen by somebody."""
    found = None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        is_it = hmac.compare_digest(code_at(secret, step).encode(), code.encode())
        if is_it and step > used:
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """How a person types it into an app: base32 in groups of four."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def uri(secret: bytes, issuer: str, email: str) -> str:
    """What an app reads from a QR code (the key URI format of authenticator apps)."""
    label = f"{quote(issuer, safe='')}:{quote(email, safe='@')}"
    text = base64.b32encode(secret).decode()
    return f"otpauth://totp/{label}?secret={text}&issuer={quote(issuer, safe='')}"
