"""Everything that is known of a session in the order in which it happened, and what happens next;
no input, output or clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.kernel.ids import EventId
from gstable_server.kernel.money import Asset, Money
from gstable_server.plumbing.events import StoredEvent
from gstable_server.sessions.lists.model import Step, StepKind
from gstable_server.sessions.model import Payment, PaymentState, Session, SessionState, SessionView
from gstable_server.sessions.refunds.model import Refund, RefundState
from gstable_server.web.dashboard.speech import N_, _, moment, number, token
from gstable_server.webhooks.model import Delivered, DeliveryStatus

GOOD, BUSY, BAD, QUIET = "good", "busy", "bad", "quiet"


@dataclass(frozen=True, slots=True)
class Fact:
    """``url`` leads to the transaction or the page that proves it; ``mark`` is its place on the
    page."""

    at: datetime
    title: str
    detail: str = ""
    tone: str = QUIET
    url: str = ""
    url_title: str = ""
    mark: str = ""

    @property
    def time(self) -> str:
        """In UTC."""
        return moment(self.at)


Told = Mapping[EventId, Sequence[Delivered]]
"""The deliveries of each event."""

EVENT_TITLES = {
    "session.paid": N_("Marked as paid"),
    "session.settling": N_("Settlement began"),
    "session.settlement_pending": N_("Settlement is stuck"),
    "session.completed": N_("Completed: the money is yours for good"),
    "session.expired": N_("Expired without a payment"),
    "session.cancelled": N_("Cancelled"),
    "session.underpaid": N_("Too little arrived"),
    "session.overpaid": N_("Too much arrived"),
    "session.paid_late": N_("A payment arrived late"),
    "session.payment_reverted": N_("A payment was taken back by its chain"),
    "session.refunded": N_("Money was given back"),
    "session.captured": N_("Held money was captured"),
    "session.voided": N_("Held money went back to the payer"),
}
_BAD_EVENTS = frozenset(
    {"session.settlement_pending", "session.payment_reverted", "session.underpaid"}
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Facts of one session. ``base`` is where the console's pages are; ``shows_letters`` whether
    the reader's role may see deliveries."""

    networks: Networks
    view: SessionView
    base: str
    shows_letters: bool

    def facts(
        self,
        steps: Iterable[Step],
        refunds: Iterable[Refund],
        events: Iterable[StoredEvent],
        told: Told,
    ) -> list[Fact]:
        """All facts, oldest first; what happened at one moment stays in the order of its making."""
        session = self.view.session
        found = [Fact(session.created_at, _("Opened"), _source(session))]
        found += [fact for step in steps for fact in self._step(step)]
        for payment in self.view.payments:
            found += self._payment(payment)
        for refund in refunds:
            found += self._refund(refund)
        for stored in events:
            found += self._event(stored, told.get(stored.event_id, ()))
        return sorted(found, key=lambda fact: fact.at)

    def _step(self, step: Step) -> list[Fact]:
        network = self._title(step.network)
        wallet = to_checksum(step.wallet) if step.wallet else ""
        title, detail = "", _("Network: %(network)s", network=network)
        match step.kind:
            case StepKind.SIGNED:
                title = _("The payer chose how to pay, and the order was signed")
                detail = _(
                    "%(token)s on %(network)s, wallet %(wallet)s",
                    token=step.asking.what,
                    network=network,
                    wallet=wallet,
                )
            case StepKind.RELAYED:
                title, detail = _("The payer signed, and we send the payment for them"), ""
            case StepKind.ADDRESS:
                title = _("The payer was shown an address to send to")
                detail = wallet
            case StepKind.BALANCE:
                title = _("Money was seen at the address")
                if not step.amount:
                    title = _("The address is empty again")
            case StepKind.COLLECTING:
                title = _("The money at the address is being collected")
            case StepKind.RETURNING:
                title = _("The money at the address is being sent back")
            case StepKind.INSTRUCTED:
                captures = step.asking.what == "capture"
                title = _("A capture was asked for") if captures else _("A release was asked for")
        return [Fact(step.at, title, detail)]

    def _payment(self, payment: Payment) -> list[Fact]:
        amount = self._amount(payment.amount + payment.fee_received, payment.token_id, payment)
        link = self._transaction(payment.network, payment.tx_hash)
        where = _("%(amount)s on %(network)s", amount=amount, network=self._title(payment.network))
        found = [
            Fact(payment.block_time, _("In a block of the chain"), where, BUSY, *link),
            Fact(payment.seen_at, _("Seen by this server; not final yet"), "", BUSY),
        ]
        if payment.final_at is not None:
            found.append(Fact(payment.final_at, _("Final on its chain"), where, GOOD, *link))
        lost = payment.state in {PaymentState.REVERTED, PaymentState.LOST}
        if lost or payment.state is PaymentState.RETURNED:
            title = (
                _("Its chain took this payment back")
                if lost
                else _("The payer took this money back from the rail")
            )
            found.append(Fact(payment.final_at or payment.seen_at, title, where, BAD, *link))
        if payment.delivery is not None:
            there = self._transaction(payment.delivery.network, payment.delivery.tx_hash)
            title = _("Crossed to %(network)s", network=self._title(payment.delivery.network))
            found.append(Fact(payment.delivery.delivered_at, title, "", BUSY, *there))
            if payment.delivery.final_at is not None:
                final = _("Final on %(network)s", network=self._title(payment.delivery.network))
                found.append(Fact(payment.delivery.final_at, final, "", GOOD, *there))
        if payment.hold is not None and payment.hold.captured_at is not None:
            capture = self._transaction(payment.network, payment.hold.capture_tx or b"")
            found.append(Fact(payment.hold.captured_at, _("Captured"), "", GOOD, *capture))
        return found

    def _refund(self, refund: Refund) -> list[Fact]:
        terms = refund.terms
        amount = Money(terms.amount, Asset(terms.token_id, terms.decimals))
        known = self.networks.find_token(terms.token_id, self.view.session.tenant.mode)
        detail = _(
            "%(amount)s to %(wallet)s",
            amount=token(amount, known.symbol if known else terms.token_id),
            wallet=to_checksum(terms.receiver),
        )
        page = f"{self.base}/refunds/{refund.refund_id}", _("Refund")
        found = [Fact(refund.created_at, _("A refund was prepared"), detail, QUIET, *page)]
        if refund.completed_at is not None and refund.claim is not None:
            link = self._transaction(terms.network, refund.claim.tx_hash)
            found.append(Fact(refund.completed_at, _("The refund is final"), detail, GOOD, *link))
        return found

    def _event(self, stored: StoredEvent, told: Sequence[Delivered]) -> list[Fact]:
        found = []
        kind = stored.event.type
        page = f"{self.base}/events/{stored.event_id}", kind
        link = page if self.shows_letters else ("", "")
        if kind in EVENT_TITLES:
            tone = BAD if kind in _BAD_EVENTS else GOOD if kind == "session.completed" else QUIET
            title = _(EVENT_TITLES[kind])
            found.append(Fact(stored.occurred_at, title, "", tone, *link, stored.event_id))
        if not self.shows_letters:
            return found
        for delivered in told:
            for one in delivered.attempts:
                is_good = one.status_code is not None and 200 <= one.status_code < 300
                title = (
                    _("Your server was told: %(event)s", event=kind)
                    if is_good
                    else _("Your server did not take the news: %(event)s", event=kind)
                )
                said = number(one.status_code) if one.status_code else (one.error or "")
                detail = _(
                    "Try %(try)s, answer %(answer)s, %(time)s ms",
                    answer=said,
                    time=number(one.duration_ms),
                    **{"try": number(one.ordinal)},
                )
                tone = GOOD if is_good else BAD
                found.append(Fact(one.started_at, title, detail, tone, *page))
        return found

    def _title(self, name: str) -> str:
        network = self.networks.find_network(name)
        return network.title if network else name

    def _amount(self, atomic: int, token_id: str, payment: Payment) -> str:
        known = self.networks.find_token(token_id, self.view.session.tenant.mode)
        if payment.decimals is None:
            return _("%(number)s atomic units", number=atomic)
        money = Money(atomic, Asset(token_id, payment.decimals))
        return token(money, known.symbol if known else token_id)

    def _transaction(self, name: str, tx_hash: bytes) -> tuple[str, str]:
        """Address and name of a transaction at the explorer, "" where the operator named none."""
        url = self.networks.transaction_url(name, tx_hash)
        text = f"0x{tx_hash.hex()}"
        return url, f"{text[:10]}…{text[-6:]}" if url else ""


def _source(session: Session) -> str:
    texts = {
        "checkout": N_("Through the API"),
        "payment_link": N_("By a payer, from a payment link"),
        "ai_checkout": N_("By a payer's agent, from a payment link"),
    }
    return _(texts[session.session_type.value])


def next_step(view: SessionView, refunds: Iterable[Refund], told: Told) -> str:
    """What happens next, and whose turn it is."""
    session = view.session
    if any(refund.state is RefundState.PREPARED for refund in refunds):
        return _("Your wallet has to send the refund that was prepared.")
    if any(one.status is DeliveryStatus.PENDING for each in told.values() for one in each):
        return _("Your server has not taken all the news yet: it is told again by itself.")
    match session.state:
        case SessionState.INITIALIZED:
            until = moment(session.expires_at)
            return _("It waits for the payer, until %(time)s (UTC).", time=until)
        case SessionState.PAID:
            return _("It waits until the chain cannot take the payment back. Do not ship before.")
        case SessionState.SETTLING:
            return _("The money is on its way to your wallet. Nothing is to be done.")
        case SessionState.SETTLEMENT_PENDING:
            return _("The way to your wallet is stuck, and is tried again by itself.")
        case SessionState.COMPLETED:
            return _("Nothing: the money is in your wallet for good.")
        case SessionState.EXPIRED:
            return _("Nothing, unless money arrives late: then you decide what becomes of it.")
        case SessionState.CANCELLED:
            return _("Nothing. Money that arrives all the same is shown as unusual.")
