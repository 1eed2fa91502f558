"""What the payment page's script sends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from gstable_server.kernel.fields import Body

Hex20 = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$")]
HexBytes = Annotated[str, StringConstraints(pattern=r"^0x([0-9a-fA-F]{2})+$")]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class PrepareInput(Body):
    """A payer's choice: the token to pay with and how, and the account that the wallet shows."""

    client_code: ShortText
    token_id: ShortText
    way: Literal["approve", "erc3009", "permit", "permit2"] = "approve"
    payer: Hex20
    payer_email: Annotated[str, StringConstraints(max_length=254)] | None = None


class AuthorizeInput(Body):
    """A payer's signature for the order of ``digest``, prepared for that account and way."""

    client_code: ShortText
    digest: Hex32
    way: Literal["erc3009", "permit", "permit2"]
    payer: Hex20
    signature: HexBytes


class NetworkInput(Body):
    """A question about a network, of a page whose wallet does not answer it."""

    client_code: ShortText
    chain_id: int
    method: Literal[
        "eth_call", "eth_getBalance", "eth_getBlockByNumber", "eth_getTransactionReceipt"
    ]
    account: Hex20 | None = None
    to: Hex20 | None = None
    data: Annotated[HexBytes, StringConstraints(max_length=8_192)] | None = None
    tx_hash: Hex32 | None = None


class DepositInput(Body):
    """A payer's choice to pay by a plain transfer: the token, and who gets what does not pay."""

    client_code: ShortText
    token_id: ShortText
    refund_to: Annotated[str, StringConstraints(max_length=64)] | None = None
    payer_email: Annotated[str, StringConstraints(max_length=254)] | None = None
