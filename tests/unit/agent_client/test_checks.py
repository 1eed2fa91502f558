"""A platform or a node that lies: nothing is approved, nothing is sent, nothing is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode

from gstable import GStableError
from gstable.agent import LimitExceeded, SpendLimits, UnsafePayment
from gstable.agent._checks import DELEGATED
from gstable.agent._orders import PAY_ORDER, ROUTED_ORDER, read_order, selector, session_key
from tests.unit.agent_client.platform import CHAIN_ID, EXECUTOR, PRICE, START, TOKEN, Platform

OTHER = "0x" + "cc" * 20
Change = Callable[[Platform, dict[str, Any]], None]


def calldata(platform: Platform, answer: dict[str, Any], data: bytes) -> None:
    """The same other call in both places."""
    answer["calldata"] = f"0x{data.hex()}"
    request(answer)["data"] = answer["calldata"]


def request(answer: dict[str, Any]) -> Any:
    return answer["aiView"]["paymentExecutionGuide"]["executionRequest"]["txRequest"]


def terms(**changed: Any) -> Change:
    return lambda platform, answer: calldata(platform, answer, platform.call("sess_1", **changed))


def executor(address: str) -> Change:
    def change(_: Platform, answer: dict[str, Any]) -> None:
        answer["executorContract"] = request(answer)["to"] = address

    return change


def transfer(platform: Platform, answer: dict[str, Any]) -> None:
    """The documents' own sample: a transfer, sent to the token."""
    data = selector("transfer(address,uint256)") + encode(["address", "uint256"], [OTHER, PRICE])
    calldata(platform, answer, data)
    executor(TOKEN)(platform, answer)


def unlimited(platform: Platform, answer: dict[str, Any]) -> None:
    data = selector("approve(address,uint256)")
    data += encode(["address", "uint256"], [OTHER, 2**256 - 1])
    calldata(platform, answer, data)


LIES: dict[str, Change] = {
    "another session": terms(key=b"\x01" * 32),
    "another token": terms(token=OTHER),
    "more than the price": terms(amount=PRICE, fee=1),
    "a fee beyond the price": terms(fee=2**255),
    "nothing": terms(amount=0, fee=0),
    "too late": terms(deadline=START),
    "a transfer to the token": transfer,
    "the token as executor": executor(TOKEN),
    "a wallet as executor": executor(OTHER),
    "no address": executor("0x1234"),
    "a misspelt address": executor(EXECUTOR[:-1] + EXECUTOR[-1].swapcase()),
    "another function": unlimited,
    "cut short": lambda p, a: calldata(p, a, p.call("sess_1")[:-32]),
    "something appended": lambda p, a: calldata(p, a, p.call("sess_1") + b"\x00" * 32),
    "empty": lambda p, a: calldata(p, a, b""),
    "another chain": lambda p, a: a.update(executionChainId="1"),
    "two different receivers": lambda p, a: request(a).update(to=OTHER),
    "two different calls": lambda p, a: request(a).update(data="0x00"),
    "coins beside it": lambda p, a: request(a).update(value="1"),
    "two different chains": lambda p, a: request(a).update(chainId="1"),
}


def attempt(platform: Platform, limits: SpendLimits | None = None) -> GStableError:
    """What paying ends with; whatever it is, nothing may have happened."""
    limits = limits or SpendLimits(per_payment=5_000_000, per_day=5_000_000)
    with pytest.raises(GStableError) as error:
        platform.client(limits, max_retries=0).pay("lnk_1", CHAIN_ID)
    assert platform.sent == []
    assert limits.store.spent(int(platform.now)) == 0
    return error.value


@pytest.mark.parametrize("lie", LIES)
def test_a_payment_that_is_not_what_was_agreed_is_not_sent(lie: str) -> None:
    platform = Platform()

    def changed(path: str, answer: Any) -> Any:
        if path == "/payment/prepare":
            LIES[lie](platform, answer)
        return answer

    platform.changed = changed
    assert isinstance(attempt(platform), UnsafePayment)


@pytest.mark.parametrize("code", ["0x", f"0x{DELEGATED.hex()}{'cc' * 20}"])
@pytest.mark.parametrize("number", [1, 2], ids=["executor", "token"])
def test_where_there_is_no_contract_nothing_is_approved(code: str, number: int) -> None:
    platform = Platform()
    asked: list[str] = []

    def changed(method: str, answer: Any) -> Any:
        if method == "eth_getCode":
            asked.append(method)
            return code if len(asked) == number else answer
        return answer

    platform.changed = changed
    assert isinstance(attempt(platform), UnsafePayment)


@pytest.mark.parametrize("decimals", [-1, 78, 10**9, 6.5, "6", None])
def test_decimals_that_no_token_has_are_not_believed(decimals: object) -> None:
    platform = Platform()

    def changed(path: str, answer: Any) -> Any:
        if path.startswith("/payment/link/"):
            answer["aiView"]["supportedPaymentTokens"][0]["decimals"] = decimals
        return answer

    platform.changed = changed
    attempt(platform)
    assert platform.nonces == set()


def test_a_platform_that_tells_more_decimals_does_not_get_past_the_limit() -> None:
    # Given a limit of 2 USD, and a platform by whose word the price is nearly nothing
    platform = Platform()

    def changed(path: str, answer: Any) -> Any:
        if path.startswith("/payment/link/"):
            answer["aiView"]["supportedPaymentTokens"][0]["decimals"] = 18
        return answer

    platform.changed = changed
    # Then the token's own contract is believed
    refused = attempt(platform, SpendLimits(per_payment=2_000_000, per_day=5_000_000))
    assert isinstance(refused, LimitExceeded)
    assert refused.limit == "per_payment"
    plan = platform.client().plan("lnk_1", CHAIN_ID)
    assert plan.amount == 3_009_000
    assert "the platform tells other decimals than the contract of USDC" in plan.obstacles


def test_decimals_of_a_contract_are_bounded_too() -> None:
    platform = Platform(decimals=6)
    platform.changed = lambda method, answer: "0x" + "ff" * 32 if method == "eth_call" else answer
    assert isinstance(attempt(platform), UnsafePayment)


def test_a_routed_payment_is_read_too() -> None:
    order = (
        session_key("sess_1"), OTHER, TOKEN, PRICE, 5, OTHER, START,
        OTHER, 8453, OTHER, PRICE - 1, b"terms of the rail",
    )  # fmt: skip
    data = selector(f"route({ROUTED_ORDER},bytes)")
    data += encode([ROUTED_ORDER, "bytes"], [order, b"\x01" * 65])
    found = read_order(data)
    assert (found.total, found.deadline) == (PRICE + 5, START)
    assert found.token == bytes.fromhex(TOKEN[2:])
    with pytest.raises(UnsafePayment):
        read_order(data[:4] + data[4:].replace(b"terms", b"term\x00") + b"\x00")


def test_the_functions_are_those_of_the_router() -> None:
    assert selector(f"pay({PAY_ORDER},bytes)").hex() != selector("pay()").hex()
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert selector("approve(address,uint256)").hex() == "095ea7b3"
    assert selector("allowance(address,address)").hex() == "dd62ed3e"
