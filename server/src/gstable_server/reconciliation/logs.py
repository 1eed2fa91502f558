"""Reading logs, written down a second time: what the contracts' own text says, word by word.

The names and the order of the words are those of contracts/src/interfaces; ``CCTP`` is Circle's
message of version 2 (TokenMessengerV2.sol, BurnMessageV2.sol).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gstable_server.chain.networks import Network, Networks
from gstable_server.kernel.address import Address
from gstable_server.reconciliation.model import RawLog

_WORD = 32

# Keccak-256 of each event's signature.
PAID = bytes.fromhex("96feff718167b6273eb2b7c09d5fb0df382fecb9db0b2a4dc37d2fddcc4366c8")
ROUTED = bytes.fromhex("78e6a745bf3c37be3c9fe463de8f42080d2bcff5130074f1a6223511a60013e6")
ESCROWED = bytes.fromhex("524673281467139eb7bbd4ff273b0d46e391f216a698092ef2a7270e006ad577")
FILLED = bytes.fromhex("d2707988d6d7e0152cce75e604f73fe2cbb0205c88b19fe2a7437f5cfb423c76")
RELEASED = bytes.fromhex("a7a9276b301af1e959db9f7c6f10ee5264b1414d5e3b7a61ccba9c492b7e6e7f")
ESCROW_RECLAIMED = bytes.fromhex("65ab9f46542f1a530ecb3f0b13bd1512d110d14eb54b2c29be5780c9094f6d4d")
CAPTURED = bytes.fromhex("a229055d42a5cd0db364391cbd1ebe93a3a7e721a93d6d869daaedc79c9ae3da")
VOIDED = bytes.fromhex("6c76b65c9e01e5b9fedfa48b382b55a6e3af887f26f085f54318e4592cbff7eb")
HOLD_RECLAIMED = bytes.fromhex("7298ef13797cb8dff31bf759e25fddf7bf68961c7b6213d7b7d3120537c87762")
MESSAGE_RECEIVED = bytes.fromhex("ff48c13eda96b1cceacc6b9edeedc9e9db9d6226afbc30146b720c19d3addb1c")
TRANSFER = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")

# Where the body of Circle's message has what; the rest behind the last is the sender's own.
_BURN_TOKEN, _AMOUNT, _SENDER, _FEE, _HOOK = 4, 68, 100, 164, 228
_MINT_RECIPIENT = 36


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a log says of the session ``session_key``; amounts are atomic units."""

    session_key: bytes
    network: str
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class Given(Happening):
    """A payer gave ``amount`` of ``token`` and ``fee`` of it besides; ``rail`` took it in, or None
    when it went to the merchant. ``delivered`` of ``settlement_token`` reached the merchant."""

    token: Address
    amount: int
    fee: int
    rail: str | None
    merchant: Address
    settlement_chain_id: int
    settlement_token: Address
    delivered: int


@dataclass(frozen=True, slots=True)
class Escrowed(Happening):
    """The money of a payment waits under ``order_id``."""

    order_id: bytes


@dataclass(frozen=True, slots=True)
class Brought(Happening):
    """``amount`` of ``token`` came to the merchant after ``costs``, from ``solver``, or minted
    where there is none. ``order_id`` names the escrow."""

    rail: str
    token: Address
    amount: int
    costs: int
    merchant: Address
    source_chain_id: int
    solver: Address | None
    order_id: bytes | None


@dataclass(frozen=True, slots=True)
class Released(Happening):
    """``amount`` of ``token`` left the escrow for ``receiver``, who filled it or, if ``returned``,
    had paid."""

    receiver: Address
    token: Address
    amount: int
    returned: bool


@dataclass(frozen=True, slots=True)
class Unheld(Happening):
    """``amount`` of ``token`` left the hold: ``received`` and ``fee`` of it were captured, or all
    of it went back if ``returned``."""

    token: Address
    amount: int
    received: int
    fee: int
    returned: bool


def read(networks: Networks, log: RawLog) -> Happening | None:
    """What ``log`` says, if a contract of ours wrote it, or Circle's about money of ours."""
    network = networks.network(log.network)
    contracts, cctp = network.contracts, network.cctp
    topic = log.topics[0] if log.topics else b""
    if log.address == network.router:
        return _paid(log) if topic == PAID else _routed(network, log) if topic == ROUTED else None
    if contracts.escrow_rail is not None and log.address == contracts.escrow_rail.address:
        return _ESCROW[topic](log) if topic in _ESCROW else None
    if contracts.hold_rail is not None and log.address == contracts.hold_rail.address:
        return _HOLD[topic](log) if topic in _HOLD else None
    if cctp is not None and log.address == cctp.message_transmitter and topic == MESSAGE_RECEIVED:
        return _minted(networks, network, log)
    return None


def number(log: RawLog, place: int) -> int:
    """The word at ``place`` of the data."""
    return int.from_bytes(_word(log.data, place * _WORD), "big")


def address(log: RawLog, place: int) -> Address:
    """The last 20 bytes of the word at ``place`` of the data."""
    return Address(_word(log.data, place * _WORD)[12:])


def _word(data: bytes, start: int) -> bytes:
    return data[start : start + _WORD]


def _paid(log: RawLog) -> Given:
    return Given(
        log.topics[1],
        log.network,
        log.tx_hash,
        token=address(log, 0),
        amount=number(log, 1),
        fee=number(log, 2),
        rail=None,
        merchant=Address(log.topics[3][12:]),
        settlement_chain_id=0,
        settlement_token=address(log, 0),
        delivered=number(log, 1),
    )


def _routed(network: Network, log: RawLog) -> Given | None:
    """None for a rail that is not configured: its word is not taken for money."""
    rail = Address(log.topics[3][12:])
    names = {one.address: name for name, one in network.contracts.rails.items()}
    if rail not in names:
        return None
    return Given(
        log.topics[1],
        log.network,
        log.tx_hash,
        merchant=address(log, 0),
        token=address(log, 1),
        amount=number(log, 2),
        fee=number(log, 3),
        rail=names[rail].removesuffix("_rail"),
        settlement_chain_id=number(log, 5),
        settlement_token=address(log, 6),
        delivered=number(log, 8),
    )


def _escrowed(log: RawLog) -> Escrowed:
    return Escrowed(log.topics[2], log.network, log.tx_hash, order_id=log.topics[1])


def _filled(log: RawLog) -> Brought:
    return Brought(
        log.topics[2],
        log.network,
        log.tx_hash,
        rail="escrow",
        order_id=log.topics[1],
        solver=Address(log.topics[3][12:]),
        merchant=address(log, 0),
        token=address(log, 1),
        amount=number(log, 2),
        costs=0,
        source_chain_id=number(log, 3),
    )


def _out_of_escrow(log: RawLog) -> Released:
    return Released(
        log.topics[2],
        log.network,
        log.tx_hash,
        receiver=Address(log.topics[3][12:]),
        token=address(log, 0),
        amount=number(log, 1),
        returned=log.topics[0] == ESCROW_RECLAIMED,
    )


def _captured(log: RawLog) -> Unheld:
    return Unheld(
        log.topics[1],
        log.network,
        log.tx_hash,
        token=address(log, 0),
        amount=number(log, 1),
        received=number(log, 2),
        fee=number(log, 3),
        returned=False,
    )


def _given_back(log: RawLog) -> Unheld:
    return Unheld(
        log.topics[1],
        log.network,
        log.tx_hash,
        token=address(log, 0),
        amount=number(log, 1),
        received=0,
        fee=0,
        returned=True,
    )


_ESCROW: Mapping[bytes, Callable[[RawLog], Happening]] = {
    ESCROWED: _escrowed,
    FILLED: _filled,
    RELEASED: _out_of_escrow,
    ESCROW_RECLAIMED: _out_of_escrow,
}
_HOLD: Mapping[bytes, Callable[[RawLog], Happening]] = {
    CAPTURED: _captured,
    VOIDED: _given_back,
    HOLD_RECLAIMED: _given_back,
}


def _minted(networks: Networks, network: Network, log: RawLog) -> Brought | None:
    """A mint of what a rail of ours burnt: Circle's messenger there says who called it."""
    length = number(log, 3)
    body = log.data[4 * _WORD : 4 * _WORD + length]
    hook = body[_HOOK:]
    source = _at_domain(networks, network, number(log, 0))
    if source is None or source.cctp is None or len(hook) != _WORD:
        return None
    rail = source.contracts.cctp_rail
    messenger, burner = address(log, 1), Address(_word(body, _SENDER)[12:])
    if rail is None or messenger != source.cctp.token_messenger or burner != rail.address:
        return None
    burnt = _usdc(source)
    minted = _usdc(network)
    if burnt is None or minted is None or Address(_word(body, _BURN_TOKEN)[12:]) != burnt:
        return None
    fee = int.from_bytes(_word(body, _FEE), "big")
    return Brought(
        hook,
        log.network,
        log.tx_hash,
        rail="cctp",
        token=minted,
        amount=int.from_bytes(_word(body, _AMOUNT), "big") - fee,
        costs=fee,
        merchant=Address(_word(body, _MINT_RECIPIENT)[12:]),
        source_chain_id=source.chain_id,
        solver=None,
        order_id=None,
    )


def _at_domain(networks: Networks, here: Network, domain: int) -> Network | None:
    """Live and test networks share Circle's numbers."""
    for network in networks.of(here.mode):
        if network.cctp is not None and network.cctp.domain == domain:
            return network
    return None


def _usdc(network: Network) -> Address | None:
    return next((token.address for token in network.tokens if token.symbol == "USDC"), None)
