"""The calls of holds, which need a payment that waits: rows beside those of ``sdk_calls``."""

from __future__ import annotations

from typing import Any

from tests.contract.sdk_counter import Arguments, Counter, args, happy

CAPTURE = "checkout_session.capture"
VOID = "checkout_session.void"


def _fresh(counter: Counter) -> Arguments:
    """A hold of its own: what is voided is over."""
    counter.kept.pop("held", None)
    return args(counter.held())


@happy(CAPTURE, lambda counter: args(counter.held(), amount=3))
def _(counter: Counter, given: Arguments, session: Any) -> None:
    assert (session.session_id, session.status) == (given[0][0], "paid")
    assert session.capture_method == "manual"
    assert (session.hold.authorized, session.hold.returned) == (10_000_000, 0)
    assert session.hold.remaining == 10_000_000 - session.hold.captured


@happy(VOID, _fresh)
def _(counter: Counter, given: Arguments, session: Any) -> None:
    assert (session.session_id, session.status) == (given[0][0], "paid")
    assert session.hold.remaining == 10_000_000
    del counter.kept["held"]
