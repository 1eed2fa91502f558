"""The process that sets receipts for ``press``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from gstable_server.web.receipts.order import NO_FONT, PDF, Fonts, Order, read, write
from gstable_server.web.receipts.pdf import NoFont, pdf

NICE = 10
SECONDS = 60
"""For one receipt: nobody waits any longer, and nobody may be there to end what hangs."""


@dataclass(frozen=True, slots=True)
class _Reading:
    tag: str
    direction: str


def main() -> None:
    """Set one receipt after another until the input ends."""
    os.nice(NICE)
    for order in _orders(sys.stdin.buffer):
        signal.alarm(SECONDS)
        write(sys.stdout.buffer, _answer(order))
        signal.alarm(0)


def _orders(source: IO[bytes]) -> Iterator[Order]:
    with suppress(EOFError):
        while True:  # bounded: by the life of the parent
            yield msgspec.json.decode(read(source), type=Order)


def _answer(order: Order) -> bytes:
    fonts = Fonts(Path(order.cjk) if order.cjk else None)
    try:
        return PDF + pdf(order.sheet, _Reading(order.tag, order.direction), fonts, order.at)
    except NoFont:
        return NO_FONT


if __name__ == "__main__":
    main()
