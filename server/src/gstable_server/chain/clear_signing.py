"""Descriptors by which wallets show in words what a payer signs (ERC-7730, version 2).

One for the router, made of its ABI, and one for each set of messages that payers sign to a token or
to Permit2. Pure: which networks there are, and what the ABI says, is given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.consents import (
    PERMIT,
    PERMIT2_NAME,
    PERMIT_BATCH_WITNESS,
    RECEIVE_WITH_AUTHORIZATION,
)
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import DOMAIN_NAME
from gstable_server.chain.typed_data import Struct
from gstable_server.kernel.address import Address

SCHEMA = "https://eips.ethereum.org/assets/eip-7730/erc7730-v2.schema.json"
OWNER = "GStable"
HIDDEN: dict[str, Any] = {"format": "raw", "visible": "never"}
"""For what nobody can compare: identifiers, signatures, and data of contracts among themselves."""

INTENTS = {
    "pay": "Pay merchant",
    "payWith": "Pay by permission",
    "route": "Pay merchant",
    "routeWith": "Pay by permission",
    "acceptOwnership": "Become owner",
    "addCollector": "Add collector",
    "addRail": "Add rail",
    "addSigner": "Add order signer",
    "pause": "Stop all payments",
    "removeCollector": "Remove collector",
    "removeRail": "Remove rail",
    "removeSigner": "Remove order signer",
    "renounceOwnership": "Give up ownership",
    "transferOwnership": "Offer ownership",
    "unpause": "Allow payments",
    "ReceiveWithAuthorization": "Pay once",
    "Permit": "Allow one payment",
    "PermitBatchWitnessTransferFrom": "Pay once",
}


def _address(label: str, *kinds: str) -> dict[str, Any]:
    return {"label": label, "format": "addressName", "params": {"types": list(kinds)}}


def _amount(label: str, token: str, chain: str | None = None) -> dict[str, Any]:
    params = {"tokenPath": token} | ({"chainIdPath": f"#.{chain}"} if chain else {})
    return {"label": label, "format": "tokenAmount", "params": params}


def _date(label: str) -> dict[str, Any]:
    return {"label": label, "format": "date", "params": {"encoding": "timestamp"}}


_DIRECT: dict[str, dict[str, Any]] = {
    "order.merchantAmount": _amount("Merchant gets", "order.token"),
}
_ROUTED: dict[str, dict[str, Any]] = {
    "order.amount": _amount("Amount", "order.token"),
    "order.rail": _address("Carried by", "contract"),
    "order.settlementChainId": {"label": "To network", "format": "chainId"},
    "order.settlementToken": {"label": "Merchant's token", "format": "tokenTicker"}
    | {"params": {"chainIdPath": "#.order.settlementChainId"}},
    "order.merchantAmount": _amount(
        "Merchant gets", "order.settlementToken", "order.settlementChainId"
    ),
    "order.railData": {"label": "Rail's terms"} | HIDDEN,
}
_FIELDS: dict[str, dict[str, Any]] = {
    "order.sessionKey": {"label": "Session"} | HIDDEN,
    "order.merchant": _address("Merchant", "eoa", "wallet", "contract"),
    "order.token": _address("Token", "token"),
    "order.feeAmount": _amount("Service fee", "order.token"),
    "order.feeReceiver": _address("Fee goes to", "eoa", "wallet", "contract"),
    "order.deadline": _date("Deadline"),
    "signature": {"label": "Platform's signature"} | HIDDEN,
    "payer": _address("From account", "eoa", "wallet"),
    "collector": _address("Collector", "contract"),
    "collectorData": {"label": "Payer's consent"} | HIDDEN,
    "rail": _address("Rail", "contract"),
    "signer": _address("Signer", "eoa", "wallet"),
    "newOwner": _address("New owner", "eoa", "wallet", "contract"),
}
_MESSAGES: dict[str, dict[str, dict[str, Any]]] = {
    "ReceiveWithAuthorization": {
        "from": _address("From account", "eoa", "wallet"),
        "to": _address("Payment contract", "contract"),
        "value": _amount("Amount", "@.to"),
        "validAfter": {"label": "Valid from"} | HIDDEN,
        "validBefore": _date("Deadline"),
        "nonce": {"label": "Order"} | HIDDEN,
    },
    "Permit": {
        "owner": _address("From account", "eoa", "wallet"),
        "spender": _address("Spender", "contract"),
        "value": _amount("Amount", "@.to"),
        "nonce": {"label": "Nonce"} | HIDDEN,
        "deadline": _date("Deadline"),
    },
    "PermitBatchWitnessTransferFrom": {
        "permitted.[].token": _address("Token", "token"),
        "permitted.[].amount": _amount("Amount", "permitted.[].token"),
        "spender": _address("Spender", "contract"),
        "nonce": {"label": "Nonce"} | HIDDEN,
        "deadline": _date("Deadline"),
        "witness.digest": {"label": "Order"} | HIDDEN,
        "witness.payer": _address("From account", "eoa", "wallet"),
    },
}


def descriptors(
    networks: Networks, router_abi: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The descriptors for these networks, by the name of their file.

    ``LookupError`` where the ABI has a function or a parameter that nothing is said of.
    """
    deployed = [(network.chain_id, network.router) for network in networks.all]
    found = {"calldata-payment-router.json": _router(deployed, router_abi)}
    permit2 = [(one.chain_id, one.permit2) for one in networks.all if one.permit2]
    if permit2:
        domain = {"name": PERMIT2_NAME}
        found["eip712-permit2.json"] = _messages(permit2, domain, [PERMIT_BATCH_WITNESS])
    for (name, version), (places, structs) in _signing_tokens(networks).items():
        slug = "-".join([*name.lower().split(), version.replace(".", "-")])
        domain = {"name": name, "version": version}
        found[f"eip712-{slug}.json"] = _messages(places, domain, structs)
    return found


def _signing_tokens(
    networks: Networks,
) -> dict[tuple[str, str], tuple[list[tuple[int, Address]], list[Struct]]]:
    """Tokens that take signatures, by the domain of these: where they are, and what is signed."""
    places: dict[tuple[str, str], list[tuple[int, Address]]] = defaultdict(list)
    signed: dict[tuple[str, str], list[Struct]] = defaultdict(list)
    for network in networks.all:
        for token in network.tokens:
            signing = token.signing
            if signing is None:
                continue
            domain = (signing.name, signing.version)
            can_permit = signing.permit and network.contracts.permit_collector is not None
            offers = {RECEIVE_WITH_AUTHORIZATION.name: signing.erc3009, PERMIT.name: can_permit}
            structs = [one for one in (RECEIVE_WITH_AUTHORIZATION, PERMIT) if offers[one.name]]
            if structs:
                places[domain].append((network.chain_id, token.address))
            signed[domain] += [one for one in structs if one not in signed[domain]]
    return {domain: (found, signed[domain]) for domain, found in sorted(places.items())}


def _router(
    places: Iterable[tuple[int, Address]], router_abi: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    formats = {
        _signature(one): {
            "intent": INTENTS[one["name"]],
            "fields": list(_fields(one["inputs"])),
        }
        for one in router_abi
        if one["type"] == "function" and one["stateMutability"] in {"nonpayable", "payable"}
    }
    return {
        "$schema": SCHEMA,
        "context": {"$id": DOMAIN_NAME, "contract": {"deployments": _deployments(places)}},
        "metadata": {"owner": OWNER, "contractName": "PaymentRouter"},
        "display": {"formats": formats},
    }


def _messages(
    places: Iterable[tuple[int, Address]], domain: dict[str, str], structs: Sequence[Struct]
) -> dict[str, Any]:
    formats = {
        one.encoded_type: {
            "intent": INTENTS[one.name],
            "fields": [{"path": path} | _MESSAGES[one.name][path] for path in members_of(one)],
        }
        for one in structs
    }
    context = {"deployments": _deployments(places), "domain": domain}
    return {
        "$schema": SCHEMA,
        "context": {"$id": f"{OWNER}: {domain['name']}", "eip712": context},
        "metadata": {"owner": OWNER},
        "display": {"formats": formats},
    }


def _deployments(places: Iterable[tuple[int, Address]]) -> list[dict[str, Any]]:
    return [
        {"chainId": chain_id, "address": to_checksum(address)}
        for chain_id, address in sorted(places)
    ]


def _signature(function: Mapping[str, Any]) -> str:
    """The function with the names of its parameters, as descriptors name it."""
    return f"{function['name']}({_listed(function['inputs'])})"


def _listed(inputs: Sequence[Mapping[str, Any]]) -> str:
    return ",".join(f"{_type(one)} {one['name']}" for one in inputs)


def _type(one: Mapping[str, Any]) -> str:
    return f"({_listed(one['components'])})" if one["type"] == "tuple" else str(one["type"])


def _fields(inputs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    paths = list(leaves(inputs))
    known = _FIELDS | (_ROUTED if "order.rail" in paths else _DIRECT)
    return ({"path": path} | known[path] for path in paths)


def leaves(inputs: Sequence[Mapping[str, Any]], within: str = "") -> Iterator[str]:
    """The path of every parameter that has none inside it."""
    for one in inputs:
        path = f"{within}{one['name']}"
        if one["type"] == "tuple":
            yield from leaves(one["components"], f"{path}.")
        else:
            yield path


def members_of(struct: Struct, within: str = "") -> Iterator[str]:
    """The same of a message."""
    nested = {one.name: one for one in struct.nested}
    for kind, name in struct.members:
        inner = nested.get(kind.removesuffix("[]"))
        path = f"{within}{name}" + (".[]" if kind.endswith("[]") else "")
        if inner is None:
            yield path
        else:
            yield from members_of(inner, f"{path}.")
