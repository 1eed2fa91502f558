"""Refusals in words for a payer: what happened and what to do, without a code."""

from __future__ import annotations

from gstable_server.kernel.errors import Code, Refused

_ASK_AGAIN = "Reload this page and try again."
_SHOP = "Please contact the merchant."

WORDS: dict[Code, str] = {
    Code.LINK_NOT_FOUND: "There is no payment page at this address. Check the link you were given.",
    Code.LINK_ARCHIVED: f"This payment page has been closed for good. {_SHOP}",
    Code.LINK_NOT_ACTIVE: f"This payment page is switched off at the moment. {_SHOP}",
    Code.SESSION_NOT_FOUND: (
        "There is no payment at this address. Check the link you were given, or start again "
        "from the shop."
    ),
    Code.SESSION_CLIENT_KEY_INVALID: f"This page is out of date. {_ASK_AGAIN}",
    Code.SESSION_EXPIRED: "The time for this payment is over. Start a new payment.",
    Code.SESSION_PAID: "This payment has already been made. Do not pay again.",
    Code.SESSION_SETTLING: "This payment has already been made. Do not pay again.",
    Code.SESSION_CANCELLED: f"The merchant has withdrawn this payment. {_SHOP}",
    Code.SESSION_NOT_PAYABLE: f"This payment cannot be made any more. {_SHOP}",
    Code.SESSION_PAYER_MISMATCH: "This payment was opened for another wallet or token.",
    Code.PRODUCT_NOT_FOUND: f"This is not on sale any more. {_SHOP}",
    Code.PRODUCT_PARTIAL_MISSING: f"A part of this order is not on sale any more. {_SHOP}",
    Code.PRODUCT_PARTIALLY_UNAVAILABLE: f"A part of this order is not on sale now. {_SHOP}",
    Code.PRODUCT_NOT_ACTIVE: f"This is not on sale at the moment. {_SHOP}",
    Code.PRODUCT_REMOVED: f"This is not on sale any more. {_SHOP}",
    Code.ACCOUNT_NOT_FOUND: f"The merchant cannot receive payments here now. {_SHOP}",
    Code.ACCOUNT_REMOVED: f"The merchant cannot receive payments here now. {_SHOP}",
    Code.CURRENCY_UNSUPPORTED: f"The merchant cannot receive payments here now. {_SHOP}",
    Code.CHANNEL_UNSUPPORTED: "This token cannot be used here. Choose another one.",
    Code.VALUE_OUT_OF_RANGE: "This amount is too small or too large to be paid here.",
    Code.ROUTE_UNAVAILABLE: "This way to pay is not available now. Choose another or wait a bit.",
    Code.TOO_MANY_REQUESTS: "Too many requests from your network. Wait a moment and try again.",
    Code.BODY_TOO_LARGE: f"This was too much to send. {_ASK_AGAIN}",
}


def in_words(refused: Refused) -> str:
    """What to tell the payer about ``refused``."""
    if refused.code is Code.FIELD_INVALID and refused.detail.startswith("payerEmail"):
        return "Enter your e-mail address, like name@example.com."
    if refused.code is Code.FIELD_INVALID and refused.detail.startswith("refundTo"):
        return f"Your address for returns {refused.detail.removeprefix('refundTo ')}."
    return WORDS.get(refused.code, f"This could not be done. {_ASK_AGAIN}")
