"""The people of the simulated world: merchants who sell and payers who pay, or nearly.

Merchants and payers use the real verbs, in the API process that the scheduler gives them, and see
its failures as people do: what they asked for may have happened all the same. What they then send
to the chain is remembered here, for the oracle.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from random import Random

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import ReceivingAccount
from gstable_server.chain.abi.payments import PAID
from gstable_server.chain.checksum import keccak256, to_checksum
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.orders import OrderSigner, PaymentOrder, SignedOrder
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import ApiKeyId, SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing import idempotency
from gstable_server.plumbing.db import Database, Tx
from gstable_server.routing.model import Schedule
from gstable_server.sessions import operations, paying
from gstable_server.sessions.model import Session
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.wire import CreateCheckoutSession
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import EVENT_TYPES, Target
from tests.sim.chain import Paid, SimChain, SimTx
from tests.sim.networks import FEE_RECEIVER, FOREIGN_ROUTER

PUBLIC_URL = "https://pay.example.com"
TOLD = tuple(one for one in EVENT_TYPES if one.startswith("session.") and one != "session.created")


class Plan(Enum):
    """What the payer of a session is going to do."""

    EXACT = "pays what was asked"
    TWICE = "pays twice"
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


WEIGHTS = {Plan.EXACT: 40, Plan.TWICE: 8, Plan.LATE: 5, Plan.NEVER: 4}


@dataclass
class Merchant:
    tenant: Tenant
    account: ReceivingAccount
    wallet: Address
    hook: str | None


@dataclass(eq=False)
class Sale:
    """A session from both sides: what was agreed, and what was sent to pay it."""

    number: int
    merchant: Merchant
    network: Network
    price: int
    plan: Plan
    session: Session | None = None
    order: SignedOrder | None = None
    cancelled: bool = False
    cancel_asked: bool = False
    paid: list[tuple[SimTx, Paid]] = field(default_factory=list)
    sent: int = 0

    @property
    def key(self) -> str:
        return f"sale {self.number}"


class World:
    """Merchants, sales and the chains they are paid on."""

    def __init__(self, networks: Networks, chains: dict[str, SimChain], chance: Random) -> None:
        self.networks = networks
        self.chains = chains
        self.chance = chance
        self.merchants: list[Merchant] = []
        self.sales: list[Sale] = []
        self.strays: list[tuple[SimTx, Paid]] = []
        """Payments that name no session of ours."""
        self.desk = Desk(
            networks=networks,
            signer=OrderSigner(b"\x11" * 32),
            fee_receiver=FEE_RECEIVER,
            public_url=PUBLIC_URL,
            schedule=Schedule(),
            lifetime=timedelta(minutes=30),
            order_grace=timedelta(minutes=10),
        )
        self._numbers = itertools.count(1)

    # --- before anything fails --------------------------------------------------------------------

    async def open_shops(self, db: Database, count: int) -> None:
        """Merchants with an account each; the first has a receiver of webhooks."""
        for number in range(count):
            async with db.begin() as tx:
                self.merchants.append(await self._open_shop(tx, number))

    async def _open_shop(self, tx: Tx, number: int) -> Merchant:
        merchant = await accounts.create_merchant(tx, f"Shop {number}")
        tenant = Tenant(merchant.merchant_id, Mode.TEST)
        wallet = Address(bytes([0x70 + number]) * 20)
        account = await accounts.create_account(
            tx, tenant, self.networks, "Main", to_checksum(wallet)
        )
        hook = None
        if number == 0:
            hook = f"https://shop{number}.example.com/hook"
            await webhooks.create(tx, tenant, Target("Orders", hook, None, TOLD))
        return Merchant(tenant, account, wallet, hook)

    def plan_sale(self) -> Sale:
        """A sale that a merchant is about to open."""
        weights = [WEIGHTS.get(plan, 3) for plan in Plan]
        sale = Sale(
            number=len(self.sales) + 1,
            merchant=self.chance.choice(self.merchants),
            network=self.chance.choice(self.networks.all),
            price=self.chance.randrange(10_000, 10**9),
            plan=self.chance.choices(list(Plan), weights)[0],
        )
        self.sales.append(sale)
        return sale

    def next_verb(self, sale: Sale) -> str | None:
        """What somebody does about ``sale`` next; None when there is nothing to do now."""
        if sale.session is None:
            return "open"
        if sale.plan is Plan.CANCELLED:
            if not sale.cancelled:
                return "cancel"
        elif sale.order is None and sale.plan is not Plan.NEVER:
            return "order"
        return "pay" if self.is_ready_to_pay(sale) else None

    @property
    def paid_up(self) -> bool:
        """Whether only those who are always late have not paid yet."""
        return all(sale.plan is Plan.LATE or self.next_verb(sale) is None for sale in self.sales)

    @property
    def everyone_is_done(self) -> bool:
        """Whether nobody wants anything any more, and every payment was in a block."""
        idle = all(self.next_verb(sale) is None for sale in self.sales)
        return idle and not any(chain.pool for chain in self.chains.values())

    # --- verbs, in some API process ---------------------------------------------------------------

    async def open_session(self, db: Database, sale: Sale) -> None:
        """The merchant's shop opens the session, with an idempotency key: it asks again after any
        failure."""
        request = CreateCheckoutSession.model_validate(
            {
                "accountId": sale.merchant.account.account_id,
                "settlementToken": sale.network.tokens[0].token_id,
                "lineItems": [
                    {
                        "itemType": "one_time",
                        "quantity": 1,
                        "unitPrice": sale.price,
                        "productData": {"productName": sale.key},
                    }
                ],
            }
        )

        async def operate(tx: Tx) -> bytes:
            view = await operations.create_checkout(tx, self.desk, sale.merchant.tenant, request)
            return view.session.session_id.encode()

        hashed = hashlib.sha256(sale.key.encode()).digest()
        key_id = ApiKeyId(f"{ApiKeyId.prefix}sim")
        body, _ = await db.run(idempotency.once, key_id, sale.key, hashed, operate)
        async with db.read() as tx:
            view = await operations.view(tx, SessionId(body.decode()))
        sale.session = view.session

    async def ask_for_order(self, db: Database, sale: Sale) -> None:
        """The payer chooses to pay with the session's own token."""
        assert sale.session is not None
        try:
            prepared = await db.run(
                paying.prepare,
                self.desk,
                sale.session.session_id,
                client_code=sale.session.client_code,
                token_id=sale.session.settlement_token,
                payer=self._payer(sale),
                payer_email=None,
            )
        except Refused:
            sale.plan = Plan.NEVER
            return
        sale.order = prepared.signed

    async def cancel(self, db: Database, sale: Sale) -> None:
        """The merchant withdraws the session."""
        assert sale.session is not None
        sale.cancel_asked = True
        await db.run(operations.cancel, self.desk, sale.merchant.tenant, sale.session.session_id)
        sale.cancelled = True

    # --- the chain --------------------------------------------------------------------------------

    def pay(self, sale: Sale) -> None:
        """The payer's transaction reaches the pool."""
        chain = self.chains[sale.network.name]
        number = next(self._numbers)
        tx_hash = keccak256(f"payment {number}".encode())
        paid = self._terms(sale)
        contract = sale.network.router if paid.by_router else FOREIGN_ROUTER
        log = event_log(
            PAID,
            contract,
            tx_hash,
            paid.session_key,
            self._payer(sale),
            paid.merchant,
            paid.token,
            paid.received,
            paid.fee,
            FEE_RECEIVER,
        )
        tx = SimTx(tx_hash, (log,), (paid,), succeeded=sale.plan is not Plan.FAILED)
        chain.pool.append(tx)
        sale.sent += 1
        sale.paid.append((tx, paid))

    def is_ready_to_pay(self, sale: Sale) -> bool:
        """Whether the payer of ``sale`` has a reason to send a payment now."""
        if sale.session is None or sale.plan is Plan.NEVER:
            return False
        if sale.sent >= (2 if sale.plan is Plan.TWICE else 1):
            return False
        now = self.chains[sale.network.name].now
        late = now > unix_seconds(sale.session.expires_at)
        match sale.plan:
            case Plan.LATE:
                return late and sale.order is not None
            case Plan.CANCELLED:
                return sale.cancelled
        return sale.order is not None and (now <= sale.order.order.deadline)

    def _now(self, sale: Sale):  # noqa: ANN202
        return self.chains[sale.network.name].now

    def _terms(self, sale: Sale) -> Paid:
        assert sale.session is not None
        received, fee = sale.price, 0
        if sale.order is not None:
            order = sale.order.order
            assert isinstance(order, PaymentOrder)
            received, fee = order.merchant_amount, order.fee_amount
        merchant, token = sale.merchant.wallet, sale.network.tokens[0].address
        match sale.plan:
            case Plan.SHORT:
                received -= self.chance.choice((1, received // 2))
            case Plan.OVER:
                received += self.chance.choice((1, received))
            case Plan.WRONG_TOKEN:
                token = sale.network.tokens[1].address
            case Plan.WRONG_RECIPIENT:
                merchant = Address(b"\x66" * 20)
            case Plan.DUST:
                received, fee = 1, 0
            case Plan.ZERO:
                received, fee = 0, 0
        by_router = sale.plan is not Plan.FOREIGN
        return Paid(sale.session.session_key, merchant, token, received, fee, by_router)

    def _payer(self, sale: Sale) -> Address:
        return Address(sale.number.to_bytes(20, "big"))
