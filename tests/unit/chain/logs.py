"""A network with rails, and one log of every kind as its contracts write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.abi.payments import RECOVERED, TRANSFERRED
from gstable_server.chain.decode import Observer
from gstable_server.chain.facts import LogKind
from gstable_server.chain.networks import Contract, Contracts, Networks
from gstable_server.chain.rails.escrow import EscrowRail
from gstable_server.chain.rails.hold import HoldRail
from gstable_server.chain.rpc import Log
from gstable_server.chain.testing import (
    FEE_RECEIVER,
    MERCHANT,
    PAYER,
    TOKEN,
    FakePayment,
    FakeRouted,
    event_log,
    fake_network,
)
from gstable_server.kernel.address import Address

SWAP, CCTP = Address(b"\x51" * 20), Address(b"\x52" * 20)
ESCROW, HOLD = Address(b"\x53" * 20), Address(b"\x54" * 20)
COLLECTOR = Address(b"\x57" * 20)
SOLVER, SENDER = Address(b"\x05" * 20), Address(b"\x06" * 20)
SESSION, ORDER = b"\x5e" * 32, b"\x0d" * 32
ELSEWHERE = 1337002

NETWORK = replace(
    fake_network(),
    contracts=Contracts(
        swap_rail=Contract(SWAP, None),
        cctp_rail=Contract(CCTP, None),
        escrow_rail=Contract(ESCROW, None),
        hold_rail=Contract(HOLD, None),
        deposit_collector=Contract(COLLECTOR, None),
    ),
)
RAILS: tuple[Observer, ...] = (
    EscrowRail(Networks((NETWORK,)), {}),
    HoldRail(fee_ppm=2000, fee_receiver=FEE_RECEIVER),
)


def paid(tx_hash: bytes, session_key: bytes = SESSION) -> Log:
    return FakePayment(tx_hash, session_key).log(NETWORK.router)


def routed(tx_hash: bytes, rail: Address = CCTP) -> Log:
    return FakeRouted(tx_hash, SESSION, rail).log(NETWORK.router)


def filled(tx_hash: bytes) -> Log:
    members = (ORDER, SESSION, SOLVER, MERCHANT, TOKEN, 9_990_000, ELSEWHERE)
    return event_log(rails_abi.FILLED, ESCROW, tx_hash, *members)


def released(tx_hash: bytes) -> Log:
    members = (ORDER, SESSION, SOLVER, TOKEN, 10_000_000)
    return event_log(rails_abi.RELEASED, ESCROW, tx_hash, *members)


def captured(tx_hash: bytes, amount: int = 4_000_000) -> Log:
    members = (SESSION, MERCHANT, TOKEN, amount, amount - 8_000, 8_000, 6_000_000)
    return event_log(rails_abi.CAPTURED, HOLD, tx_hash, *members)


def transferred(tx_hash: bytes, amount: int = 7, sender: Address = SENDER) -> Log:
    return event_log(TRANSFERRED, TOKEN, tx_hash, sender, PAYER, amount)


def arrived(
    tx_hash: bytes,
    amount: int = 5_000_000,
    *,
    sender: Address = PAYER,
    receiver: Address = NETWORK.router,
    token: Address = TOKEN,
) -> Log:
    return event_log(TRANSFERRED, token, tx_hash, sender, receiver, amount)


def recovered(tx_hash: bytes, amount: int = 5_000_000) -> Log:
    return event_log(RECOVERED, COLLECTOR, tx_hash, SESSION, PAYER, TOKEN, amount)


ONE_OF_EACH: dict[LogKind, Callable[[bytes], Log]] = {
    LogKind.PAYMENT: routed,
    LogKind.DELIVERY: filled,
    LogKind.ESCROW: released,
    LogKind.HOLD: captured,
    LogKind.TRANSFER: transferred,
    LogKind.INBOUND: arrived,
    LogKind.RECOVERY: recovered,
}
