"""Structured data that wallets and contracts sign, EIP-712, for structs without nesting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gstable_server.chain.abi import address_word, number_word
from gstable_server.chain.checksum import keccak256
from gstable_server.kernel.address import Address

Value = int | str | bytes
"""uint256 as int, string as str, address and bytes32 as bytes."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct type: its name, and (type, name) of each member in order."""

    name: str
    members: tuple[tuple[str, str], ...]

    @property
    def type_hash(self) -> bytes:
        """Keccak-256 of ``Name(type member,…)``."""
        listed = ",".join(f"{kind} {name}" for kind, name in self.members)
        return keccak256(f"{self.name}({listed})".encode())

    def hash(self, values: Mapping[str, Value]) -> bytes:
        """``hashStruct`` of EIP-712. Raises ``TypeError`` when a value does not fit its type."""
        words = [_word(kind, values[name]) for kind, name in self.members]
        return keccak256(self.type_hash + b"".join(words))


@dataclass(frozen=True, slots=True)
class Domain:
    """What the signature is for; ``contract`` is left out of the domain when it is None."""

    name: str
    version: str
    chain_id: int
    contract: Address | None = None

    @property
    def separator(self) -> bytes:
        """The 32-byte domain separator."""
        return self._struct().hash(self._values())

    def _struct(self) -> Struct:
        members = [("string", "name"), ("string", "version"), ("uint256", "chainId")]
        if self.contract is not None:
            members.append(("address", "verifyingContract"))
        return Struct("EIP712Domain", tuple(members))

    def _values(self) -> dict[str, Value]:
        values: dict[str, Value] = {
            "name": self.name,
            "version": self.version,
            "chainId": self.chain_id,
        }
        if self.contract is not None:
            values["verifyingContract"] = self.contract
        return values


def digest(domain: Domain, struct: Struct, values: Mapping[str, Value]) -> bytes:
    """The 32 bytes that are signed."""
    return keccak256(b"\x19\x01" + domain.separator + struct.hash(values))


def _word(kind: str, value: Value) -> bytes:
    match kind, value:
        case "string", str():
            return keccak256(value.encode())
        case "bytes", bytes():
            return keccak256(value)
        case "uint256", int():
            return number_word(value)
        case "address", bytes() if len(value) == 20:
            return address_word(Address(value))
        case "bytes32", bytes() if len(value) == 32:
            return value
    raise TypeError(f"{value!r} is no {kind}")
