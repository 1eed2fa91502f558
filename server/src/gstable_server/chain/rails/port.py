"""The port of settlement rails, and what they are asked and answer.

A rail is one way to bring a payer's token to a merchant who wants another token, or wants it on
another network, or later. It has a contract, to which the router hands the payer's money
(contracts/src/interfaces/ISettlementRail.sol), and a class here that fulfils ``Rail``. A further
rail is a further file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gstable_server.chain.executor.model import Sender
from gstable_server.chain.facts import DeliveryLog, EscrowLog, HoldLog, PaymentLog, RailName
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import Header, Log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds


@dataclass(frozen=True, slots=True)
class RailRequest:
    """A payment that a rail shall bring across.

    ``payer_pays`` is in atomic units of ``paying`` and includes every fee; ``merchant_amount`` is
    what the merchant must get, in atomic units of ``settlement``.
    """

    paying: Token
    source: Network
    settlement: Token
    destination: Network
    payer_pays: int
    merchant_amount: int


@dataclass(frozen=True, slots=True)
class RailQuote:
    """``amount``: what the rail is given, in atomic units of the paying token.

    The rest of what the payer pays is the platform's fee; it is more than 0, except for a hold,
    whose fee is taken when it is captured.
    """

    amount: int


@dataclass(frozen=True, slots=True)
class RailTerms:
    """What a routed order says of its rail: the contract, and the terms that only it reads."""

    address: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class Crossing:
    """A payment on its way, as far as the chains have told.

    ``source_final`` and ``delivery_final``: the payment's and the delivery's block is as deep as
    its network's ``confirmations``. ``released``: whoever delivered from their own money has been
    given the payer's (escrow only).
    """

    payment: PaymentLog
    source: Network
    destination: Network
    source_final: bool
    delivery: DeliveryLog | None = None
    delivery_final: bool = False
    released: bool = False


RECOVER = "recover"
"""The purpose of a step that gives the money back to its payer: not one towards the merchant."""


@dataclass(frozen=True, slots=True)
class Send:
    """The next step is a transaction of ours. ``cause`` names it for good: it is sent once.

    ``purpose`` is one of the words of ``chain.executor.model.Intent``.
    """

    network: str
    sender: Sender
    call: ContractCall
    purpose: str
    cause: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The next step is not ours, or not yet: ask again later. ``reason`` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do, whatever the chains still have to confirm."""


Step = Send | Wait | Done


class Rail(Protocol):
    """A way to bring money to a merchant. Judged by tests/ports/test_rails.py."""

    @property
    def name(self) -> RailName:
        """The rail's word in facts and on the wire."""

    def serves(
        self, source: Network, paying: Token, destination: Network, settlement: Token
    ) -> bool:
        """Whether this rail brings ``paying`` on ``source`` to ``settlement`` there."""

    def quote(self, request: RailRequest) -> RailQuote | None:
        """What the rail must be given; None when ``payer_pays`` leaves nothing for the fee.

        Pure: two orders for the same request have the same terms.
        """

    def start(self, request: RailRequest, deadline: UnixSeconds) -> RailTerms:
        """The rail's part of a signed order that must be paid until ``deadline``."""

    def observe(
        self, network: Network, header: Header, log: Log
    ) -> DeliveryLog | EscrowLog | HoldLog | None:
        """What ``log`` of the block ``header`` tells, if this rail's own contract wrote it.

        None for every other log, and for one that is not exactly what the contract writes.
        ``log_position`` is 0: whoever reads the block numbers what was found.
        """

    def delivers(self, payment: PaymentLog, delivery: DeliveryLog) -> bool:
        """Whether ``delivery`` is of exactly this payment.

        Anybody may send dust to a merchant in a session's name, so the name alone proves nothing.
        """

    async def finish(self, crossing: Crossing) -> Step:
        """What has to happen next so that the merchant, and whoever advanced money, is paid.

        Asks the chains first: what somebody else has done already is not done again. Raises
        ``Passing`` when a node or a service outside does not answer.
        """

    def recover(self, crossing: Crossing, now: datetime) -> ContractCall | None:
        """The call on the source network, open to anybody, that returns the money to its payer.

        None while it would not be accepted, and for rails whose delivery cannot be called off.
        """
