"""Fakes of the ports of rails: attestations of what was told to be burnt, and a rail whose next
steps are told.

tests/ports/test_attestation.py holds the former to the behaviour of the real client.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gstable_server.chain.facts import DeliveryLog, EscrowLog, HoldLog, PaymentLog, RailName
from gstable_server.chain.networks import Cctp, Network, Token
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.attestation import (
    AttestationFailed,
    AttestationService,
    Attested,
    Pending,
)
from gstable_server.chain.rails.port import (
    Crossing,
    Rail,
    RailQuote,
    RailRequest,
    RailTerms,
    Step,
    Wait,
)
from gstable_server.chain.rpc import Header, Log
from gstable_server.kernel.clock import UnixSeconds


class FakeAttestations(AttestationService):
    """Knows the messages of ``burns``, by Circle's number of the source and the transaction.

    ``failure``, once set, is what every question meets with.
    """

    def __init__(self) -> None:
        self.burns: dict[tuple[int, bytes], tuple[Attested | Pending, ...]] = {}
        self.failure: AttestationFailed | None = None
        self.reattested: list[bytes] = []
        """The nonces that a new signature was asked for."""

    async def messages(self, source: Cctp, tx_hash: bytes) -> tuple[Attested | Pending, ...]:
        """See ``AttestationService.messages``."""
        if self.failure is not None:
            raise self.failure
        return self.burns.get((source.domain, tx_hash), ())

    async def reattest(self, source: Cctp, nonce: bytes) -> None:
        """See ``AttestationService.reattest``."""
        if self.failure is not None:
            raise self.failure
        self.reattested.append(nonce)


class ScriptedRail(Rail):
    """All of ``rail`` but its chains: ``finish`` answers the steps of ``script`` in turn, raises
    those that are failures, and then only waits. ``asked`` is what it was asked about."""

    def __init__(self, rail: Rail, script: Sequence[Step | Exception] = ()) -> None:
        self._rail = rail
        self.script = list(script)
        self.asked: list[Crossing] = []

    @property
    def name(self) -> RailName:
        return self._rail.name

    def serves(
        self, source: Network, paying: Token, destination: Network, settlement: Token
    ) -> bool:
        return self._rail.serves(source, paying, destination, settlement)

    def quote(self, request: RailRequest) -> RailQuote | None:
        return self._rail.quote(request)

    def start(self, request: RailRequest, deadline: UnixSeconds) -> RailTerms:
        return self._rail.start(request, deadline)

    def observe(
        self, network: Network, header: Header, log: Log
    ) -> DeliveryLog | EscrowLog | HoldLog | None:
        return self._rail.observe(network, header, log)

    def delivers(self, payment: PaymentLog, delivery: DeliveryLog) -> bool:
        return self._rail.delivers(payment, delivery)

    async def finish(self, crossing: Crossing) -> Step:
        self.asked.append(crossing)
        step = self.script.pop(0) if self.script else Wait("the script is over")
        if isinstance(step, Exception):
            raise step
        return step

    def recover(self, crossing: Crossing, now: datetime) -> ContractCall | None:
        return self._rail.recover(crossing, now)
