"""What is to be done about a deposit: pure functions of what is known, without any memory.

A collection stands where the executor says that its transaction stands, so there is no state of
our own that could differ from it.
"""

from __future__ import annotations

from enum import Enum

from gstable_server.chain.executor.model import State

OVER = frozenset({State.FAILED, State.REFUSED, State.WITHDRAWN})
"""An intent in one of these moves nothing any more, and did not do what was wanted."""


class Step(Enum):
    """What is to be done now."""

    WAIT = "nothing"
    SEND = "stage a transaction with the executor"
    WITHDRAW = "take the staged one back"


def sweeping(sent: State | None, *, wanted: bool, funded: bool, covered: bool) -> Step:
    """The next step of collecting. ``sent``: the last collection, if there was one.

    ``wanted``: the session still is to be paid; ``funded``: what the last collection takes was
    there when it was last looked for; ``covered``: what is there now, on this network, pays.

    There is one collection at a time, on all networks together: two would both be mined, and the
    merchant be paid twice. One that succeeded is the last, since a router pays a session once.
    One that has lost its money waits for it, since a node may only be behind, until other money
    could pay instead.
    """
    if sent is State.QUEUED and not (wanted and (funded or not covered)):
        return Step.WITHDRAW
    if sent is not None and sent not in OVER:
        return Step.WAIT
    return Step.SEND if wanted and covered else Step.WAIT


def returning(sent: State | None, *, worth: bool) -> Step:
    """The next step of sending back, after the deadline. ``worth``: there is enough of it.

    What comes later is sent back again, so that also a final return is not the last.
    """
    if sent is State.QUEUED and not worth:
        return Step.WITHDRAW
    if sent is not None and sent not in OVER and sent is not State.FINAL:
        return Step.WAIT
    return Step.SEND if worth else Step.WAIT
