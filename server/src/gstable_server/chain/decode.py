"""From a block's logs to payments: pure, and only for logs of our router on this chain.

Credit hangs on this file: the contract's address is the allow-list, and a log of any other
contract is nothing but noise, whatever its topics say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gstable_server.chain import abi
from gstable_server.chain.facts import PaymentLog
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import Header, Log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds

_DATA_WORDS = 4
_ADDRESS_PADDING = bytes(12)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The payments of one block, and how many events were not payments of our router."""

    payments: tuple[PaymentLog, ...]
    foreign: int


def decode(network: Network, header: Header, logs: Sequence[Log]) -> Decoded:
    """The payments among ``logs``, which are in the order of the block.

    ``log_position`` counts the router's payments within one transaction, because that does not
    change when the transaction is mined again in another block.
    """
    payments: list[PaymentLog] = []
    foreign = 0
    positions: dict[bytes, int] = {}
    for log in logs:
        if not _is_payment(network, log):
            foreign += 1
            continue
        position = positions.get(log.tx_hash, 0)
        positions[log.tx_hash] = position + 1
        payments.append(_payment(network, header, log, position))
    return Decoded(tuple(payments), foreign)


def named_for_good(
    payments: Sequence[PaymentLog], known: Mapping[tuple[bytes, bytes], int]
) -> tuple[PaymentLog, ...]:
    """``payments`` under the positions that they had when they were first seen.

    ``known`` maps (transaction, session key) to the position. A router pays a session once, so
    the pair is the payment; but a contract that pays several sessions may do so in another order,
    or pay others, when its transaction is mined again. New ones get the next free position.
    """
    taken = {(tx_hash, position) for (tx_hash, _), position in known.items()}
    named: list[PaymentLog] = []
    for payment in payments:
        position = known.get((payment.tx_hash, payment.session_key))
        if position is None:
            position = payment.log_position
            while (payment.tx_hash, position) in taken:
                position += 1
            taken.add((payment.tx_hash, position))
        named.append(replace(payment, log_position=position))
    return tuple(named)


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


def _payment(network: Network, header: Header, log: Log, position: int) -> PaymentLog:
    return PaymentLog(
        network=network.name,
        chain_id=network.chain_id,
        tx_hash=log.tx_hash,
        log_position=position,
        block_number=header.number,
        block_hash=header.hash,
        block_time=from_unix_seconds(header.timestamp),
        session_key=log.topics[1],
        payer=Address(log.topics[2][12:]),
        merchant=Address(log.topics[3][12:]),
        token=Address(_word(log, 0)[12:]),
        merchant_received=int.from_bytes(_word(log, 1), "big"),
        fee_received=int.from_bytes(_word(log, 2), "big"),
        fee_receiver=Address(_word(log, 3)[12:]),
    )


def _word(log: Log, position: int) -> bytes:
    return log.data[position * abi.WORD : (position + 1) * abi.WORD]
