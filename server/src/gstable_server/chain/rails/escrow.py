"""Any token to any other on another network: escrow on the source, fill on the destination.

The payment waits in contracts/src/rails/EscrowRail.sol on the source. A solver pays the merchant on
the destination from their own money, once per order; an attestor's signature that this happened
releases the escrow to the solver. Unfilled, the payer takes it back after a while, with nobody's
help. Who is trusted for the proof: the attestors, and only by solvers and payers of this rail
(SECURITY.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.facts import (
    DeliveryLog,
    EscrowLog,
    EscrowWhat,
    HoldLog,
    PaymentLog,
    RailName,
)
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.escrow_terms import (
    Escrow,
    EscrowState,
    EscrowTerms,
    FillAttestor,
    escrow_of,
    escrow_terms,
)
from gstable_server.chain.rails.observing import is_from, place
from gstable_server.chain.rails.par import at_par_rounded_up, quote_of, with_margin_rounded_up
from gstable_server.chain.rails.port import (
    RECOVER,
    Crossing,
    Done,
    RailQuote,
    RailRequest,
    RailTerms,
    Send,
    Step,
    Wait,
)
from gstable_server.chain.rpc import Header, Log, Rpc
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import UnixSeconds, from_unix_seconds, unix_seconds

FILL_SECONDS = 1800
RECLAIM_SECONDS = 3600
UNLIMITED = 2**256 - 1


class EscrowRail:
    """``solver`` is the account that fills, ``attestor`` signs that a fill is final; without them
    this server offers the rail and leaves that part to others.

    ``solver_ppm`` is the solver's margin on the merchant's amount, in millionths. A fill may be
    mined until ``fill_seconds`` after the order's deadline, and the payer may reclaim from
    ``reclaim_seconds`` after that: time for the fill to become final and to be proven.
    """

    def __init__(
        self,
        networks: Networks,
        chains: Mapping[str, Rpc],
        *,
        solver: Address | None = None,
        attestor: FillAttestor | None = None,
        solver_ppm: int = 1000,
        fill_seconds: int = FILL_SECONDS,
        reclaim_seconds: int = RECLAIM_SECONDS,
    ) -> None:
        self._networks = networks
        self._chains = chains
        self._solver = solver
        self._attestor = attestor
        self._solver_ppm = solver_ppm
        self._fill_seconds = fill_seconds
        self._reclaim_seconds = reclaim_seconds

    @property
    def name(self) -> RailName:
        return RailName.ESCROW

    def serves(
        self, source: Network, paying: Token, destination: Network, settlement: Token
    ) -> bool:
        return (
            source.name != destination.name
            and source.mode is destination.mode
            and source.contracts.escrow_rail is not None
            and destination.contracts.escrow_rail is not None
        )

    def quote(self, request: RailRequest) -> RailQuote | None:
        return quote_of(request, with_margin_rounded_up(request, self._solver_ppm))

    def start(self, request: RailRequest, deadline: UnixSeconds) -> RailTerms:
        fill_deadline = deadline + self._fill_seconds
        data = abi.encode(
            abi.number_word(fill_deadline),
            abi.number_word(fill_deadline + self._reclaim_seconds),
        )
        return RailTerms(_contract(request.source), data)

    def observe(
        self, network: Network, header: Header, log: Log
    ) -> DeliveryLog | EscrowLog | HoldLog | None:
        if not is_from(log, network.contracts.escrow_rail):
            return None
        if found := rails_abi.FILLED.read(log):
            order_id, key, solver, merchant, token, amount, source_chain_id = found
            return DeliveryLog(
                **place(network, header, log),
                session_key=key,
                rail=RailName.ESCROW,
                merchant=merchant,
                token=token,
                amount=amount,
                fee=0,
                reference=order_id,
                solver=solver,
                source_chain_id=source_chain_id,
            )
        return _left(network, header, log)

    def delivers(self, payment: PaymentLog, delivery: DeliveryLog) -> bool:
        """The order's id is the hash of every term, so it alone is the proof."""
        source = self._networks.find_network(payment.network)
        return (
            payment.rail is delivery.rail is RailName.ESCROW
            and source is not None
            and delivery.chain_id == payment.settlement_chain_id
            and delivery.session_key == payment.session_key
            and delivery.reference == escrow_terms(payment, _contract(source)).order_id
        )

    async def finish(self, crossing: Crossing) -> Step:
        """Fill once the payment cannot be taken back, release once the fill cannot; give back
        what nobody filled."""
        if crossing.released:
            return Done()
        if crossing.delivery is None:
            return await self._fill(crossing)
        if not crossing.delivery_final:
            return Wait("the fill is not final yet")
        return await self._release(crossing, crossing.delivery)

    def recover(self, crossing: Crossing, now: datetime) -> ContractCall | None:
        terms = escrow_terms(crossing.payment, _contract(crossing.source))
        if crossing.delivery is not None or unix_seconds(now) < terms.reclaim_after:
            return None
        data = abi.call_data(rails_abi.ESCROW_RECLAIM, terms.order_id)
        return ContractCall(terms.source_escrow, data)

    async def _fill(self, crossing: Crossing) -> Step:
        if not crossing.source_final:
            return Wait("the payment is not final yet")
        terms = escrow_terms(crossing.payment, _contract(crossing.source))
        chain, escrow = self._chains[crossing.destination.name], _contract(crossing.destination)
        filled_by = await chain.call(escrow, abi.call_data(rails_abi.FILLED_BY, terms.order_id))
        if filled_by[-20:] != ZERO_ADDRESS:
            return Wait("filled; the block is being read")
        newest, _ = await chain.block_and_next(await chain.block_number())
        if newest.timestamp >= terms.fill_deadline:
            return await self._give_back(crossing, terms)
        if self._solver is None:
            return Wait("no solver is configured here; another one may fill")
        if not self._covers(crossing):
            return Wait("the escrow is worth less than the fill")
        stored = await self._stored(crossing, terms.order_id)
        if stored.state is not EscrowState.OPEN:
            return Wait(f"the escrow is {stored.state.name.lower()}")
        if not await self._is_repaid(crossing, self._solver, stored):
            return Wait("the escrow would not pay the solver back: see who is listed there")
        unfunded = await self._fund(crossing, self._solver, escrow)
        if unfunded is not None:
            return unfunded
        return Send(
            network=crossing.destination.name,
            sender=Sender.SOLVER,
            call=ContractCall(escrow, abi.call_data(rails_abi.FILL, terms.encoded)),
            purpose="fill",
            cause=f"fill:{crossing.payment.object_id}",
        )

    def _covers(self, crossing: Crossing) -> bool:
        """Whether the escrow's money is worth the fill. The orders of this server are always; the
        solver's own money must not hang on the key that signs orders."""
        payment, source, destination = crossing.payment, crossing.source, crossing.destination
        paying = self._networks.token_at(source.name, payment.token)
        settlement = self._networks.token_at(destination.name, payment.settlement_token)
        return (
            paying is not None
            and settlement is not None
            and self.serves(source, paying, destination, settlement)
            and at_par_rounded_up(payment.merchant_amount, settlement, paying) <= payment.amount
        )

    async def _is_repaid(self, crossing: Crossing, solver: Address, escrow: Escrow) -> bool:
        """Whether the escrow knew the solver, and the attestor of this server, before the money
        came: it takes nobody's word who was listed later."""
        needed = [(rails_abi.SOLVER_SINCE, solver)]
        if self._attestor is not None:
            needed.append((rails_abi.ATTESTOR_SINCE, self._attestor.address))
        for question, account in needed:
            since = await self._since(crossing, question, account)
            if not 0 < since < escrow.started_at:
                return False
        return True

    async def _give_back(self, crossing: Crossing, terms: EscrowTerms) -> Step:
        """Nobody filled in time, so the money is the payer's. We return it, because the payer may
        be an address that nobody acts for, as that of a deposit is."""
        source = self._chains[crossing.source.name]
        newest, _ = await source.block_and_next(await source.block_number())
        stored = await self._stored(crossing, terms.order_id)
        reclaim = self.recover(crossing, from_unix_seconds(newest.timestamp))
        if stored.state is not EscrowState.OPEN or reclaim is None:
            return Wait("the time to fill is over; the payer can take the money back")
        return Send(
            network=crossing.source.name,
            sender=Sender.RELAYER,
            call=reclaim,
            purpose=RECOVER,
            cause=f"recover:{crossing.payment.object_id}",
        )

    async def _fund(self, crossing: Crossing, solver: Address, escrow: Address) -> Step | None:
        """What the solver lacks to fill; None when nothing."""
        payment, network = crossing.payment, crossing.destination.name
        token, chain = payment.settlement_token, self._chains[network]
        account = abi.address_word(solver)
        balance = await chain.call(token, abi.call_data(abi.BALANCE_OF, account))
        if int.from_bytes(balance, "big") < payment.merchant_amount:
            return Wait("the solver has too little of the merchant's token")
        allowance = await chain.call(
            token, abi.call_data(abi.ALLOWANCE, account, abi.address_word(escrow))
        )
        allowed = int.from_bytes(allowance, "big")
        if allowed >= payment.merchant_amount:
            return None
        # Of its caller's tokens the escrow takes what its caller fills with, and it cannot be
        # changed: no limit saves a transaction per fill. Tether takes no new allowance over an
        # old one, so that goes first.
        amount = UNLIMITED if allowed == 0 else 0
        data = abi.call_data(abi.APPROVE, abi.address_word(escrow), abi.number_word(amount))
        return Send(
            network=network,
            sender=Sender.SOLVER,
            call=ContractCall(token, data),
            purpose="approve",
            cause=f"approve:{network}:0x{token.hex()}:0x{escrow.hex()}:{allowed}",
        )

    async def _release(self, crossing: Crossing, delivery: DeliveryLog) -> Step:
        assert delivery.solver is not None, "every fill names its solver"
        terms = escrow_terms(crossing.payment, _contract(crossing.source))
        state = (await self._stored(crossing, terms.order_id)).state
        if state is EscrowState.RECLAIMED:
            return Done()
        if state is EscrowState.RELEASED:
            return Wait("released; the block is being read")
        if self._attestor is None:
            return Wait("no attestor is configured here; another one may prove the fill")
        if await self._since(crossing, rails_abi.SOLVER_SINCE, delivery.solver) == 0:
            return Wait("the solver who filled is not listed")
        signature = self._attestor.prove(terms, delivery.solver)
        data = abi.call_data(
            rails_abi.RELEASE,
            terms.order_id,
            abi.address_word(delivery.solver),
            abi.Dynamic(signature),
        )
        return Send(
            network=crossing.source.name,
            sender=Sender.RELAYER,
            call=ContractCall(terms.source_escrow, data),
            purpose="release",
            cause=f"release:{crossing.payment.object_id}",
        )

    async def _since(self, crossing: Crossing, question: str, account: Address) -> int:
        """Since when, in Unix seconds, the source's escrow lists the account; 0 is never."""
        returned = await self._chains[crossing.source.name].call(
            _contract(crossing.source), abi.call_data(question, abi.address_word(account))
        )
        return int.from_bytes(returned, "big")

    async def _stored(self, crossing: Crossing, order_id: bytes) -> Escrow:
        returned = await self._chains[crossing.source.name].call(
            _contract(crossing.source), abi.call_data(rails_abi.ESCROWS, order_id)
        )
        return escrow_of(returned)


def _left(network: Network, header: Header, log: Log) -> EscrowLog | None:
    for what, event in (
        (EscrowWhat.RELEASED, rails_abi.RELEASED),
        (EscrowWhat.RECLAIMED, rails_abi.ESCROW_RECLAIMED),
    ):
        if found := event.read(log):
            order_id, key, receiver, token, amount = found
            return EscrowLog(
                **place(network, header, log),
                session_key=key,
                order_id=order_id,
                what=what,
                receiver=receiver,
                token=token,
                amount=amount,
            )
    return None


def _contract(network: Network) -> Address:
    assert network.contracts.escrow_rail is not None, f"{network.name} has no escrow rail"
    return network.contracts.escrow_rail.address
