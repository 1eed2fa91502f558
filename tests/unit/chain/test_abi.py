"""The signatures written down in ``chain.abi`` are those of the compiled contracts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from gstable_server.chain import abi, signed_transfers
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.abi.events import Event, event
from gstable_server.chain.abi.payments import PAID, ROUTED, TRANSFERRED
from gstable_server.chain.orders import ORDER, ROUTED_ORDER
from gstable_server.kernel.address import Address

ARTIFACTS = Path(__file__).parents[3] / "contracts/artifacts"
ROUTER = json.loads((ARTIFACTS / "PaymentRouter.json").read_text())["abi"]
USDC = json.loads((ARTIFACTS / "usdc.json").read_text())["contracts"]["FiatTokenV2_2"]["abi"]
TETHER = json.loads((ARTIFACTS / "TetherDouble.json").read_text())["abi"]


RAILS = {
    name: json.loads((ARTIFACTS / f"{name}.json").read_text())["abi"]
    for name in ("EscrowRail", "HoldRail", "MessageTransmitterDouble", "DepositCollector")
}


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
    for name, struct in (("pay", ORDER), ("route", ROUTED_ORDER)):
        [function] = [each for each in ROUTER if each.get("name") == name]
        [order, _] = function["inputs"]
        members = tuple((each["type"], each["name"]) for each in order["components"])
        assert members == struct.members


@pytest.mark.parametrize("contract", [USDC, TETHER], ids=["usdc", "tether"])
def test_tokens_have_the_functions(contract: list[dict[str, Any]]) -> None:
    needed = {abi.DECIMALS, abi.BALANCE_OF, abi.ALLOWANCE, abi.APPROVE, abi.TRANSFER}
    assert needed <= signatures(contract, "function")
    assert declared(contract, "Transfer") == {TRANSFERRED}


def test_usdc_has_the_nonces_of_permits() -> None:
    assert abi.NONCES in signatures(USDC, "function")


def test_transfers_by_signature_have_the_functions() -> None:
    needed = {signed_transfers.TRANSFER_AUTHORIZED, signed_transfers.AUTHORIZATION_STATE}
    assert needed <= signatures(USDC, "function")
    proxy = json.loads((ARTIFACTS / "ExactPermit2ProxyDouble.json").read_text())["abi"]
    assert signed_transfers.SETTLE in signatures(proxy, "function")


def test_deposits_have_the_functions() -> None:
    assert {abi.RECOVER, abi.BALANCES} <= signatures(RAILS["DepositCollector"], "function")


def test_rails_have_the_functions_and_the_events() -> None:
    escrow, hold = RAILS["EscrowRail"], RAILS["HoldRail"]
    fill, release, reclaim = rails_abi.FILL, rails_abi.RELEASE, rails_abi.ESCROW_RECLAIM
    asked = {rails_abi.FILLED_BY, rails_abi.ESCROWS, rails_abi.SOLVER_SINCE}
    assert {fill, release, reclaim} | asked <= signatures(escrow, "function")
    assert declared(escrow, "Filled") == {rails_abi.FILLED}
    assert declared(escrow, "Released") == {rails_abi.RELEASED}
    assert declared(escrow, "Reclaimed") == {rails_abi.ESCROW_RECLAIMED}
    verbs = {rails_abi.CAPTURE, rails_abi.VOID, rails_abi.HOLD_RECLAIM}
    assert verbs <= signatures(hold, "function")
    assert declared(hold, "Captured") == {rails_abi.CAPTURED}
    assert declared(hold, "Voided") == {rails_abi.VOIDED}
    assert declared(hold, "Reclaimed") == {rails_abi.HOLD_RECLAIMED}


def test_transmitter_has_the_functions_and_the_events() -> None:
    transmitter = RAILS["MessageTransmitterDouble"]
    functions = {rails_abi.RECEIVE_MESSAGE, rails_abi.USED_NONCES}
    assert functions <= signatures(transmitter, "function")
    assert declared(transmitter, "MessageSent") == {rails_abi.MESSAGE_SENT}
    assert declared(transmitter, "MessageReceived") == {rails_abi.MESSAGE_RECEIVED}


def test_arrays_and_structs_agree_with_an_independent_library() -> None:
    inner = abi.encode(abi.number_word(1), abi.Dynamic(b"rail"))
    ours = abi.encode(
        abi.Tail(inner), abi.array([abi.number_word(2), abi.number_word(3)]), abi.number_word(4)
    )
    theirs = encode(["(uint256,bytes)", "uint256[]", "uint256"], [(1, b"rail"), [2, 3], 4])
    assert ours == theirs


def test_encoding_agrees_with_an_independent_library() -> None:
    ours = abi.encode(
        abi.number_word(5),
        abi.Dynamic(b"x" * 33),
        abi.address_word(Address(b"\x07" * 20)),
        abi.Dynamic(b""),
    )
    theirs = encode(["uint256", "bytes", "address", "string"], [5, b"x" * 33, "0x" + "07" * 20, ""])
    assert ours == theirs
