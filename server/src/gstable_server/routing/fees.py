"""The arithmetic of a payment: pure, integer, and rounded against the payer's side only."""

from __future__ import annotations

from dataclasses import replace

from gstable_server.kernel.money import (
    Asset,
    MicroUsd,
    Money,
    atomic_rounded_down,
    atomic_rounded_up,
    share_rounded_up,
)
from gstable_server.routing.model import FeeModel, Quote

ROUTER_FEE_PPM_MAX = 10_000
"""What the router takes at most (contracts/src/PaymentRouter.sol, MAX_FEE_PPM)."""


def quote(
    amount: MicroUsd, fee_model: FeeModel, ppm: int, paying: Asset, settlement: Asset
) -> Quote:
    """What the payer pays and the merchant receives for ``amount`` (spec 15, Fees).

    The fee is added on top in model 2 and deducted in model 1; what rounding to the tokens'
    smallest units leaves over belongs to the fee.
    """
    fee = share_rounded_up(amount, ppm)
    if fee_model is FeeModel.MERCHANT_PAYS:
        payer_side, merchant_side = amount, MicroUsd(amount - fee)
    else:
        payer_side, merchant_side = MicroUsd(amount + fee), amount
    payer_pays = atomic_rounded_up(payer_side, paying)
    given = atomic_rounded_down(merchant_side, paying)
    return Quote(
        payer_pays=payer_pays,
        amount=given,
        fee=payer_pays - given,
        merchant_receives=atomic_rounded_down(merchant_side, settlement),
    )


def by_rail(quoted: Quote, atomic: int) -> Quote:
    """The same payment where a rail is given ``atomic`` units for it: what a rail costs comes out
    of the fee, and neither the payer nor the merchant sees it.

    Raises ``ValueError`` for a rail that costs more than the fee.
    """
    amount = Money(atomic, quoted.payer_pays.asset)
    return replace(quoted, amount=amount, fee=quoted.payer_pays - amount)


def is_payable(quoted: Quote) -> bool:
    """Whether the router accepts such an order: a share for the merchant, and a fee under its cap.

    Rounding breaks either rule when an amount is only a few of a coarse token's smallest units.
    """
    cap = share_rounded_up(quoted.payer_pays.atomic, ROUTER_FEE_PPM_MAX)
    has_share = quoted.merchant_receives.atomic > 0 and quoted.amount.atomic > 0
    return has_share and quoted.fee.atomic <= cap
