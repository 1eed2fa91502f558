"""Messages of Circle's cross-chain transfer protocol, version 2: the bytes and what they say.

Fixed offsets, big-endian, no padding: a header, then the body that TokenMessengerV2 writes when it
burns. Accounts are 32 bytes, left-padded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gstable_server.kernel.address import Address

VERSION = 1
"""What version 2 of the protocol writes, in the header and in the body."""
NONCE_OFFSET = 12
FINALITY_EXECUTED_OFFSET = 144
BODY_OFFSET = 148
FEE_EXECUTED_OFFSET = 164
HOOK_OFFSET = 228
_ADDRESS_PADDING = bytes(12)


class NotAMessage(ValueError):
    """The bytes are no message of this layout, or of another version."""


@dataclass(frozen=True, slots=True)
class Burn:
    """The body: ``amount`` of ``token`` was burnt on the source for ``recipient``.

    ``sender`` called the messenger. ``fee_executed``, at most ``max_fee``, is taken from the amount
    when it is minted. ``hook`` is whatever the sender added. From block ``expiration`` of the
    destination on the message needs a new attestation; 0 is never.
    """

    token: Address
    recipient: Address
    amount: int
    sender: Address
    max_fee: int
    fee_executed: int
    expiration: int
    hook: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message: ``sender`` and ``recipient`` are the two messengers of Circle.

    ``nonce`` and ``finality_executed`` are zero until the attestation service fills them in.
    """

    source_domain: int
    destination_domain: int
    nonce: bytes
    sender: Address
    recipient: Address
    destination_caller: Address
    finality_minimum: int
    finality_executed: int
    burn: Burn


def parse_message(raw: bytes) -> Message:
    """The message that ``raw`` is. Raises ``NotAMessage``."""
    if len(raw) < BODY_OFFSET or _number(raw, 0, 4) != VERSION:
        raise NotAMessage("no message of version 2 of the protocol")
    return Message(
        source_domain=_number(raw, 4, 4),
        destination_domain=_number(raw, 8, 4),
        nonce=raw[NONCE_OFFSET : NONCE_OFFSET + 32],
        sender=_address(raw, 44),
        recipient=_address(raw, 76),
        destination_caller=_address(raw, 108),
        finality_minimum=_number(raw, 140, 4),
        finality_executed=_number(raw, FINALITY_EXECUTED_OFFSET, 4),
        burn=parse_burn(raw[BODY_OFFSET:]),
    )


def parse_burn(raw: bytes) -> Burn:
    """The body that ``raw`` is. Raises ``NotAMessage``."""
    if len(raw) < HOOK_OFFSET or _number(raw, 0, 4) != VERSION:
        raise NotAMessage("no burn of version 2 of the protocol")
    return Burn(
        token=_address(raw, 4),
        recipient=_address(raw, 36),
        amount=_number(raw, 68, 32),
        sender=_address(raw, 100),
        max_fee=_number(raw, 132, 32),
        fee_executed=_number(raw, FEE_EXECUTED_OFFSET, 32),
        expiration=_number(raw, 196, 32),
        hook=raw[HOOK_OFFSET:],
    )


def write_message(message: Message) -> bytes:
    """The bytes of ``message``."""
    return b"".join(
        [
            _word(VERSION, 4),
            _word(message.source_domain, 4),
            _word(message.destination_domain, 4),
            message.nonce,
            _padded(message.sender),
            _padded(message.recipient),
            _padded(message.destination_caller),
            _word(message.finality_minimum, 4),
            _word(message.finality_executed, 4),
            write_burn(message.burn),
        ]
    )


def write_burn(burn: Burn) -> bytes:
    """The bytes of a body."""
    return b"".join(
        [
            _word(VERSION, 4),
            _padded(burn.token),
            _padded(burn.recipient),
            _word(burn.amount, 32),
            _padded(burn.sender),
            _word(burn.max_fee, 32),
            _word(burn.fee_executed, 32),
            _word(burn.expiration, 32),
            burn.hook,
        ]
    )


def attested(raw: bytes, nonce: bytes, finality: int, fee: int, expiration: int = 0) -> bytes:
    """``raw`` with what the attestation service fills in. Raises ``NotAMessage``."""
    message = parse_message(raw)
    burn = replace(message.burn, fee_executed=fee, expiration=expiration)
    return write_message(replace(message, nonce=nonce, finality_executed=finality, burn=burn))


def _number(raw: bytes, offset: int, length: int) -> int:
    return int.from_bytes(raw[offset : offset + length], "big")


def _address(raw: bytes, offset: int) -> Address:
    if raw[offset : offset + 12] != _ADDRESS_PADDING:
        raise NotAMessage("an account that is no EVM address")
    return Address(raw[offset + 12 : offset + 32])


def _word(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


def _padded(address: Address) -> bytes:
    return _ADDRESS_PADDING + address
