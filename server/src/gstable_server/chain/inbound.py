"""Money that comes to an address or a contract of ours by a token's ``Transfer``: pure.

What is part of a payment that the router tells of is no arrival of its own: the router passes it
on in the same transaction, or a rail takes it in and hands the change back. Everything else is
told, in any token, because people look for what they sent, whatever it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gstable_server.chain import abi
from gstable_server.chain.abi.payments import PAID, ROUTED, TRANSFERRED
from gstable_server.chain.facts import ChainLog, InboundLog
from gstable_server.chain.networks import Network
from gstable_server.chain.rails.observing import place
from gstable_server.chain.rpc import Header, Log, LogFilter
from gstable_server.kernel.address import Address
from gstable_server.kernel.money import Money, micro_usd_rounded_down

RECEIVERS_AT_ONCE = 500
"""How many receivers one question names: nodes refuse longer lists of topics."""

DUST = 10_000
"""What is worth less, in Micro-USD, is only told of so often (``SPAM_A_DAY``)."""

SPAM_A_DAY = 20
"""How many transfers of dust and of unknown tokens are told of one address and day. They cost
their sender next to nothing, so that there could be any number."""


@dataclass(frozen=True, slots=True)
class _Transfer:
    log_index: int
    token: Address
    sender: Address
    receiver: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """By their index in the block: what arrived, and what was part of a payment."""

    arrived: Mapping[int, InboundLog]
    paid: frozenset[int]


def contracts_of(network: Network) -> frozenset[Address]:
    """The contracts of ours on ``network``: none of them is meant to be sent money."""
    contracts = network.contracts.configured.values()
    return frozenset({network.router, *(contract.address for contract in contracts)})


def filters(network: Network, receivers: Collection[Address]) -> tuple[LogFilter, ...]:
    """What to ask for: transfers of any token to our contracts and to ``receivers``."""
    words = [abi.address_word(each) for each in sorted({*contracts_of(network), *receivers})]
    return tuple(
        LogFilter((), ((TRANSFERRED.topic,), None, tuple(words[start : start + RECEIVERS_AT_ONCE])))
        for start in range(0, len(words), RECEIVERS_AT_ONCE)
    )


def arrivals(
    network: Network, header: Header, logs: Sequence[Log], receivers: Collection[Address]
) -> Arrivals:
    """What ``logs``, which are in the order of the block, brought to us; a transfer of nothing,
    which anybody may make in anybody's name, brought nothing."""
    ours = contracts_of(network) | frozenset(receivers)
    paid = _paid(network, logs)
    arrived: dict[int, InboundLog] = {}
    for log in logs:
        found = _transfer(log)
        if found is None or found.receiver not in ours or not found.amount:
            continue
        if log.log_index not in paid:
            arrived[log.log_index] = InboundLog(
                **place(network, header, log),
                token=found.token,
                sender=found.sender,
                receiver=found.receiver,
                amount=found.amount,
            )
    return Arrivals(arrived, paid)


def is_spam(network: Network, log: ChainLog) -> bool:
    """Whether ``log`` is an arrival that is told of only so often."""
    if not isinstance(log, InboundLog):
        return False
    for token in network.tokens:
        if token.address == log.token:
            return micro_usd_rounded_down(Money(log.amount, token.asset)) < DUST
    return True


def _transfer(log: Log) -> _Transfer | None:
    found = TRANSFERRED.read(log)
    if found is None:
        return None
    sender, receiver, amount = found
    return _Transfer(log.log_index, log.address, sender, receiver, amount)


def _paid(network: Network, logs: Sequence[Log]) -> frozenset[int]:
    """The transfers to and between our contracts that were part of the router's payments.

    A payment's transfers stand between the payment before it in its transaction and its own log.
    Of those that look like one, the last is it: what the payer's transaction sent besides, it sent
    before the router was called, and the router is not entered twice.
    """
    since: dict[bytes, list[_Transfer]] = defaultdict(list)
    paid: set[int] = set()
    for log in logs:
        if log.address != network.router:
            found = _transfer(log)
            if found is not None:
                since[log.tx_hash].append(found)
        elif payment := _payment(log):
            paid |= _parts(network.router, since.pop(log.tx_hash, []), *payment)
    return frozenset(paid)


def _payment(log: Log) -> tuple[Address, Address, Address | None] | None:
    """Payer, token and rail of a payment of the router."""
    if direct := PAID.read(log):
        _, payer, _, token, *_ = direct
        return payer, token, None
    if routed := ROUTED.read(log):
        _, payer, rail, _, token, *_ = routed
        return payer, token, rail
    return None


def _parts(
    router: Address,
    transfers: Sequence[_Transfer],
    payer: Address,
    token: Address,
    rail: Address | None,
) -> set[int]:
    steps = [({payer}, router)]
    if rail is not None:
        # What goes in, by the router's hand or straight; and the change of a swap.
        steps += [({payer, router}, rail), ({rail}, payer)]
    parts: set[int] = set()
    for senders, receiver in steps:
        fitting = [
            each.log_index
            for each in transfers
            if each.token == token and each.sender in senders and each.receiver == receiver
        ]
        parts |= set(fitting[-1:])
    return parts
