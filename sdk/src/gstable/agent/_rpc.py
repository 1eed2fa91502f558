"""JSON-RPC of a node as bytes, and the calls of ERC-20. Pure. Source: EIP-1474, EIP-20."""

from dataclasses import dataclass
from json import dumps
from typing import Any

from gstable._errors import GStableUsageError
from gstable._json import loads
from gstable._transport import Response
from gstable.agent._errors import ChainError
from gstable.agent._orders import selector

WORD_BYTES = 32
ALLOWANCE = selector("allowance(address,address)")
APPROVE = selector("approve(address,uint256)")
BALANCE_OF = selector("balanceOf(address)")
DECIMALS = selector("decimals()")
PAID = selector("paid(bytes32)")


class NodeRefused(ChainError):
    """The node answered an error: a call that would revert, a nonce that is used."""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction that may be handed in; `tx_hash` is `0x` and hexadecimal."""

    raw: bytes
    tx_hash: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction."""

    succeeded: bool
    block_number: int


def node_url(url: object, chain_id: int) -> str:
    """The node's address. It may carry a key, so no message repeats it."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise GStableUsageError(f"rpc_urls[{chain_id}] must be an http or https URL")
    return url


def question(method: str, params: list[object]) -> bytes:
    """The body of one call."""
    return dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def result(method: str, response: Response) -> Any:
    """What a node answered. Raises `NodeRefused` for its error, `ChainError` for no answer."""
    try:
        answer = loads(response.body)
    except ValueError as broken:
        raise ChainError(f"{method}: HTTP status {response.status}, no JSON") from broken
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise NodeRefused(f"{method}: {answer['error'].get('message')}")
    if not isinstance(answer, dict) or "result" not in answer:
        raise ChainError(f"{method}: the answer is no JSON-RPC")
    return answer["result"]


def number(value: object, what: str) -> int:
    """A quantity: `0x` and hexadecimal digits."""
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return int(value, 16)
    except ValueError:
        pass
    raise ChainError(f"{what} is no quantity")


def data(value: object, what: str) -> bytes:
    """Bytes: `0x` and pairs of hexadecimal digits."""
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return bytes.fromhex(value[2:])
    except ValueError:
        pass
    raise ChainError(f"{what} is no data")


def word(value: bytes, what: str) -> int:
    """The number that a view function answers."""
    if len(value) != WORD_BYTES:
        raise ChainError(f"{what} is not one number")
    return int.from_bytes(value, "big")


def address_word(address: str) -> bytes:
    """An address as an argument."""
    return bytes.fromhex(address[2:]).rjust(WORD_BYTES, b"\0")


def approve_call(spender: str, amount: int) -> bytes:
    """Let `spender` take up to `amount` smallest units."""
    return APPROVE + address_word(spender) + amount.to_bytes(WORD_BYTES, "big")


def receipt(value: object) -> Receipt | None:
    """None while it is not mined."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ChainError("the receipt is no object")
    return Receipt(
        number(value.get("status"), "status") == 1, number(value.get("blockNumber"), "blockNumber")
    )
