"""A sale: what a merchant and a payer agreed on, and what the payer is going to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gstable_server.accounts.model import ReceivingAccount
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall, SignedOrder
from gstable_server.chain.rpc import Log
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Tenant
from gstable_server.sessions.deposits.model import DepositView
from gstable_server.sessions.model import Session
from gstable_server.sessions.refunds.model import Refund
from gstable_server.webhooks.model import Endpoint
from tests.sim.chain import SimTx
from tests.sim.payments import Paid, paid_by, payment_log

IDEMPOTENT = 3
"""Every so manieth sale is opened with an idempotency key."""


class Way(Enum):
    """How a sale is paid."""

    DIRECT = "with its own token"
    RELAYED = "with its own token, by a signature only"
    SWAP = "with another token of the network"
    ACROSS = "from another network"
    DEPOSIT = "by a transfer to an address of its own"
    HELD = "into a hold, to be captured later"


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
    PARTS = "pays in two parts"


ANY_WAY = (Plan.EXACT, Plan.TWICE, Plan.OFTEN, Plan.LATE, Plan.NEVER, Plan.FAILED)
"""What can be planned whichever way is taken."""
NO_TRANSACTION = (Way.RELAYED, Way.DEPOSIT)
"""Ways in which a payer sends no transaction to the router."""
SLOW = (Way.DEPOSIT, Way.HELD)
"""Ways that take several transactions of ours."""
IN_DEPOSIT = (
    *(Plan.EXACT, Plan.EXACT, Plan.TWICE, Plan.PARTS, Plan.SHORT, Plan.OVER, Plan.LATE),
    *(Plan.WRONG_TOKEN, Plan.FAILED),
)
"""What those do who pay by a transfer to an address."""
IN_HOLD = (Plan.EXACT, Plan.EXACT, Plan.EXACT, Plan.TWICE, Plan.TWICE, Plan.FAILED)
"""What those do whose payment is held."""
PAYMENTS = {Plan.NEVER: 0, Plan.TWICE: 2, Plan.OFTEN: 6, Plan.PARTS: 2}
WEIGHTS = {Plan.EXACT: 32, Plan.TWICE: 10, Plan.OFTEN: 8, Plan.LATE: 5, Plan.PARTS: 0}


class Act(Enum):
    """What a merchant does with money that is held."""

    CAPTURE = "captures what remains"
    CAPTURE_SOME = "captures a part"
    VOID = "gives back what remains"
    CAPTURE_ALONE = "captures a part from the own wallet"
    VOID_ALONE = "gives back what remains from the own wallet"


ACTS = (
    (Act.CAPTURE,),
    (Act.CAPTURE,),
    (Act.VOID,),
    (Act.CAPTURE_SOME, Act.CAPTURE),
    (Act.CAPTURE_SOME, Act.VOID),
    (Act.CAPTURE_SOME, Act.CAPTURE_SOME),
    (Act.CAPTURE_SOME, Act.CAPTURE_ALONE, Act.CAPTURE),
    (Act.CAPTURE, Act.VOID_ALONE),
    (),
)
"""What becomes of a hold; what nobody captures goes back when its time is over."""


ALONE = (Act.CAPTURE_ALONE, Act.VOID_ALONE)
"""What merchants do without us."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """``amount`` atomic units of a token that a payer sends on one network."""

    network: str
    token: Address
    amount: int


@dataclass
class Merchant:
    tenant: Tenant
    account: ReceivingAccount
    wallet: Address
    hook: Endpoint | None


@dataclass(eq=False)
class Sale:
    """A session from both sides: what was agreed, and what was sent to pay it.

    ``deposit`` is the address that the payer was given, ``transfers`` what is still to be sent
    there. ``acts`` is what the merchant is still to do
    with a hold, ``tries`` how often that was refused, and ``again_at`` the version of the chain
    before which nobody asks again.
    """

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
    deposit: DepositView | None = None
    transfers: list[Transfer] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    tries: int = 0
    again_at: int = 0

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
    if sale.order is not None:
        return paid_by(sale.order.order)
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


def log_of(sale: Sale, paid: Paid, tx_hash: bytes, payer: Address) -> Log:
    """The event of the router that took the payment, or of one that is not ours."""
    order = sale.order.order if sale.order else None
    return payment_log(sale.paying_network, paid, order, payer, tx_hash)
