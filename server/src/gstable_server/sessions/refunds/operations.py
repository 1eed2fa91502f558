"""The verbs of refunds.

The platform holds nothing: it says which transfer gives money back, the merchant's own wallet
sends it, and its log on the chain proves it. Nothing else does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.members.model import By
from gstable_server.chain import operations as chain
from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.facts import Fact, FactWhat, TransferLog
from gstable_server.chain.networks import Network, Token
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import RefundId, SessionId, id_or_none
from gstable_server.kernel.money import (
    Asset,
    MicroUsd,
    Money,
    atomic_rounded_down,
    micro_usd_rounded_down,
    usd_text,
)
from gstable_server.kernel.tenant import Tenant
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing import outbox
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event, StoredEvent, first_id
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import store as session_store
from gstable_server.sessions import store_payments
from gstable_server.sessions.model import Flag, Payment, Session, SessionView
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import approval, letters, machine, store
from gstable_server.sessions.refunds.model import (
    LIFETIME,
    WATCHED_AFTER,
    Approval,
    Claim,
    Refund,
    RefundState,
    Terms,
    obstacle,
    remaining,
)
from gstable_server.sessions.refunds.wire import PrepareRefund, render_letter

log = structlog.get_logger(__name__)

BATCH = 100
TRANSFER_FACTS = ("chain.transfer_seen", "chain.transfer_final", "chain.transfer_reorged")


# --- what merchants ask ---------------------------------------------------------------------------


async def prepare(
    tx: Tx, desk: Desk, tenant: Tenant, request: PrepareRefund, by: By | None = None
) -> Refund:
    """Set a part of a payment aside to be given back, for 24 hours. Above the merchant's limit it
    waits for those who have to approve it first; ``by`` is the member who prepares it, if one does.

    The session is locked, so that refunds prepared at once share what remains. Its transfer is
    watched for before anybody knows the terms: both are committed together. Raises ``Refused``:
    100201, 100502 when no money can be given back, 400101 naming the field.
    """
    session = await _lock_session(tx, tenant, request.session_id)
    payments = (await store_payments.of_sessions(tx, [session.session_id]))[session.session_id]
    known = await _hold_all(tx, session.session_id)
    payment = _chosen(payments, known, request.payment_id)
    token = desk.networks.find_token(payment.settlement_token, tenant.mode)
    if token is None:
        raise _impossible("paymentId names a payment in a token that is not configured")
    network = desk.networks.network(token.network)
    refund = Refund(
        refund_id=tx.mint(RefundId),
        session_id=session.session_id,
        payment_id=payment.payment_id,
        terms=Terms(
            network=network.name,
            chain_id=network.chain_id,
            token_id=token.token_id,
            token=token.address,
            decimals=token.decimals,
            sender=payment.merchant,
            receiver=await _receiver(tx, payment, network, token, request.to),
            amount=_amount(token.asset, remaining(payment, known), request.amount),
        ),
        amount=MicroUsd(0),
        reason=request.reason,
        state=RefundState.PREPARED,
        expires_at=tx.now + LIFETIME,
        watched_until=tx.now + LIFETIME + WATCHED_AFTER,
        created_at=tx.now,
        prepared_by=by.member.member_id if by else None,
    )
    in_usd = micro_usd_rounded_down(Money(refund.terms.amount, token.asset))
    refund = replace(refund, amount=in_usd)
    if approval.is_needed(await limits.current(tx, tenant), known, in_usd):
        refund = replace(refund, state=RefundState.AWAITING, approval=Approval.AWAITED)
    await store.insert(tx, refund)
    await chain.watch_transfer(tx, network.name, payment.merchant)
    if refund.state is RefundState.AWAITING:
        await letters.tell_of_waiting(tx, desk, tenant, refund, by)
    return refund


async def cancel(tx: Tx, tenant: Tenant, refund_id: RefundId) -> None:
    """Give a refund up that was not sent. Its transfer still counts if it is sent all the same.

    Raises ``Refused``: 100501, 100502 when its transfer is on the chain or it was given up.
    """
    session_id = (await detail(tx, tenant, refund_id)).session_id
    await session_store.lock(tx, session_id)
    refund = await store.lock(tx, refund_id)
    answer = machine.decide(refund.state, machine.Fact.CANCEL_REQUESTED)
    if isinstance(answer, machine.Refuse):
        raise _impossible(f"refundId {answer.reason}")
    assert isinstance(answer, machine.Move)
    await store.move(tx, refund, replace(refund, state=answer.state))


async def detail(tx: Tx, tenant: Tenant, refund_id: RefundId) -> Refund:
    """A merchant's own refund. Refuses with 100501 anybody else's."""
    refund = await store.find(tx, refund_id)
    session = await session_store.find(tx, refund.session_id) if refund else None
    if refund is None or session is None or session.tenant != tenant:
        raise Refused(Code.REFUND_NOT_FOUND)
    return refund


async def of_session(tx: Tx, tenant: Tenant, session_id: SessionId) -> list[Refund]:
    """The refunds of a merchant's own session, oldest first. Refuses with 100201."""
    return await of_view(tx, await sessions.detail(tx, tenant, session_id))


async def newest(
    tx: Tx,
    tenant: Tenant,
    limit: int,
    *,
    state: RefundState | None = None,
    before: RefundId | None = None,
) -> list[Refund]:
    """A page of the merchant's refunds of all sessions, the newest first, or those that were
    prepared before ``before``."""
    return await store.page(tx, tenant, state, before, limit)


def completed(tx: Tx) -> AsyncIterator[list[tuple[SessionId, Terms, bytes]]]:
    """Of every refund that is done: whose it is, its terms, and the transaction that proves it; in
    parts."""
    return store.completed(tx)


async def of_view(tx: Tx, view: SessionView) -> list[Refund]:
    """The refunds of a session that the caller may see, oldest first."""
    return await of_session_id(tx, view.session.session_id)


async def of_session_id(tx: Tx, session_id: SessionId) -> list[Refund]:
    """The refunds of any session, for those who were let in to it, oldest first."""
    return await store.of_session(tx, session_id)


async def of_sessions(tx: Tx, session_ids: Sequence[SessionId]) -> list[Refund]:
    """The refunds of several sessions, for those who were let in to them, oldest first."""
    return await store.of_sessions(tx, session_ids)


def refundable(view: SessionView, refunds: Sequence[Refund]) -> Mapping[str, int]:
    """By payment id, what can still be given back, in atomic units of its settlement token."""
    return {
        payment.payment_id: left
        for payment in view.payments
        if obstacle(payment) is None and (left := remaining(payment, refunds))
    }


def refund_id_of(text: str) -> RefundId:
    """The id in ``text``. Refuses with 100501 what cannot be one."""
    refund_id = id_or_none(RefundId, text)
    if refund_id is None:
        raise Refused(Code.REFUND_NOT_FOUND)
    return refund_id


def _impossible(reason: str) -> Refused:
    return Refused(Code.REFUND_IMPOSSIBLE, reason)


async def _lock_session(tx: Tx, tenant: Tenant, text: str) -> Session:
    session = await session_store.lock(tx, sessions.session_id_of(text))
    if session is None or session.tenant != tenant:
        raise Refused(Code.SESSION_NOT_FOUND)
    return session


async def _hold_all(tx: Tx, session_id: SessionId) -> list[Refund]:
    """The session's refunds, held: the chain may be about to say that one was sent after all."""
    return [
        await store.lock(tx, refund.refund_id) for refund in await store.of_session(tx, session_id)
    ]


def _chosen(payments: Sequence[Payment], known: Sequence[Refund], asked: str | None) -> Payment:
    """The payment to give back: the one that is named, else the only one with money left."""
    if asked is not None:
        payment = next((one for one in payments if one.payment_id == asked), None)
        if payment is None:
            raise invalid_field("paymentId", "names no payment of this session")
        if problem := obstacle(payment):
            raise _impossible(f"paymentId {problem}")
        if not remaining(payment, known):
            raise _impossible("paymentId names a payment of which nothing remains")
        return payment
    possible = [one for one in payments if obstacle(one) is None and remaining(one, known)]
    if len(possible) > 1:
        ids = ", ".join(one.payment_id for one in possible)
        raise invalid_field("paymentId", f"is required: there is more than one payment, {ids}")
    if possible:
        return possible[0]
    if not payments:
        raise _impossible("sessionId names a session without a payment")
    if len(payments) == 1 and (problem := obstacle(payments[0])):
        raise _impossible(f"sessionId {problem}")
    raise _impossible("sessionId names a session of which nothing remains to be given back")


def _amount(asset: Asset, left: int, asked: int | None) -> int:
    """How many atomic units to give back: all that is left, unless Micro-USD were asked."""
    if asked is None:
        return left
    amount = atomic_rounded_down(MicroUsd(asked), asset)
    if micro_usd_rounded_down(amount) != asked:
        raise invalid_field("amount", f"is finer than the {asset.decimals} decimals of the token")
    if amount.atomic > left:
        most = micro_usd_rounded_down(Money(left, asset))
        raise _impossible(f"amount is more than remains: {most} ({usd_text(most)} USD)")
    return amount.atomic


async def _receiver(
    tx: Tx, payment: Payment, network: Network, token: Token, asked: str | None
) -> Address:
    """Who gets the money. The payer only where that surely is a wallet of theirs: they named it,
    and it was used on the very network that the money is given back on. On another network the
    same address may belong to nobody, when a contract paid."""
    if asked is None:
        if payment.network != network.name:
            raise invalid_field(
                "to", "is required: the payer paid on another network, ask which wallet to refund"
            )
        if not await store.asked_for_order(tx, payment):
            raise invalid_field(
                "to", "is required: what paid is no wallet that the payer named, ask for one"
            )
        return payment.payer
    try:
        receiver = address_from_text(asked)
    except ValueError as problem:
        raise invalid_field("to", str(problem)) from None
    if receiver == payment.merchant:
        raise invalid_field("to", "must not be the wallet that gives the money back")
    if receiver in {ZERO_ADDRESS, token.address, network.router}:
        raise invalid_field("to", "must be somebody's wallet, not a contract of the payment")
    return receiver


# --- what the chain and the clock do --------------------------------------------------------------


async def hear(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """A transfer of a watched wallet was seen, became final, or was taken back.

    A transfer without a refund of exactly its terms is the merchant's own business. A process
    that dies in between has written nothing, and the fact waits in the outbox.
    """
    for step in chain.fact_of(stored).steps:
        await _hear(tx, desk, step)


async def _hear(tx: Tx, desk: Desk, fact: Fact) -> None:
    transfer = fact.log
    assert isinstance(transfer, TransferLog), "flow hands over nothing else"
    proven = await store.find_proven(tx, transfer)
    match fact.what:
        case FactWhat.SEEN:
            if proven is None:
                await _claim(tx, transfer)
        case FactWhat.FINAL:
            if proven is not None:
                await _complete(tx, desk, proven)
        case FactWhat.REORGED:
            if proven is not None:
                await _reopen(tx, proven)
        case FactWhat.LOST:
            # Its refund waits again since the reorganisation.
            assert proven is None, "what is lost was taken back before"


async def _hold(tx: Tx, refund_id: RefundId) -> Refund:
    """The refund, held after its session, as merchants' verbs hold them."""
    found = await store.find(tx, refund_id)
    assert found is not None, "refunds are never deleted"
    await session_store.lock(tx, found.session_id)
    return await store.lock(tx, refund_id)


async def _claim(tx: Tx, transfer: TransferLog) -> None:
    while refund_id := await store.find_unproven(tx, transfer):
        refund = await _hold(tx, refund_id)
        if refund.watched_until is None or refund.claim is not None:
            # It was taken while we waited for its lock.
            continue
        answer = machine.decide(refund.state, machine.Fact.TRANSFER_SEEN)
        assert isinstance(answer, machine.Move)
        if refund.state is RefundState.AWAITING:
            log.warning("a refund was sent before it was approved", refund=refund_id)
        elif refund.state is not RefundState.PREPARED:
            log.warning("a refund was sent after it was given up", refund=refund_id)
        claim = Claim(transfer.tx_hash, transfer.log_position)
        await store.move(tx, refund, replace(refund, state=answer.state, claim=claim))
        return


async def _reopen(tx: Tx, refund_id: RefundId) -> None:
    refund = await _hold(tx, refund_id)
    is_approved = refund.approval is not Approval.AWAITED
    reverted = machine.Fact.TRANSFER_REVERTED if is_approved else machine.Fact.UNAPPROVED_REVERTED
    answer = machine.decide(refund.state, reverted)
    assert isinstance(answer, machine.Move)
    # The transaction may be mined again at any time, so it is looked for as long as a new one.
    again = replace(
        refund, state=answer.state, claim=None, watched_until=tx.now + LIFETIME + WATCHED_AFTER
    )
    await store.move(tx, refund, again)


async def _complete(tx: Tx, desk: Desk, refund_id: RefundId) -> None:
    refund = await _hold(tx, refund_id)
    answer = machine.decide(refund.state, machine.Fact.TRANSFER_FINAL)
    if not isinstance(answer, machine.Move):
        return
    done = replace(refund, state=answer.state, completed_at=tx.now, watched_until=None)
    await store.move(tx, refund, done)
    await chain.unwatch_transfer(tx, refund.terms.network, refund.terms.sender)
    view = await sessions.view(tx, refund.session_id)
    await _book(tx, view, done)
    tx.tell(
        Event(
            type="session.refunded",
            object_id=refund.session_id,
            payload=render_letter(view, done, desk.public_url),
            tenant=view.session.tenant,
            business_type="session",
            first_id=first_id("session.refunded", done.refund_id),
        )
    )


async def _book(tx: Tx, view: SessionView, refund: Refund) -> None:
    [payment] = [one for one in view.payments if one.payment_id == refund.payment_id]
    merchant_id = view.session.tenant.merchant_id
    if payment.pays or Flag.ACCEPTED in payment.flags:
        giver = book.merchant_settled(merchant_id)
    else:
        giver = book.merchant_exceptional(merchant_id)
    transfer = book.moved(
        f"refunded:{refund.refund_id}",
        book.Kind.REFUND,
        refund.terms.token_id,
        book.Entry(giver, -refund.terms.amount),
        book.Entry(book.PAYERS, refund.terms.amount),
        tenant=view.session.tenant,
        session_id=refund.session_id,
    )
    await ledger.post(tx, transfer)


async def reschedule(tx: Tx, session_id: SessionId, moved: Callable[[datetime], datetime]) -> None:
    """Change until when the refunds of a session, whose lock is held, may be approved or sent."""
    for refund in await _hold_all(tx, session_id):
        if refund.state in {RefundState.AWAITING, RefundState.PREPARED}:
            await store.reschedule(tx, replace(refund, expires_at=moved(refund.expires_at)))


async def expire_due(tx: Tx) -> int:
    """Free what was set aside and not sent in time; returns how many refunds that were."""
    due = await store.lock_due(tx, BATCH)
    for refund in due:
        answer = machine.decide(refund.state, machine.Fact.TIME_PASSED)
        assert isinstance(answer, machine.Move)
        await store.move(tx, refund, replace(refund, state=answer.state))
    return len(due)


async def unwatch_due(tx: Tx) -> int:
    """Stop looking for transfers of refunds that were given up long ago; returns how many. Long
    ago by the blocks that were read, so that an outage of days passes none unseen; and none while
    a transfer that was read waits to be heard, which may be the one."""
    until = await chain.read_until(tx)
    if await outbox.is_waiting(tx, TRANSFER_FACTS):
        return 0
    due = await store.lock_unwatchable(tx, until, BATCH)
    for refund in due:
        await store.move(tx, refund, replace(refund, watched_until=None))
        await chain.unwatch_transfer(tx, refund.terms.network, refund.terms.sender)
    return len(due)
