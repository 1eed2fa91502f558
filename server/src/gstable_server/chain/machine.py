"""What a happening on the chain means for a log: pure, with the whole table in sight.

A log's state is what the last fact says of it; None is a log never heard of. The kind of log
makes no difference.
"""

from __future__ import annotations

from enum import Enum, StrEnum

from gstable_server.chain.facts import FactWhat

State = FactWhat | None


class Happening(StrEnum):
    """What the indexer can observe of a log."""

    MINED = "mined"
    """It is in the block that is being added."""
    DEEP = "deep"
    """Its block has as many blocks, itself counted, as the network's ``confirmations``."""
    UNMINED = "unmined"
    """Its block is being taken back."""
    OVERDUE = "overdue"
    """It was taken back and had its time to be mined again (``is_overdue``)."""


class Answer(Enum):
    """What is done instead of adding a fact."""

    NOTHING = "nothing"
    CONTRADICTION = "contradiction"
    """One transaction in two blocks of one chain: the provider's answers do not fit together."""
    HALT = "halt"
    """A final log would be taken back. No rule covers this: people have to decide."""


_TABLE: dict[tuple[State, Happening], FactWhat | Answer] = {
    (None, Happening.MINED): FactWhat.SEEN,
    (None, Happening.DEEP): Answer.NOTHING,
    (None, Happening.UNMINED): Answer.NOTHING,
    (None, Happening.OVERDUE): Answer.NOTHING,
    (FactWhat.SEEN, Happening.MINED): Answer.CONTRADICTION,
    (FactWhat.SEEN, Happening.DEEP): FactWhat.FINAL,
    (FactWhat.SEEN, Happening.UNMINED): FactWhat.REORGED,
    (FactWhat.SEEN, Happening.OVERDUE): Answer.NOTHING,
    (FactWhat.FINAL, Happening.MINED): Answer.CONTRADICTION,
    (FactWhat.FINAL, Happening.DEEP): Answer.NOTHING,
    (FactWhat.FINAL, Happening.UNMINED): Answer.HALT,
    (FactWhat.FINAL, Happening.OVERDUE): Answer.NOTHING,
    (FactWhat.REORGED, Happening.MINED): FactWhat.SEEN,
    (FactWhat.REORGED, Happening.DEEP): Answer.NOTHING,
    (FactWhat.REORGED, Happening.UNMINED): Answer.NOTHING,
    (FactWhat.REORGED, Happening.OVERDUE): FactWhat.LOST,
    (FactWhat.LOST, Happening.MINED): FactWhat.SEEN,
    (FactWhat.LOST, Happening.DEEP): Answer.NOTHING,
    (FactWhat.LOST, Happening.UNMINED): Answer.NOTHING,
    (FactWhat.LOST, Happening.OVERDUE): Answer.NOTHING,
}


def decide(state: State, happening: Happening) -> FactWhat | Answer:
    """The fact to add, or what to do instead."""
    return _TABLE[state, happening]


def is_deep(block_number: int, tip_number: int, confirmations: int) -> bool:
    """Whether a block is final: a log in the newest block has one confirmation."""
    return tip_number - block_number + 1 >= confirmations


def is_overdue(block_number: int, tip_number: int, confirmations: int) -> bool:
    """Whether a log that was taken back from ``block_number`` is given up.

    It was not final, so the old tip was less than ``confirmations`` blocks above; this leaves at
    least ``confirmations`` blocks after that for the transaction to be mined again.
    """
    return tip_number >= block_number + 2 * confirmations
