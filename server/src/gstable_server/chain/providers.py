"""The providers of one network: who is asked, in which order, and what happens when they differ.

All questions of one step go to one provider, so that answers of two branches are never mixed. A
provider that fails, lags or lies is left for the next one and rests for a while; the operator's
order decides among the healthy ones. Nothing here depends on time or chance: rests are counted in
steps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import ProviderLied, Rpc
from gstable_server.kernel.errors import Passing

log = structlog.get_logger(__name__)
R = TypeVar("R")

SILENT_POLLS = 2
"""After so many polls without a new block, the next provider is asked once: the first may be the
one that stands still."""

REST_STEPS_MAX = 64


class ProvidersDisagree(Passing):
    """Two providers name different blocks of one number; the network waits until they agree."""


@dataclass(slots=True)
class Provider:
    """One provider and its health. ``log_range``: how many blocks it searches at once, by
    experience; ``head``: the newest block that it named; ``failures``: in a row."""

    rpc: Rpc
    place: int
    log_range: int
    head: int = -1
    failures: int = 0
    rest: int = 0
    proven: bool = False

    @property
    def rests(self) -> bool:
        """Whether it is asked only when no other is left."""
        return self.rest > 0


class Providers:
    """The providers of ``network``, the preferred one first."""

    def __init__(self, network: Network, rpcs: Sequence[Rpc]) -> None:
        assert rpcs, "a network has at least one provider"
        self._network = network
        self.all = [Provider(rpc, at, network.log_range) for at, rpc in enumerate(rpcs)]
        self._silent = 0

    async def ask(self, question: Callable[[Provider], Awaitable[R]]) -> R:
        """What the first provider answers from whom an answer holds.

        Raises the last trouble when none does, ``ProvidersDisagree`` at once.
        """
        trouble: Passing | None = None
        for provider in self._in_turn():
            try:
                await self.prove(provider)
                answer = await question(provider)
            except ProvidersDisagree:
                raise
            except Passing as failure:
                self.failed(provider, failure)
                trouble = failure
                continue
            provider.failures = provider.rest = 0
            return answer
        assert trouble is not None, "a network has at least one provider"
        raise trouble

    def others(self, than: Provider) -> list[Provider]:
        """All but one, the healthy ones first."""
        return [each for each in self._by_health() if each is not than]

    def awake(self, than: Provider) -> list[Provider]:
        """The others that do not rest: who asks them about many things must not wait for one that
        does not answer each time."""
        return [each for each in self.others(than) if not each.rests]

    async def prove(self, provider: Provider) -> None:
        """A provider of another chain must not be believed when its turn comes."""
        if provider.proven:
            return
        actual = await provider.rpc.chain_id()
        if actual != self._network.chain_id:
            raise ProviderLied(f"follows chain {actual}, not {self._network.chain_id}")
        provider.proven = True

    def heard(self, provider: Provider, *, news: bool) -> None:
        """Whether the step's answer was a new block, or none."""
        preferred = provider is self._by_health()[0]
        self._silent = self._silent + 1 if preferred and not news else 0

    async def require_turn(self, provider: Provider, number: int, ours: bytes) -> None:
        """Whether the chain turned back at ``number``, where it had ``ours``, as ``provider`` says.

        The others are asked: the majority is believed, one that knows no such block has no say.
        Raises ``ProviderLied`` when most still have our block, ``ProvidersDisagree`` when as many
        do as do not.
        """
        still, turned = 0, 1
        for other in self.others(provider):
            try:
                await self.prove(other)
                [header] = await other.rpc.blocks_by_number((number,))
            except Passing as failure:
                self.failed(other, failure)
                continue
            if header is not None:
                still += header.hash == ours
                turned += header.hash != ours
        if still > turned:
            raise ProviderLied(f"is on another branch at block {number} than the others")
        if still == turned:
            raise ProvidersDisagree(f"providers name different blocks {number}")

    def _in_turn(self) -> list[Provider]:
        order = self._by_health()
        for provider in order:
            provider.rest = max(0, provider.rest - 1)
        if self._silent >= SILENT_POLLS:
            self._silent = 0
            order = [*order[1:], order[0]]
        return order

    def _by_health(self) -> list[Provider]:
        return sorted(self.all, key=lambda each: (each.rests, each.place))

    def failed(self, provider: Provider, failure: Passing) -> None:
        """It gave no usable answer, and rests."""
        provider.failures += 1
        provider.rest = min(2**provider.failures, REST_STEPS_MAX)
        if len(self.all) > 1:
            name = self._network.name
            log.warning("provider failed", network=name, place=provider.place, reason=str(failure))
