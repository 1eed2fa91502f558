"""The time that statistics are about: days in UTC, both ends included. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from gstable_server.web.dashboard.speech import N_, said

LENGTHS = {"1": 1, "7": 7, "30": 30, "90": 90}
NAMES = {"1": N_("Today"), "7": N_("7 days"), "30": N_("30 days"), "90": N_("90 days")}
USUAL = "30"
OWN = "own"
DAYS_MAX = 731
"""Two years: more would be neither fast nor seen."""
BY_MONTH_FROM = 93
"""Days that still have a bar of their own each."""


@dataclass(frozen=True, slots=True)
class Period:
    """``key`` is how the address names it, ``OWN`` for days that somebody chose. ``problem`` is why
    those could not be shown."""

    since: date
    until: date
    key: str
    problem: str = ""

    @property
    def days(self) -> int:
        return (self.until - self.since).days + 1

    @property
    def before(self) -> Period:
        """As many days, just before."""
        last = self.since - timedelta(days=1)
        return Period(last - timedelta(days=self.days - 1), last, self.key)

    @property
    def query(self) -> str:
        """The address's own words for it."""
        if self.key == OWN:
            return f"from={self.since}&to={self.until}"
        return f"days={self.key}"

    def buckets(self) -> tuple[Bucket, ...]:
        """One for each day, or for each month of a long time."""
        if self.days < BY_MONTH_FROM:
            every = (self.since + timedelta(days=at) for at in range(self.days))
            return tuple(Bucket(day, day, str(day)[5:]) for day in every)
        found = []
        first = self.since
        while first <= self.until:
            following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
            last = min(following - timedelta(days=1), self.until)
            found.append(Bucket(first, last, f"{first:%Y-%m}"))
            first = following
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one bar of a chart stands for; ``label`` is a date as ISO 8601 writes it, without what
    is clear anyway."""

    since: date
    until: date
    label: str

    def __contains__(self, day: date) -> bool:
        return self.since <= day <= self.until


def period_of(query: Mapping[str, str], now: datetime) -> Period:
    """What the address asks for; the usual one where it asks for none that could be."""
    today = now.astimezone(UTC).date()
    if query.get("from") or query.get("to"):
        return _own(query.get("from", ""), query.get("to", ""), today)
    key = query.get("days", USUAL)
    return _latest(key if key in LENGTHS else USUAL, today)


def _latest(key: str, today: date) -> Period:
    return Period(today - timedelta(days=LENGTHS[key] - 1), today, key)


def _own(since_text: str, until_text: str, today: date) -> Period:
    usual = _latest(USUAL, today)
    try:
        since = date.fromisoformat(since_text[:10]) if since_text else usual.since
        until = min(date.fromisoformat(until_text[:10]) if until_text else today, today)
        days = (until - since).days + 1
    except ValueError:
        return Period(usual.since, today, USUAL, N_("Choose days that there are."))
    if days < 1:
        return Period(usual.since, today, USUAL, N_("The first day must come before the last."))
    if days > DAYS_MAX or since.year < 2000:
        return Period(usual.since, today, USUAL, N_("Choose two years at most."))
    return Period(since, until, OWN)


def periods(chosen: Period) -> list[tuple[str, str, bool]]:
    """What is offered: query, words, and whether it is chosen."""
    return [(f"days={key}", said(name), key == chosen.key) for key, name in NAMES.items()]
