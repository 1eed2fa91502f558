"""From a block's logs to what they tell: pure, and only for logs of our contracts on this chain.

Credit hangs on this file: the contract's address is the allow-list, and a log of any other
contract is nothing but noise, whatever its topics say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypedDict

from gstable_server.chain import abi
from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    HoldLog,
    LogKind,
    PaymentLog,
    RailName,
    TransferLog,
)
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import Header, Log, LogFilter
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds

REPEATABLE = frozenset({LogKind.HOLD, LogKind.TRANSFER})
"""Kinds of which one transaction may hold several with the same key."""

SENDERS_AT_ONCE = 500
"""How many senders one question names: nodes refuse longer lists of topics."""

_PAYMENT_TOPICS = ((abi.PAID_TOPIC,), (abi.ROUTED_TOPIC,))
_PAID_WORDS = 4
_ROUTED_WORDS = 10
_ADDRESS_PADDING = bytes(12)

_Name = tuple[bytes, LogKind, bytes, int]


class _Place(TypedDict):
    network: str
    chain_id: int
    tx_hash: bytes
    log_position: int
    block_number: int
    block_hash: bytes
    block_time: datetime


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


def wanted(network: Network, senders: Collection[Address]) -> tuple[LogFilter, ...]:
    """What to ask ``network`` for: the logs of every contract that is followed there, and the
    transfers of its tokens from ``senders``."""
    contracts = [network.router, *_rails(network)]
    if network.cctp is not None:
        # It mints what was burnt elsewhere: the rail's own contract takes no part in that.
        contracts.append(network.cctp.message_transmitter)
    filters = [LogFilter(tuple(contracts))]
    tokens = tuple(token.address for token in network.tokens)
    words = [abi.address_word(sender) for sender in sorted(senders)] if tokens else []
    for start in range(0, len(words), SENDERS_AT_ONCE):
        some = tuple(words[start : start + SENDERS_AT_ONCE])
        filters.append(LogFilter(tokens, ((abi.TRANSFERRED_TOPIC,), some)))
    return tuple(filters)


def decode(
    network: Network,
    header: Header,
    logs: Sequence[Log],
    rails: Sequence[Observer],
    senders: Collection[Address],
) -> Decoded:
    """What ``logs``, which are in the order of the block, tell; every ``log_position`` is 0.

    ``senders``: whose token transfers are told; those of anybody else are foreign.
    """
    found: list[ChainLog] = []
    strays: list[Log] = []
    for log in logs:
        told = _told(network, header, log, rails, senders)
        if told is not None:
            found.append(told)
        elif log.address == network.router and log.topics[:1] in _PAYMENT_TOPICS:
            strays.append(log)
    return Decoded(tuple(found), len(logs) - len(found), tuple(strays))


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
    transfer = _transfer(network, header, log, senders)
    if transfer is not None:
        return transfer
    observed = (rail.observe(network, header, log) for rail in rails)
    return next((each for each in observed if each is not None), None)


def _paid(network: Network, header: Header, log: Log) -> PaymentLog | None:
    """A direct payment; None unless laid out exactly as the router does."""
    if len(log.topics) != 4 or log.topics[0] != abi.PAID_TOPIC:
        return None
    if len(log.data) != _PAID_WORDS * abi.WORD:
        return None
    payer, merchant = _address(log.topics[2]), _address(log.topics[3])
    token, fee_receiver = _address(_word(log, 0)), _address(_word(log, 3))
    if payer is None or merchant is None or token is None or fee_receiver is None:
        return None
    merchant_received = _number(_word(log, 1))
    return PaymentLog(
        **_place(network, header, log),
        session_key=log.topics[1],
        payer=payer,
        merchant=merchant,
        token=token,
        amount=merchant_received,
        fee_received=_number(_word(log, 2)),
        fee_receiver=fee_receiver,
        rail=None,
        rail_data=b"",
        settlement_chain_id=network.chain_id,
        settlement_token=token,
        merchant_amount=merchant_received,
        merchant_received=merchant_received,
    )


def _routed(network: Network, header: Header, log: Log) -> PaymentLog | None:
    """A payment over a configured rail; None unless laid out exactly as the router does."""
    if len(log.topics) != 4 or log.topics[0] != abi.ROUTED_TOPIC:
        return None
    rail_data = _last_bytes(log.data, _ROUTED_WORDS)
    payer, rail_address = _address(log.topics[2]), _address(log.topics[3])
    merchant, token, fee_receiver, settlement_token = (
        _address(_word(log, place)) for place in (0, 1, 4, 6)
    )
    if payer is None or rail_address is None or rail_data is None:
        return None
    if merchant is None or token is None or fee_receiver is None or settlement_token is None:
        return None
    rail = _rails(network).get(rail_address)
    if rail is None:
        return None
    settlement_chain_id = _number(_word(log, 5))
    # What is paid on another chain arrives there, whatever the rail said here.
    arrives_here = settlement_chain_id == network.chain_id
    return PaymentLog(
        **_place(network, header, log),
        session_key=log.topics[1],
        payer=payer,
        merchant=merchant,
        token=token,
        amount=_number(_word(log, 2)),
        fee_received=_number(_word(log, 3)),
        fee_receiver=fee_receiver,
        rail=rail,
        rail_data=rail_data,
        settlement_chain_id=settlement_chain_id,
        settlement_token=settlement_token,
        merchant_amount=_number(_word(log, 7)),
        merchant_received=_number(_word(log, 8)) if arrives_here else 0,
    )


def _transfer(
    network: Network, header: Header, log: Log, senders: Collection[Address]
) -> TransferLog | None:
    """A transfer of one of our tokens from one of ``senders``."""
    if log.address not in {token.address for token in network.tokens}:
        return None
    if len(log.topics) != 3 or log.topics[0] != abi.TRANSFERRED_TOPIC:
        return None
    sender, receiver = _address(log.topics[1]), _address(log.topics[2])
    if sender is None or receiver is None or sender not in senders or len(log.data) != abi.WORD:
        return None
    return TransferLog(
        **_place(network, header, log),
        token=log.address,
        sender=sender,
        receiver=receiver,
        amount=_number(log.data),
    )


def _place(network: Network, header: Header, log: Log) -> _Place:
    return {
        "network": network.name,
        "chain_id": network.chain_id,
        "tx_hash": log.tx_hash,
        "log_position": 0,
        "block_number": header.number,
        "block_hash": header.hash,
        "block_time": from_unix_seconds(header.timestamp),
    }


def _word(log: Log, position: int) -> bytes:
    return log.data[position * abi.WORD : (position + 1) * abi.WORD]


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _address(word: bytes) -> Address | None:
    """The address in ``word``; None when anything stands before it, or the word is cut off."""
    if len(word) != abi.WORD or word[:12] != _ADDRESS_PADDING:
        return None
    return Address(word[12:])


def _last_bytes(data: bytes, words: int) -> bytes | None:
    """The ``bytes`` that follow ``words`` words of ``data``, the last of which says where.

    None unless they stand right behind the words, padded with zeros, with nothing behind them.
    """
    head = words * abi.WORD
    length = _number(data[head : head + abi.WORD])
    content = data[head + abi.WORD : head + abi.WORD + min(length, len(data))]
    expected = abi.encode(data[: head - abi.WORD], abi.Dynamic(content))
    return content if data == expected and len(content) == length else None
