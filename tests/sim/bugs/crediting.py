"""Bugs of whoever credits payments."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gstable_server.chain.facts import PaymentLog
from gstable_server.sessions import matching
from gstable_server.sessions.model import Flag
from tests.sim.planting import bug, replaced


@bug("credit-without-amount-check")
def credits_any_amount() -> Iterator[None]:
    def any_amount(_attested: Collection[int], _log: PaymentLog) -> frozenset[Flag]:
        return frozenset()

    with replaced(matching, "amount_flags", any_amount):
        yield
