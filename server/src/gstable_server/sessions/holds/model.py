"""What is asked of a hold, and what left it. Amounts are atomic units of the held token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gstable_server.chain.facts import HoldLog, HoldWhat
from gstable_server.kernel.ids import HoldInstructionId, SessionId
from gstable_server.sessions.model import Hold, Payment, PaymentState

CAPTURE_MIN = 2
"""The least that can be captured: of a single unit nothing would be left after the fee."""


class InstructionKind(StrEnum):
    """What we send to the contract."""

    CAPTURE = "capture"
    VOID = "void"
    RECLAIM = "reclaim"


GIVING_BACK = frozenset({InstructionKind.VOID, InstructionKind.RECLAIM})


class InstructionState(StrEnum):
    """Where an instruction stands (the table is ``machine.INSTRUCTIONS``)."""

    REQUESTED = "requested"
    """Asked for; no block has it."""
    MINED = "mined"
    """In a block that may still be taken back."""
    DONE = "done"
    """In a block that is final."""
    FAILED = "failed"
    """Too late, or what it should move was gone."""
    WITHDRAWN = "withdrawn"
    """What it should move was gone before it was sent."""


WAITING = frozenset({InstructionState.REQUESTED, InstructionState.MINED})
UNDONE = frozenset({InstructionState.FAILED, InstructionState.WITHDRAWN})


class MoveState(StrEnum):
    """Where a log stands (the table is ``machine.MOVES``)."""

    SEEN = "seen"
    FINAL = "final"
    REVERTED = "reverted"
    LOST = "lost"


STANDING = frozenset({MoveState.SEEN, MoveState.FINAL})


@dataclass(frozen=True, slots=True)
class Instruction:
    """Something that we do with a session's hold, at a merchant's word or when its time is over.

    ``amount`` is what it was asked for. ``attempt`` counts transactions that failed though they
    still could be done; ``tx_hash`` is the one that was last mined.
    """

    instruction_id: HoldInstructionId
    session_id: SessionId
    network: str
    kind: InstructionKind
    amount: int
    created_at: datetime
    state: InstructionState = InstructionState.REQUESTED
    attempt: int = 0
    tx_hash: bytes | None = None

    @property
    def cause(self) -> str:
        """The name that the executor knows its transaction by."""
        return f"{self.kind}:{self.instruction_id}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class Move:
    """Money that left a hold, as its log says.

    ``account`` is where the ledger has it since the log last came into a block; ``times_mined``
    tells these bookings apart.
    """

    log: HoldLog
    session_id: SessionId | None
    state: MoveState
    account: str
    times_mined: int = 1

    @property
    def stands(self) -> bool:
        return self.state in STANDING

    @property
    def cause(self) -> str:
        """How the ledger names this move since it last came into a block."""
        return f"{self.log.object_id}:{self.times_mined}"


def held_payment(payments: Iterable[Payment], network: str | None = None) -> Payment | None:
    """The payment of a session that is held and stands; a router takes one for each session."""
    for payment in payments:
        stands = payment.state in {PaymentState.SEEN, PaymentState.FINAL}
        if payment.hold is not None and stands and network in {None, payment.network}:
            return payment
    return None


def counted(hold: Hold, moves: Iterable[Move]) -> Hold:
    """``hold`` as the logs of its session say."""
    now = Hold(capture_before=hold.capture_before)
    for move in moves:
        if not move.stands:
            continue
        log = move.log
        if log.what is not HoldWhat.CAPTURED:
            now = replace(now, returned=now.returned + log.amount)
            continue
        now = replace(now, captured=now.captured + log.amount)
        if move.state is MoveState.FINAL:
            now = replace(
                now,
                received=now.received + log.merchant_received,
                fee=now.fee + log.fee_received,
                capture_tx=log.tx_hash,
                captured_at=log.block_time,
            )
    return now


def in_flight(instructions: Iterable[Instruction], moves: Sequence[Move]) -> list[Instruction]:
    """The instructions whose log is not known yet, though it is or may come to be on the chain."""
    told = {move.log.tx_hash for move in moves if move.stands}
    return [one for one in instructions if one.state not in UNDONE and one.tx_hash not in told]


def free(payment: Payment, flying: Iterable[Instruction]) -> int:
    """What remains of a held payment besides what is on its way out already."""
    leaving = sum(one.amount for one in flying)
    return max(payment.remaining - leaving, 0)


def overtaken(payment: Payment, flying: Iterable[Instruction]) -> list[Instruction]:
    """The instructions for which too little remains, by what is on the chain and in the order in
    which they were given: somebody else moved it."""
    left, gone = payment.remaining, []
    for one in flying:
        if left == 0 or (one.kind is InstructionKind.CAPTURE and one.amount > left):
            gone.append(one)
        elif one.kind is InstructionKind.CAPTURE:
            left -= one.amount
    return gone
