"""Receiving accounts as the wire shows them (spec 4); events carry the same form."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from gstable_server.accounts.model import ReceivingAccount
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.kernel.clock import wire_time


class Account(TypedDict):
    """A wallet that the merchant is paid into. ``settlementCurrencies`` are token ids,
    ``createAt`` and ``updateAt`` are UTC."""

    accountId: str
    accountName: str
    accountAddress: str
    accountType: Literal["EVM::ADDR"]
    settlementCurrencies: list[str]
    version: str
    status: Literal["normal"]
    createAt: str
    updateAt: str


def render(account: ReceivingAccount, networks: Networks) -> Account:
    """The account with every token of its mode that it may be settled in, sorted."""
    return {
        "accountId": account.account_id,
        "accountName": account.name,
        "accountAddress": to_checksum(account.address),
        "accountType": "EVM::ADDR",
        "settlementCurrencies": sorted(
            token.token_id
            for network in networks.of(account.tenant.mode)
            for token in network.tokens
        ),
        "version": account.version,
        "status": "normal",
        "createAt": wire_time(account.created_at),
        "updateAt": wire_time(account.updated_at),
    }
