# Generated from agent/_async/client.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""A payer that is a program: reads a link, decides within its limits, pays, and waits."""

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from gstable._sync.http_transport import HTTPTransport
from gstable._sync.seam import Seam
from gstable._body import path
from gstable._config import DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT, Timeout, trimmed_url
from gstable._parse import one
from gstable._reader import Reader
from gstable._transport import Transport
from gstable.agent import _checks, _messages, _parse, _plan, _rpc
from gstable.agent._sync.chain import LOOK_SECONDS, Chain
from gstable.agent._sync.door import Door
from gstable.agent._errors import (
    AgentError,
    ChainError,
    NotPayable,
    PaymentPending,
    TransactionReverted,
    UnsafePayment,
)
from gstable.agent._limits import Counted, SpendLimits, micro_usd_rounded_up
from gstable.agent._locks import Turn
from gstable.agent._messages import Payment
from gstable.agent._models import (
    AgentLink,
    AgentSession,
    PaidReceipt,
    PayableToken,
    Plan,
    PreparedPayment,
)
from gstable.agent._rpc import NodeRefused
from gstable.agent._typed_data import OFFICIAL_DOMAIN, Signer, signer_of

DEFAULT_BASE_URL = "https://aipay.gstable.io/api/v1"
DEFAULT_PATIENCE_SECONDS = 300
COMPLETED = "payment_completed"
PAYING_STAGES = ("session_ready", "payment_prepared")


class AgentClient:
    """Pays GStable links and sessions from a wallet of its own.

        limits = SpendLimits(per_payment=5_000_000, per_day=20_000_000)
        with AgentClient(key, {137: "https://…"}, limits) as agent:
            receipt = agent.pay("lnk_…", 137)

    `signer`: a private key (32 bytes, or hexadecimal), or an account that signs (`Signer`).
    `rpc_urls`: chain id → a node that you trust; other chains are not paid on. `limits`: see
    `SpendLimits`. `base_url`: the AI payment protocol, with its path. `patience_seconds`: how long
    a transaction may take to be mined, and after that a payment to be completed. `domain_name`:
    what signatures are made for, see the platform's operator before you change it.

    An allowance is of the exact amount, never unlimited. Payments of one client happen one after
    the other. Methods raise `GStableError` for the platform's refusals, `AgentError` for the rest.
    Source: specification section 10.
    """

    def __init__(
        self,
        signer: str | bytes | Signer,
        rpc_urls: Mapping[int, str],
        limits: SpendLimits,
        *,
        base_url: str = DEFAULT_BASE_URL,
        timeout: Timeout = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        patience_seconds: int = DEFAULT_PATIENCE_SECONDS,
        domain_name: str = OFFICIAL_DOMAIN,
        transport: Transport | None = None,
        _seam: Seam | None = None,
    ) -> None:
        self._signer = signer_of(signer)
        self._limits = limits
        self._patience = patience_seconds
        self._domain = domain_name
        self._transport = transport or HTTPTransport()
        self._seam = seam = _seam or Seam()
        address = trimmed_url(base_url, "base_url")
        self._door = Door(address, self._transport, seam, timeout, max_retries)
        self._chains = {
            chain_id: Chain(
                chain_id,
                _rpc.node_url(url, chain_id),
                self._signer,
                self._transport,
                seam,
                timeout,
            )
            for chain_id, url in rpc_urls.items()
        }
        self._turn = Turn()

    @property
    def address(self) -> str:
        """The payer's address, EIP-55."""
        return str(self._signer.address)

    def get_link(self, link_id: str) -> AgentLink:
        """What is sold, for how much, and which tokens pay for it. Signs nothing."""
        route = path("/payment/link/{link_id}", link_id=link_id)
        return self._door.get(route, one(_parse.link))

    def get_session(self, session_id: str) -> AgentSession:
        """Where a session is. Signs nothing."""
        route = path("/session/{session_id}", session_id=session_id)
        return self._door.get(route, one(_parse.session))

    def plan(
        self,
        link_id: str,
        chain_id: int,
        token: str | None = None,
        *,
        amount_in_token: int | None = None,
    ) -> Plan:
        """What `pay` with the same arguments would do, and what stands against it. Signs and sends
        nothing."""
        link = self.get_link(link_id)
        chosen = _checks.choose(link.tokens, chain_id, token)
        amount = _checks.price_of(link, chosen, amount_in_token)
        chain = self._chain(chain_id)
        token_address = _checks.address(chosen.token_address, "tokenAddress")
        funds = _plan.Funds(
            payer=self.address,
            decimals=chain.decimals(token_address),
            token_balance=chain.balance(token_address),
            gas_balance=chain.gas_balance(),
        )
        return _plan.plan(link, chosen, amount, funds, self._limits, self._now())

    def create_session(
        self,
        link_id: str,
        chain_id: int,
        token: str | None = None,
        *,
        amount_in_token: int | None = None,
    ) -> AgentSession:
        """Sign for a session of a link: the first half of `pay`. Moves no money.

        `token`: address or symbol; the platform's first one of that chain unless given.
        `amount_in_token`: smallest units, where the link leaves the amount to the payer. Raises
        `NotPayable`, `LimitExceeded`.
        """
        link = self.get_link(link_id)
        chosen = _checks.choose(link.tokens, chain_id, token)
        amount = _checks.price_of(link, chosen, amount_in_token)
        return self._create(link, self._admitted(link.merchant_id, chosen, amount))

    def prepare(
        self,
        session_id: str,
        chain_id: int | None = None,
        token: str | None = None,
        *,
        payer_email: str = "",
    ) -> PreparedPayment:
        """Sign for a session's payment to be prepared, and check what is asked for. Moves no money.

        Arguments as in `pay_session`. Raises `NotPayable`, `LimitExceeded`, `UnsafePayment`.
        """
        payment = self._chosen(self.get_session(session_id), chain_id, token)
        return self._prepare(session_id, payment, payer_email)

    def pay(
        self,
        link_id: str,
        chain_id: int,
        token: str | None = None,
        *,
        amount_in_token: int | None = None,
        payer_email: str = "",
    ) -> PaidReceipt:
        """Pay a link once, and wait until the platform calls it completed.

        Arguments as in `create_session`; `payer_email`: where the merchant asks for one. Each call
        is a payment of its own: after `PaymentPending` go on with `pay_session`, not with this.
        Raises `NotPayable`, `LimitExceeded`, `UnsafePayment`, `TransactionReverted`, `ChainError`.
        """
        link = self.get_link(link_id)
        chosen = _checks.choose(link.tokens, chain_id, token)
        amount = _checks.price_of(link, chosen, amount_in_token)
        payment = self._admitted(link.merchant_id, chosen, amount)
        self._chain(chain_id)
        session = self._create(link, payment)
        return self._pay(session.session_id, payment, payer_email)

    def pay_session(
        self,
        session_id: str,
        chain_id: int | None = None,
        token: str | None = None,
        *,
        payer_email: str = "",
    ) -> PaidReceipt:
        """Pay a session that a merchant made, or go on with one of `pay`; sends nothing twice.

        `chain_id` and `token` (address or symbol): needed where the session leaves them open.
        Raises what `pay` raises.
        """
        session = self.get_session(session_id)
        if session.stage == COMPLETED:
            return _already(session)
        if session.stage in PAYING_STAGES:
            payment = self._chosen(session, chain_id, token)
            return self._pay(session_id, payment, payer_email)
        if session.stage == "payment_submitted":
            return self._completed(_already(session))
        raise NotPayable(f"session {session_id} is {session.stage}")

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- deciding ---------------------------------------------------------------------------------

    def _admitted(self, merchant_id: str, token: PayableToken, amount: int) -> Payment:
        """The payment, if the limits allow it as far as the platform's word goes."""
        token_address = _checks.address(token.token_address, "tokenAddress")
        self._limits.check_merchant(merchant_id)
        self._limits.check_token(token.chain_id, token_address)
        price = micro_usd_rounded_up(amount, token.decimals)
        self._limits.check_payment(price)
        self._limits.check_day(price, self._now())
        return Payment(merchant_id, token.chain_id, token_address, amount)

    def _chosen(self, session: AgentSession, chain_id: int | None, token: str | None) -> Payment:
        """How a session is paid: as it was made, or as the caller says where that is open."""
        if session.merchant_id is None:
            raise UnsafePayment("the session names no merchant")
        fixed = session.token_address
        if session.chain_id is not None and fixed is not None:
            if chain_id not in (None, session.chain_id):
                raise NotPayable(f"the session is for chain {session.chain_id}: open another one")
            token_address, amount = _checks.address(fixed, "paymentToken"), None
            chosen_chain = session.chain_id
        elif chain_id is None:
            raise NotPayable("the session leaves the chain open: give chain_id")
        else:
            chosen = _checks.choose(session.tokens, chain_id, token)
            token_address = _checks.address(chosen.token_address, "tokenAddress")
            amount, chosen_chain = chosen.amount_in_token, chain_id
        self._limits.check_merchant(session.merchant_id)
        self._limits.check_token(chosen_chain, token_address)
        return Payment(session.merchant_id, chosen_chain, token_address, amount)

    def _chain(self, chain_id: int) -> Chain:
        """The node of a chain, proven to be of that chain."""
        chain = self._chains.get(chain_id)
        if chain is None:
            raise NotPayable(f"no node is given for chain {chain_id}")
        chain.check()
        return chain

    # --- asking the platform ----------------------------------------------------------------------

    def _create(self, link: AgentLink, payment: Payment) -> AgentSession:
        def body() -> bytes:
            return _messages.create_session(self._signer, self._domain, link, payment, self._now())

        return self._door.post("/payment/session/create", body, one(_parse.session))

    def _prepare(
        self, session_id: str, payment: Payment, payer_email: str
    ) -> PreparedPayment:
        def body() -> bytes:
            return _messages.prepare(
                self._signer, self._domain, session_id, payment, payer_email, self._now()
            )

        def parse(found: Reader) -> PreparedPayment:
            return _checks.prepared(
                found,
                session_id,
                payment.chain_id,
                payment.token_address,
                payment.amount_in_token,
                self._now(),
            )

        return self._door.post("/payment/prepare", body, one(parse))

    # --- paying -----------------------------------------------------------------------------------

    def _pay(self, session_id: str, payment: Payment, payer_email: str) -> PaidReceipt:
        chain = self._chain(payment.chain_id)
        with self._turn:
            prepared = self._prepare(session_id, payment, payer_email)
            receipt = self._execute(chain, prepared)
        return self._completed(receipt)

    def _execute(self, chain: Chain, prepared: PreparedPayment) -> PaidReceipt:
        """Send what was prepared, unless it is on the chain already."""
        token, executor = prepared.token_address, prepared.executor
        _checks.check_contract(chain.code(executor), executor)
        _checks.check_contract(chain.code(token), token)
        amount = micro_usd_rounded_up(prepared.total, chain.decimals(token))
        self._limits.check_payment(amount)
        paid = PaidReceipt(
            session_id=prepared.session_id,
            stage="payment_submitted",
            chain_id=prepared.chain_id,
            token_address=token,
            amount_in_token=prepared.total,
            amount=amount,
            tx_hash=None,
        )
        if chain.is_paid(executor, prepared.session_key):
            return _paid_before(paid)
        if chain.balance(token) < prepared.total:
            raise NotPayable(f"the wallet has less than {prepared.total} smallest units")
        counted = self._count(chain, prepared, amount)
        try:
            self._allow(chain, prepared, counted)
            gas_limit = self._limits.gas_per_transaction
            signed = chain.sign(executor, prepared.calldata, gas_limit)
        except AgentError:
            self._forget(counted)
            raise
        sent = replace(paid, tx_hash=signed.tx_hash)
        try:
            chain.hand_in(signed)
        except NodeRefused:
            self._forget(counted)
            raise
        except ChainError as failure:
            raise _pending(sent, failure.message) from failure
        return self._mined(chain, prepared, sent, counted)

    def _count(self, chain: Chain, prepared: PreparedPayment, amount: int) -> Counted:
        """Count the payment before anything is sent: a process that dies then has spent too much
        on paper, never too little.

        It is named by the wallet's next transaction too. Whoever goes on with a session before
        anything was sent counts it once, because two transactions of one number are never both
        mined. Who sends more is counted again: that the session is unpaid is only the word of an
        executor which the platform has named.
        """
        name = f"{prepared.session_id} {self.address} {prepared.chain_id} {chain.nonce()}"
        now, per_day = self._now(), self._limits.per_day
        return Counted(name, is_new=self._limits.store.reserve(name, amount, now, per_day))

    def _forget(self, counted: Counted) -> None:
        """Count a payment no more that was not made, if the executor can take nothing for it."""
        if counted.is_new and not counted.granted:
            self._limits.store.release(counted.name)

    def _allow(self, chain: Chain, prepared: PreparedPayment, counted: Counted) -> None:
        """Let the executor take exactly what it needs, if it may not take that much already."""
        token, executor = prepared.token_address, prepared.executor
        allowed = chain.allowance(token, executor)
        if allowed >= prepared.total:
            return
        # Some tokens change an allowance only from or to nothing (USDT on Ethereum).
        for amount in (prepared.total,) if allowed == 0 else (0, prepared.total):
            data = _rpc.approve_call(executor, amount)
            signed = chain.sign(token, data, self._limits.gas_per_transaction)
            counted.granted = counted.granted or amount > 0
            chain.hand_in(signed)
            chain.wait(signed.tx_hash, "the approval", self._patience)

    def _mined(
        self, chain: Chain, prepared: PreparedPayment, sent: PaidReceipt, counted: Counted
    ) -> PaidReceipt:
        try:
            chain.wait(str(sent.tx_hash), "the payment", self._patience)
        except TransactionReverted:
            self._forget(counted)
            if chain.is_paid(prepared.executor, prepared.session_key):
                return _paid_before(sent)
            raise
        except ChainError as failure:
            raise _pending(sent, failure.message) from failure
        return sent

    def _completed(self, paid: PaidReceipt) -> PaidReceipt:
        """Wait until the platform has seen the payment and calls it completed."""
        until = self._seam.now() + self._patience
        stage = paid.stage
        while self._seam.now() < until:
            session = self.get_session(paid.session_id)
            stage = session.stage
            if stage == COMPLETED:
                return replace(paid, stage=stage, tx_hash=paid.tx_hash or session.tx_hash)
            self._seam.sleep(LOOK_SECONDS)
        raise _pending(paid, f"session {paid.session_id} is {stage} after {self._patience} s")

    def _now(self) -> int:
        return int(self._seam.now())


def _paid_before(receipt: PaidReceipt) -> PaidReceipt:
    """By an earlier transaction, perhaps of another wallet: ours or not, it is not sent again."""
    return replace(receipt, amount_in_token=None, amount=None, tx_hash=None)


def _pending(sent: PaidReceipt, words: str) -> PaymentPending:
    return PaymentPending(words, sent.session_id, sent.tx_hash)


def _already(session: AgentSession) -> PaidReceipt:
    return PaidReceipt(
        session_id=session.session_id,
        stage=session.stage,
        chain_id=session.chain_id,
        token_address=session.token_address,
        amount_in_token=None,
        amount=None,
        tx_hash=session.tx_hash,
    )
