"""A receipt: a session that was paid, as far as it is settled, and what was given back of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gstable_server.accounts.branding.model import Branding
from gstable_server.catalog.model import LineItem
from gstable_server.chain.networks import Network, Networks
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import RefundId
from gstable_server.kernel.money import Asset, Money
from gstable_server.kernel.tenant import Mode
from gstable_server.sessions.model import STANDING, Payment, PaymentState, Session, SessionState
from gstable_server.sessions.refunds.model import Refund, RefundState

PAID = frozenset(
    {
        SessionState.PAID,
        SessionState.SETTLING,
        SessionState.SETTLEMENT_PENDING,
        SessionState.COMPLETED,
    }
)
"""The states of a session whose payment is there; before, there is nothing to give a receipt of."""

RETURNED = frozenset({RefundState.SEEN, RefundState.COMPLETED})


@dataclass(frozen=True, slots=True)
class Place:
    """A network, and a transaction on it. ``url`` is that of the operator's explorer, "" without
    one."""

    network: str
    chain_id: int | None
    tx_hash: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of a token under the symbol that people know it by."""

    money: Money
    symbol: str


@dataclass(frozen=True, slots=True)
class PaidPart:
    """One payment. ``given`` is all that left the payer's wallet, ``fee`` the platform's part of
    it; ``merchant`` is what reached the merchant so far, or will. ``delivered`` is where, if that
    is another network. ``returned`` is what the payer got back of money that was held."""

    pays: bool
    is_final: bool
    given: Amount
    fee: Amount
    merchant: Amount
    payer: Address
    recipient: Address
    at: datetime
    paid: Place
    delivered: Place | None
    returned: Amount | None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A refund that its chain knows."""

    refund_id: RefundId
    is_final: bool
    amount: Amount
    receiver: Address
    place: Place


@dataclass(frozen=True, slots=True)
class Receipt:
    """``as_of`` is the instant that it speaks of: what is not final yet may still change."""

    session: Session
    merchant: Branding
    paid: tuple[PaidPart, ...]
    given_back: tuple[GivenBack, ...]
    as_of: datetime

    @property
    def is_final(self) -> bool:
        """Whether the merchant has the money for good."""
        return self.session.state is SessionState.COMPLETED

    @property
    def is_test(self) -> bool:
        return self.session.tenant.mode is Mode.TEST

    @property
    def lines(self) -> tuple[LineItem, ...]:
        return self.session.line_items


@dataclass(frozen=True, slots=True)
class Naming:
    """How tokens, networks and transactions are named in one mode."""

    networks: Networks
    mode: Mode

    def amount(self, atomic: int, token_id: str, decimals: int) -> Amount:
        """Exact, also where the operator took the token away since."""
        token = self.networks.find_token(token_id, self.mode)
        return Amount(Money(atomic, Asset(token_id, decimals)), token.symbol if token else token_id)

    def place(self, network_name: str, tx_hash: bytes) -> Place:
        """The transaction, with a link where there is an explorer to link to."""
        network = self._network(network_name)
        if network is None:
            return Place(network_name, None, tx_hash, "")
        url = self.networks.transaction_url(network_name, tx_hash)
        return Place(network.title, network.chain_id, tx_hash, url)

    def _network(self, name: str) -> Network | None:
        return next((one for one in self.networks.of(self.mode) if one.name == name), None)


def paid_part(payment: Payment, naming: Naming) -> PaidPart | None:
    """None for what is taken back, and for money in no token of ours, which pays nothing."""
    if payment.state not in STANDING:
        return None
    if payment.decimals is None or payment.settlement_decimals is None:
        return None
    token, decimals = payment.token_id, payment.decimals
    fee, returned = payment.fee_received, None
    if payment.hold is not None:
        fee = payment.hold.fee
        if payment.hold.returned:
            returned = naming.amount(payment.hold.returned, token, decimals)
    delivery = payment.delivery
    is_final = payment.state is PaymentState.FINAL
    if payment.crosses:
        is_final = is_final and delivery is not None and delivery.final_at is not None
    return PaidPart(
        pays=payment.pays,
        is_final=is_final,
        given=naming.amount(payment.amount + payment.fee_received, token, decimals),
        fee=naming.amount(fee, token, decimals),
        merchant=naming.amount(
            payment.received or payment.promised,
            payment.settlement_token,
            payment.settlement_decimals,
        ),
        payer=payment.payer,
        recipient=payment.merchant,
        at=payment.block_time,
        paid=naming.place(payment.network, payment.tx_hash),
        delivered=naming.place(delivery.network, delivery.tx_hash) if delivery else None,
        returned=returned,
    )


def given_back(refund: Refund, naming: Naming) -> GivenBack | None:
    """None for a refund that no chain knows of: nothing came back by it."""
    if refund.state not in RETURNED or refund.claim is None:
        return None
    terms = refund.terms
    return GivenBack(
        refund_id=refund.refund_id,
        is_final=refund.state is RefundState.COMPLETED,
        amount=naming.amount(terms.amount, terms.token_id, terms.decimals),
        receiver=terms.receiver,
        place=naming.place(terms.network, refund.claim.tx_hash),
    )
