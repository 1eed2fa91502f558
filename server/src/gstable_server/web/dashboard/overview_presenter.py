"""What the overview shows: the money by the book, the sessions by what became of them. Pure.

Revenue is what is settled, before and after refunds. Money that a chain can still undo stands in a
place of its own and is in no sum (case DSH-09).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gstable_server.kernel.money import MicroUsd
from gstable_server.ledger.days import DayTotal, Pocket, TokenTotal, by_token
from gstable_server.ledger.model import Kind
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.statistics.model import FAILED, StateCount
from gstable_server.web.dashboard.charts import TONES, Chart, Series, stacked
from gstable_server.web.dashboard.periods import Bucket, Period
from gstable_server.web.dashboard.purse import BY_NETWORK, BY_TOKEN, Purse
from gstable_server.web.dashboard.speech import _, dollars, number, usd

SERIES_MAX = len(TONES) - 1
"""So many kinds have a colour of their own; the others share the last one."""
PENDING = frozenset({SessionState.PAID, SessionState.SETTLING, SessionState.SETTLEMENT_PENDING})


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure; ``note`` compares it with the time before."""

    title: str
    text: str
    note: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """Exact amounts of one token; ``pending`` is no part of the others."""

    token: str
    network: str
    settled: str
    refunded: str
    kept: str
    pending: str


def _is_revenue(total: DayTotal) -> bool:
    return total.pocket is Pocket.SETTLED and total.kind is not Kind.REFUND


def settled(totals: Iterable[DayTotal], purse: Purse) -> MicroUsd:
    """What was settled, before refunds, in Micro-USD."""
    sums = by_token(totals)
    return MicroUsd(sum(purse.micro_usd(name, one.settled) for name, one in sums.items()))


def refunded(totals: Iterable[DayTotal], purse: Purse) -> MicroUsd:
    """What was given back, in Micro-USD."""
    sums = by_token(totals)
    return MicroUsd(sum(purse.micro_usd(name, one.refunded) for name, one in sums.items()))


def pending(totals: Iterable[DayTotal], purse: Purse) -> MicroUsd:
    """What is on its way now, of all time, in Micro-USD. Never part of revenue."""
    sums = by_token(totals)
    return MicroUsd(sum(purse.micro_usd(name, one.pending) for name, one in sums.items()))


def money_tiles(
    now: Sequence[DayTotal], before: Sequence[DayTotal], ever: Sequence[DayTotal], purse: Purse
) -> tuple[Tile, ...]:
    """``ever``: the pockets as they are now."""
    volume, volume_before = settled(now, purse), settled(before, purse)
    back, back_before = refunded(now, purse), refunded(before, purse)
    return (
        Tile(_("Completed volume"), dollars(volume), compared(volume, volume_before)),
        Tile(_("Given back"), dollars(back), compared(back, back_before)),
        Tile(
            _("Not final yet"),
            dollars(pending(ever, purse)),
            _("On its way now. No part of the volume."),
        ),
    )


def session_tiles(now: Sequence[StateCount], before: Sequence[StateCount]) -> tuple[Tile, ...]:
    rows = (
        (_("Sessions opened"), frozenset(SessionState), ""),
        (_("Completed"), frozenset({SessionState.COMPLETED}), "completed"),
        (_("Pending"), PENDING, "paid"),
        (_("Failed"), FAILED, "expired"),
    )
    return tuple(
        Tile(
            title,
            number(_many(now, states)),
            compared(_many(now, states), _many(before, states)),
            f"/sessions?state={state}" if state else "/sessions",
        )
        for title, states, state in rows
    )


def _many(counts: Iterable[StateCount], states: frozenset[SessionState]) -> int:
    return sum(one.sessions for one in counts if one.state in states)


def compared(now: int, before: int) -> str:
    """How a figure differs from that of the time before, in whole per cent."""
    if before <= 0:
        return _("Nothing in the time before") if now else ""
    change = (now - before) * 100 // before if now >= before else -((before - now) * 100 // before)
    if change == 0:
        return _("As in the time before")
    sign = "+" if change > 0 else "−"
    return _("%(change)s%% from the time before", change=f"{sign}{number(abs(change))}")


def volume_chart(totals: Sequence[DayTotal], period: Period, purse: Purse, by: str) -> Chart:
    """Settled volume over time, by token or by network; the largest have colours of their own."""
    revenue = [one for one in totals if _is_revenue(one)]
    sums: dict[str, int] = {}
    for one in revenue:
        name = purse.name(one.token_id, by)
        sums[name] = sums.get(name, 0) + purse.micro_usd(one.token_id, one.amount)
    names = sorted(sums, key=lambda name: (-sums[name], name))
    own, shared = names[:SERIES_MAX], names[SERIES_MAX:]
    buckets = period.buckets()
    series = [Series(name, _values(revenue, buckets, purse, by, {name})) for name in own]
    if shared:
        series.append(Series(_("Others"), _values(revenue, buckets, purse, by, set(shared))))
    title = _("Completed volume in USD by token")
    if by == BY_NETWORK:
        title = _("Completed volume in USD by network")
    return stacked(
        title, [one.label for one in buckets], series, lambda micro: usd(MicroUsd(micro))
    )


def _values(
    revenue: Sequence[DayTotal],
    buckets: Sequence[Bucket],
    purse: Purse,
    by: str,
    names: set[str],
) -> tuple[int, ...]:
    picked = [one for one in revenue if purse.name(one.token_id, by) in names]
    return tuple(
        sum(purse.micro_usd(one.token_id, one.amount) for one in picked if one.day in bucket)
        for bucket in buckets
    )


def session_chart(counts: Sequence[StateCount], period: Period) -> Chart:
    """What became of the sessions that were opened on each day."""
    buckets = period.buckets()
    parts = (
        (_("Completed"), frozenset({SessionState.COMPLETED})),
        (_("Pending"), PENDING),
        (_("Open"), frozenset({SessionState.INITIALIZED})),
        (_("Failed"), FAILED),
    )
    series = [
        Series(name, tuple(_many((c for c in counts if c.day in one), states) for one in buckets))
        for name, states in parts
    ]
    title = _("Sessions by what became of them")
    return stacked(title, [one.label for one in buckets], series, number)


def token_rows(
    now: Sequence[DayTotal], ever: Sequence[DayTotal], purse: Purse
) -> tuple[TokenRow, ...]:
    """What the book says of each token, to the unit."""
    in_time, in_all = by_token(now), by_token(ever)
    names = [name for name in sorted({*in_time, *in_all}) if _has_any(name, in_time, in_all)]
    rows = []
    for name in names:
        one = in_time.get(name, TokenTotal(name))
        waiting = in_all.get(name, TokenTotal(name)).pending
        rows.append(
            TokenRow(
                token=purse.name(name, BY_TOKEN),
                network=purse.name(name, BY_NETWORK),
                settled=purse.text(name, one.settled),
                refunded=purse.text(name, one.refunded),
                kept=purse.text(name, one.kept),
                pending=purse.text(name, waiting) if waiting else "–",
            )
        )
    return tuple(rows)


def _has_any(name: str, in_time: dict[str, TokenTotal], in_all: dict[str, TokenTotal]) -> bool:
    one = in_time.get(name, TokenTotal(name))
    return bool(one.settled or one.refunded or in_all.get(name, TokenTotal(name)).pending)
