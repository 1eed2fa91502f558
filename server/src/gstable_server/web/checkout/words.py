"""Refusals in words for a payer: what happened and what to do, without a code."""

from __future__ import annotations

from gstable_server.kernel.errors import Code, Refused
from gstable_server.web.language import N_, Words

_ASK_AGAIN = N_("This could not be done. Reload this page and try again.")
_PAID = N_("This payment has already been made. Do not pay again.")
_OFF_SALE = N_("This is not on sale any more. Please contact the merchant.")
_PART_OFF_SALE = N_("A part of this order is not on sale. Please contact the merchant.")
_NO_RECEIVER = N_("The merchant cannot receive payments here now. Please contact the merchant.")

WORDS: dict[Code, str] = {
    Code.LINK_NOT_FOUND: N_(
        "There is no payment page at this address. Check the link you were given."
    ),
    Code.LINK_ARCHIVED: N_(
        "This payment page has been closed for good. Please contact the merchant."
    ),
    Code.LINK_NOT_ACTIVE: N_(
        "This payment page is switched off at the moment. Please contact the merchant."
    ),
    Code.SESSION_NOT_FOUND: N_(
        "There is no payment at this address. Check the link you were given, or start again "
        "from the shop."
    ),
    Code.SESSION_CLIENT_KEY_INVALID: N_("This page is out of date. Reload it and try again."),
    Code.SESSION_EXPIRED: N_("The time for this payment is over. Start a new payment."),
    Code.SESSION_PAID: _PAID,
    Code.SESSION_SETTLING: _PAID,
    Code.SESSION_CANCELLED: N_("The merchant has withdrawn this payment. Please do not pay."),
    Code.SESSION_NOT_PAYABLE: N_(
        "This payment cannot be made any more. Please contact the merchant."
    ),
    Code.SESSION_PAYER_MISMATCH: N_("This payment was opened for another wallet or token."),
    Code.PRODUCT_NOT_FOUND: _OFF_SALE,
    Code.PRODUCT_PARTIAL_MISSING: _PART_OFF_SALE,
    Code.PRODUCT_PARTIALLY_UNAVAILABLE: _PART_OFF_SALE,
    Code.PRODUCT_NOT_ACTIVE: _OFF_SALE,
    Code.PRODUCT_REMOVED: _OFF_SALE,
    Code.ACCOUNT_NOT_FOUND: _NO_RECEIVER,
    Code.ACCOUNT_REMOVED: _NO_RECEIVER,
    Code.CURRENCY_UNSUPPORTED: _NO_RECEIVER,
    Code.CHANNEL_UNSUPPORTED: N_("This token cannot be used here. Choose another one."),
    Code.VALUE_OUT_OF_RANGE: N_("This amount is too small or too large to be paid here."),
    Code.ROUTE_UNAVAILABLE: N_(
        "This way to pay is not available now. Choose another or wait a bit."
    ),
    Code.TOO_MANY_REQUESTS: N_("Too many requests from your network. Wait a moment and try again."),
    Code.BODY_TOO_LARGE: _ASK_AGAIN,
}

_REFUND_TO = (
    (
        "checksum",
        N_("Your address for returns has a wrong checksum: look for a mistyped character."),
    ),
    ("wallet of the payer", N_("Your address for returns must be a wallet of your own.")),
    (
        "chosen for this session already",
        N_("Another address for returns was chosen for this payment already."),
    ),
    ("", N_("Your address for returns must be 0x and 40 more characters.")),
)
"""What is wrong with it, by a part of what the refusal says."""


def in_words(refused: Refused, words: Words) -> str:
    """What to tell the payer about ``refused``."""
    if refused.field == "payerEmail":
        return words.gettext(N_("Enter your e-mail address, like name@example.com."))
    if refused.field == "refundTo":
        said = (text for part, text in _REFUND_TO if part in refused.detail)
        return words.gettext(next(said))
    return words.gettext(WORDS.get(refused.code, _ASK_AGAIN))
