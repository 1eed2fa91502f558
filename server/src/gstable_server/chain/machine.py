"""What a happening on the chain means for a payment: pure, with the whole table in sight.

A payment's state is the kind of the last fact about it; None is a payment never heard of.
"""

from __future__ import annotations

from enum import Enum, StrEnum

from gstable_server.chain.facts import FactKind

State = FactKind | None


class Happening(StrEnum):
    """What the indexer can observe of a payment."""

    MINED = "mined"
    """Its log is in the block that is being added."""
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
    """A final payment would be taken back. No rule covers this: people have to decide."""


_TABLE: dict[tuple[State, Happening], FactKind | Answer] = {
    (None, Happening.MINED): FactKind.SEEN,
    (None, Happening.DEEP): Answer.NOTHING,
    (None, Happening.UNMINED): Answer.NOTHING,
    (None, Happening.OVERDUE): Answer.NOTHING,
    (FactKind.SEEN, Happening.MINED): Answer.CONTRADICTION,
    (FactKind.SEEN, Happening.DEEP): FactKind.FINAL,
    (FactKind.SEEN, Happening.UNMINED): FactKind.REORGED,
    (FactKind.SEEN, Happening.OVERDUE): Answer.NOTHING,
    (FactKind.FINAL, Happening.MINED): Answer.CONTRADICTION,
    (FactKind.FINAL, Happening.DEEP): Answer.NOTHING,
    (FactKind.FINAL, Happening.UNMINED): Answer.HALT,
    (FactKind.FINAL, Happening.OVERDUE): Answer.NOTHING,
    (FactKind.REORGED, Happening.MINED): FactKind.SEEN,
    (FactKind.REORGED, Happening.DEEP): Answer.NOTHING,
    (FactKind.REORGED, Happening.UNMINED): Answer.NOTHING,
    (FactKind.REORGED, Happening.OVERDUE): FactKind.LOST,
    (FactKind.LOST, Happening.MINED): FactKind.SEEN,
    (FactKind.LOST, Happening.DEEP): Answer.NOTHING,
    (FactKind.LOST, Happening.UNMINED): Answer.NOTHING,
    (FactKind.LOST, Happening.OVERDUE): Answer.NOTHING,
}


def decide(state: State, happening: Happening) -> FactKind | Answer:
    """The fact to add, or what to do instead."""
    return _TABLE[state, happening]


def is_deep(block_number: int, tip_number: int, confirmations: int) -> bool:
    """Whether a block is final: a payment in the newest block has one confirmation."""
    return tip_number - block_number + 1 >= confirmations


def is_overdue(block_number: int, tip_number: int, confirmations: int) -> bool:
    """Whether a payment that was taken back from ``block_number`` is given up.

    It was not final, so the old tip was less than ``confirmations`` blocks above; this leaves at
    least ``confirmations`` blocks after that for the transaction to be mined again.
    """
    return tip_number >= block_number + 2 * confirmations
