"""SQL of holds: what was asked of them, and what left them."""

from __future__ import annotations

import asyncpg

from gstable_server.chain.facts import HoldLog, log_from_json, log_to_json
from gstable_server.kernel.ids import HoldInstructionId, SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.holds.model import (
    Instruction,
    InstructionKind,
    InstructionState,
    Move,
    MoveState,
)


def _instruction(row: asyncpg.Record) -> Instruction:
    return Instruction(
        instruction_id=HoldInstructionId(row["instruction_id"]),
        session_id=SessionId(row["session_id"]),
        network=row["network"],
        kind=InstructionKind(row["kind"]),
        amount=int(row["amount"]),
        created_at=row["created_at"],
        state=InstructionState(row["state"]),
        attempt=row["attempt"],
        tx_hash=row["tx_hash"],
    )


async def insert(tx: Tx, one: Instruction) -> None:
    await tx.execute(
        "INSERT INTO hold_instructions (instruction_id, session_id, network, kind, amount, state, "
        "attempt, cause, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        one.instruction_id,
        one.session_id,
        one.network,
        one.kind,
        one.amount,
        one.state,
        one.attempt,
        one.cause,
        one.created_at,
    )


async def move(tx: Tx, old: Instruction, new: Instruction) -> None:
    """Write what may change of an instruction, if it still is in the state that was decided on."""
    done = await tx.execute(
        "UPDATE hold_instructions SET state = $3, attempt = $4, cause = $5, tx_hash = $6 "
        "WHERE instruction_id = $1 AND state = $2",
        old.instruction_id,
        old.state,
        new.state,
        new.attempt,
        new.cause,
        new.tx_hash,
    )
    assert done == "UPDATE 1", f"{old.instruction_id} moved under its session's lock"


async def instructions_of(tx: Tx, session_id: SessionId) -> list[Instruction]:
    """What was asked of a session's hold, oldest first. The session's lock protects them."""
    rows = await tx.fetch(
        "SELECT * FROM hold_instructions WHERE session_id = $1 ORDER BY sequence", session_id
    )
    return [_instruction(row) for row in rows]


async def find_by_cause(tx: Tx, cause: str) -> Instruction | None:
    """The instruction whose last attempt the executor knows by that name."""
    row = await tx.fetchrow("SELECT * FROM hold_instructions WHERE cause = $1", cause)
    return _instruction(row) if row else None


def _move(row: asyncpg.Record) -> Move:
    log = log_from_json(row["log"])
    assert isinstance(log, HoldLog), "put_move writes nothing else"
    return Move(
        log=log,
        session_id=SessionId(row["session_id"]) if row["session_id"] else None,
        state=MoveState(row["state"]),
        account=row["account"],
        times_mined=row["times_mined"],
    )


async def find_move(tx: Tx, log: HoldLog) -> Move | None:
    """What is known of that log. The lock of its session protects it."""
    row = await tx.fetchrow("SELECT * FROM hold_moves WHERE name = $1", log.object_id)
    return _move(row) if row else None


async def put_move(tx: Tx, one: Move) -> None:
    await tx.execute(
        "INSERT INTO hold_moves (name, session_id, state, account, times_mined, log) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE "
        "SET state = $3, account = $4, times_mined = $5, log = $6",
        one.log.object_id,
        one.session_id,
        one.state,
        one.account,
        one.times_mined,
        log_to_json(one.log),
    )


async def moves_of(tx: Tx, session_id: SessionId) -> list[Move]:
    """What left a session's hold, in the order of the chain."""
    rows = await tx.fetch("SELECT * FROM hold_moves WHERE session_id = $1", session_id)
    moves = [_move(row) for row in rows]
    return sorted(moves, key=lambda one: (one.log.block_number, one.log.object_id))


async def due_to_reclaim(tx: Tx, limit: int) -> list[SessionId]:
    """Sessions whose hold is over, holds something, and is not being given back."""
    rows = await tx.fetch(
        "SELECT session_id FROM payments p WHERE hold_capture_before <= $1 "
        "AND state IN ('seen', 'final') AND hold_captured + hold_returned < amount "
        "AND session_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM hold_instructions i "
        "WHERE i.session_id = p.session_id AND kind = 'reclaim' "
        "AND i.state IN ('requested', 'mined', 'done')) ORDER BY hold_capture_before LIMIT $2",
        tx.now,
        limit,
    )
    return [SessionId(row["session_id"]) for row in rows]
