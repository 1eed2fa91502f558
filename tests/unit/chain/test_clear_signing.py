"""Descriptors for wallets: they agree with the router's ABI and with what payers sign, to the last
parameter."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from contracts import clear_signing
from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.clear_signing import descriptors
from gstable_server.chain.consents import PERMIT, PERMIT_BATCH_WITNESS, RECEIVE_WITH_AUTHORIZATION
from gstable_server.chain.networks_toml import load_networks

NETWORKS = clear_signing.KEPT / "networks.toml"
ROUTER_ABI = json.loads(clear_signing.ROUTER.read_text())["abi"]
SIGNED = [
    one
    for one in ROUTER_ABI
    if one["type"] == "function" and one["stateMutability"] not in {"view", "pure"}
]


def kept(name: str) -> dict[str, Any]:
    """A committed descriptor."""
    read: dict[str, Any] = json.loads((clear_signing.KEPT / name).read_text())
    return read


def formats(name: str) -> dict[str, Any]:
    found: dict[str, Any] = kept(name)["display"]["formats"]
    return found


def selector(signature: str) -> str:
    return keccak256(signature.encode())[:4].hex()


def canonical(inputs: Sequence[Mapping[str, Any]]) -> str:
    """Types alone, as selectors are made of."""
    kinds = (canonical(one["components"]) if "components" in one else one["type"] for one in inputs)
    return f"({','.join(kinds)})"


def paths(inputs: Sequence[Mapping[str, Any]], within: str = "") -> Iterator[str]:
    for one in inputs:
        if "components" in one:
            yield from paths(one["components"], f"{within}{one['name']}.")
        else:
            yield within + one["name"]


def test_the_descriptors_beside_the_contracts_are_what_the_sources_say() -> None:
    made = clear_signing.texts(NETWORKS)
    found = {one.name: one.read_text() for one in clear_signing.KEPT.glob("*.json")}
    assert found == made, "run ./run clear-signing"


def test_every_parameter_that_can_be_signed_is_named_or_left_out_on_purpose() -> None:
    shown = formats("calldata-payment-router.json")
    # Without the parameters' names, a key is what the selector is made of.
    keys = {selector(re.sub(r" \w+(?=[,)])", "", key)): key for key in shown}
    assert len(SIGNED) > 10
    for function in SIGNED:
        key = keys.pop(selector(function["name"] + canonical(function["inputs"])))
        assert shown[key]["intent"]
        fields = shown[key]["fields"]
        assert [field["path"] for field in fields] == list(paths(function["inputs"]))
        assert all(field["label"] and field["format"] for field in fields)
    assert keys == {}, "no function that the contract does not have"
    for signature in (abi.PAY, abi.PAY_WITH, abi.ROUTE, abi.ROUTE_WITH):
        assert selector(signature) in {selector(re.sub(r" \w+(?=[,)])", "", key)) for key in shown}


def test_what_a_payer_must_compare_is_shown() -> None:
    """Who gets how much of which token, the fee, and until when."""
    for key, one in formats("calldata-payment-router.json").items():
        if not key.startswith(("pay", "route")) or key.startswith("pause"):
            continue
        shown = {field["path"] for field in one["fields"] if field.get("visible") != "never"}
        amount = "order.merchantAmount" if key.startswith("pay") else "order.amount"
        assert shown >= {amount, "order.merchant", "order.feeAmount", "order.deadline"}
        if key.startswith("route"):
            assert shown >= {"order.merchantAmount", "order.settlementChainId"}


@pytest.mark.parametrize(
    ("name", "structs"),
    [
        ("eip712-permit2.json", [PERMIT_BATCH_WITNESS]),
        ("eip712-usd-coin-2.json", [RECEIVE_WITH_AUTHORIZATION, PERMIT]),
    ],
)
def test_messages_are_named_by_the_type_that_is_signed(name: str, structs: list[Any]) -> None:
    shown = formats(name)
    assert [keccak256(key.encode()) for key in shown] == [one.type_hash for one in structs]
    for one, format_ in zip(structs, shown.values(), strict=True):
        roots = [re.split(r"\.", field["path"])[0] for field in format_["fields"]]
        assert list(dict.fromkeys(roots)) == [member for _, member in one.members]


def test_every_network_of_the_file_is_a_deployment() -> None:
    places = kept("eip712-usd-coin-2.json")["context"]["eip712"]["deployments"]
    assert [one["chainId"] for one in places] == [1337137, 1338453]
    contract = kept("calldata-payment-router.json")["context"]["contract"]
    networks = load_networks(NETWORKS)
    assert [(one["chainId"], one["address"].lower()) for one in contract["deployments"]] == [
        (network.chain_id, f"0x{network.router.hex()}") for network in networks.all
    ]


def test_a_parameter_that_nothing_is_said_of_makes_no_descriptor() -> None:
    changed = copy.deepcopy(ROUTER_ABI)
    [pay] = [one for one in changed if one.get("name") == "pay"]
    pay["inputs"].append({"name": "tip", "type": "uint256"})
    with pytest.raises(LookupError):
        descriptors(load_networks(NETWORKS), changed)
