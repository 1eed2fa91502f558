"""A session's deposit address and what is known of it. Amounts are atomic units of the token that
is named beside them; the network's own coin is the token ``NATIVE``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.chain.deposits import NATIVE, DepositTerms
from gstable_server.chain.executor.model import IntentView, State
from gstable_server.chain.networks import Network, Networks
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.money import Money, micro_usd_rounded_down
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.model import RouteOption
from gstable_server.sessions.deposits.machine import OVER
from gstable_server.sessions.model import Session, SessionState

BALANCES_MAX = 200
"""How many addresses one question to a node names."""

SIGHTINGS_MAX = 50
"""How many changes of one balance are kept: a stranger may send dust without end."""

SWEEPS_MAX = 20
"""How often it is tried to collect one session's deposit; each try may cost us gas."""

RECOVERIES_MAX = 5
"""How often one token at one address is sent back: whoever gets it may send it again."""

RECOVERED_FROM = 100_000
"""What is less, in Micro-USD, is not worth the gas of sending it back; anybody may do it."""

COIN_SHARE = 10
"""The network's own coin is sent back from this share of ``Gas.funds_min`` on."""

WATCHED_FOR = timedelta(days=100)
"""How long after the deadline the address is looked at: rails give back what they could not
deliver to the account that paid, which is this address (a hold lasts up to 90 days). Not for
ever: each address is part of every question about logs. By the time of blocks, not by the clock
(``chain.operations.read_until``)."""

SELDOM = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Deposit:
    """The address that commits to ``terms``, on every network that has ``collector``."""

    session_id: SessionId
    collector: Address
    address: Address
    terms: DepositTerms

    @property
    def refundable_after(self) -> datetime:
        """The last moment at which money may still pay the session."""
        return from_unix_seconds(self.terms.refundable_after)

    def next_look(self, network: Network, now: datetime) -> datetime | None:
        """When to ask ``network`` again: at its own pace while the session may be paid, then ever
        more seldom; None when it is not asked any more."""
        pace = timedelta(milliseconds=network.poll_milliseconds)
        past = now - self.refundable_after
        if past > WATCHED_FOR:
            return None
        return now + min(max(pace, past / 4), SELDOM)


def networks_of(networks: Networks, mode: Mode, collector: Address) -> tuple[Network, ...]:
    """The networks on which ``collector`` can move what is at its addresses."""
    return tuple(
        network
        for network in networks.of(mode)
        if network.contracts.deposit_collector is not None
        and network.contracts.deposit_collector.address == collector
    )


Place = tuple[str, Address]
"""A network's name and a token's address there."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A collection that was staged with the executor under ``cause``, of ``amount`` in all."""

    cause: str
    place: Place
    amount: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """A return that was staged with the executor, the ``number``-th of that place, from 1;
    ``asked``: by a person, whatever it is worth."""

    cause: str
    place: Place
    number: int
    asked: bool = False


@dataclass(frozen=True, slots=True)
class DepositView:
    """A deposit as pages show it: ``balances`` are the last sightings that are not 0; ``options``
    what a transfer to the address can pay with; ``sent`` the last collection at the executor."""

    session: Session
    deposit: Deposit
    options: tuple[RouteOption, ...]
    balances: Mapping[Place, int]
    sent: IntentView | None

    @property
    def collects(self) -> bool:
        """Whether what arrived is on its way to the merchant, and nothing more is to be sent."""
        on_its_way = self.sent is not None and self.sent.state not in OVER
        return on_its_way and self.session.state is SessionState.INITIALIZED

    @property
    def rests(self) -> bool:
        """Whether what is seen there stays there until it goes back, as far as is known."""
        return self.sent is None or self.sent.state in {*OVER, State.FINAL}

    def arrived(self, option: RouteOption) -> int:
        """What is there of the option's token."""
        return self.balances.get(place_of(option), 0)

    def missing(self, option: RouteOption) -> int:
        """What is still to be sent to pay with that option."""
        return max(option.quote.payer_pays.atomic - self.arrived(option), 0)


def place_of(option: RouteOption) -> Place:
    return option.network.name, option.token.address


def is_worth_returning(network: Network, token: Address, balance: int) -> bool:
    """Whether so much of a token is sent back by us."""
    if token == NATIVE:
        return balance > 0 and balance * COIN_SHARE >= network.gas.funds_min
    for known in network.tokens:
        if known.address == token:
            return micro_usd_rounded_down(Money(balance, known.asset)) >= RECOVERED_FROM
    return False


def covered(
    options: tuple[RouteOption, ...], network: Network, balances: Mapping[Address, int]
) -> RouteOption | None:
    """The first option on ``network`` that what is there can pay."""
    for option in options:
        if option.network.name != network.name:
            continue
        if balances.get(option.token.address, 0) >= option.quote.payer_pays.atomic:
            return option
    return None
