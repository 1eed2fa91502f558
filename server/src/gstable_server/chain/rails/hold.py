"""Authorize now, capture later: the money waits in contracts/src/rails/HoldRail.sol.

Captures and voids are verbs of the holds themselves; the rail starts a hold, reads what becomes of
it, and knows how the payer gets back what nobody captured in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.facts import (
    DeliveryLog,
    EscrowLog,
    HoldLog,
    HoldWhat,
    PaymentLog,
    RailName,
)
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.observing import is_from, place
from gstable_server.chain.rails.port import (
    Crossing,
    Done,
    RailQuote,
    RailRequest,
    RailTerms,
    Step,
)
from gstable_server.chain.rpc import Header, Log
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import UnixSeconds, unix_seconds
from gstable_server.kernel.money import PARTS_PER_MILLION

CAPTURE_SECONDS = 7 * 24 * 3600
_DATA_LENGTH = 4 * abi.WORD


@dataclass(frozen=True, slots=True)
class HoldTerms:
    """The rail's part of an order: the Unix second from which the payer may take the rest back,
    the fee of every capture in millionths, and who besides the merchant may capture and void."""

    capture_before: UnixSeconds
    fee_ppm: int
    fee_receiver: Address
    operator: Address

    @property
    def encoded(self) -> bytes:
        """``railData`` of HoldRail.sol."""
        return abi.encode(
            abi.number_word(self.capture_before),
            abi.number_word(self.fee_ppm),
            abi.address_word(self.fee_receiver),
            abi.address_word(self.operator),
        )


def hold_terms(rail_data: bytes) -> HoldTerms:
    """What ``HoldTerms.encoded`` wrote; ``rail_data`` is that of a hold's payment."""
    assert len(rail_data) == _DATA_LENGTH, "the contract refuses any other length"
    words = [rail_data[at : at + abi.WORD] for at in range(0, _DATA_LENGTH, abi.WORD)]
    return HoldTerms(
        UnixSeconds(int.from_bytes(words[0], "big")),
        int.from_bytes(words[1], "big"),
        Address(words[2][12:]),
        Address(words[3][12:]),
    )


def capture_call(network: Network, session_key: bytes, amount: int) -> ContractCall:
    """Give the merchant ``amount`` of the hold, less the fee. For the merchant or the operator."""
    return ContractCall(
        _contract(network),
        abi.call_data(rails_abi.CAPTURE, session_key, abi.number_word(amount)),
    )


def void_call(network: Network, session_key: bytes) -> ContractCall:
    """Return the rest of the hold to the payer. For the merchant or the operator."""
    return ContractCall(_contract(network), abi.call_data(rails_abi.VOID, session_key))


def reclaim_call(network: Network, session_key: bytes) -> ContractCall:
    """Return the rest of the hold to the payer, once it is too late to capture. For anybody."""
    return ContractCall(_contract(network), abi.call_data(rails_abi.HOLD_RECLAIM, session_key))


class HoldRail:
    """At most ``fee_ppm`` of every capture goes to ``fee_receiver``; ``operator`` captures and
    voids on behalf of merchants, or is the zero address. A hold lasts ``capture_seconds`` after
    the last second in which it may be paid."""

    def __init__(
        self,
        *,
        fee_ppm: int,
        fee_receiver: Address,
        operator: Address = ZERO_ADDRESS,
        capture_seconds: int = CAPTURE_SECONDS,
    ) -> None:
        self._fee_ppm = fee_ppm
        self._fee_receiver = fee_receiver
        self._operator = operator
        self._capture_seconds = capture_seconds

    @property
    def name(self) -> RailName:
        return RailName.HOLD

    def serves(
        self, source: Network, paying: Token, destination: Network, settlement: Token
    ) -> bool:
        return (
            source.name == destination.name
            and paying.token_id == settlement.token_id
            and source.contracts.hold_rail is not None
        )

    def quote(self, request: RailRequest) -> RailQuote | None:
        """Everything: the fee is taken from what is captured."""
        return RailQuote(request.payer_pays)

    def start(self, request: RailRequest, deadline: UnixSeconds) -> RailTerms:
        terms = HoldTerms(
            UnixSeconds(deadline + self._capture_seconds),
            self._fee_of(request),
            self._fee_receiver,
            self._operator,
        )
        return RailTerms(_contract(request.source), terms.encoded)

    def _fee_of(self, request: RailRequest) -> int:
        """The rate at which a capture of everything leaves the merchant what the order promises.

        Lower than the rate of the fee where that was added on top: it is a share of more.
        """
        fee = request.payer_pays - request.merchant_amount
        return min(self._fee_ppm, fee * PARTS_PER_MILLION // request.payer_pays)

    def observe(
        self, network: Network, header: Header, log: Log
    ) -> DeliveryLog | EscrowLog | HoldLog | None:
        if not is_from(log, network.contracts.hold_rail):
            return None
        if found := rails_abi.CAPTURED.read(log):
            key, merchant, token, amount, received, fee, remaining = found
            return HoldLog(
                **place(network, header, log),
                session_key=key,
                what=HoldWhat.CAPTURED,
                receiver=merchant,
                token=token,
                amount=amount,
                merchant_received=received,
                fee_received=fee,
                remaining=remaining,
            )
        return _returned(network, header, log)

    def delivers(self, payment: PaymentLog, delivery: DeliveryLog) -> bool:
        return False

    async def finish(self, crossing: Crossing) -> Step:
        """Nothing: whether and when to capture is the merchant's to say."""
        return Done()

    def recover(self, crossing: Crossing, now: datetime) -> ContractCall | None:
        payment = crossing.payment
        if unix_seconds(now) < hold_terms(payment.rail_data).capture_before:
            return None
        return reclaim_call(crossing.source, payment.session_key)


def _returned(network: Network, header: Header, log: Log) -> HoldLog | None:
    for what, event in (
        (HoldWhat.VOIDED, rails_abi.VOIDED),
        (HoldWhat.RECLAIMED, rails_abi.HOLD_RECLAIMED),
    ):
        if found := event.read(log):
            key, payer, token, amount = found
            return HoldLog(
                **place(network, header, log),
                session_key=key,
                what=what,
                receiver=payer,
                token=token,
                amount=amount,
                merchant_received=0,
                fee_received=0,
                remaining=0,
            )
    return None


def _contract(network: Network) -> Address:
    assert network.contracts.hold_rail is not None, f"{network.name} has no hold rail"
    return network.contracts.hold_rail.address
