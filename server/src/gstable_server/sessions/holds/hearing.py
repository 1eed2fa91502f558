"""What the chain and the executor tell of holds.

As in ``sessions.hearing``, each function handles one event in one transaction with the session
locked. A process that dies in between has written nothing, and the event waits in the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from gstable_server.chain.executor import operations as executor
from gstable_server.chain.facts import (
    Fact,
    FactWhat,
    HoldLog,
    HoldWhat,
    PaymentLog,
    RailName,
)
from gstable_server.chain.operations import fact_of
from gstable_server.ledger import model as book
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event, StoredEvent, first_id
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import store as session_store
from gstable_server.sessions.booking import merchant_account
from gstable_server.sessions.cases import Case, Cases
from gstable_server.sessions.hearing import advance
from gstable_server.sessions.holds import booking, machine, store
from gstable_server.sessions.holds.machine import Told
from gstable_server.sessions.holds.model import (
    WAITING,
    Instruction,
    InstructionKind,
    InstructionState,
    Move,
    MoveState,
    counted,
    held_payment,
    in_flight,
    overtaken,
)
from gstable_server.sessions.holds.operations import find_network, send
from gstable_server.sessions.holds.wire import render_letter
from gstable_server.sessions.model import Payment, Session
from gstable_server.sessions.operations import Desk

log = structlog.get_logger(__name__)

EVENT_OF = {
    HoldWhat.CAPTURED: "session.captured",
    HoldWhat.VOIDED: "session.voided",
    HoldWhat.RECLAIMED: "session.voided",
}


# --- what left a hold ----------------------------------------------------------------------


async def hear(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """A log of a hold's contract was seen, became final, or was taken back; or a payment was lost,
    which may have been held."""
    fact = fact_of(stored)
    if isinstance(fact.log, PaymentLog):
        assert fact.what is FactWhat.LOST, "flow hands over no other"
        if fact.log.rail is RailName.HOLD:
            await _give_up(tx, fact.log)
        return
    for step in fact.steps:
        await _hear(tx, desk, step)


async def _hear(tx: Tx, desk: Desk, fact: Fact) -> None:
    seen = fact.log
    assert isinstance(seen, HoldLog), "flow hands over nothing else"
    cases = await Cases.about(tx, [seen.session_key])
    case = cases.of_session(seen.session_key)
    session = case.session if case else None
    known = await store.find_move(tx, seen)
    state = machine.decide_move(known.state if known else None, fact.what)
    if state is None:
        return
    move = _moved(case, known, seen, state)
    await store.put_move(tx, move)
    token_id = desk.networks.token_id_at(seen.network, seen.token)
    await _book(tx, session, token_id, move)
    if case is None or session is None:
        log.warning("a hold of no session", network=seen.network, tx=seen.tx_hash.hex())
        return
    if state is MoveState.SEEN:
        await _recognise(tx, session, seen)
    await _recount(tx, case, seen.network)
    if state is MoveState.FINAL:
        await _final(tx, desk, case, move)
    await cases.write(tx)


async def _recognise(tx: Tx, session: Session, seen: HoldLog) -> None:
    """Know our own transaction by its log, before the executor tells that it is mined: else what
    it moved would count twice for a moment, as gone and as on its way."""
    for one in await store.instructions_of(tx, session.session_id):
        if one.state is InstructionState.REQUESTED and one.tx_hash is None:
            view = await executor.find(tx, one.cause)
            if view is not None and view.tx_hash == seen.tx_hash:
                await store.move(tx, one, replace(one, tx_hash=seen.tx_hash))


def _moved(case: Case | None, known: Move | None, seen: HoldLog, state: MoveState) -> Move:
    if known is not None and state is not MoveState.SEEN:
        return replace(known, state=state)
    times = known.times_mined + 1 if known else 1
    session_id = case.view.session.session_id if case else None
    return Move(seen, session_id, state, _account(case, seen), times)


def _account(case: Case | None, seen: HoldLog) -> str:
    """Where what left the hold goes in the book."""
    if seen.what is not HoldWhat.CAPTURED:
        return book.PAYERS
    if case is None:
        return book.UNMATCHED
    payment = held_payment(case.view.payments, seen.network)
    assert payment is not None, "the payment is told before what leaves its hold"
    return merchant_account(case.session, payment)


async def _book(tx: Tx, session: Session | None, token_id: str, move: Move) -> None:
    match move.state:
        case MoveState.SEEN:
            await booking.book_seen(tx, session, token_id, move)
        case MoveState.REVERTED:
            await booking.reverse_seen(tx, session, token_id, move)
        case MoveState.FINAL:
            await booking.book_final(tx, session, token_id, move)
        case MoveState.LOST:
            # It was taken back in the book when its block left the chain.
            pass


async def _recount(tx: Tx, case: Case, network: str) -> None:
    """Keep what left the hold with its payment; what is off the chain holds nothing."""
    view = case.view
    moves = [
        move
        for move in await store.moves_of(tx, view.session.session_id)
        if move.log.network == network
    ]
    standing = held_payment(view.payments, network)
    for payment in view.payments:
        if payment.hold is not None and payment.network == network:
            # A hold of the same session may have been begun by another transaction before a
            # reorganisation: there is one on the chain, and all moves are its.
            now = counted(payment.hold, moves if payment == standing else ())
            if now != payment.hold:
                case.put(replace(payment, hold=now))


async def _final(tx: Tx, desk: Desk, case: Case, move: Move) -> None:
    """Tell of it, give up what can no longer be done, and close the session if that was all."""
    view = case.view
    session = view.session
    payment = held_payment(view.payments, move.log.network)
    assert payment is not None, "what left it is final, so its hold is"
    tx.tell(
        Event(
            type=EVENT_OF[move.log.what],
            object_id=session.session_id,
            payload=render_letter(view, payment, move, desk.public_url),
            tenant=session.tenant,
            business_type="session",
            first_id=first_id(EVENT_OF[move.log.what], move.log.object_id),
        )
    )
    moves = await store.moves_of(tx, session.session_id)
    flying = in_flight(await store.instructions_of(tx, session.session_id), moves)
    for instruction in overtaken(payment, await _unsigned(tx, flying)):
        if await executor.withdraw(tx, instruction.cause):
            await _follow(tx, instruction, Told.OVERTAKEN)
            log.warning("too little is held for it", instruction=instruction.cause)
    outcome = machine.outcome(payment, moves)
    if outcome is not None:
        advance(tx, desk, case, outcome)


async def _unsigned(tx: Tx, flying: Sequence[Instruction]) -> list[Instruction]:
    """Those that can still be taken back. What is signed is sent, and may be the very log that we
    hear of; if too little is left for it, it fails and costs its gas."""
    found = [(one, await executor.find(tx, one.cause)) for one in flying]
    return [one for one, view in found if view is not None and view.reservation is None]


async def _give_up(tx: Tx, lost: PaymentLog) -> None:
    """Take back what was asked of a hold whose payment did not come back after a reorganisation.

    A void has no deadline: it would be tried for ever, and be the end of another payment that the
    session is paid by later, of which nobody asked that. What is sent already fails by itself.
    """
    case = (await Cases.about(tx, [lost.session_key])).of_session(lost.session_key)
    if case is None or held_payment(case.view.payments, lost.network) is not None:
        return
    session_id = case.view.session.session_id
    known = await store.instructions_of(tx, session_id)
    waiting = [one for one in known if one.state in WAITING and one.network == lost.network]
    for instruction in await _unsigned(tx, waiting):
        if await executor.withdraw(tx, instruction.cause):
            await _follow(tx, instruction, Told.OVERTAKEN)
            log.warning("its hold was lost", instruction=instruction.cause)


# --- what became of our transactions -------------------------------------------------------


async def hear_executor(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """A transaction of ours was mined, is final, failed, or was never sent."""
    told = stored.event.payload
    found = await store.find_by_cause(tx, told["cause"])
    if found is None:
        return
    session = await session_store.lock(tx, found.session_id)
    assert session is not None, "sessions are never deleted"
    instruction = await store.find_by_cause(tx, told["cause"])
    if instruction is None:
        # Another attempt was begun while we waited for the lock.
        return
    tx_hash = bytes.fromhex(told["txHash"].removeprefix("0x")) if told["txHash"] else None
    match stored.event.type:
        case "executor.mined":
            await _follow(tx, replace(instruction, tx_hash=tx_hash), Told.MINED)
        case "executor.final":
            await _follow(tx, replace(instruction, tx_hash=tx_hash), Told.SUCCEEDED)
        case "executor.refused":
            log.warning("a hold's transaction was not sent", problem=told["problem"])
            await _follow(tx, instruction, Told.REFUSED)
        case "executor.failed":
            log.warning("a hold's transaction failed", cause=told["cause"])
            await _failed(tx, desk, session, instruction)


async def _follow(tx: Tx, instruction: Instruction, told: Told) -> None:
    """Move the instruction as the machine says; what it is now may differ in ``tx_hash``."""
    state = machine.decide(instruction.state, told)
    if state is not None:
        await store.move(tx, instruction, replace(instruction, state=state))


async def _failed(tx: Tx, desk: Desk, session: Session, instruction: Instruction) -> None:
    """Try again under another name while it can still be done: a reorganisation may have put it
    before its hold. It is simulated first, so that another failure costs nothing."""
    view = await sessions.view(tx, session.session_id)
    payment = held_payment(view.payments, instruction.network)
    network = find_network(desk, payment) if payment else None
    if payment is None or network is None or not _possible(tx, payment, instruction):
        await _follow(tx, instruction, Told.REVERTED_OVERTAKEN)
        return
    state = machine.decide(instruction.state, Told.REVERTED)
    if state is not InstructionState.REQUESTED:
        return
    again = replace(instruction, state=state, attempt=instruction.attempt + 1, tx_hash=None)
    await store.move(tx, instruction, again)
    await send(tx, session, payment, network, again)


def _possible(tx: Tx, payment: Payment, instruction: Instruction) -> bool:
    assert payment.hold is not None, "held payments have one"
    if instruction.kind is not InstructionKind.CAPTURE:
        return payment.remaining > 0
    return instruction.amount <= payment.remaining and tx.now < payment.hold.capture_before
