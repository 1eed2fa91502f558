"""A sale: what a merchant and a payer agreed on, and what the payer is going to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gstable_server.accounts.model import ReceivingAccount
from gstable_server.chain.abi.payments import PAID, ROUTED
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall, PaymentOrder, RoutedOrder, SignedOrder
from gstable_server.chain.rpc import Log
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Tenant
from gstable_server.sessions.model import Session
from gstable_server.sessions.refunds.model import Refund
from gstable_server.webhooks.model import Endpoint
from tests.sim.chain import SimTx
from tests.sim.contracts import Paid
from tests.sim.networks import FEE_RECEIVER, FOREIGN_ROUTER

IDEMPOTENT = 3
"""Every so manieth sale is opened with an idempotency key."""


class Way(Enum):
    """How a sale is paid."""

    DIRECT = "with its own token"
    RELAYED = "with its own token, by a signature only"
    SWAP = "with another token of the network"
    ACROSS = "from another network"


class Plan(Enum):
    """What the payer of a session is going to do."""

    EXACT = "pays what was asked"
    TWICE = "pays twice"
    OFTEN = "pays again and again"
    SHORT = "pays too little"
    OVER = "pays too much"
    LATE = "pays after the expiry"
    NEVER = "never pays"
    CANCELLED = "pays although it was cancelled"
    WRONG_TOKEN = "pays with another token"
    WRONG_RECIPIENT = "has the money sent to somebody else"
    FOREIGN = "is deceived by a foreign router"
    DUST = "pays next to nothing"
    ZERO = "pays nothing at all"
    FAILED = "sends a transaction that fails"


ANY_WAY = (Plan.EXACT, Plan.TWICE, Plan.OFTEN, Plan.LATE, Plan.NEVER, Plan.FAILED)
"""What can be planned whichever way is taken."""
PAYMENTS = {Plan.NEVER: 0, Plan.TWICE: 2, Plan.OFTEN: 6}
WEIGHTS = {Plan.EXACT: 32, Plan.TWICE: 10, Plan.OFTEN: 8, Plan.LATE: 5}


@dataclass
class Merchant:
    tenant: Tenant
    account: ReceivingAccount
    wallet: Address
    hook: Endpoint | None


@dataclass(eq=False)
class Sale:
    """A session from both sides: what was agreed, and what was sent to pay it."""

    number: int
    merchant: Merchant
    network: Network
    price: int
    plan: Plan
    way: Way
    paying: Token
    paying_network: Network
    session: Session | None = None
    order: SignedOrder | None = None
    cancelled: bool = False
    txs: list[SimTx] = field(default_factory=list)
    sent: int = 0
    call: ContractCall | None = None
    """What our executor sends for the payer."""
    refund: Refund | None = None
    refunded: SimTx | None = None
    is_wanted_back: bool = False

    @property
    def key(self) -> str:
        return f"sale {self.number}"

    @property
    def is_idempotent(self) -> bool:
        """Whether its shop uses idempotency keys."""
        return self.number % IDEMPOTENT == 0


def ordered(sale: Sale) -> Paid:
    """What the payment moves when it is made as it was ordered."""
    assert sale.session is not None
    if sale.order is None:
        # Cancelled before an order was signed: the payer has made something up.
        token = sale.network.tokens[0]
        return Paid(
            sale.session.session_key,
            sale.merchant.wallet,
            token.address,
            sale.price,
            0,
            settlement=token.token_id,
            arrived=sale.price,
            promised=sale.price,
        )
    order = sale.order.order
    if isinstance(order, PaymentOrder):
        return Paid(
            order.session_key,
            order.merchant,
            order.token.address,
            order.merchant_amount,
            order.fee_amount,
            settlement=order.token.token_id,
            arrived=order.merchant_amount,
            promised=order.merchant_amount,
        )
    stays = order.settlement.network == order.token.network
    return Paid(
        order.session_key,
        order.merchant,
        order.token.address,
        order.amount,
        order.fee_amount,
        rail="swap" if stays else "escrow",
        settlement=order.settlement.token_id,
        arrived=order.merchant_amount if stays else 0,
        promised=order.merchant_amount,
    )


def payment_log(sale: Sale, paid: Paid, tx_hash: bytes, payer: Address) -> Log:
    """The event of the router that took the payment, or of one that is not ours."""
    network = sale.paying_network
    contract = network.router if paid.by_router else FOREIGN_ROUTER
    if paid.rail is None:
        return event_log(
            PAID,
            contract,
            tx_hash,
            paid.session_key,
            payer,
            paid.merchant,
            paid.token,
            paid.arrived,
            paid.fee,
            FEE_RECEIVER,
        )
    assert sale.order is not None
    order = sale.order.order
    assert isinstance(order, RoutedOrder)
    return event_log(
        ROUTED,
        contract,
        tx_hash,
        paid.session_key,
        payer,
        order.rail,
        paid.merchant,
        paid.token,
        paid.amount,
        paid.fee,
        FEE_RECEIVER,
        order.settlement.chain_id,
        order.settlement.address,
        order.merchant_amount,
        paid.arrived,
        order.rail_data,
    )
