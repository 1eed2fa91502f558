"""What a wallet is asked to sign, read from JSON: the second parameter of
``eth_signTypedData_v4`` (EIP-712), as ``TypedData.to_json`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstable_server.chain.typed_data import Domain, Struct, TypedData, Value
from gstable_server.kernel.address import address_from_hex

_Types = Mapping[str, list[dict[str, str]]]


def typed_data_from_json(value: Mapping[str, Any]) -> TypedData:
    """What ``value`` asks to sign. Raises ``KeyError`` or ``ValueError`` when it is no such thing.

    Only the types that our own contracts are asked with: see ``typed_data.Value``.
    """
    types: _Types = value["types"]
    domain = value["domain"]
    contract = domain.get("verifyingContract")
    struct = _struct(value["primaryType"], types)
    return TypedData(
        Domain(
            name=domain["name"],
            version=domain.get("version"),
            chain_id=int(domain["chainId"]),
            contract=address_from_hex(contract) if contract else None,
        ),
        struct,
        _values(struct, value["message"]),
    )


def _struct(name: str, types: _Types) -> Struct:
    members = tuple((member["type"], member["name"]) for member in types[name])
    inner = (kind.removesuffix("[]") for kind, _ in members)
    return Struct(name, members, tuple(_struct(kind, types) for kind in inner if kind in types))


def _values(struct: Struct, message: Mapping[str, Any]) -> dict[str, Value]:
    nested = {inner.name: inner for inner in struct.nested}
    return {name: _value(kind, message[name], nested) for kind, name in struct.members}


def _value(kind: str, value: Any, nested: Mapping[str, Struct]) -> Value:
    inner = nested.get(kind.removesuffix("[]"))
    if inner is not None:
        return [_values(inner, one) for one in value] if "[" in kind else _values(inner, value)
    match kind:
        case "address":
            return address_from_hex(value)
        case "uint256":
            return int(value)
        case "string":
            return str(value)
    return bytes.fromhex(value.removeprefix("0x"))
