"""What is known of the logs that matter, and of what became of each. A fact is added, never
changed: a reorganisation is one more fact.

Seven kinds of logs are followed, and all in the same way (``machine``): seen in a block, final at
its depth, taken back by a reorganisation, lost when it does not come back. What is final already
when its block is read, as nearly everything in a backfill, is told by one fact instead of two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, get_args, get_type_hints

from gstable_server.kernel.address import Address, address_from_hex
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds


class LogKind(StrEnum):
    """What a log tells of."""

    PAYMENT = "payment"
    """``Paid`` or ``Routed`` of the router: a payer gave money for a session."""
    DELIVERY = "delivery"
    """A rail brought a payment to its merchant on the network of the log."""
    ESCROW = "escrow"
    """Money left the escrow of a payment: to the solver, or back to the payer."""
    HOLD = "hold"
    """Money left the hold of a payment: to the merchant, or back to the payer."""
    TRANSFER = "transfer"
    """``Transfer`` of a token from a watched sender (``operations.watch_transfer``)."""
    INBOUND = "inbound"
    """``Transfer`` of any token to a contract of ours or to a watched receiver
    (``operations.watch_receiver``), unless it is part of a payment."""
    RECOVERY = "recovery"
    """What was at a deposit address went back (``Recovered`` of the deposit collector)."""


class FactWhat(StrEnum):
    """What became of a log."""

    SEEN = "seen"
    """It is in a block of the canonical chain."""
    FINAL = "final"
    """Its block is as deep as the network's ``confirmations``: it is not taken back any more."""
    REORGED = "reorged"
    """Its block left the chain; its transaction may be mined again."""
    LOST = "lost"
    """It was not mined again in time. If it is later, it is told as seen again."""


class RailName(StrEnum):
    """What brings a payment to its merchant when a plain transfer cannot."""

    SWAP = "swap"
    CCTP = "cctp"
    ESCROW = "escrow"
    HOLD = "hold"


class EscrowWhat(StrEnum):
    RELEASED = "released"
    RECLAIMED = "reclaimed"


class HoldWhat(StrEnum):
    CAPTURED = "captured"
    VOIDED = "voided"
    RECLAIMED = "reclaimed"


@dataclass(frozen=True, slots=True)
class ChainLog(ABC):
    """One log of a canonical block.

    (``network``, ``tx_hash``, ``log_position``) names it for good: it stays the same when the
    transaction is mined again in another block (``decode.named_for_good``). Amounts of logs are
    atomic units of the token that is named beside them.
    """

    kind: ClassVar[LogKind]

    network: str
    chain_id: int
    tx_hash: bytes
    log_position: int
    block_number: int
    block_hash: bytes
    block_time: datetime

    @property
    def object_id(self) -> str:
        """The log's name: ``network:tx hash in hexadecimal:position``."""
        return f"{self.network}:0x{self.tx_hash.hex()}:{self.log_position}"

    @property
    @abstractmethod
    def subject(self) -> str:
        """What the log's facts are told of, so that they are heard in the order of the chain.

        Not the log itself: when a reorganisation replaces one payment by another, the second
        must not be heard before the first was taken back. It names the network, because networks
        are read apart: a delivery may be told before the payment that it belongs to.
        """

    @property
    @abstractmethod
    def key(self) -> bytes:
        """What tells this log from others of its kind in its transaction, wherever it is mined.

        Only happenings that can be repeated within one transaction share a key.
        """


@dataclass(frozen=True, slots=True)
class SessionLog(ChainLog):
    """A log about a checkout session."""

    session_key: bytes

    @property
    def subject(self) -> str:
        """``network:session key in hexadecimal``."""
        return f"{self.network}:0x{self.session_key.hex()}"


@dataclass(frozen=True, slots=True)
class PaymentLog(SessionLog):
    """One ``Paid`` or ``Routed`` of a router (contracts/src/interfaces/IPaymentRouter.sol).

    ``amount`` is what the payer gave besides the fee, net of change, in ``token``;
    ``merchant_received`` is what arrived at the merchant in this very transaction, measured by
    the router, in ``settlement_token``: 0 while it crosses to another chain or is held.
    ``merchant_amount`` was promised to the merchant, in ``settlement_token`` on
    ``settlement_chain_id``. A direct payment (``rail`` is None) has one token and one amount:
    all three are what the merchant received.
    """

    kind: ClassVar[LogKind] = LogKind.PAYMENT

    payer: Address
    merchant: Address
    token: Address
    amount: int
    fee_received: int
    fee_receiver: Address
    rail: RailName | None
    rail_data: bytes
    settlement_chain_id: int
    settlement_token: Address
    merchant_amount: int
    merchant_received: int

    @property
    def key(self) -> bytes:
        """The session: a router pays each once."""
        return self.session_key


@dataclass(frozen=True, slots=True)
class DeliveryLog(SessionLog):
    """A rail brought ``amount`` of ``token`` to the merchant, after ``fee`` on the way.

    ``reference`` is the rail's own name of the delivery: the CCTP nonce, the order of an escrow.
    ``solver`` and ``source_chain_id`` are None where the log does not say.
    """

    kind: ClassVar[LogKind] = LogKind.DELIVERY

    rail: RailName
    merchant: Address
    token: Address
    amount: int
    fee: int
    reference: bytes
    solver: Address | None
    source_chain_id: int | None

    @property
    def key(self) -> bytes:
        """The rail and its name of the delivery."""
        return self.rail.encode() + self.reference


@dataclass(frozen=True, slots=True)
class EscrowLog(SessionLog):
    """``amount`` of ``token`` left the escrow of ``order_id`` for ``receiver``."""

    kind: ClassVar[LogKind] = LogKind.ESCROW

    order_id: bytes
    what: EscrowWhat
    receiver: Address
    token: Address
    amount: int

    @property
    def key(self) -> bytes:
        """The order, and where its money went."""
        return self.what.encode() + self.order_id


@dataclass(frozen=True, slots=True)
class HoldLog(SessionLog):
    """``amount`` of ``token`` left the hold of the session; ``remaining`` is still in it.

    ``receiver`` is the merchant of a capture, else the payer. Of a captured ``amount`` the
    merchant received ``merchant_received`` and the platform ``fee_received``; both are 0
    otherwise.
    """

    kind: ClassVar[LogKind] = LogKind.HOLD

    what: HoldWhat
    receiver: Address
    token: Address
    amount: int
    merchant_received: int
    fee_received: int
    remaining: int

    @property
    def key(self) -> bytes:
        """The session, and where its money went; one transaction may capture twice."""
        return self.what.encode() + self.session_key


@dataclass(frozen=True, slots=True)
class TokenLog(ChainLog):
    """``sender`` gave ``receiver`` ``amount`` of ``token`` (ERC-20 ``Transfer``)."""

    token: Address
    sender: Address
    receiver: Address
    amount: int

    @property
    def key(self) -> bytes:
        """Token, sender and receiver; one transaction may transfer twice."""
        return self.token + self.sender + self.receiver


@dataclass(frozen=True, slots=True)
class TransferLog(TokenLog):
    """A transfer of a wallet that is watched."""

    kind: ClassVar[LogKind] = LogKind.TRANSFER

    @property
    def subject(self) -> str:
        """``network:sender in hexadecimal``."""
        return f"{self.network}:0x{self.sender.hex()}"


@dataclass(frozen=True, slots=True)
class InboundLog(TokenLog):
    """A transfer to an address or contract of ours.

    The token may be any contract: what it calls an amount is worth something only where the token
    is configured.
    """

    kind: ClassVar[LogKind] = LogKind.INBOUND

    @property
    def subject(self) -> str:
        """``network:receiver in hexadecimal``."""
        return f"{self.network}:0x{self.receiver.hex()}"


@dataclass(frozen=True, slots=True)
class RecoveryLog(SessionLog):
    """``amount`` of ``token``, all there was at the session's deposit address, went to
    ``receiver``. The zero address stands for the network's own coin."""

    kind: ClassVar[LogKind] = LogKind.RECOVERY

    receiver: Address
    token: Address
    amount: int

    @property
    def key(self) -> bytes:
        """The session and the token; one transaction may do it twice."""
        return self.session_key + self.token


@dataclass(frozen=True, slots=True)
class Fact:
    """``log`` as it was in its block, and what became of it.

    ``at_once``: it is final, and the first fact about the log, which stands for ``SEEN``, too.
    """

    what: FactWhat
    log: ChainLog
    at_once: bool = False

    @property
    def event_type(self) -> str:
        """The event that tells of it: ``chain.payment_seen``, ``chain.hold_final``, …"""
        return f"chain.{self.log.kind}_{self.what}"

    @property
    def steps(self) -> tuple[Fact, ...]:
        """What became of the log, one step after the other, for whoever goes through them."""
        if not self.at_once:
            return (self,)
        return Fact(FactWhat.SEEN, self.log), Fact(self.what, self.log)


def to_payload(fact: Fact) -> dict[str, Any]:
    """The JSON form: bytes as hexadecimal, amounts as decimal strings, time in Unix seconds."""
    at_once = {"atOnce": True} if fact.at_once else {}
    return {"what": fact.what.value, **at_once, "log": log_to_json(fact.log)}


def from_payload(payload: Mapping[str, Any]) -> Fact:
    """What ``to_payload`` wrote."""
    log = log_from_json(payload["log"])
    return Fact(FactWhat(payload["what"]), log, at_once=payload.get("atOnce", False))


def log_to_json(log: ChainLog) -> dict[str, Any]:
    """One log as JSON, with its ``kind``; members are named as in ``log``, in camel case."""
    members = {key: _to_json(name, getattr(log, name)) for name, key, _ in _members(type(log))}
    return {"kind": log.kind.value, **members}


def log_from_json(value: Mapping[str, Any]) -> ChainLog:
    """What ``log_to_json`` wrote."""
    log_type = _LOG_TYPES[LogKind(value["kind"])]
    members: dict[str, Any] = {
        name: _from_json(held, value[key]) for name, key, held in _members(log_type)
    }
    return log_type(**members)


@cache
def _members(log_type: type[ChainLog]) -> tuple[tuple[str, str, Any], ...]:
    """Each member's name, its key in JSON and what it holds; found once, because every fact that
    is handed over is read by it."""
    types = get_type_hints(log_type)
    return tuple(
        (member.name, _camel(member.name), _held(types[member.name])) for member in fields(log_type)
    )


def _held(expected: Any) -> Any:
    # ``Address`` and ``X | None`` name what they hold in another way than a class does.
    [held] = [each for each in get_args(expected) or (expected,) if each is not type(None)]
    return held


_LOG_TYPES: Mapping[LogKind, type[ChainLog]] = {
    log_type.kind: log_type
    for log_type in (
        PaymentLog,
        DeliveryLog,
        EscrowLog,
        HoldLog,
        TransferLog,
        InboundLog,
        RecoveryLog,
    )
}
_SMALL_NUMBERS = frozenset({"chain_id", "log_position", "block_number"})
"""Numbers of our own and of the chain, which are numbers in JSON; every other has 256 bits."""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _to_json(name: str, value: object) -> str | int | None:
    match value:
        case bytes():  # the most frequent first
            return "0x" + value.hex()
        case int():
            return value if name in _SMALL_NUMBERS else str(value)
        case None:
            return None
        case StrEnum():
            return value.value
        case datetime():
            return unix_seconds(value)
        case str():
            return value
    raise TypeError(f"{name} has no JSON form")


def _from_json(held: Any, value: Any) -> Any:
    if value is None:
        return None
    if held is bytes:
        return bytes.fromhex(value[2:])
    if held is Address:
        return address_from_hex(value)
    if held is datetime:
        return from_unix_seconds(value)
    return held(value)
