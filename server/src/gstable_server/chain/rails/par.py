"""Amounts of one stablecoin in another: at par, 1 for 1, between different decimals."""

from __future__ import annotations

from gstable_server.chain.networks import Token
from gstable_server.chain.rails.port import RailQuote, RailRequest
from gstable_server.kernel.money import PARTS_PER_MILLION


def at_par_rounded_up(amount: int, token: Token, wanted: Token) -> int:
    """``amount`` smallest units of ``token`` as smallest units of ``wanted``."""
    shift = wanted.decimals - token.decimals
    factor: int = 10 ** abs(shift)
    return amount * factor if shift >= 0 else -(-amount // factor)


def with_margin_rounded_up(request: RailRequest, margin_ppm: int) -> int:
    """The merchant's amount in the paying token, and ``margin_ppm`` millionths of it on top."""
    par = at_par_rounded_up(request.merchant_amount, request.settlement, request.paying)
    return -(-par * (PARTS_PER_MILLION + margin_ppm) // PARTS_PER_MILLION)


def quote_of(request: RailRequest, amount: int) -> RailQuote | None:
    """``amount`` as a quote, if it leaves a fee."""
    return RailQuote(amount) if amount < request.payer_pays else None
