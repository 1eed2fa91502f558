"""A wallet that waits to become a receiving account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import PayoutChangeId
from gstable_server.kernel.tenant import Tenant

WAITING_MAX = 5
"""Of one merchant in one mode at once."""


class Outcome(StrEnum):
    """How the waiting ended; ``refused`` when there are too many accounts by then."""

    DONE = "done"
    CANCELLED = "cancelled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PayoutChange:
    """``asked_by`` is the member's e-mail address. From ``due_at`` on it becomes an account."""

    change_id: PayoutChangeId
    tenant: Tenant
    name: str
    address: Address
    asked_by: str
    asked_at: datetime
    due_at: datetime
