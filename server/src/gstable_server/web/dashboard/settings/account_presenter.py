"""What the pages of receiving accounts show; no input, output or clock."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.accounts.model import ReceivingAccount
from gstable_server.accounts.payouts.model import PayoutChange
from gstable_server.chain.checksum import to_checksum
from gstable_server.web.dashboard.speech import moment


@dataclass(frozen=True, slots=True)
class AccountRow:
    account_id: str
    name: str
    address: str
    created_at: str


def account_row(account: ReceivingAccount) -> AccountRow:
    return AccountRow(
        account.account_id,
        account.name,
        to_checksum(account.address),
        moment(account.created_at),
    )


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A wallet that waits to become a receiving account."""

    change_id: str
    name: str
    address: str
    asked_by: str
    due_at: str


def change_row(change: PayoutChange) -> ChangeRow:
    return ChangeRow(
        change_id=change.change_id,
        name=change.name,
        address=to_checksum(change.address),
        asked_by=change.asked_by,
        due_at=moment(change.due_at),
    )
