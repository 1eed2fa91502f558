"""When a failed call may be tried again, and after how long. Pure.

Every GET is safe to repeat, and every POST of this SDK carries an idempotency key, which stays
the same on every attempt; so what decides is only the kind of failure.
"""

from gstable._errors import GStableConnectionError, GStableError

TRANSIENT_STATUSES = frozenset((429, 500, 502, 503, 504))
IN_PROGRESS_CODE = 400103
TOO_MANY_REQUESTS_CODE = 900101
TRANSIENT_CODES = frozenset((IN_PROGRESS_CODE, TOO_MANY_REQUESTS_CODE))

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0
LONGEST_HINT_SECONDS = 60.0


def is_transient(error: GStableError) -> bool:
    """Whether time may cure it."""
    return (
        isinstance(error, GStableConnectionError)
        or error.http_status in TRANSIENT_STATUSES
        or error.code in TRANSIENT_CODES
    )


def delay(attempt: int, chance: float, retry_after: str | None, now: float) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1).

    Exponential, capped, and between half and all of it by `chance` (0 to 1), so that clients
    that failed together do not come back together. The server's hint is a lower bound.
    """
    longest = min(FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1), LONGEST_DELAY_SECONDS)
    return max(longest * (0.5 + chance / 2), hint(retry_after, now))


def hint(retry_after: str | None, now: float) -> float:
    """Seconds that a Retry-After header asks for (a number or a date), capped; 0 if unreadable."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:6]), LONGEST_HINT_SECONDS)
    from email.utils import parsedate_to_datetime  # slow to import, seldom needed

    try:
        due = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(due - now, 0.0), LONGEST_HINT_SECONDS)
