"""What may be told as final: by depth, by the chain's own word, and by a second provider's.

Asked before the transaction that tells it, and only when something is deep enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from gstable_server.chain.decode import Observer, Watches, decode, wanted
from gstable_server.chain.facts import ChainLog, InboundLog, PaymentLog, TransferLog
from gstable_server.chain.networks import Finality, Network
from gstable_server.chain.providers import Provider, Providers
from gstable_server.chain.reading import Reader
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.kernel.money import MicroUsd, Money, micro_usd_rounded_down

log = structlog.get_logger(__name__)

REMEMBERED = 1000
NO_TAG = "no usable finalized tag: depth alone decides what is final"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which deep logs are final: those up to block ``finalized``, None for any, and of those that
    need a second provider's word only those of ``confirmed``, by name of log without its
    position."""

    network: Network
    finalized: int | None
    confirmed: frozenset[ChainLog]

    def admits(self, each: ChainLog) -> bool:
        """Whether ``each``, which is deep, is final."""
        if self.finalized is not None and each.block_number > self.finalized:
            return False
        return not needs_quorum(self.network, each) or _nameless(each) in self.confirmed


def needs_quorum(network: Network, each: ChainLog) -> bool:
    """Whether so much hangs on ``each`` that one provider's word is not enough.

    A token that is not configured has no value here: nothing is credited for its arrival, and
    anything else in it is worth a second look.
    """
    limit = network.trust.quorum_above
    if limit is None:
        return False
    token = getattr(each, "token", None)
    sides = [(token, getattr(each, "amount", 0))]
    if isinstance(each, PaymentLog):
        # Credit is given for what the merchant got: what was spent for it is one more word of the
        # same provider.
        sides = [(token, each.amount + each.fee_received)]
        if each.settlement_chain_id == network.chain_id:
            got = max(each.merchant_amount, each.merchant_received)
            sides.append((each.settlement_token, got))
    return any(_is_much(network, each, *side, limit) for side in sides)


def _is_much(
    network: Network, each: ChainLog, token: Address | None, amount: int, limit: MicroUsd
) -> bool:
    for known in network.tokens:
        if known.address == token:
            return micro_usd_rounded_down(Money(amount, known.asset)) > limit
    return not isinstance(each, InboundLog)


async def usable_tag(rpc: Rpc, head: int) -> int | None:
    """The finalized block, None where the tag tells nothing: a node that does not know it, or that
    calls its newest block final. Depth alone decides then, never the newest block."""
    number = await rpc.finalized_number()
    return number if number is not None and number < head else None


async def warn_of_finality(rpc: Rpc, network: Network) -> None:
    """Say at the start that the ``finalized`` tag was asked for and is of no use."""
    if network.trust.finality is not Finality.FINALIZED:
        return
    try:
        tag = await usable_tag(rpc, await rpc.block_number())
    except Passing as failure:
        log.warning("finality not checked", network=network.name, reason=str(failure))
        return
    if tag is None:
        log.warning(NO_TAG, network=network.name)


class Judge:
    """Says what is final on one network."""

    def __init__(
        self, network: Network, providers: Providers, reader: Reader, rails: Sequence[Observer]
    ) -> None:
        self._network = network
        self._providers = providers
        self._reader = reader
        self._rails = rails
        self._confirmed: dict[ChainLog, None] = {}
        """Remembered in the order of their confirmation; asked again after a restart."""
        self._warned = False

    async def verdict(self, provider: Provider, deep: Sequence[ChainLog]) -> Verdict:
        """What may be told of ``deep``, the logs that are deep enough. Raises ``Passing``."""
        if not deep:
            return Verdict(self._network, None, frozenset())
        finalized = await self._finalized(provider)
        doubtful = [
            _nameless(each)
            for each in deep
            if needs_quorum(self._network, each)
            and (finalized is None or each.block_number <= finalized)
        ]
        for each in doubtful:
            if each not in self._confirmed:
                await self._confirm(provider, each)
        confirmed = frozenset(each for each in doubtful if each in self._confirmed)
        while len(self._confirmed) > REMEMBERED:
            del self._confirmed[next(iter(self._confirmed))]
        if len(confirmed) < len(set(doubtful)):
            name, waiting = self._network.name, len(set(doubtful)) - len(confirmed)
            log.error("final credit waits for a second provider", network=name, logs=waiting)
        return Verdict(self._network, finalized, confirmed)

    async def _finalized(self, provider: Provider) -> int | None:
        if self._network.trust.finality is Finality.DEPTH:
            return None
        number = await usable_tag(provider.rpc, provider.head)
        if number is None and not self._warned:
            self._warned = True
            log.warning(NO_TAG, network=self._network.name)
        return number

    async def _confirm(self, provider: Provider, about: ChainLog) -> None:
        """Remember what a second provider tells of the block of ``about``, if it has that block."""
        watches = _watches_for(about)
        for other in self._providers.awake(provider):
            try:
                await self._providers.prove(other)
                [header] = await other.rpc.blocks_by_number((about.block_number,))
                if header is None or header.hash != about.block_hash:
                    continue
                logs = await self._reader.block(other, header, wanted(self._network, watches))
            except Passing as failure:
                log.warning("no second opinion", network=self._network.name, reason=str(failure))
                self._providers.failed(other, failure)
                continue
            other.failures = 0
            told = decode(self._network, header, logs, self._rails, watches)
            self._confirmed |= dict.fromkeys(told.logs)
            if about in self._confirmed:
                return


def _watches_for(about: ChainLog) -> Watches:
    """What ``about`` needs to be told, also when nobody waits for it any more."""
    return Watches(
        frozenset({about.sender} if isinstance(about, TransferLog) else ()),
        frozenset({about.receiver} if isinstance(about, InboundLog) else ()),
    )


def _nameless(each: ChainLog) -> ChainLog:
    """As ``decode`` tells it: what is not on the chain is our own position."""
    return replace(each, log_position=0)
