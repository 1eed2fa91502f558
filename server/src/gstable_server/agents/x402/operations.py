"""The verbs of x402: say what a link or a session costs, and take a payment that was signed.

What is asked for is told without storing anything, so that asking is free of consequences: the
address to pay to follows from the session's terms, and a link's session, whose id and expiry come
back with the payment, is opened by the payment. The payment is a transfer to the session's deposit
address that anybody may send; what follows is what follows any deposit (``sessions.deposits``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.agents.x402 import store
from gstable_server.agents.x402.model import (
    TIMEOUT_SECONDS_MIN,
    Offer,
    Payment,
    Progress,
    Reason,
    Rejected,
    Resource,
    Standing,
    Taken,
    check,
    network_name,
    rejected,
    rejected_by_chain,
    requirements,
    send_until,
    standing_of,
    timeout_seconds,
    transfer_of,
)
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import Intent, Sender
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.rpc import Rpc
from gstable_server.chain.signed_transfers import (
    Flaw,
    SignedTransfer,
    as_chain_takes_it,
    balance_of,
)
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import LinkId, SessionId
from gstable_server.links import operations as links
from gstable_server.plumbing.db import Database, Tx
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import paying
from gstable_server.sessions.deposits import operations as deposits
from gstable_server.sessions.model import (
    Announced,
    BusinessType,
    CaptureMethod,
    Session,
    SessionState,
)
from gstable_server.sessions.operations import Desk

LOOK_SECONDS = 0.1
WAIT_SECONDS = 4.0
"""How long an answer waits for the transfer to be mined: less than clients wait by default."""

ON_THEIR_WAY_MAX = 16
"""How many transfers of one payer in one token are taken before the first of them is mined."""

OPEN = SessionState.INITIALIZED


@dataclass(frozen=True, slots=True)
class Till:
    """What taking payments needs: ``chains`` by the network's name."""

    db: Database
    desk: Desk
    chains: Mapping[str, Rpc]
    wait_seconds: float = WAIT_SECONDS


# --- what is asked for ----------------------------------------------------------------------------


async def offer(
    tx: Tx, desk: Desk, resource: Resource, announced: Announced | None = None
) -> Offer:
    """What ``resource`` costs now, and how it can be paid.

    ``announced`` is what a payment of a link repeats of the session that it was told; without it
    another session is announced. Refuses links and sessions that cannot be paid, with the codes of
    the hosted page; a session that is paid has no requirements.
    """
    if resource.link_id is not None:
        session, announced = await _session_of_link(tx, desk, resource.link_id, resource, announced)
    else:
        assert resource.session_id is not None, "a resource is one of both"
        session, announced = (await sessions.view(tx, resource.session_id)).session, None
    if session.preset is not None:
        detail = "this session is paid by the agent that opened it"
        raise Refused(Code.SESSION_PAYER_MISMATCH, detail)
    if session.paid_at is not None and session.state is not OPEN:
        return Offer(session, ())
    paying.check_payable(session, tx.now)
    if timeout_seconds(session, tx.now) < TIMEOUT_SECONDS_MIN:
        raise Refused(Code.SESSION_EXPIRED)
    email = paying.proven_email(session, resource.payer_email)
    sessions.check_email(email, required=session.payer_email_required)
    if session.capture_method is CaptureMethod.MANUAL and resource.refund_to is None:
        # The hold's payer is the address, and what it gives back must not end at the merchant.
        raise invalid_field("refundTo", "is required: what is not captured goes there")
    view = await deposits.announce(tx, desk, session, resource.refund_to)
    if view is None:
        raise Refused(Code.CHANNEL_UNSUPPORTED, "no signed transfer can pay this")
    if view.collects or await _live(tx, session.session_id):
        return Offer(session, (), pending=True)
    found = requirements(view, announced, tx.now)
    if not found:
        raise Refused(Code.CHANNEL_UNSUPPORTED, "no signed transfer can pay this")
    return Offer(session, found)


async def _session_of_link(
    tx: Tx, desk: Desk, link_id: LinkId, resource: Resource, announced: Announced | None
) -> tuple[Session, Announced]:
    """The session that was announced, stored by now or not, or a new announcement.

    What a client repeats needs no proof: whatever it says, the terms are the link's own, and the
    payer's signature holds only for the address that commits to them.
    """
    link = await links.require_open(tx, link_id)
    fresh = Announced(tx.mint(SessionId), _whole_second(tx, desk.lifetime))
    if announced is not None:
        known = await _known(tx, announced.session_id)
        if known is not None:
            if known.business_id != link_id or known.business_type is not BusinessType.PAYMENT_LINK:
                raise Rejected(Reason.REQUIREMENTS)
            return known, Announced(known.session_id, known.expires_at)
        if not tx.now < announced.expires_at <= fresh.expires_at:
            raise Rejected(Reason.REQUIREMENTS)
    chosen = announced or fresh
    session = await sessions.announce_from_link(
        tx, desk, link, chosen, amount=resource.amount, payer_email=resource.payer_email
    )
    return session, chosen


def _whole_second(tx: Tx, lifetime: timedelta) -> datetime:
    return from_unix_seconds(unix_seconds(tx.now + lifetime))


async def _known(tx: Tx, session_id: SessionId) -> Session | None:
    try:
        return (await sessions.view(tx, session_id)).session
    except Refused:
        return None


async def _live(tx: Tx, session_id: SessionId) -> bool:
    """Whether a transfer was taken for the session that is not known to have failed."""
    for taken in await store.of_session(tx, session_id):
        if (await _progress(tx, taken)).standing is not Standing.FAILED:
            return True
    return False


# --- what was signed ------------------------------------------------------------------------------


async def pay(till: Till, resource: Resource, payment: Payment) -> Progress:
    """Take a payment that was signed, and wait a little for its transfer to be mined. The same
    signature again tells where the payment stands, and never pays twice.

    Nobody waits for a chain in a transaction: what can be judged by words is, then the contracts
    are asked, then everything is decided again under the session's lock and staged. A process that
    dies before that commit has changed nothing; after it the executor sends the transfer, whoever
    asks or not.

    Raises ``Rejected`` for a payment that is not taken, ``Refused`` like ``offer``, and ``Passing``
    when a chain gives no answer; nothing was changed then.
    """
    transfer = _transfer(till.desk, payment)
    try:
        taken = await _take(till, resource, payment, transfer)
    except (Rejected, Refused):
        # Sent twice at once, the second may fail for what the first has done in the meantime, and
        # who has paid must not be asked to pay again.
        async with till.db.read() as tx:
            known = await _repeated(tx, resource, payment, transfer)
        if known is None:
            raise
        taken = known
    return await _waited(till, taken)


async def _take(
    till: Till, resource: Resource, payment: Payment, transfer: SignedTransfer
) -> Taken:
    async with till.db.read() as tx:
        known = await _repeated(tx, resource, payment, transfer)
        if known is not None:
            return known
        offered = await offer(tx, till.desk, resource, payment.accepted.announced)
        if not offered.requirements:
            raise Rejected(Reason.DUPLICATE)
        check(payment, offered.requirements, tx.now)
    ready = await as_chain_takes_it(till.chains[transfer.network.name], transfer)
    if isinstance(ready, Flaw):
        raise rejected_by_chain(ready, transfer.method)
    balance = await balance_of(till.chains[transfer.network.name], transfer)
    return await till.db.run(_stage, till.desk, resource, payment, ready, balance)


def _transfer(desk: Desk, payment: Payment) -> SignedTransfer:
    """What was signed, if its network and token are ones of ours."""
    network, token = _place(desk, payment)
    transfer = transfer_of(payment, network, token)
    try:
        assert transfer.digest
    except LookupError:
        raise Rejected(Reason.REQUIREMENTS) from None
    return transfer


def _place(desk: Desk, payment: Payment) -> tuple[Network, Token]:
    named = {network_name(network): network for network in desk.networks.all}
    network = named.get(payment.accepted.network)
    if network is None:
        raise Rejected(Reason.NETWORK)
    token = desk.networks.token_at(network.name, payment.accepted.asset)
    if token is None:
        raise Rejected(Reason.REQUIREMENTS)
    return network, token


async def _repeated(
    tx: Tx, resource: Resource, payment: Payment, transfer: SignedTransfer
) -> Taken | None:
    """The payment, if it was taken before.

    Every signature can be read on the chain later: who repeats it must know the session as well,
    which only its buyer does.
    """
    known = await store.find(tx, transfer.digest)
    if known is None:
        return None
    announced = payment.accepted.announced
    told = resource.session_id or (announced.session_id if announced else None)
    if known.session_id != told:
        raise Rejected(Reason.DUPLICATE)
    if payment.identifier not in {None, known.identifier}:
        raise Rejected(Reason.IDENTIFIER)
    return known


async def _stage(
    tx: Tx,
    desk: Desk,
    resource: Resource,
    payment: Payment,
    transfer: SignedTransfer,
    balance: int,
) -> Taken:
    """Open what has to be opened, and hand the transfer to the executor, once. ``balance``: what
    the payer has."""
    announced = payment.accepted.announced if resource.link_id is not None else None
    session_id = announced.session_id if announced else resource.session_id
    assert session_id is not None, "its requirements were found"
    await store.lock_session(tx, session_id)
    known = await _repeated(tx, resource, payment, transfer)
    if known is not None:
        return known
    session = await _opened(tx, desk, resource, session_id, announced)
    view, option = await deposits.open_deposit(
        tx,
        desk,
        session_id,
        client_code=session.client_code,
        token_id=transfer.token.token_id,
        refund_to=resource.refund_to,
        payer_email=paying.proven_email(session, resource.payer_email),
    )
    if view.deposit.address != transfer.receiver:
        raise rejected(Reason.RECIPIENT, transfer.method)
    if view.collects or await _live(tx, session_id):
        raise Rejected(Reason.DUPLICATE)
    if view.missing(option) != transfer.value:
        raise rejected(Reason.VALUE, transfer.method)
    await _require_covered(tx, transfer, balance)
    taken = Taken(
        digest=transfer.digest,
        session_id=session_id,
        network=transfer.network.name,
        token=transfer.token.address,
        method=transfer.method,
        payer=transfer.payer,
        amount=transfer.value,
        identifier=payment.identifier,
    )
    if not await store.insert(tx, taken):
        raise Rejected(Reason.IDENTIFIER)
    await _send(tx, taken, transfer, session)
    return taken


async def _require_covered(tx: Tx, transfer: SignedTransfer, balance: int) -> None:
    """Refuse a transfer that the payer's money does not cover beside those that are on their way:
    each alone would pass its rehearsal, and all but the first would fail at our cost."""
    await store.lock_payer(tx, transfer.payer)
    newest = await store.newest_of_payer(
        tx, transfer.payer, transfer.network.name, transfer.token.address, ON_THEIR_WAY_MAX
    )
    pending = [one for one in newest if (await _progress(tx, one)).standing is Standing.PENDING]
    if len(pending) == ON_THEIR_WAY_MAX:
        raise Refused(Code.TOO_MANY_REQUESTS, retry_after=1)
    if sum(one.amount for one in pending) + transfer.value > balance:
        raise rejected(Reason.BALANCE, transfer.method)


async def _opened(
    tx: Tx, desk: Desk, resource: Resource, session_id: SessionId, announced: Announced | None
) -> Session:
    known = await _known(tx, session_id)
    if known is not None:
        return known
    assert resource.link_id is not None, "the session was looked at before"
    link = await links.require_open(tx, resource.link_id)
    return await sessions.open_from_link(
        tx,
        desk,
        link,
        amount=resource.amount,
        payer_email=resource.payer_email,
        announced=announced,
    )


async def _send(tx: Tx, taken: Taken, transfer: SignedTransfer, session: Session) -> None:
    """The executor rehearses the transfer before it spends gas, and sends it while it is valid and
    the session is not paid otherwise. Whoever else sends it has paid the session for us."""
    intent = Intent(
        cause=taken.cause,
        network=taken.network,
        sender=Sender.RELAYER,
        call=transfer.call,
        purpose="x402",
        subject=taken.session_id,
        deadline=send_until(transfer, session),
    )
    await paying.send_for_payer(tx, taken.session_id, intent)


async def _progress(tx: Tx, taken: Taken) -> Progress:
    sent = await executor.find(tx, taken.cause)
    assert sent is not None, "a payment and its intent are written together"
    return Progress(taken, standing_of(sent), sent.tx_hash)


async def _waited(till: Till, taken: Taken) -> Progress:
    """Where the payment stands, at the latest after ``Till.wait_seconds``."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + till.wait_seconds
    while True:  # bounded: by the deadline
        async with till.db.read() as tx:
            progress = await _progress(tx, taken)
        if progress.standing is not Standing.PENDING or loop.time() >= deadline:
            return progress
        await asyncio.sleep(LOOK_SECONDS)
