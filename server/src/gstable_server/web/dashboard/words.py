"""Refusals and results in words for the merchant: what happened and what to do."""

from __future__ import annotations

from gstable_server.kernel.errors import Code, Refused
from gstable_server.sessions.model import Flag, PaymentState

NOT_FOUND = frozenset(
    {
        Code.ACCOUNT_NOT_FOUND,
        Code.ACCOUNT_REMOVED,
        Code.SESSION_NOT_FOUND,
        Code.ROUTE_UNKNOWN,
    }
)
GONE = "There is no page at this address. What it showed may have been removed."
LATER = "This server is busy. Nothing was changed; please try again in a moment."
ELSEWHERE = (
    "This did not come from a page of your own dashboard. Nothing was changed. Open the page "
    "again and use its own button."
)
HAS_OWNER = "This installation has an owner already. Sign in instead."
WRONG_LOGIN = "The e-mail address or the password is wrong."
PASSWORDS_DIFFER = "The two passwords are not the same."

_WORDS = {
    Code.BODY_TOO_LARGE: "This was too much to send. Shorten it and try again.",
}

DONE = {
    "account-created": "The account was created.",
    "account-renamed": "The account has its new name.",
    "account-removed": "The account was removed. Open sessions still pay its address.",
    "key-revoked": "The key was revoked. It does not work any more.",
}
"""What a page says after the form before it was done, by the word in its address."""

FLAGS = {
    Flag.UNDER: "Too little",
    Flag.OVER: "Too much",
    Flag.LATE: "Late",
    Flag.DUPLICATE: "Paid again",
    Flag.WRONG_TOKEN: "Other token",
    Flag.WRONG_RECIPIENT: "Other recipient",
    Flag.UNMATCHED: "No session",
}
PAYMENT_STATES = {
    PaymentState.SEEN: "Not final yet",
    PaymentState.FINAL: "Final",
    PaymentState.REVERTED: "Taken back by its chain",
    PaymentState.LOST: "Lost by its chain",
    PaymentState.RETURNED: "Taken back by the payer",
}


def sentence(text: str) -> str:
    """``must be …`` as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}."


def in_words(refused: Refused) -> str:
    """What to tell the merchant about ``refused``."""
    if refused.code in NOT_FOUND:
        return GONE
    return _WORDS.get(refused.code, sentence(refused.message))


def wait_text(seconds: int) -> str:
    """How long to wait before the next try to sign in."""
    if seconds < 60:
        time = "1 second" if seconds == 1 else f"{seconds} seconds"
    else:
        minutes = -(-seconds // 60)
        time = "1 minute" if minutes == 1 else f"{minutes} minutes"
    return f"Too many tries to sign in failed. Wait {time}, then try again."
