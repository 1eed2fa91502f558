"""The people of the simulated world: merchants who sell and payers who pay, or nearly.

Merchants and payers use the real verbs, in the API process that the scheduler gives them, and see
its failures as people do: what they asked for may have happened all the same. What they then send
to the chain is remembered here, for the oracle.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

from gstable_server.accounts import operations as accounts
from gstable_server.chain.checksum import keccak256, to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import OrderSigner, RoutedOrder
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ApiKeyId, SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing import idempotency
from gstable_server.plumbing.db import Database, Tx
from gstable_server.routing import model as routing
from gstable_server.routing.model import Schedule
from gstable_server.sessions import operations, paying
from gstable_server.sessions.collecting import collected_call
from gstable_server.sessions.model import Session
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.wire import PrepareRefund
from gstable_server.sessions.wire import CreateCheckoutSession
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import EVENT_TYPES, Target
from tests.sim.chain import SimChain, SimTx
from tests.sim.contracts import Authorized
from tests.sim.custody import escrow_for, returned
from tests.sim.deposits import Deposits
from tests.sim.effects import Done, Effects
from tests.sim.holds import Holds
from tests.sim.networks import (
    ATTESTOR_KEY,
    FEE_RECEIVER,
    RELAYER_KEY,
    SOLVER_KEY,
)
from tests.sim.payments import Paid
from tests.sim.sales import (
    ANY_WAY,
    IN_DEPOSIT,
    IN_HOLD,
    NO_TRANSACTION,
    PAYMENTS,
    SLOW,
    WEIGHTS,
    Merchant,
    Plan,
    Sale,
    Way,
    log_of,
    ordered,
)

PUBLIC_URL = "https://pay.example.com"
EARLY = 40
"""So many sales are early ones."""
TOLD = tuple(one for one in EVENT_TYPES if one.startswith("session.") and one != "session.created")


class World:
    """Merchants, sales and the chains they are paid on."""

    def __init__(
        self,
        networks: Networks,
        chains: dict[str, SimChain],
        chance: Random,
        ways: Mapping[Way, int],
        refunds: float,
    ) -> None:
        self.networks = networks
        self.chains = chains
        self.chance = chance
        self._ways = ways
        self._refunds = refunds
        self.merchants: list[Merchant] = []
        self.sales: list[Sale] = []
        self._open: list[Sale] = []
        """Those about which somebody may still do something."""
        self._planned = 0
        self.is_closing = False
        """Whether nobody can be late any more, because the late ones have their time now."""
        self.secrets = [key.hex() for key in (b"\x11" * 32, RELAYER_KEY, SOLVER_KEY, ATTESTOR_KEY)]
        self.deposits = Deposits(networks, chains, chance, taken=ways[Way.DEPOSIT] > 0)
        self.holds = Holds(chains, chance)
        self.desk = Desk(
            networks=networks,
            signer=OrderSigner(b"\x11" * 32),
            fee_receiver=FEE_RECEIVER,
            public_url=PUBLIC_URL,
            schedule=Schedule(),
            lifetime=timedelta(minutes=30),
            order_grace=timedelta(minutes=10),
            relays=True,
        )
        self._numbers = itertools.count(1)

    # --- before anything fails --------------------------------------------------------------------

    async def open_shops(self, db: Database, count: int, hooks: int) -> None:
        """Merchants with an account each; some have a receiver of webhooks."""
        for number in range(count):
            async with db.begin() as tx:
                self.merchants.append(await self._open_shop(tx, number, number < hooks))

    async def _open_shop(self, tx: Tx, number: int, has_hook: bool) -> Merchant:
        merchant = await accounts.create_merchant(tx, f"Shop {number}")
        tenant = Tenant(merchant.merchant_id, Mode.TEST)
        wallet = Address(bytes([0x70 + number]) * 20)
        account = await accounts.create_account(
            tx, tenant, self.networks, "Main", to_checksum(wallet)
        )
        hook = None
        if has_hook:
            url = f"https://shop{number}.example.com/hook"
            hook = await webhooks.create(tx, tenant, Target("Orders", url, None, TOLD))
            self.secrets.append(hook.keys.current)
        return Merchant(tenant, account, wallet, hook)

    def plan_sale(self) -> Sale:
        """A sale that a merchant is about to open."""
        chance, weights = self.chance, [WEIGHTS.get(plan, 3) for plan in Plan]
        network = chance.choice(self.networks.all)
        plan = chance.choices(list(Plan), weights)[0]
        way = self._plan_way()
        if way is Way.DEPOSIT or way is Way.HELD:
            plan = chance.choice(IN_DEPOSIT if way is Way.DEPOSIT else IN_HOLD)
        elif plan not in ANY_WAY:
            way = Way.DIRECT
        if way is Way.RELAYED or (plan is Plan.LATE and self.is_closing):
            plan = Plan.EXACT
        source = network
        if way is Way.ACROSS:
            # An escrow takes the same terms once.
            plan = Plan.EXACT if plan in PAYMENTS else plan
            source = chance.choice([one for one in self.networks.all if one is not network])
        sale = Sale(
            number=len(self.sales) + 1,
            merchant=chance.choice(self.merchants),
            network=network,
            price=chance.randrange(2_000_000, 10**9),
            plan=plan,
            way=way,
            paying=source.tokens[1 if way is Way.SWAP else 0],
            paying_network=source,
            is_wanted_back=plan is Plan.EXACT and chance.random() < self._refunds,
        )
        if way is Way.HELD:
            self.holds.plan(sale)
        self.sales.append(sale)
        self._open.append(sale)
        self._planned += PAYMENTS.get(plan, 1)
        return sale

    def _plan_way(self) -> Way:
        """What takes many steps begins early, so that it is under way while things fail."""
        is_early = len(self.sales) < EARLY
        weights = [
            (2 * weight if is_early else 0) if way in SLOW else weight
            for way, weight in self._ways.items()
        ]
        return self.chance.choices(list(self._ways), weights)[0]

    def is_selling(self, payments: int) -> bool:
        """Whether more sales are needed for so many payments."""
        return self._planned < payments

    def _give_up(self, sale: Sale) -> None:
        """Nobody will pay this one any more; somebody else buys instead."""
        self._planned -= PAYMENTS.get(sale.plan, 1) - sale.sent
        sale.plan = Plan.NEVER

    def note_the_time(self) -> None:
        """Whoever has not paid while the order could be paid does not pay any more."""
        for sale in self._open:
            order, wanted = sale.order, PAYMENTS.get(sale.plan, 1)
            if order is None or sale.call is not None or sale.sent >= wanted:
                continue
            if self.chains[sale.paying.network].now > order.order.deadline:
                self._give_up(sale)

    def waiting(self) -> list[tuple[Sale, str]]:
        """The sales about which somebody would do something now, and what."""
        self._open = [sale for sale in self._open if not self._is_through(sale)]
        return [(sale, verb) for sale in self._open if (verb := self.next_verb(sale))]

    def _is_through(self, sale: Sale) -> bool:
        """Whether nobody will do anything about ``sale`` any more."""
        if sale.session is None or (sale.is_wanted_back and sale.refunded is None):
            return False
        if sale.plan is Plan.NEVER:
            return True
        if sale.acts:
            return False
        return sale.call is not None or sale.sent >= PAYMENTS.get(sale.plan, 1)

    def next_verb(self, sale: Sale) -> str | None:
        """What somebody does about ``sale`` next; None when there is nothing to do now."""
        if sale.session is None:
            return "open"
        if sale.plan is Plan.CANCELLED:
            if not sale.cancelled:
                return "cancel"
        elif sale.way is Way.DEPOSIT:
            if sale.deposit is None and sale.plan is not Plan.NEVER:
                return "address"
            if self.deposits.is_ready(sale):
                return "transfer"
        elif sale.order is None and sale.plan is not Plan.NEVER:
            return "order"
        elif sale.way is Way.RELAYED and sale.call is None and sale.plan is not Plan.NEVER:
            return "sign"
        if self.is_ready_to_pay(sale):
            return "pay"
        return self.holds.next_verb(sale) or self._next_of_refund(sale)

    def _next_of_refund(self, sale: Sale) -> str | None:
        paid = sale.sent or sale.call is not None
        if not sale.is_wanted_back or not paid or sale.refunded is not None:
            return None
        return "refund" if sale.refund is None else "give back"

    @property
    def paid_up(self) -> bool:
        """Whether only those who are always late have not paid yet."""
        return all(sale.plan is Plan.LATE for sale, _ in self.waiting())

    @property
    def everyone_is_done(self) -> bool:
        """Whether nobody wants anything any more, and every payment was in a block."""
        return not any(chain.pool for chain in self.chains.values()) and not self.waiting()

    # --- verbs, in some API process ---------------------------------------------------------------

    async def open_session(self, db: Database, sale: Sale) -> None:
        """The merchant's shop opens the session, and another one after a failure; some shops use
        an idempotency key."""
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
                "metadata": {"sale": sale.key},
                "captureMethod": "manual" if sale.way is Way.HELD else "automatic",
            }
        )

        if not sale.is_idempotent:
            create = operations.create_checkout
            view = await db.run(create, self.desk, sale.merchant.tenant, request)
            sale.session = view.session
        else:
            sale.session = await self._open_once(db, sale, request)

    async def _open_once(self, db: Database, sale: Sale, request: CreateCheckoutSession) -> Session:
        """With an idempotency key: whoever asks again after a lost answer gets the same."""
        made: list[Session] = []

        async def operate(tx: Tx) -> bytes:
            view = await operations.create_checkout(tx, self.desk, sale.merchant.tenant, request)
            made[:] = [view.session]
            return view.session.session_id.encode()

        hashed = hashlib.sha256(sale.key.encode()).digest()
        key_id = ApiKeyId(f"{ApiKeyId.prefix}sim")
        body, kept = await db.run(idempotency.once, key_id, sale.key, hashed, operate)
        if kept:
            async with db.read() as tx:
                made = [(await operations.view(tx, SessionId(body.decode()))).session]
        return made[0]

    async def ask_for_address(self, db: Database, sale: Sale) -> None:
        """The payer chooses to pay by a transfer to an address."""
        if not await self.deposits.ask(db, self.desk, sale, self.payer(sale)):
            self._give_up(sale)

    async def act(self, db: Database, sale: Sale) -> None:
        """The merchant captures what is held, or gives it back."""
        await self.holds.act(db, self.desk, sale)

    async def ask_for_order(self, db: Database, sale: Sale) -> None:
        """The payer chooses to pay with the session's own token."""
        assert sale.session is not None
        try:
            prepared = await db.run(
                paying.prepare,
                self.desk,
                sale.session.session_id,
                client_code=sale.session.client_code,
                token_id=sale.paying.token_id,
                payer=self.payer(sale),
                payer_email=None,
                way=routing.Way.ERC3009 if sale.way is Way.RELAYED else routing.Way.APPROVE,
            )
        except Refused:
            self._give_up(sale)
            return
        sale.order = prepared.signed

    async def sign(self, db: Database, sale: Sale) -> None:
        """The payer hands in a signature, and our executor is to send the payment."""
        assert sale.session is not None
        assert sale.order is not None
        payer, signature = self.payer(sale), hashlib.sha512(sale.key.encode()).digest() + b"\x1b"
        call = collected_call(sale.order, routing.Way.ERC3009, payer, signature)
        paid = ordered(sale)
        log = log_of(sale, paid, b"", payer)
        contracts = self.chains[sale.paying.network].contracts
        contracts.authorized[call.data] = Authorized(log, paid, sale.order.order.deadline)
        try:
            await db.run(
                paying.authorize,
                self.desk,
                sale.session.session_id,
                client_code=sale.session.client_code,
                digest=sale.order.digest,
                way=routing.Way.ERC3009,
                payer=payer,
                signature=signature,
            )
        except Refused:
            # It has expired, or it was paid by the very signature whose answer was lost.
            self._give_up(sale)
            return
        sale.call = call

    async def cancel(self, db: Database, sale: Sale) -> None:
        """The merchant withdraws the session."""
        assert sale.session is not None
        cancel = operations.cancel
        try:
            await db.run(cancel, self.desk, sale.merchant.tenant, sale.session.session_id)
        except Refused as refused:
            # Asked again because the first answer was lost, or it has expired.
            if refused.code is not Code.SESSION_CANCELLED:
                self._give_up(sale)
                return
        sale.cancelled = True

    async def ask_for_refund(self, db: Database, sale: Sale) -> None:
        """The merchant wants to give the money back, and is told how once that can be done."""
        assert sale.session is not None
        request = PrepareRefund.model_validate({"sessionId": sale.session.session_id})
        try:
            tenant = sale.merchant.tenant
            sale.refund = await db.run(refunds.prepare, self.desk, tenant, request)
        except Refused:
            # Not final yet, or the answer to the first try was lost: then nobody sends it.
            sale.is_wanted_back = self.chance.random() < 0.8

    async def enable_hook(self, db: Database, merchant: Merchant) -> None:
        """The merchant switches the receiver on again, whoever switched it off."""
        assert merchant.hook is not None
        await db.run(webhooks.enable, merchant.tenant, merchant.hook.webhook_id)

    # --- the chain --------------------------------------------------------------------------------

    def pay(self, sale: Sale) -> None:
        """The payer's transaction reaches the pool."""
        tx_hash = self._new_hash("payment")
        paid = self._terms(sale)
        log = log_of(sale, paid, tx_hash, self.payer(sale))
        done, kept, until = self._started(sale, paid)
        succeeded = sale.plan is not Plan.FAILED
        effects = Effects((log,), (paid,), done, kept=kept, succeeded=succeeded)
        tx = SimTx(tx_hash, effects, until=until)
        self.chains[sale.paying.network].pool.append(tx)
        sale.sent += 1
        sale.txs.append(tx)

    def give_back(self, sale: Sale) -> None:
        """The merchant's wallet sends the transfer that the refund asks for."""
        assert sale.refund is not None
        terms = sale.refund.terms
        tx_hash = self._new_hash("refund")
        log, kept = returned(tx_hash, terms.token, terms.sender, terms.receiver, terms.amount)
        sale.refunded = SimTx(tx_hash, Effects((log,), kept=(kept,)))
        self.chains[terms.network].pool.append(sale.refunded)

    def is_ready_to_pay(self, sale: Sale) -> bool:
        """Whether the payer of ``sale`` has a reason to send a payment now."""
        if sale.session is None or sale.plan is Plan.NEVER or sale.way in NO_TRANSACTION:
            return False
        if sale.sent >= PAYMENTS.get(sale.plan, 1):
            return False
        now = self.chains[sale.paying.network].now
        late = now > unix_seconds(sale.session.expires_at)
        match sale.plan:
            case Plan.LATE:
                return late and sale.order is not None and now <= sale.order.order.deadline
            case Plan.CANCELLED:
                return sale.cancelled
        return sale.order is not None and (now <= sale.order.order.deadline)

    def _terms(self, sale: Sale) -> Paid:
        assert sale.session is not None
        exact = ordered(sale)
        amount, fee, arrived = exact.amount, exact.fee, exact.arrived
        merchant, token = exact.merchant, exact.token
        match sale.plan:
            case Plan.SHORT:
                arrived -= self.chance.choice((1, max(1, arrived // 2)))
            case Plan.OVER:
                arrived += self.chance.choice((1, arrived))
            case Plan.WRONG_TOKEN:
                token = sale.network.tokens[1].address
            case Plan.WRONG_RECIPIENT:
                merchant = Address(b"\x66" * 20)
            case Plan.DUST:
                arrived, fee = 1, 0
            case Plan.ZERO:
                arrived, fee = 0, 0
        if exact.rail is None:
            amount = arrived
        return replace(
            exact,
            merchant=merchant,
            token=token,
            amount=amount,
            fee=fee,
            arrived=arrived,
            settlement=self.networks.token_id_at(sale.paying.network, token)
            if exact.rail is None
            else exact.settlement,
            by_router=sale.plan is not Plan.FOREIGN,
        )

    def _started(
        self, sale: Sale, paid: Paid
    ) -> tuple[tuple[Done, ...], tuple[tuple[bytes, int], ...], int | None]:
        """What the payment's rail makes of it: what is done by it, what is kept, and until when."""
        order = sale.order.order if sale.order else None
        contracts = self.chains[sale.paying.network].contracts
        if paid.rail == "escrow":
            assert isinstance(order, RoutedOrder)
            terms = escrow_for(order, self.payer(sale))
            contracts.escrowed[terms.order_id] = terms
            return (("escrowed", terms.order_id),), (), None
        if paid.rail == "hold":
            assert isinstance(order, RoutedOrder)
            kept = contracts.holds.open(order, self.payer(sale))
            return (("paid", paid.session_key),), kept, order.deadline
        return (), (), None

    def transfer(self, sale: Sale) -> None:
        """The payer's transfer to the address reaches the pool."""
        self.deposits.send(sale, self._new_hash("transfer"), self.payer(sale))

    def act_alone(self, sale: Sale) -> None:
        """The merchant's wallet moves what is held by itself."""
        self.holds.act_alone(sale, self._new_hash("act"))

    def _new_hash(self, what: str) -> bytes:
        return keccak256(f"{what} {next(self._numbers)}".encode())

    def payer(self, sale: Sale) -> Address:
        return Address(sale.number.to_bytes(20, "big"))
