"""From a block's logs to what they tell: pure, and only for logs of our contracts on this chain.

Credit hangs on this file: the contract's address is the allow-list, and a log of any other
contract is nothing but noise, whatever its topics say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gstable_server.chain import abi
from gstable_server.chain.facts import ChainLog, LogKind, PaymentLog
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import Header, Log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds

REPEATABLE = frozenset({LogKind.HOLD, LogKind.TRANSFER})
"""Kinds of which one transaction may hold several with the same key."""

_DATA_WORDS = 4
_ADDRESS_PADDING = bytes(12)

_Name = tuple[bytes, LogKind, bytes, int]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one block tells, not numbered yet, and how many logs told nothing of ours."""

    logs: tuple[ChainLog, ...]
    foreign: int


def decode(network: Network, header: Header, logs: Sequence[Log]) -> Decoded:
    """What ``logs``, which are in the order of the block, tell; every ``log_position`` is 0."""
    payments = tuple(_payment(network, header, log) for log in logs if _is_payment(network, log))
    return Decoded(payments, len(logs) - len(payments))


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


def _is_payment(network: Network, log: Log) -> bool:
    return (
        log.address == network.router
        and len(log.topics) == 4
        and log.topics[0] == abi.PAID_TOPIC
        and len(log.data) == _DATA_WORDS * abi.WORD
        and all(
            word[:12] == _ADDRESS_PADDING
            for word in (log.topics[2], log.topics[3], _word(log, 0), _word(log, 3))
        )
    )


def _payment(network: Network, header: Header, log: Log) -> PaymentLog:
    token = Address(_word(log, 0)[12:])
    merchant_received = int.from_bytes(_word(log, 1), "big")
    return PaymentLog(
        network=network.name,
        chain_id=network.chain_id,
        tx_hash=log.tx_hash,
        log_position=0,
        block_number=header.number,
        block_hash=header.hash,
        block_time=from_unix_seconds(header.timestamp),
        session_key=log.topics[1],
        payer=Address(log.topics[2][12:]),
        merchant=Address(log.topics[3][12:]),
        token=token,
        amount=merchant_received,
        fee_received=int.from_bytes(_word(log, 2), "big"),
        fee_receiver=Address(_word(log, 3)[12:]),
        rail=None,
        rail_data=b"",
        settlement_chain_id=network.chain_id,
        settlement_token=token,
        merchant_amount=merchant_received,
        merchant_received=merchant_received,
    )


def _word(log: Log, position: int) -> bytes:
    return log.data[position * abi.WORD : (position + 1) * abi.WORD]
