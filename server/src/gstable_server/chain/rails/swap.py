"""Another token on the merchant's own network: an exact-output swap in a Uniswap v3 pool.

The merchant gets the promised amount to the unit or the payment reverts; what the swap did not
need goes back to the payer (contracts/src/rails/SwapRail.sol). So there is nothing to wait for.
"""

from __future__ import annotations

from datetime import datetime

from gstable_server.chain import abi
from gstable_server.chain.facts import DeliveryLog, EscrowLog, HoldLog, PaymentLog, RailName
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.par import quote_of, with_margin_rounded_up
from gstable_server.chain.rails.port import (
    Crossing,
    Done,
    RailQuote,
    RailRequest,
    RailTerms,
    Step,
)
from gstable_server.chain.rpc import Header, Log
from gstable_server.kernel.clock import UnixSeconds


class SwapRail:
    """``slippage_ppm``: how far above par the swap may cost, in millionths; the pool's own fee and
    the price both have to fit in. What is not needed is the payer's."""

    def __init__(self, *, slippage_ppm: int = 1000) -> None:
        self._slippage_ppm = slippage_ppm

    @property
    def name(self) -> RailName:
        return RailName.SWAP

    def serves(
        self, source: Network, paying: Token, destination: Network, settlement: Token
    ) -> bool:
        return (
            source.name == destination.name
            and paying.token_id != settlement.token_id
            and source.contracts.swap_rail is not None
            and source.swap_pool_fee > 0
        )

    def quote(self, request: RailRequest) -> RailQuote | None:
        return quote_of(request, with_margin_rounded_up(request, self._slippage_ppm))

    def start(self, request: RailRequest, deadline: UnixSeconds) -> RailTerms:
        assert request.source.contracts.swap_rail is not None
        data = abi.encode(abi.number_word(request.source.swap_pool_fee))
        return RailTerms(request.source.contracts.swap_rail.address, data)

    def observe(
        self, network: Network, header: Header, log: Log
    ) -> DeliveryLog | EscrowLog | HoldLog | None:
        """Nothing: the router's own event tells what the merchant got."""
        return None

    def delivers(self, payment: PaymentLog, delivery: DeliveryLog) -> bool:
        return False

    async def finish(self, crossing: Crossing) -> Step:
        return Done()

    def recover(self, crossing: Crossing, now: datetime) -> ContractCall | None:
        return None
