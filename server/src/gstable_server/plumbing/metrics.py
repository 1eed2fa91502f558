"""What this process counts, and what it says of the database's state, for Prometheus.

Names begin with ``gstable_`` and end with their unit; docs/reference/metrics.md has a heading for
each. Counters and histograms are of this process alone and begin at zero with it. State is read
from the database when it is asked for, so every process says the same of it: let one be scraped
for it, or take the maximum over all.

A number that could not be read is absent, never old: ``gstable_database_up`` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ATTEMPT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)

REGISTRY = CollectorRegistry()
_requests = Counter(
    "gstable_http_requests_total",
    "Requests answered, by the class of the status; none where the client went away.",
    ["status"],
    registry=REGISTRY,
)
_request_seconds = Histogram(
    "gstable_http_request_duration_seconds",
    "Seconds from a request's head to the end of its answer.",
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
_events = Counter(
    "gstable_events_handled_total", "Events whose handlers ran and were committed.",
    registry=REGISTRY,
)  # fmt: skip
_event_failures = Counter(
    "gstable_event_failures_total", "Events whose handlers raised; they are tried again.",
    registry=REGISTRY,
)  # fmt: skip
_turn_failures = Counter(
    "gstable_turn_failures_total",
    "Turns of the timetable and of the loops of a worker that failed; they are tried again.",
    ["what"],
    registry=REGISTRY,
)
_attempts = Counter(
    "gstable_webhook_attempts_total", "Requests to webhook endpoints, by outcome.", ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
_attempt_seconds = Histogram(
    "gstable_webhook_attempt_duration_seconds",
    "Seconds of one request to a webhook endpoint.",
    buckets=ATTEMPT_BUCKETS,
    registry=REGISTRY,
)
_given_up = Counter(
    "gstable_webhook_letters_given_up_total", "Letters whose last try failed.", registry=REGISTRY
)
_receipts_given_up = Counter(
    "gstable_receipts_given_up_total", "Receipts by e-mail whose last try failed.",
    registry=REGISTRY,
)  # fmt: skip
_live_failures = Counter(
    "gstable_live_pages_failed_total", "Open pages of a session that could not be told of it.",
    registry=REGISTRY,
)  # fmt: skip
_lines_dropped = Counter(
    "gstable_log_lines_dropped_total", "Lines that could not be written to the log.",
    registry=REGISTRY,
)  # fmt: skip
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

# Looked up once: a label's lookup costs more than the addition behind it.
_BY_CLASS = {number: _requests.labels(f"{number}xx") for number in range(1, 6)}
_GONE = _requests.labels("none")
_DELIVERED, _FAILED = _attempts.labels("delivered"), _attempts.labels("failed")


def request_answered(status: int | None, seconds: float) -> None:
    """Count an answered request; ``status`` None when nobody was there to be answered."""
    (_GONE if status is None else _BY_CLASS[status // 100]).inc()
    _request_seconds.observe(seconds)


def webhook_attempt(duration_ms: int, *, delivered: bool) -> None:
    """Count one request to a merchant's endpoint."""
    (_DELIVERED if delivered else _FAILED).inc()
    _attempt_seconds.observe(duration_ms / 1000)


def letters_given_up(count: int) -> None:
    """Count letters whose last try failed."""
    _given_up.inc(count)


def receipt_given_up() -> None:
    """Count a receipt that the mail server could not be handed for days."""
    _receipts_given_up.inc()


def live_page_failed() -> None:
    """Count a session whose open pages were ended, because it could not be shown."""
    _live_failures.inc()


def events_handled(count: int) -> None:
    """Count events that were handled and committed."""
    _events.inc(count)


def event_failed() -> None:
    """Count an event whose handler raised."""
    _event_failures.inc()


def turn_failed(what: str) -> None:
    """Count a failed turn; ``what`` is one of the names in ``flow``, never what a caller sent."""
    _turn_failures.labels(what).inc()


def log_line_dropped() -> None:
    """Count a line that the log did not take."""
    _lines_dropped.inc()


# --- the state of the database --------------------------------------------------------------------

STATE: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "gstable_database_up": ("1 while the database answers this process.", ()),
    "gstable_outbox_events": ("Events that wait for their handlers.", ()),
    "gstable_outbox_oldest_seconds": ("Age of the oldest event that waits.", ()),
    "gstable_jobs_waiting": ("Jobs that are queued or run.", ()),
    "gstable_jobs_failed": ("Jobs held after their last try, for an operator.", ()),
    "gstable_webhook_messages_due": ("Letters that are due, under way or not.", ()),
    "gstable_webhook_oldest_due_seconds": (
        "How long the first try of a letter to a healthy endpoint has been due.", ()
    ),
    "gstable_webhook_messages_exhausted": ("Letters given up and not sent again since.", ()),
    "gstable_webhook_endpoints_paused": ("Endpoints that the platform paused or disabled.", ()),
    "gstable_receipts_waiting": ("Receipts by e-mail that are not sent yet.", ()),
    "gstable_receipts_oldest_seconds": ("How long the oldest of them has been waiting.", ()),
    "gstable_network_head_blocks": ("Number of the newest block that was seen.", ("network",)),
    "gstable_network_frontier_blocks": ("Number of the last block that was read.", ("network",)),
    "gstable_network_lag_blocks": ("Blocks that were seen and not read.", ("network",)),
    "gstable_network_age_seconds": ("Since the indexer last said where it is.", ("network",)),
    "gstable_network_halted": ("1 while the network is halted, for an operator.", ("network",)),
    "gstable_sessions_oldest_unsettled_seconds": (
        "Since the oldest of them was paid, by status.", ("status",)
    ),
    "gstable_sessions_unsettled": (
        "Sessions that are paid and not settled, by status.", ("status",)
    ),
    "gstable_settlements_open": ("Crossings without an end.", ()),
    "gstable_settlements_stalled": ("Crossings that took longer than they may.", ()),
    "gstable_executor_intents_open": ("Transactions wanted or sent, without an outcome.",
                                      ("network", "sender")),
    "gstable_executor_oldest_seconds": ("Age of the oldest of them.", ("network", "sender")),
    "gstable_executor_balance_native_units": (
        "Native coins of the sending account, in their smallest unit.", ("network", "sender")
    ),
    "gstable_executor_funds_enough": (
        "0 while the account has less than funds_min of networks.toml.", ("network", "sender")
    ),
    "gstable_reconciliation_age_seconds": ("Since books and chains were last compared.", ()),
    "gstable_reconciliation_differences": ("Differences that the last comparison found.", ()),
    "gstable_reconciliation_networks_unread": ("Networks that it could not read.", ()),
    "gstable_ledger_unsealed_transfers": ("Transfers not yet in the book's hash chain.", ()),
    "gstable_ledger_oldest_unsealed_seconds": ("Age of the oldest of them.", ()),
    "gstable_unmatched_deposits": ("Inbound money that waits for a person.",
                                   ("network", "token")),
}  # fmt: skip
"""Every gauge of the state: its text and its labels."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of the state, with the values of its labels."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class _State(Collector):
    """Hands the readings of one scrape to the exposition."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for reading in self._readings:
            text, labels = STATE[reading.name]
            family = families.setdefault(
                reading.name, GaugeMetricFamily(reading.name, text, labels=labels)
            )
            family.add_metric(reading.labels, reading.value)
        yield from families.values()


def exposition(readings: Sequence[Reading]) -> bytes:
    """What Prometheus reads: this process's counters, and the state as it was read."""
    state = CollectorRegistry()
    state.register(_State(readings))
    return generate_latest(REGISTRY) + generate_latest(state)
