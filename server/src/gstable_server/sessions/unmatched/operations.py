"""What people do about money that pays nothing as asked.

The platform holds no key to any of it. Accepting only says whose it is; a refund is sent by the
merchant's own wallet; a return moves what is at a deposit address to where the address itself
commits to. Each is written down with who did it and why, in the transaction that does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members.model import By
from gstable_server.chain.deposits import recover_call
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import State as SendingState
from gstable_server.chain.orders import ContractCall
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.fields import TOTAL_MAX, storable
from gstable_server.kernel.ids import InflowId, ReceiptId, SessionId, id_or_none
from gstable_server.kernel.tenant import Tenant
from gstable_server.ledger import model as book
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import hearing, store_payments
from gstable_server.sessions import machine as session_machine
from gstable_server.sessions import store as session_store
from gstable_server.sessions.cases import Case, Cases
from gstable_server.sessions.deposits import operations as deposits
from gstable_server.sessions.deposits.model import Deposit
from gstable_server.sessions.model import (
    Flag,
    Payment,
    Session,
    SessionState,
    SessionView,
)
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import COUNTED, Refund
from gstable_server.sessions.refunds.wire import PrepareRefund
from gstable_server.sessions.unmatched import machine, rules, store
from gstable_server.sessions.unmatched.judging import judge_session, moved, record
from gstable_server.sessions.unmatched.machine import Fact
from gstable_server.sessions.unmatched.model import (
    REASON_MAX,
    WAITING,
    Act,
    How,
    Inflow,
    InflowView,
    State,
    Total,
    Why,
)
from gstable_server.sessions.unmatched.rules import Circumstances

BATCH = 100
TOLD_WITHIN = timedelta(minutes=1)
"""After so long a completed refund or return was told, and what resolves its money did."""
TO_MAX = 64
"""No address is longer: a longer text is none either when it is cut."""
_FAILED = frozenset({SendingState.FAILED, SendingState.REFUSED, SendingState.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Known:
    """What decides about one inflow, as it is stored, under the locks of its session."""

    inflow: Inflow
    session: Session | None
    payment: Payment | None
    refunds: Sequence[Refund]
    deposit: Deposit | None
    on_its_way: bool

    @property
    def circumstances(self) -> Circumstances:
        return Circumstances(
            payment=self.payment,
            refunds=self.refunds,
            deposit=self.deposit,
            owner_known=self.inflow.merchant_id is not None,
            on_its_way=self.on_its_way,
        )


# --- looking --------------------------------------------------------------------------------------


async def list_inflows(
    tx: Tx,
    *,
    states: Sequence[State] | None = WAITING,
    flag: Why | None = None,
    tenant: Tenant | None = None,
    limit: int = 100,
    before: InflowId | None = None,
) -> list[Inflow]:
    """Newest first, of what came before ``before``; ``states`` None for any. ``tenant``: only what
    is theirs in that mode, and what is nobody's if the installation is theirs."""
    return await store.page(
        tx,
        states=states,
        flag=flag,
        tenant=tenant,
        nobodys=tenant is not None and await accounts.is_first_merchant(tx, tenant.merchant_id),
        limit=limit,
        before=before,
    )


async def of_session(tx: Tx, session_id: SessionId) -> list[Inflow]:
    """Unusual money that came in for a session, oldest first."""
    return await store.of_session(tx, session_id)


async def summary(tx: Tx) -> list[Total]:
    """What waits for a person, by network and token."""
    return await store.totals(tx)


async def detail(
    tx: Tx, desk: Desk, inflow_id: InflowId, tenant: Tenant | None = None
) -> InflowView:
    """One inflow and all that is known of it. Refuses with 100701 what is not there, or is another
    tenant's."""
    inflow = await _theirs(tx, await store.find(tx, inflow_id), tenant)
    known = await _known(tx, inflow)
    network = desk.networks.find_network(inflow.network)
    return InflowView(
        inflow=inflow,
        resolutions=rules.resolutions(inflow, known.circumstances, tx.now),
        decisions=await store.decisions(tx, inflow_id),
        refund=next((one for one in known.refunds if one.refund_id == inflow.refund_id), None),
        call=_call(known),
        chain_id=network.chain_id if network else None,
    )


def inflow_id_of(text: str) -> InflowId:
    """The id in ``text``. Refuses with 100701 what cannot be one."""
    inflow_id = id_or_none(InflowId, text)
    if inflow_id is None:
        raise Refused(Code.INFLOW_NOT_FOUND)
    return inflow_id


async def _theirs(tx: Tx, inflow: Inflow | None, tenant: Tenant | None) -> Inflow:
    """What is nobody's is looked after by whoever runs the installation: any other merchant could
    dismiss what a third one is still asking for."""
    if inflow is None:
        raise Refused(Code.INFLOW_NOT_FOUND)
    if tenant is None:
        return inflow
    is_theirs = inflow.merchant_id == tenant.merchant_id or (
        inflow.merchant_id is None and await accounts.is_first_merchant(tx, tenant.merchant_id)
    )
    if not is_theirs or inflow.mode is not tenant.mode:
        raise Refused(Code.INFLOW_NOT_FOUND)
    return inflow


def _call(known: Known) -> ContractCall | None:
    deposit, token = known.deposit, known.inflow.token
    if deposit is None or token is None or not known.inflow.left:
        return None
    return recover_call(deposit.collector, deposit.terms, token)


async def _known(tx: Tx, inflow: Inflow) -> Known:
    payment, session, deposit = None, None, None
    given_back: Sequence[Refund] = ()
    on_its_way = False
    if inflow.session_id is not None:
        session = await session_store.find(tx, inflow.session_id)
        assert session is not None, "the inflow refers to it"
        payments = (await store_payments.of_sessions(tx, [session.session_id]))[session.session_id]
        given_back = await refunds.of_view(tx, SessionView(session, tuple(payments)))
        payment = next((one for one in payments if one.payment_id == inflow.payment_id), None)
    elif inflow.payment_id is not None:
        payment = await _stray_payment(tx, inflow)
    if inflow.session_id is not None and inflow.payment_id is None and inflow.token is not None:
        deposit = await deposits.of_session(tx, inflow.session_id)
        place = inflow.network, inflow.token
        on_its_way = await deposits.on_its_way_back(tx, inflow.session_id, place) is not None
    return Known(inflow, session, payment, given_back, deposit, on_its_way)


async def _stray_payment(tx: Tx, inflow: Inflow) -> Payment:
    assert inflow.tx_hash is not None, "a payment is a log"
    assert inflow.log_position is not None, "a payment is a log"
    name = inflow.network, inflow.tx_hash, inflow.log_position
    [payment] = [one for one in await store_payments.lock(tx, [], [name]) if one.name == name]
    return payment


# --- deciding -------------------------------------------------------------------------------------


async def _take(tx: Tx, inflow_id: InflowId, tenant: Tenant | None, act: Act, reason: str) -> Known:
    """The inflow, held with its session, that ``act`` is possible for. Refuses with 100701,
    100702 and why not, 400101 naming ``reason``."""
    if not reason.strip() or len(reason) > REASON_MAX:
        raise invalid_field("reason", f"must have 1 to {REASON_MAX} characters")
    try:
        storable(reason)
    except ValueError as failure:
        raise invalid_field("reason", str(failure)) from None
    found = await _theirs(tx, await store.find(tx, inflow_id), tenant)
    if found.session_id is not None:
        await session_store.lock(tx, found.session_id)
    inflow = await store.lock(tx, inflow_id)
    known = await _known(tx, inflow)
    problem = rules.resolutions(inflow, known.circumstances, tx.now)[act]
    if problem is not None:
        raise Refused(Code.RESOLUTION_IMPOSSIBLE, f"{act} of {inflow_id}: it {problem}")
    return known


async def accept(
    tx: Tx, desk: Desk, inflow_id: InflowId, *, actor: str, reason: str, tenant: Tenant | None
) -> Inflow:
    """Take money that is in the merchant's wallet as payment.

    It completes its session if that is open or expired and none of its money was given back, and
    is booked as the merchant's own in any case. Now or never: what was accepted beside another
    payment of the session was taken for something else, a second order or a gift. If that other
    payment is lost later the session is open again, which its merchant is told; it does not become
    paid by what was taken already. Spec 15 lets late, wrong and second money be accepted, and does
    not say that it replaces the first. Refuses as ``_take``.
    """
    known = await _take(tx, inflow_id, tenant, Act.ACCEPT, reason)
    payment = known.payment
    assert payment is not None, "only payments are in a merchant's wallet"
    key = known.session.session_key if known.session else bytes(32)
    cases = await Cases.about(tx, [key], [payment.name])
    case = cases.case(key, payment.name)
    assert known.inflow.merchant_id is not None, "else it could not be accepted"
    if not payment.pays:
        case.post([_accepted(payment, known)])
    completes = known.session is not None and _completes(known.session, known.refunds, case)
    flags = payment.flags | {Flag.ACCEPTED}
    case.put(replace(payment, flags=flags, pays=payment.pays or completes))
    if completes:
        _complete(tx, desk, case, payment.block_time)
    await cases.write(tx)
    answer = machine.decide(known.inflow.state, Fact.ACCEPT_ASKED)
    assert isinstance(answer, machine.Move), "that was asked before"
    after = moved(tx, known.inflow, answer.state, How.ACCEPTED)
    return await _decided(tx, desk, known.inflow, after, Act.ACCEPT, actor, reason)


def _completes(session: Session, known: Sequence[Refund], case: Case) -> bool:
    """Whether accepted money completes its session: never one that was paid otherwise, called off,
    or of which money goes back."""
    if any(refund.state in COUNTED for refund in known):
        return False
    payable = session.state in {SessionState.INITIALIZED, SessionState.EXPIRED}
    return payable and not case.other_payment(None) and not case.awaits_one


def _complete(tx: Tx, desk: Desk, case: Case, paid_at: datetime) -> None:
    session = case.view.session
    case.move(replace(session, paid_at=paid_at, receipt_id=tx.mint(ReceiptId)))
    hearing.advance(tx, desk, case, session_machine.Fact.ACCEPTED)
    # What was signed to pay it another way must not take the payer's money as well.
    case.withdraw_relays()


def _accepted(payment: Payment, known: Known) -> book.Transfer:
    merchant_id = known.inflow.merchant_id
    assert merchant_id is not None, "asked before"
    session = known.session
    return book.settled(
        f"accepted:{payment.cause}",
        payment.settlement_token,
        pending=book.merchant_exceptional(merchant_id) if session else book.UNMATCHED,
        final=book.merchant_settled(merchant_id),
        amount=payment.received,
        tenant=Tenant(merchant_id, known.inflow.mode),
        session_id=payment.session_id,
    )


async def refund(
    tx: Tx,
    desk: Desk,
    inflow_id: InflowId,
    *,
    actor: str,
    reason: str,
    tenant: Tenant | None,
    amount: int | None = None,
    to: str | None = None,
    by: By | None = None,
) -> Inflow:
    """Prepare the transfer by which the merchant's wallet gives the money back: all that is left,
    or ``amount`` Micro-USD, to the payer or ``to``; ``by`` is the member who does it, if one does.
    Refuses as ``_take`` and ``refunds.prepare``.
    """
    known = await _take(tx, inflow_id, tenant, Act.REFUND, reason)
    assert known.session is not None, "that was asked before"
    assert known.payment is not None, "that was asked before"
    if amount is not None and not 1 <= amount <= TOTAL_MAX:
        raise invalid_field("amount", f"must be between 1 and {TOTAL_MAX} Micro-USD")
    request = PrepareRefund.model_validate(
        {
            "sessionId": known.session.session_id,
            "paymentId": known.payment.payment_id,
            "amount": amount,
            "to": to and to[:TO_MAX],
            "reason": reason,
        }
    )
    prepared = await refunds.prepare(tx, desk, known.session.tenant, request, by)
    after = replace(moved(tx, known.inflow, State.RESOLVING, None), refund_id=prepared.refund_id)
    return await _decided(tx, desk, known.inflow, after, Act.REFUND, actor, reason)


async def sweep(
    tx: Tx, desk: Desk, inflow_id: InflowId, *, actor: str, reason: str, tenant: Tenant | None
) -> Inflow:
    """Have everything of that token at the deposit address sent back to where it commits to.
    Refuses as ``_take``, and with 100702 where no account of ours sends transactions."""
    known = await _take(tx, inflow_id, tenant, Act.SWEEP, reason)
    if not desk.relays:
        raise Refused(
            Code.RESOLUTION_IMPOSSIBLE,
            "this server sends no transactions: send the call that is shown with any wallet",
        )
    deposit, token = known.deposit, known.inflow.token
    assert deposit is not None, "that was asked before"
    assert token is not None, "that was asked before"
    network = desk.networks.network(known.inflow.network)
    cause = await deposits.send_back(tx, network, deposit, token)
    after = replace(moved(tx, known.inflow, State.RESOLVING, None), cause=cause)
    return await _decided(tx, desk, known.inflow, after, Act.SWEEP, actor, reason)


async def dismiss(
    tx: Tx, desk: Desk, inflow_id: InflowId, *, actor: str, reason: str, tenant: Tenant | None
) -> Inflow:
    """Take it out of the list, because nothing is to be done: dust, spam. Refuses as ``_take``."""
    known = await _take(tx, inflow_id, tenant, Act.DISMISS, reason)
    after = moved(tx, known.inflow, State.DISMISSED, None)
    return await _decided(tx, desk, known.inflow, after, Act.DISMISS, actor, reason)


async def _decided(
    tx: Tx, desk: Desk, before: Inflow, after: Inflow, act: Act, actor: str, reason: str
) -> Inflow:
    await store.update(tx, after)
    await record(tx, before, after, act, actor, reason)
    if before.session_id is not None:
        # A session that was completed awaits nothing at its deposit address any more.
        await judge_session(tx, desk, before.session_id)
    found = await store.find(tx, before.inflow_id)
    assert found is not None, "it was just written"
    return found


# --- what became of it ----------------------------------------------------------------------------


async def follow_up(tx: Tx, desk: Desk) -> int:
    """Open again what was to be refunded or returned and will not be; returns how many. What
    succeeded is told by the chain."""
    count = 0
    for inflow in await store.lock_resolving(tx, BATCH):
        if await _came_to_nothing(tx, inflow):
            answer = machine.decide(inflow.state, Fact.CAME_TO_NOTHING)
            assert isinstance(answer, machine.Move), "only what is under way is looked at"
            after = moved(tx, inflow, answer.state, None)
            await store.update(tx, after)
            await record(tx, inflow, after, None, "gstable", Fact.CAME_TO_NOTHING.value)
            count += 1
    return count


async def _came_to_nothing(tx: Tx, inflow: Inflow) -> bool:
    if inflow.refund_id is not None:
        assert inflow.session_id is not None, "refunds are of sessions"
        prepared = await refunds.of_session_id(tx, inflow.session_id)
        [mine] = [one for one in prepared if one.refund_id == inflow.refund_id]
        if mine.completed_at is not None:
            # It gave back only a part, else the payment would be resolved by now.
            return tx.now - mine.completed_at > TOLD_WITHIN
        return mine.state not in COUNTED
    assert inflow.cause is not None, "something is under way"
    sent = await executor.find(tx, inflow.cause)
    if sent is not None and sent.state is SendingState.FINAL:
        # Less came back than a token had told of, else all of it would be resolved by now.
        return tx.now - sent.moved_at > TOLD_WITHIN
    return sent is None or sent.state in _FAILED
