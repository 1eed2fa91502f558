"""Charts as the pages draw them: figures to places in a picture. Whole numbers only; no input,
output or clock.

The picture is for seeing a shape at once; every figure in it stands in the table beside it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 12, 28
"""Room for the words at the sides of the drawing."""
TICKS_MAX = 4
MARKS_MAX = 7
"""Words below the drawing: more would run into each other on a phone."""
TONES = ("first", "second", "third", "fourth", "fifth", "rest")

Text = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of figure over time; ``values`` has one for each label of the chart."""

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    y: int
    width: int
    height: int
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the drawing, and what it stands for."""

    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word below the drawing."""

    x: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Legend:
    tone: str
    name: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``rows`` are the table's: a label and one text for each of ``legend``."""

    title: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    legend: tuple[Legend, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    is_empty: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM


def stacked(title: str, labels: Sequence[str], series: Sequence[Series], text: Text) -> Chart:
    """Bars on top of each other: parts of one sum."""
    sums = [sum(one.values[at] for one in series) for at in range(len(labels))]
    top = _top(max(sums, default=0))
    bars: list[Bar] = []
    for at, label in enumerate(labels):
        below = 0
        for tone, one in zip(TONES, series, strict=False):
            value = one.values[at]
            if value > 0:
                low, high = _y(below, top), _y(below + value, top)
                x, width = _column(at, len(labels))
                # At least a line: what is little is not nothing.
                height = max(low - high, 1)
                words = f"{label}: {one.name} {text(value)}"
                bars.append(Bar(x, low - height, width, height, tone, words))
            below += max(value, 0)
    return _chart(title, labels, series, text, top, bars)


def nested(title: str, labels: Sequence[str], series: Sequence[Series], text: Text) -> Chart:
    """Bars inside of each other, each narrower: what became of the one before."""
    top = _top(max((value for one in series for value in one.values), default=0))
    bars: list[Bar] = []
    for at, label in enumerate(labels):
        x, width = _column(at, len(labels))
        for depth, (tone, one) in enumerate(zip(TONES, series, strict=False)):
            value = one.values[at]
            if value > 0:
                inset = width * depth // (2 * len(series))
                height = max(_y(0, top) - _y(value, top), 1)
                words = f"{label}: {one.name} {text(value)}"
                place = x + inset, _y(0, top) - height, max(width - 2 * inset, 1), height
                bars.append(Bar(*place, tone, words))
    return _chart(title, labels, series, text, top, bars)


def _chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    text: Text,
    top: int,
    bars: Sequence[Bar],
) -> Chart:
    step = _step(top)
    return Chart(
        title=title,
        bars=tuple(bars),
        ticks=tuple(Tick(_y(at, top), text(at)) for at in range(0, top + 1, step)),
        marks=_marks(labels),
        legend=tuple(Legend(tone, one.name) for tone, one in zip(TONES, series, strict=False)),
        rows=tuple(
            (label, tuple(text(one.values[at]) for one in series))
            for at, label in enumerate(labels)
        ),
        is_empty=not bars,
    )


def _step(most: int) -> int:
    """1, 2 or 5 times a power of ten, so that at most ``TICKS_MAX`` lines are drawn."""
    power = 1
    while True:  # bounded: the step grows tenfold each time
        for factor in (1, 2, 5):
            if factor * power * TICKS_MAX >= most:
                return factor * power
        power *= 10


def _top(most: int) -> int:
    """The figure at the drawing's upper edge: the first line that is not below ``most``."""
    step = _step(max(most, 1))
    return -(-max(most, 1) // step) * step


def _y(value: int, top: int) -> int:
    floor = HEIGHT - BOTTOM
    return floor - value * (floor - TOP) // top


def _column(at: int, count: int) -> tuple[int, int]:
    """Where a label's bars begin, and how wide they are; a fifth of the room stays free."""
    room = WIDTH - RIGHT - LEFT
    begin, end = LEFT + room * at // count, LEFT + room * (at + 1) // count
    gap = max((end - begin) // 10, 1)
    return begin + gap, max(end - begin - 2 * gap, 1)


def _marks(labels: Sequence[str]) -> tuple[Mark, ...]:
    count = len(labels)
    every = max(-(-count // MARKS_MAX), 1)
    marks = []
    for at in range(0, count, every):
        x, width = _column(at, count)
        marks.append(
            Mark(x + width // 2, labels[at], "start" if at == 0 and count > 1 else "middle")
        )
    return tuple(marks)
