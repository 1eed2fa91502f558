"""What the platform attested for a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gstable_server.chain.facts import RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.routing.model import Way


@dataclass(frozen=True, slots=True)
class AttestedOrder:
    """One signed order: for which session, who asked for it, and how it is to be paid.

    ``body`` is the whole order as ``chain.orders.to_json`` writes it; ``merchant_amount`` is in
    atomic units of the settlement token, ``fee_amount`` in those of ``token_id``. ``digest`` is
    what was signed (EIP-712), 32 bytes.
    """

    session_id: SessionId
    network: str
    token_id: str
    way: Way
    rail: RailName | None
    digest: bytes
    body: dict[str, Any]
    merchant_amount: int
    fee_amount: int
    fee_ppm: int
    deadline: datetime
    payer: Address


AttestedFor = tuple[str, str, RailName | None]
"""The network and the token that pay, and the rail that brings it."""
AttestedAmounts = Mapping[AttestedFor, frozenset[int]]
"""The merchant's amounts of all orders that were signed for a session, in atomic units of the
settlement token: a payer may hold any of them."""
