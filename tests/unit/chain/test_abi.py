"""The signatures written down in ``chain.abi`` are those of the compiled contracts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from gstable_server.chain import abi
from gstable_server.chain.abi.events import Event, event
from gstable_server.chain.abi.payments import PAID, ROUTED, TRANSFERRED
from gstable_server.chain.orders import ORDER
from gstable_server.kernel.address import Address

ARTIFACTS = Path(__file__).parents[3] / "contracts/artifacts"
ROUTER = json.loads((ARTIFACTS / "PaymentRouter.json").read_text())["abi"]
USDC = json.loads((ARTIFACTS / "usdc.json").read_text())["contracts"]["FiatTokenV2_2"]["abi"]
TETHER = json.loads((ARTIFACTS / "TetherDouble.json").read_text())["abi"]


def written(inputs: list[dict[str, Any]]) -> str:
    kinds = [
        written(each["components"]) if each["type"] == "tuple" else each["type"] for each in inputs
    ]
    return "(" + ",".join(kinds) + ")"


def signatures(contract: list[dict[str, Any]], kind: str) -> set[str]:
    return {each["name"] + written(each["inputs"]) for each in contract if each["type"] == kind}


def declared(contract: list[dict[str, Any]], name: str) -> set[Event]:
    """The events of that name, each as ``abi.events`` declares it."""
    return {
        event(
            name
            + "("
            + ",".join(m["type"] + (" indexed" if m["indexed"] else "") for m in each["inputs"])
            + ")"
        )
        for each in contract
        if each["type"] == "event" and each["name"] == name
    }


def test_router_has_the_functions_and_the_events() -> None:
    functions = {abi.PAY, abi.PAY_WITH, abi.ROUTE, abi.ROUTE_WITH, abi.IS_SIGNER}
    assert functions <= signatures(ROUTER, "function")
    assert declared(ROUTER, "Paid") == {PAID}
    assert declared(ROUTER, "Routed") == {ROUTED}


def test_order_has_the_members_of_the_struct_in_order() -> None:
    [pay] = [each for each in ROUTER if each.get("name") == "pay"]
    members = tuple((each["type"], each["name"]) for each in pay["inputs"][0]["components"])
    assert members == ORDER.members


@pytest.mark.parametrize("contract", [USDC, TETHER], ids=["usdc", "tether"])
def test_tokens_have_the_functions(contract: list[dict[str, Any]]) -> None:
    needed = {abi.DECIMALS, abi.BALANCE_OF, abi.ALLOWANCE, abi.APPROVE, abi.TRANSFER}
    assert needed <= signatures(contract, "function")
    assert declared(contract, "Transfer") == {TRANSFERRED}


def test_encoding_agrees_with_an_independent_library() -> None:
    ours = abi.encode(
        abi.number_word(5),
        abi.Dynamic(b"x" * 33),
        abi.address_word(Address(b"\x07" * 20)),
        abi.Dynamic(b""),
    )
    theirs = encode(["uint256", "bytes", "address", "string"], [5, b"x" * 33, "0x" + "07" * 20, ""])
    assert ours == theirs
