"""Structured data that wallets and contracts sign, EIP-712."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gstable_server.chain.abi import address_word, number_word
from gstable_server.chain.checksum import keccak256, to_checksum
from gstable_server.kernel.address import Address

Value = int | str | bytes | Mapping[str, "Value"] | Sequence[Mapping[str, "Value"]]
"""uint256 as int, string as str, bytes, address and bytes32 as bytes, a struct as its members by
name, an array of structs as a sequence of those."""

SIGNATURE_BYTES_MAX = 6 * 1024
"""A signature of a contract wallet that is deployed with it (ERC-6492) has some kilobytes."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct type: its name, (type, name) of each member in order, and the structs that its
    members are of, or are arrays of."""

    name: str
    members: tuple[tuple[str, str], ...]
    nested: tuple[Struct, ...] = ()

    @property
    def type_hash(self) -> bytes:
        """Keccak-256 of ``encoded_type``."""
        return _type_hash(self)

    @property
    def encoded_type(self) -> str:
        """``Name(type member,…)``, followed by the nested structs by name (``encodeType``)."""
        others = sorted(set(self._all()[1:]), key=lambda struct: struct.name)
        return "".join(struct._listed() for struct in (self, *others))

    def hash(self, values: Mapping[str, Value]) -> bytes:
        """``hashStruct`` of EIP-712. Raises ``TypeError`` when a value does not fit its type."""
        words = [self._word(kind, values[name]) for kind, name in self.members]
        return keccak256(self.type_hash + b"".join(words))

    def types(self) -> dict[str, list[dict[str, str]]]:
        """The members of this struct and of the nested ones, as wallets are told them."""
        return {
            struct.name: [{"name": name, "type": kind} for kind, name in struct.members]
            for struct in self._all()
        }

    def message(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """``values`` as JSON, for wallets. Raises ``TypeError`` like ``hash``."""
        return {name: self._json(kind, values[name]) for kind, name in self.members}

    def _all(self) -> list[Struct]:
        return [self, *(inner for struct in self.nested for inner in struct._all())]

    def _listed(self) -> str:
        return f"{self.name}({','.join(f'{kind} {name}' for kind, name in self.members)})"

    def _inner(self, kind: str) -> Struct | None:
        return next((struct for struct in self.nested if struct.name == kind), None)

    def _word(self, kind: str, value: Value) -> bytes:
        inner = self._inner(kind.removesuffix("[]"))
        if inner is None:
            return _word(kind, value)
        if kind.endswith("[]"):
            return keccak256(b"".join(inner.hash(each) for each in _array(kind, value)))
        return inner.hash(_members(kind, value))

    def _json(self, kind: str, value: Value) -> Any:
        inner = self._inner(kind.removesuffix("[]"))
        if inner is None:
            return _text(kind, value)
        if kind.endswith("[]"):
            return [inner.message(each) for each in _array(kind, value)]
        return inner.message(_members(kind, value))


@dataclass(frozen=True, slots=True)
class Domain:
    """What the signature is for; ``version`` and ``contract`` are left out when they are None."""

    name: str
    version: str | None
    chain_id: int
    contract: Address | None = None

    @property
    def separator(self) -> bytes:
        """The 32-byte domain separator."""
        return _separator(self)

    @property
    def struct(self) -> Struct:
        """The type of this domain: only the members that it has."""
        members = [("string", "name"), ("uint256", "chainId")]
        if self.version is not None:
            members.insert(1, ("string", "version"))
        if self.contract is not None:
            members.append(("address", "verifyingContract"))
        return Struct("EIP712Domain", tuple(members))

    @property
    def values(self) -> dict[str, Value]:
        """The members by name."""
        values: dict[str, Value] = {"name": self.name, "chainId": self.chain_id}
        if self.version is not None:
            values["version"] = self.version
        if self.contract is not None:
            values["verifyingContract"] = self.contract
        return values


@dataclass(frozen=True, slots=True)
class TypedData:
    """Something to sign: a struct's values in a domain."""

    domain: Domain
    struct: Struct
    values: Mapping[str, Value]

    @property
    def digest(self) -> bytes:
        """The 32 bytes that are signed."""
        return digest(self.domain, self.struct, self.values)

    def to_json(self) -> dict[str, Any]:
        """The second parameter of ``eth_signTypedData_v4``: numbers as decimal strings, except the
        chain id, which wallets compare with their own as a number."""
        domain = self.domain.struct.message(self.domain.values)
        return {
            "types": self.domain.struct.types() | self.struct.types(),
            "primaryType": self.struct.name,
            "domain": {**domain, "chainId": self.domain.chain_id},
            "message": self.struct.message(self.values),
        }


# Every order is signed in one of few domains, as one of few types.
@lru_cache(maxsize=256)
def _separator(domain: Domain) -> bytes:
    return domain.struct.hash(domain.values)


@lru_cache(maxsize=256)
def _type_hash(struct: Struct) -> bytes:
    return keccak256(struct.encoded_type.encode())


def digest(domain: Domain, struct: Struct, values: Mapping[str, Value]) -> bytes:
    """The 32 bytes that are signed."""
    return keccak256(b"\x19\x01" + domain.separator + struct.hash(values))


def _array(kind: str, value: Value) -> Sequence[Mapping[str, Value]]:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value
    raise TypeError(f"{value!r} is no {kind}")


def _members(kind: str, value: Value) -> Mapping[str, Value]:
    if isinstance(value, Mapping):
        return value
    raise TypeError(f"{value!r} is no {kind}")


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


def _text(kind: str, value: Value) -> str:
    _word(kind, value)  # the same judgement of the value as when it is hashed
    match value:
        case bytes() if kind == "address":
            return to_checksum(Address(value))
        case bytes():
            return "0x" + value.hex()
    return str(value)
