"""The public capability matrix as the wire shows it (spec 8)."""

from __future__ import annotations

from typing_extensions import TypedDict


class SupportedToken(TypedDict):
    """A token on a network; ``chainId`` is a string."""

    tokenId: str
    symbol: str
    chainId: str
    decimals: int


class PaymentCapability(TypedDict):
    """A token that may pay: its fee in parts per million, its limits in Micro-USD."""

    tokenId: str
    crosschain: bool
    feeRatePPM: int
    minPaymentValue: int
    maxPaymentValue: int


class Capabilities(TypedDict):
    """``paymentCapabilities``: by settlement token id, then by route group of the paying chain."""

    supportedTokens: list[SupportedToken]
    paymentCapabilities: dict[str, dict[str, list[PaymentCapability]]]
