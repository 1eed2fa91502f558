"""Messages that a wallet signs to show who holds it: written and read as EIP-4361 has them, hashed
as EIP-191 has personal messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from gstable_server.chain.checksum import address_from_text, keccak256, to_checksum
from gstable_server.chain.contract_wallets import has_signed
from gstable_server.chain.keys import recover
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.address import Address

MESSAGE_MAX = 2_000
_FORM = re.compile(
    r"(?P<domain>[^\s/?#]+) wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9a-fA-F]{40})\n\n"
    r"(?P<statement>[^\n]+)\n\n"
    r"URI: (?P<uri>\S+)\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain>[1-9][0-9]{0,17})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,64})\n"
    r"Issued At: (?P<issued>\S+)\n"
    r"Expiration Time: (?P<expires>\S+)"
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What such a message says; times are whole seconds in UTC."""

    domain: str
    address: Address
    statement: str
    uri: str
    chain_id: int
    nonce: str
    issued_at: datetime
    expires_at: datetime

    def __str__(self) -> str:
        return (
            f"{self.domain} wants you to sign in with your Ethereum account:\n"
            f"{to_checksum(self.address)}\n\n{self.statement}\n\n"
            f"URI: {self.uri}\nVersion: 1\nChain ID: {self.chain_id}\nNonce: {self.nonce}\n"
            f"Issued At: {_text(self.issued_at)}\nExpiration Time: {_text(self.expires_at)}"
        )


def sign_in_from_text(text: str) -> SignIn:
    """What ``text`` says. Raises ``ValueError`` for everything that is not of the one form that we
    write: a field left out, one more, other line ends, an address without its checksum."""
    match = _FORM.fullmatch(text) if len(text) <= MESSAGE_MAX else None
    if match is None:
        raise ValueError("is not the message that was to be signed")
    found = SignIn(
        domain=match["domain"],
        address=address_from_text(match["address"]),
        statement=match["statement"],
        uri=match["uri"],
        chain_id=int(match["chain"]),
        nonce=match["nonce"],
        issued_at=_time(match["issued"]),
        expires_at=_time(match["expires"]),
    )
    if str(found) != text:
        raise ValueError("is not the message that was to be signed")
    return found


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("has a time that is none") from None
    if found.tzinfo is None:
        raise ValueError("has a time without its zone")
    return found


def personal_digest(text: str) -> bytes:
    """What a wallet signs for a personal message (EIP-191, version 0x45)."""
    content = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(content)).encode() + content)


def is_signed_by_key(wallet: Address, text: str, signature: bytes) -> bool:
    """Whether the key of ``wallet`` signed; it is then the same on every network."""
    return recover(personal_digest(text), _of_27(signature)) == wallet


def _of_27(signature: bytes) -> bytes:
    """Some wallets write v as 0 or 1."""
    if len(signature) == 65 and signature[64] in (0, 1):
        return signature[:64] + bytes([signature[64] + 27])
    return signature


async def is_signed_by_contract(rpc: Rpc, wallet: Address, text: str, signature: bytes) -> bool:
    """Whether the contract ``wallet`` says that it signed (EIP-1271, ERC-6492), on the network of
    ``rpc``, and does not say so of something that it cannot have signed: one that accepts anything
    proves nothing. Raises ``Passing`` when no node answers."""
    digest = personal_digest(text)
    if not await has_signed(rpc, wallet, digest, signature):
        return False
    never_signed = keccak256(b"never signed by anybody" + digest)
    return not await has_signed(rpc, wallet, never_signed, signature)
