"""What a finished try means for its message: pure, without clock or randomness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from gstable_server.kernel.spread import spread
from gstable_server.webhooks.model import Attempt, Health, MessageState

WAITS_SECONDS = (
    0, 1, 10, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
)  # fmt: skip
"""Before each try, seconds after the previous one; the last one that fails ends the message
(spec 15, Webhooks)."""

PAUSE_AFTER = timedelta(days=5)
PAUSE_AFTER_FAILURES = 100
PAUSE_FAILURES_OVER = timedelta(hours=24)

RETRY_AFTER_MAX_SECONDS = 86_400
_GONE = 410
_BUSY = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Decision:
    """The message's state after a try, and for a pending one the wait before the next.

    ``disables_endpoint``: the receiver answered 410, Gone.
    """

    state: MessageState
    wait: timedelta | None = None
    disables_endpoint: bool = False


def decide(message_number: int, attempts_before: int, attempt: Attempt) -> Decision:
    """What ``attempt`` means for a message with ``attempts_before`` earlier tries in this round.

    2xx is success; everything else, redirects included, is a failure (spec 15, Webhooks). A 410
    fails as others do, and its endpoint then holds the message.
    """
    if attempt.succeeded:
        return Decision(MessageState.DELIVERED)
    status = attempt.status_code
    gone = status == _GONE
    if attempts_before + 1 >= len(WAITS_SECONDS):
        return Decision(MessageState.EXHAUSTED, disables_endpoint=gone)
    wait = _jittered(WAITS_SECONDS[attempts_before + 1], message_number, attempts_before)
    if status in _BUSY and attempt.retry_after is not None:
        wait = max(wait, _asked_wait(attempt.retry_after, attempt.started_at))
    return Decision(MessageState.PENDING, wait, disables_endpoint=gone)


def after_attempt(health: Health, attempt: Attempt, now: datetime) -> tuple[Health, bool]:
    """An endpoint's health after one more try, and whether it is to be paused: after 5 days with
    failures only, or 100 failures in a row over at least a day (spec 15, Webhooks)."""
    if attempt.succeeded:
        return Health(), False
    since = health.since or now
    unanswered = health.unanswered + 1 if attempt.status_code is None else 0
    failed = Health(health.failures + 1, since, unanswered)
    lasting = now - since
    many = failed.failures >= PAUSE_AFTER_FAILURES and lasting >= PAUSE_FAILURES_OVER
    return failed, many or lasting >= PAUSE_AFTER


def _jittered(seconds: int, message_number: int, attempts: int) -> timedelta:
    """``seconds`` ± 10 %, spread over messages so that a receiver that comes back is not met by
    all of them at once; the same message always gets the same value."""
    return spread(seconds, f"{message_number}:{attempts}", 100)


def _asked_wait(header: str, now: datetime) -> timedelta:
    """The wait a ``Retry-After`` header asks for (RFC 9110, 10.2.3), between zero and a day;
    zero when it is malformed. The schedule's own wait stays the least."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        # Digits are cut first, so that an absurdly long number costs nothing.
        seconds = RETRY_AFTER_MAX_SECONDS if len(text) > 9 else int(text)
    else:
        try:
            instant = parsedate_to_datetime(text)
            aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            seconds = int((aware - now).total_seconds())
        except (ValueError, OverflowError):
            return timedelta(0)
    return timedelta(seconds=min(max(seconds, 0), RETRY_AFTER_MAX_SECONDS))
