"""From a block's logs to what they tell: pure, and only for logs of our contracts on this chain.

Credit hangs on this file: the contract's address is the allow-list, and a log of any other
contract is nothing but noise, whatever its topics say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gstable_server.chain import abi, inbound
from gstable_server.chain.abi.payments import PAID, RECOVERED, ROUTED, TRANSFERRED
from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    HoldLog,
    LogKind,
    PaymentLog,
    RailName,
    RecoveryLog,
    TransferLog,
)
from gstable_server.chain.networks import Network
from gstable_server.chain.rails.observing import is_from, place
from gstable_server.chain.rpc import Header, Log, LogFilter
from gstable_server.kernel.address import Address

REPEATABLE = frozenset({LogKind.HOLD, LogKind.TRANSFER, LogKind.INBOUND, LogKind.RECOVERY})
"""Kinds of which one transaction may hold several with the same key."""

SENDERS_AT_ONCE = 500
"""How many senders one question names: nodes refuse longer lists of topics."""

_PAYMENT_TOPICS = ((PAID.topic,), (ROUTED.topic,))

_Name = tuple[bytes, LogKind, bytes, int]


class Observer(Protocol):
    """What is asked of a settlement rail here (``rails.port.Rail``)."""

    def observe(
        self, network: Network, header: Header, log: Log
    ) -> DeliveryLog | EscrowLog | HoldLog | None:
        """What ``log`` of the block ``header`` tells, if this rail's own contract wrote it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one block tells, not numbered yet.

    ``foreign`` counts the logs that told nothing of ours. ``strays``, counted too, are payments
    of the router that cannot be credited: over a rail that is not configured, because no money
    is credited on the word of an unknown contract. People have to look at them.
    """

    logs: tuple[ChainLog, ...]
    foreign: int
    strays: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Watches:
    """Whose token transfers are told besides: of the network's tokens from ``senders``, and of any
    token to ``receivers``. Our own contracts are always such receivers."""

    senders: Collection[Address] = ()
    receivers: Collection[Address] = ()


def wanted(network: Network, watches: Watches) -> tuple[LogFilter, ...]:
    """What to ask ``network`` for: the logs of every contract that is followed there, and the
    transfers that are watched."""
    contracts = [network.router, *_rails(network)]
    if network.cctp is not None:
        # It mints what was burnt elsewhere: the rail's own contract takes no part in that.
        contracts.append(network.cctp.message_transmitter)
    if network.contracts.deposit_collector is not None:
        contracts.append(network.contracts.deposit_collector.address)
    filters = [LogFilter(tuple(contracts))]
    tokens = tuple(token.address for token in network.tokens)
    words = [abi.address_word(sender) for sender in sorted(watches.senders)] if tokens else []
    for start in range(0, len(words), SENDERS_AT_ONCE):
        some = tuple(words[start : start + SENDERS_AT_ONCE])
        filters.append(LogFilter(tokens, ((TRANSFERRED.topic,), some)))
    return (*filters, *inbound.filters(network, watches.receivers))


def decode(
    network: Network,
    header: Header,
    logs: Sequence[Log],
    rails: Sequence[Observer],
    watches: Watches,
) -> Decoded:
    """What ``logs``, which are in the order of the block, tell; every ``log_position`` is 0.

    Transfers that are not watched and not part of a payment are foreign.
    """
    found: list[ChainLog] = []
    strays: list[Log] = []
    foreign = 0
    arrivals = inbound.arrivals(network, header, logs, watches.receivers)
    for log in logs:
        told = _told(network, header, log, rails, watches.senders)
        arrived = arrivals.arrived.get(log.log_index)
        # One transfer may be both: of a wallet that is watched, to an address of ours.
        found += [each for each in (told, arrived) if each is not None]
        if told is None and arrived is None and log.log_index not in arrivals.paid:
            foreign += 1
            if log.address == network.router and log.topics[:1] in _PAYMENT_TOPICS:
                strays.append(log)
    return Decoded(tuple(found), foreign, tuple(strays))


def named_for_good(logs: Iterable[ChainLog], known: Iterable[ChainLog]) -> tuple[ChainLog, ...]:
    """``logs``, in the order of the chain, under the positions that they have for good.

    ``known`` are the logs of the same transactions that facts exist about: what is mined again
    keeps its position, although a contract that pays several sessions may then do so in another
    order, or pay others. A log is known again by its kind and key, and where one transaction can
    repeat these, by its turn among its equals. New ones get the next free position.
    """
    names = _Names()
    for log in sorted(known, key=lambda each: each.log_position):
        names.keep(log)
    names.begin()
    return tuple(replace(log, log_position=names.position(log)) for log in logs)


class _Names:
    """The positions within each transaction, and to whom they belong."""

    def __init__(self) -> None:
        self._positions: dict[_Name, int] = {}
        self._next: dict[bytes, int] = {}
        self._turns: dict[tuple[bytes, LogKind, bytes], int] = {}

    def keep(self, log: ChainLog) -> None:
        self._positions[self._name(log)] = log.log_position
        self._next[log.tx_hash] = log.log_position + 1

    def begin(self) -> None:
        """From now on, turns are counted among the logs of the new block."""
        self._turns.clear()

    def position(self, log: ChainLog) -> int:
        name = self._name(log)
        if name not in self._positions:
            self._positions[name] = self._next.get(log.tx_hash, 0)
            self._next[log.tx_hash] = self._positions[name] + 1
        return self._positions[name]

    def _name(self, log: ChainLog) -> _Name:
        """Transaction, kind, key and turn; turns of the kept ones follow their positions, because
        positions were given in the order of the turns."""
        key = (log.tx_hash, log.kind, log.key)
        turn = self._turns.get(key, 0)
        self._turns[key] = turn + 1
        return (*key, turn if log.kind in REPEATABLE else 0)


def _rails(network: Network) -> dict[Address, RailName]:
    """The configured rails' contracts on ``network``."""
    contracts = network.contracts
    named = (
        (contracts.swap_rail, RailName.SWAP),
        (contracts.cctp_rail, RailName.CCTP),
        (contracts.escrow_rail, RailName.ESCROW),
        (contracts.hold_rail, RailName.HOLD),
    )
    return {contract.address: name for contract, name in named if contract is not None}


def _told(
    network: Network,
    header: Header,
    log: Log,
    rails: Sequence[Observer],
    senders: Collection[Address],
) -> ChainLog | None:
    if log.address == network.router:
        return _paid(network, header, log) or _routed(network, header, log)
    if log.address in {token.address for token in network.tokens}:
        return _transfer(network, header, log, senders)
    if is_from(log, network.contracts.deposit_collector):
        return _recovered(network, header, log)
    observed = (rail.observe(network, header, log) for rail in rails)
    return next((each for each in observed if each is not None), None)


def _paid(network: Network, header: Header, log: Log) -> PaymentLog | None:
    found = PAID.read(log)
    if found is None:
        return None
    session_key, payer, merchant, token, merchant_received, fee_received, fee_receiver = found
    return PaymentLog(
        **place(network, header, log),
        session_key=session_key,
        payer=payer,
        merchant=merchant,
        token=token,
        amount=merchant_received,
        fee_received=fee_received,
        fee_receiver=fee_receiver,
        rail=None,
        rail_data=b"",
        settlement_chain_id=network.chain_id,
        settlement_token=token,
        merchant_amount=merchant_received,
        merchant_received=merchant_received,
    )


def _routed(network: Network, header: Header, log: Log) -> PaymentLog | None:
    """A payment over a configured rail."""
    found = ROUTED.read(log)
    rail = _rails(network).get(found[2]) if found else None
    if found is None or rail is None:
        return None
    session_key, payer, _, merchant, token, spent, fee_received, fee_receiver, *crossing = found
    settlement_chain_id, settlement_token, merchant_amount, delivered, rail_data = crossing
    # What is paid on another chain arrives there, whatever the rail said here.
    arrives_here = settlement_chain_id == network.chain_id
    return PaymentLog(
        **place(network, header, log),
        session_key=session_key,
        payer=payer,
        merchant=merchant,
        token=token,
        amount=spent,
        fee_received=fee_received,
        fee_receiver=fee_receiver,
        rail=rail,
        rail_data=rail_data,
        settlement_chain_id=settlement_chain_id,
        settlement_token=settlement_token,
        merchant_amount=merchant_amount,
        merchant_received=delivered if arrives_here else 0,
    )


def _transfer(
    network: Network, header: Header, log: Log, senders: Collection[Address]
) -> TransferLog | None:
    found = TRANSFERRED.read(log)
    # A transfer of nothing, which anybody may make in anybody's name, gives nothing back.
    if found is None or found[0] not in senders or not found[2]:
        return None
    sender, receiver, amount = found
    return TransferLog(
        **place(network, header, log),
        token=log.address,
        sender=sender,
        receiver=receiver,
        amount=amount,
    )


def _recovered(network: Network, header: Header, log: Log) -> RecoveryLog | None:
    found = RECOVERED.read(log)
    if found is None:
        return None
    session_key, receiver, token, amount = found
    return RecoveryLog(
        **place(network, header, log),
        session_key=session_key,
        receiver=receiver,
        token=token,
        amount=amount,
    )
