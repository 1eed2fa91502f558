"""What a client is made of: key, addresses, timeouts, retries. Checked before anything is sent."""

import logging
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from os import environ
from urllib.parse import urlsplit

from gstable._errors import GStableUsageError

__version__ = "0.1.0"
DEFAULT_BASE_URL = "https://api.gstable.io/api/v1/"
DEFAULT_PUBLIC_BASE_URL = "https://api.gstable.io/public/api/v1"
DEFAULT_MAX_RETRIES = 2
MOST_RETRIES = 10

logger = logging.getLogger("gstable")


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long one attempt may wait for each of its phases, and a call in all, in seconds.

    `connect`: a connection to open; `read` and `write`: each part of the answer to arrive and of
    the request to leave; `pool`: a free connection; `total`: the whole call, with its further
    attempts and the waits between them.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 10.0
    total: float = 120.0

    def __post_init__(self) -> None:
        for phase in fields(self):
            seconds = getattr(self, phase.name)
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
                raise GStableUsageError(f"timeout.{phase.name} must be a number of seconds")
            if not isfinite(seconds) or seconds <= 0:
                raise GStableUsageError(f"timeout.{phase.name} must be above 0 seconds")

    def within(self, seconds: float) -> "Timeout":
        """The same where no more than so many seconds are left."""
        if self.total <= seconds:
            return self
        return Timeout(
            connect=min(self.connect, seconds),
            read=min(self.read, seconds),
            write=min(self.write, seconds),
            pool=min(self.pool, seconds),
            total=seconds,
        )


DEFAULT_TIMEOUT = Timeout()


@dataclass(frozen=True, slots=True)
class Config:
    """The checked settings of one client. The authorization is not part of the `repr`."""

    authorization: str = field(repr=False)
    base_url: str
    public_base_url: str
    timeout: Timeout
    max_retries: int


def configure(
    api_key: str,
    base_url: str,
    public_base_url: str,
    timeout: Timeout | float,
    max_retries: object,
) -> Config:
    """Check what the caller gave. Raises `GStableUsageError` naming the argument."""
    if isinstance(max_retries, bool) or not isinstance(max_retries, int):
        raise GStableUsageError("max_retries must be an integer")
    if not 0 <= max_retries <= MOST_RETRIES:
        raise GStableUsageError(f"max_retries must be between 0 and {MOST_RETRIES}")
    if not isinstance(timeout, Timeout):
        phases = Timeout(timeout, timeout, timeout, timeout)
        timeout = replace(phases, total=max(phases.total, timeout))
    return Config(
        authorization=_authorization(api_key),
        base_url=trimmed_url(base_url, "base_url"),
        public_base_url=trimmed_url(public_base_url, "public_base_url"),
        timeout=timeout,
        max_retries=max_retries,
    )


def start_debug_log() -> None:
    """Send the log to stderr where GSTABLE_DEBUG is 1 or true: the only setting read from outside.

    Lines tell method, URL, status, code, request id and retries; never a header or a body.
    """
    if environ.get("GSTABLE_DEBUG", "").lower() not in ("1", "true"):
        return
    logger.setLevel(logging.DEBUG)
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())


def _authorization(api_key: object) -> str:
    if not isinstance(api_key, str) or not api_key.strip():
        raise GStableUsageError("api_key is required")
    scheme, _, rest = api_key.strip().rpartition(" ")
    key = rest if scheme.strip().lower() == "bearer" else api_key.strip()
    # The words never repeat the key: they end up in logs.
    if not key.isascii() or not key.isprintable() or " " in key:
        raise GStableUsageError("api_key must be printable ASCII without spaces")
    if key.lower() == "bearer":
        raise GStableUsageError("api_key is required")
    return f"Bearer {key}"


def trimmed_url(url: object, name: str) -> str:
    """An address without its last slashes. Raises `GStableUsageError` naming the argument."""
    if not isinstance(url, str):
        raise GStableUsageError(f"{name} must be a string")
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as broken:
        raise GStableUsageError(f"{name} must be an http or https URL") from broken
    if not is_web or not url.isascii() or not url.isprintable() or " " in url:
        raise GStableUsageError(f"{name} must be an http or https URL")
    if parts.username is not None or parts.query or parts.fragment:
        raise GStableUsageError(f"{name} must have no user information, query or fragment")
    return url.rstrip("/")
