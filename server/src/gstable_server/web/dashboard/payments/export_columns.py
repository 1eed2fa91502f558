"""What an export says of each row: columns by name, in their order, with a version.

A column is never renamed, moved or given another meaning within a version; new ones come at the
end. ``docs/reference/exports.md`` describes each of them, and a test compares. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.money import MicroUsd, usd_text
from gstable_server.kernel.tenant import Mode

VERSION = 1


class What(StrEnum):
    """What can be exported."""

    SESSIONS = "sessions"
    REFUNDS = "refunds"
    LEDGER = "ledger"
    FEES = "fees"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number: written as it is, also where text would be made harmless. Exact decimal text."""

    text: str


Cell = str | Figure | None
COLUMNS: Mapping[What, Sequence[str]] = {
    What.SESSIONS: (
        "session_id", "opened_at", "status", "source", "payment_link", "order_reference", "product",
        "lines", "payer_email", "amount_usd", "settlement_token", "account_id", "recipient",
        "expires_at", "paid_at", "completed_at", "network", "transaction", "payer", "token",
        "received", "received_atomic", "not_final", "not_final_atomic", "fee", "fee_atomic",
        "refunded", "refunded_atomic", "unusual",
    ),
    What.REFUNDS: (
        "refund_id", "session_id", "payment_id", "prepared_at", "completed_at", "status", "network",
        "token", "amount", "amount_atomic", "amount_usd", "sender", "receiver", "reason",
        "transaction",
    ),
    What.LEDGER: (
        "entry", "booked_at", "transfer_id", "kind", "cause", "session_id", "account", "token",
        "amount", "amount_atomic",
    ),
    What.FEES: ("entry", "booked_at", "session_id", "kind", "cause", "token", "fee", "fee_atomic"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Writer:
    """Cells from rows. ``networks`` tells the decimals of tokens where a row does not."""

    networks: Networks
    mode: Mode

    def cells(self, what: What, row: Mapping[str, Any]) -> tuple[Cell, ...]:
        """The cells of one row, one for each of ``COLUMNS``."""
        match what:
            case What.SESSIONS:
                return self._session(row)
            case What.REFUNDS:
                return self._refund(row)
            case What.LEDGER:
                return self._entry(row)
            case What.FEES:
                return self._fee(row)

    def _session(self, row: Mapping[str, Any]) -> tuple[Cell, ...]:
        is_final = row["state"] == "completed"
        settled = row["settlement_decimals"]
        got = None if row["received"] is None else int(row["received"] or 0) or row["promised"]
        received, unfinal = (got, None) if is_final else (None, got)
        of_link = row["business_type"] == "payment_link"
        return (
            row["session_id"],
            wire_time(row["created_at"]),
            row["state"],
            row["session_type"],
            row["business_id"] if of_link else None,
            row["reference"],
            row["what"],
            Figure(str(row["lines"])),
            row["payer_email"],
            Figure(usd_text(MicroUsd(row["amount"]))),
            row["settlement_token"],
            row["account_id"],
            _address(row["recipient"]),
            *(_time(row[name]) for name in ("expires_at", "paid_at", "completed_at")),
            row["network"],
            _hex(row["tx_hash"]),
            _address(row["payer"]),
            row["token_id"],
            *_amount(received, settled),
            *_amount(unfinal, settled),
            *_amount(row["fee_received"], row["decimals"]),
            *_amount(row["refunded"], settled),
            row["flags"],
        )

    def _refund(self, row: Mapping[str, Any]) -> tuple[Cell, ...]:
        return (
            row["refund_id"],
            row["session_id"],
            row["payment_id"],
            wire_time(row["created_at"]),
            _time(row["completed_at"]),
            row["state"],
            row["network"],
            row["token_id"],
            *_amount(row["token_amount"], row["decimals"]),
            Figure(usd_text(MicroUsd(int(row["amount"])))),
            _address(row["sender"]),
            _address(row["receiver"]),
            row["reason"],
            _hex(row["tx_hash"]),
        )

    def _entry(self, row: Mapping[str, Any]) -> tuple[Cell, ...]:
        return (
            Figure(str(row["entry_number"])),
            wire_time(row["posted_at"]),
            row["transfer_id"],
            row["kind"],
            row["cause"],
            row["session_id"],
            row["account"],
            row["token_id"],
            *_amount(row["amount"], self._decimals(row["token_id"])),
        )

    def _fee(self, row: Mapping[str, Any]) -> tuple[Cell, ...]:
        return (
            Figure(str(row["entry_number"])),
            wire_time(row["posted_at"]),
            row["session_id"],
            row["kind"],
            row["cause"],
            row["token_id"],
            *_amount(row["amount"], self._decimals(row["token_id"])),
        )

    def _decimals(self, token_id: str) -> int | None:
        token = self.networks.find_token(token_id, self.mode)
        return token.asset.decimals if token else None


def _amount(atomic: Decimal | int | None, decimals: int | None) -> tuple[Cell, Cell]:
    """Exact decimal text where the token's decimals are known, and atomic units."""
    if atomic is None:
        return None, None
    units = int(atomic)
    return _decimal(units, decimals) if decimals is not None else None, Figure(str(units))


def _decimal(units: int, decimals: int) -> Figure:
    """All the token's decimals, so that sums of a column are exact."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), 10**decimals)
    return Figure(f"{sign}{whole}.{rest:0{decimals}d}" if decimals else f"{sign}{whole}")


def _time(at: Any) -> str | None:
    return wire_time(at) if at is not None else None


def _address(raw: bytes | None) -> str | None:
    return to_checksum(Address(raw)) if raw is not None else None


def _hex(raw: bytes | None) -> str | None:
    return f"0x{raw.hex()}" if raw is not None else None
