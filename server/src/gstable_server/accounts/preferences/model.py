"""What a merchant decided once for all its sessions of one mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gstable_server.kernel.money import MicroUsd

LATE_SECONDS_MAX = 7 * 86_400
NOTHING = MicroUsd(0)
SHORT_MAX = MicroUsd(100_000_000)
"""What may be forgiven of one payment: 100 USD. More is somebody's to look at."""


@dataclass(frozen=True, slots=True)
class Policies:
    """Which final money that pays nothing as asked is accepted without asking anybody: up to
    ``late_seconds`` after the session's expiry, up to ``short`` (Micro-USD) less than was asked,
    or more than was asked. Nothing of it by default."""

    late_seconds: int = 0
    short: MicroUsd = NOTHING
    keeps_surplus: bool = False


@dataclass(frozen=True, slots=True)
class Preferences:
    """``networks`` that payers may pay on, by name, None for all there are; ``mails_receipts``
    whether payers who gave an address get a receipt by e-mail."""

    networks: frozenset[str] | None = None
    policies: Policies = Policies()
    mails_receipts: bool = True

    def accepts(self, network: str) -> bool:
        """Whether payers may pay on the network of that name."""
        return self.networks is None or network in self.networks

    @property
    def entries(self) -> Mapping[str, str]:
        """Every decision as text, for the audit log and for versions."""
        return {
            "networks": "all" if self.networks is None else " ".join(sorted(self.networks)),
            "lateSeconds": str(self.policies.late_seconds),
            "short": str(self.policies.short),
            "surplus": "keep" if self.policies.keeps_surplus else "ask",
            "receipts": "on" if self.mails_receipts else "off",
        }
