"""What is known about payments on chain. A fact is added, never changed: a reorganisation is one
more fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from gstable_server.kernel.address import Address, address_from_hex
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds


class FactKind(StrEnum):
    SEEN = "payment_seen"
    FINAL = "payment_final"
    REORGED = "payment_reorged"
    LOST = "payment_lost"


@dataclass(frozen=True, slots=True)
class PaymentLog:
    """One ``Paid`` event of a router (contracts/src/interfaces/IPaymentRouter.sol).

    (``network``, ``tx_hash``, ``log_position``) names the payment for good: it stays the same
    when the transaction is mined again in another block. Amounts are atomic units of ``token``.
    ``merchant_received`` is what the merchant's balance grew by, measured by the router.
    """

    network: str
    chain_id: int
    tx_hash: bytes
    log_position: int
    block_number: int
    block_hash: bytes
    block_time: datetime
    session_key: bytes
    payer: Address
    merchant: Address
    token: Address
    merchant_received: int
    fee_received: int
    fee_receiver: Address

    @property
    def object_id(self) -> str:
        """The payment's name: ``network:tx hash in hexadecimal:position``."""
        return f"{self.network}:0x{self.tx_hash.hex()}:{self.log_position}"

    @property
    def subject(self) -> str:
        """What the payment's facts are told of: ``network:session key in hexadecimal``.

        The session, not the payment: when a reorganisation replaces one payment by another, the
        second must not be heard before the first was taken back.
        """
        return f"{self.network}:0x{self.session_key.hex()}"


@dataclass(frozen=True, slots=True)
class PaymentSeen:
    """The payment is in a block of the canonical chain."""

    log: PaymentLog


@dataclass(frozen=True, slots=True)
class PaymentFinal:
    """Its block is as deep as the network's ``confirmations``: it is not taken back any more."""

    log: PaymentLog


@dataclass(frozen=True, slots=True)
class PaymentReorged:
    """The block of ``log`` left the chain; the payment may be mined again."""

    log: PaymentLog


@dataclass(frozen=True, slots=True)
class PaymentLost:
    """The payment was not mined again in time. If it is later, it is told as seen again."""

    log: PaymentLog


Fact = PaymentSeen | PaymentFinal | PaymentReorged | PaymentLost

_TYPES: Mapping[FactKind, type[Fact]] = {
    FactKind.SEEN: PaymentSeen,
    FactKind.FINAL: PaymentFinal,
    FactKind.REORGED: PaymentReorged,
    FactKind.LOST: PaymentLost,
}
_KINDS = {fact_type: kind for kind, fact_type in _TYPES.items()}


def make_fact(kind: FactKind, log: PaymentLog) -> Fact:
    """The fact of that kind about ``log``."""
    return _TYPES[kind](log)


def kind_of(fact: Fact) -> FactKind:
    """Which of the four ``fact`` is."""
    return _KINDS[type(fact)]


def to_payload(fact: Fact) -> dict[str, Any]:
    """The JSON form: bytes as hexadecimal, amounts as decimal strings, time in Unix seconds."""
    return {"kind": kind_of(fact).value, "log": log_to_json(fact.log)}


def from_payload(payload: Mapping[str, Any]) -> Fact:
    """What ``to_payload`` wrote."""
    return make_fact(FactKind(payload["kind"]), log_from_json(payload["log"]))


def log_to_json(log: PaymentLog) -> dict[str, Any]:
    """One log as JSON."""
    return {
        "network": log.network,
        "chainId": log.chain_id,
        "txHash": "0x" + log.tx_hash.hex(),
        "logPosition": log.log_position,
        "blockNumber": log.block_number,
        "blockHash": "0x" + log.block_hash.hex(),
        "blockTime": unix_seconds(log.block_time),
        "sessionKey": "0x" + log.session_key.hex(),
        "payer": "0x" + log.payer.hex(),
        "merchant": "0x" + log.merchant.hex(),
        "token": "0x" + log.token.hex(),
        "merchantReceived": str(log.merchant_received),
        "feeReceived": str(log.fee_received),
        "feeReceiver": "0x" + log.fee_receiver.hex(),
    }


def log_from_json(value: Mapping[str, Any]) -> PaymentLog:
    """What ``log_to_json`` wrote."""
    return PaymentLog(
        network=value["network"],
        chain_id=value["chainId"],
        tx_hash=bytes.fromhex(value["txHash"][2:]),
        log_position=value["logPosition"],
        block_number=value["blockNumber"],
        block_hash=bytes.fromhex(value["blockHash"][2:]),
        block_time=from_unix_seconds(value["blockTime"]),
        session_key=bytes.fromhex(value["sessionKey"][2:]),
        payer=address_from_hex(value["payer"]),
        merchant=address_from_hex(value["merchant"]),
        token=address_from_hex(value["token"]),
        merchant_received=int(value["merchantReceived"]),
        fee_received=int(value["feeReceived"]),
        fee_receiver=address_from_hex(value["feeReceiver"]),
    )
