"""The verbs of holds: capture, void, and what we do when the time to capture is over.

The contract keeps the money and its rules: never more than was authorised, never after the time,
back to nobody but the payer (contracts/src/rails/HoldRail.sol). What is refused here is refused
early, so that a merchant is told why. Nothing here moves money in the book: only logs do, in
``hearing``. Each verb is one transaction; what it intends is sent by the executor, whatever
becomes of this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import Intent, Sender
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.hold import capture_call, reclaim_call, void_call
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import HoldInstructionId
from gstable_server.kernel.money import (
    Asset,
    MicroUsd,
    Money,
    atomic_rounded_down,
    micro_usd_rounded_down,
    usd_text,
)
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import store as session_store
from gstable_server.sessions.holds import store
from gstable_server.sessions.holds.model import (
    CAPTURE_MIN,
    GIVING_BACK,
    Instruction,
    InstructionKind,
    Move,
    free,
    held_payment,
    in_flight,
)
from gstable_server.sessions.holds.wire import CaptureSession, VoidSession
from gstable_server.sessions.model import CaptureMethod, Payment, Session, SessionView
from gstable_server.sessions.operations import Desk

BATCH = 100
PURPOSES = {
    InstructionKind.CAPTURE: "capture",
    InstructionKind.VOID: "void",
    InstructionKind.RECLAIM: "recover",
}


@dataclass(frozen=True, slots=True)
class _Held:
    """A session whose lock we have, and all that is known of its hold."""

    view: SessionView
    moves: Sequence[Move]
    flying: Sequence[Instruction]

    @property
    def session(self) -> Session:
        return self.view.session


async def capture(tx: Tx, desk: Desk, tenant: Tenant, request: CaptureSession) -> SessionView:
    """Have a part of what is held, or all that remains, given to the merchant, less the fee.

    The session is locked, so that captures at once share what remains. Refuses with 100201, with
    100601 when nothing can be captured, with 400101 an amount that the token cannot express, and
    with 400205 when this server cannot send.
    """
    held = await _lock(tx, tenant, request.session_id, Code.CAPTURE_IMPOSSIBLE)
    payment = held.view.payment
    if payment is None or payment.hold is None:
        raise _refused(Code.CAPTURE_IMPOSSIBLE, "names a session that nobody has authorized")
    if tx.now >= payment.hold.capture_before:
        over = wire_time(payment.hold.capture_before)
        raise _refused(
            Code.CAPTURE_IMPOSSIBLE, f"names a session that could be captured before {over}"
        )
    if any(one.kind in GIVING_BACK for one in held.flying):
        raise _refused(Code.CAPTURE_IMPOSSIBLE, "names a session that is being voided")
    amount = _amount(payment, free(payment, held.flying), request.amount)
    network = _network(desk, payment)
    await instruct(tx, held.session, payment, network, InstructionKind.CAPTURE, amount)
    return held.view


async def void(tx: Tx, desk: Desk, tenant: Tenant, request: VoidSession) -> SessionView:
    """Have all that is still held given back to the payer, also what was authorised too late.

    Refuses with 100201, with 100602 when nothing is held or some of it is on its way out, and with
    400205 when this server cannot send.
    """
    held = await _lock(tx, tenant, request.session_id, Code.VOID_IMPOSSIBLE)
    payment = held_payment(held.view.payments)
    if payment is None:
        raise _refused(Code.VOID_IMPOSSIBLE, "names a session that nobody has authorized")
    if payment.remaining == 0:
        raise _refused(Code.VOID_IMPOSSIBLE, "names a session of which nothing is held any more")
    if any(one.kind in GIVING_BACK for one in held.flying):
        raise _refused(Code.VOID_IMPOSSIBLE, "names a session that is being voided")
    if held.flying:
        raise _refused(Code.VOID_IMPOSSIBLE, "names a session of which a capture is on its way")
    network = _network(desk, payment)
    await instruct(tx, held.session, payment, network, InstructionKind.VOID, payment.remaining)
    return held.view


def _refused(code: Code, reason: str) -> Refused:
    return Refused(code, f"sessionId {reason}")


async def _lock(tx: Tx, tenant: Tenant, text: str, code: Code) -> _Held:
    session = await session_store.lock(tx, sessions.session_id_of(text))
    if session is None or session.tenant != tenant:
        raise Refused(Code.SESSION_NOT_FOUND)
    if session.capture_method is not CaptureMethod.MANUAL:
        raise _refused(code, "names a session that is captured with its payment")
    return await _known(tx, session)


async def _known(tx: Tx, session: Session) -> _Held:
    view = await sessions.view(tx, session.session_id)
    moves = await store.moves_of(tx, session.session_id)
    instructions = await store.instructions_of(tx, session.session_id)
    return _Held(view, moves, in_flight(instructions, moves))


def _amount(payment: Payment, left: int, asked: int | None) -> int:
    """How many atomic units to capture: all that is left, unless Micro-USD were asked."""
    assert payment.decimals is not None, "a payment in an unknown token pays nothing"
    asset = Asset(payment.token_id, payment.decimals)
    if left < CAPTURE_MIN:
        raise _refused(
            Code.CAPTURE_IMPOSSIBLE, "names a session of which nothing remains to be captured"
        )
    if asked is None:
        return left
    amount = atomic_rounded_down(MicroUsd(asked), asset)
    if micro_usd_rounded_down(amount) != asked:
        raise invalid_field("amount", f"is finer than the {asset.decimals} decimals of the token")
    if amount.atomic > left:
        most = micro_usd_rounded_down(Money(left, asset))
        detail = f"amount is more than remains: {most} ({usd_text(most)} USD)"
        raise Refused(Code.CAPTURE_IMPOSSIBLE, detail)
    if amount.atomic < CAPTURE_MIN:
        raise invalid_field("amount", "is so small that the fee would be all of it")
    return amount.atomic


def _network(desk: Desk, payment: Payment) -> Network:
    network = find_network(desk, payment)
    if network is None:
        raise Refused(
            Code.ROUTE_UNAVAILABLE, "this server cannot send it; the merchant's own wallet can"
        )
    return network


def find_network(desk: Desk, payment: Payment) -> Network | None:
    """Where we can send what concerns the payment's hold; None if we cannot."""
    network = desk.networks.find_network(payment.network)
    if not desk.relays or network is None or network.contracts.hold_rail is None:
        return None
    return network


async def instruct(
    tx: Tx,
    session: Session,
    payment: Payment,
    network: Network,
    kind: InstructionKind,
    amount: int,
) -> None:
    """Have something done with a hold, from the commit of ``tx`` on."""
    instruction = Instruction(
        instruction_id=tx.mint(HoldInstructionId),
        session_id=session.session_id,
        network=network.name,
        kind=kind,
        amount=amount,
        created_at=tx.now,
    )
    await store.insert(tx, instruction)
    await send(tx, session, payment, network, instruction)


async def send(
    tx: Tx, session: Session, payment: Payment, network: Network, instruction: Instruction
) -> None:
    """Hand the instruction's next attempt to the executor."""
    intent = Intent(
        cause=instruction.cause,
        network=network.name,
        sender=Sender.RELAYER,
        call=_call(session, network, instruction),
        purpose=PURPOSES[instruction.kind],
        subject=session.session_id,
        deadline=_deadline(payment, instruction),
    )
    await executor.intend(tx, intent)


def _call(session: Session, network: Network, instruction: Instruction) -> ContractCall:
    match instruction.kind:
        case InstructionKind.CAPTURE:
            return capture_call(network, session.session_key, instruction.amount)
        case InstructionKind.VOID:
            return void_call(network, session.session_key)
        case InstructionKind.RECLAIM:
            return reclaim_call(network, session.session_key)


def _deadline(payment: Payment, instruction: Instruction) -> datetime | None:
    """A capture is tried as long as the contract takes it; money is given back whenever."""
    if instruction.kind is not InstructionKind.CAPTURE:
        return None
    assert payment.hold is not None, "only what is held is captured"
    return payment.hold.capture_before


async def reclaim_due(tx: Tx, desk: Desk) -> int:
    """Give back what nobody captured in time; returns how many holds that were.

    The payer needs us for nothing of this: ``reclaim`` of the contract is open to anybody.
    """
    given = 0
    for session_id in await store.due_to_reclaim(tx, BATCH) if desk.relays else ():
        session = await session_store.lock(tx, session_id)
        assert session is not None, "sessions are never deleted"
        held = await _known(tx, session)
        payment = held_payment(held.view.payments)
        network = find_network(desk, payment) if payment else None
        reclaimed = any(one.kind is InstructionKind.RECLAIM for one in held.flying)
        # Another worker may have been here while we waited for the lock.
        if payment is None or network is None or not payment.remaining or reclaimed:
            continue
        left = payment.remaining
        await instruct(tx, session, payment, network, InstructionKind.RECLAIM, left)
        given += 1
    return given
