"""The signed form of a receipt: claims of a JSON Web Token (RFC 7519), amounts exact as text.

Amounts of tokens are atomic units, those in US dollars Micro-USD. What the claims say is what the
server knew at ``iat``; ``final`` says whether it can still change.
"""

from __future__ import annotations

from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.clock import unix_seconds
from gstable_server.receipts.model import Amount, GivenBack, PaidPart, Place, Receipt
from gstable_server.routing.model import FeeModel

TYPE = "receipt+jwt"
_FEE_PAID_BY = {FeeModel.MERCHANT_PAYS: "merchant", FeeModel.PAYER_PAYS: "payer"}


def render(receipt: Receipt, public_url: str) -> dict[str, Any]:
    """The claims. ``iss`` is the server's own address, ``sub`` the session."""
    session, merchant = receipt.session, receipt.merchant
    return {
        "iss": public_url,
        "sub": session.session_id,
        "iat": unix_seconds(receipt.as_of),
        "receiptId": session.receipt_id or "",
        "mode": session.tenant.mode.value,
        "status": session.state.value,
        "final": receipt.is_final,
        "merchant": {
            "name": merchant.display_name,
            "supportEmail": merchant.support_email or "",
            "supportUrl": merchant.support_url or "",
            "termsUrl": merchant.terms_url or "",
        },
        "amount": str(session.amount),
        "currency": "USD",
        "feePaidBy": _FEE_PAID_BY[session.fee_model],
        "lines": [
            {
                "name": item.product.name if item.product else "",
                "quantity": item.quantity,
                "unitPrice": str(item.unit_price or ""),
            }
            for item in receipt.lines
        ],
        "payments": [_paid(part) for part in receipt.paid],
        "refunds": [_given_back(one) for one in receipt.given_back],
    }


def _paid(part: PaidPart) -> dict[str, Any]:
    return {
        "pays": part.pays,
        "final": part.is_final,
        "given": _amount(part.given),
        "fee": _amount(part.fee),
        "merchantGets": _amount(part.merchant),
        "returned": _amount(part.returned) if part.returned else None,
        "payer": to_checksum(part.payer),
        "recipient": to_checksum(part.recipient),
        "time": unix_seconds(part.at),
        "transaction": _place(part.paid),
        "delivery": _place(part.delivered) if part.delivered else None,
    }


def _given_back(one: GivenBack) -> dict[str, Any]:
    return {
        "refundId": one.refund_id,
        "final": one.is_final,
        "amount": _amount(one.amount),
        "receiver": to_checksum(one.receiver),
        "transaction": _place(one.place),
    }


def _amount(amount: Amount) -> dict[str, Any]:
    asset = amount.money.asset
    return {
        "atomic": str(amount.money.atomic),
        "decimals": asset.decimals,
        "symbol": amount.symbol,
        "token": asset.token_id,
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "network": place.network,
        "chainId": place.chain_id,
        "hash": f"0x{place.tx_hash.hex()}",
        "url": place.url,
    }
