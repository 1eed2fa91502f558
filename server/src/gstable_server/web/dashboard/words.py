"""Refusals and results in words for the merchant: what happened and what to do."""

from __future__ import annotations

from gstable_server.kernel.errors import Code, Refused
from gstable_server.sessions.model import Flag, PaymentState
from gstable_server.sessions.refunds.model import RefundState

NOT_FOUND = frozenset(
    {
        Code.ACCOUNT_NOT_FOUND,
        Code.ACCOUNT_REMOVED,
        Code.SESSION_NOT_FOUND,
        Code.REFUND_NOT_FOUND,
        Code.INFLOW_NOT_FOUND,
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
NOT_YOURS = (
    "Your role in this team does not permit it. Ask an owner or admin of the team if you need it."
)
WRONG_PASSWORD = "This is not right."  # noqa: S105
WRONG_CODE = "This code is wrong, or was used before. Wait for the next one."
WRONG_LOGIN = "The e-mail address or the password is wrong."
PASSWORDS_DIFFER = "The two passwords are not the same."

_WORDS = {
    Code.BODY_TOO_LARGE: "This was too much to send. Shorten it and try again.",
}

DONE = {
    "account-created": "The account was created.",
    "payout-asked": (
        "It is noted, and your team is told. The account can be used once its time is over."
    ),
    "payout-cancelled": "It was cancelled. Nothing will be paid to that wallet.",
    "account-renamed": "The account has its new name.",
    "account-removed": "The account was removed. Open sessions still pay its address.",
    "capture-asked": "The capture is on its way. It counts once it is in a block.",
    "void-asked": "The payer gets back what was still held. It counts once it is in a block.",
    "unmatched-accepted": "It was accepted.",
    "unmatched-sweep": "It is on its way back. It counts once it is in a block.",
    "unmatched-dismissed": "It was dismissed.",
    "refund-cancelled": "The refund was given up. Do not send its transfer any more.",
    "member-changed": "The role was changed.",
    "member-removed": "They are no longer in the team, and were signed out.",
    "invitation-withdrawn": "The invitation was withdrawn. Its link does not work any more.",
    "joined": "Welcome to the team.",
    "merchant-created": "The business was created. You are looking at it now.",
    "switched": "You are looking at this business now.",
    "password-changed": "Your password was changed. Your other browsers were signed out.",
    "factor-off": "No code is asked for any more. Your recovery codes do not work any more.",
    "login-ended": "That browser was signed out.",
    "logins-ended": "Every other browser was signed out.",
    "branding-saved": "It was saved. Payers see it from now on.",
    "key-revoked": "The key was revoked. It does not work any more.",
}
"""What a page says after the form before it was done, by the word in its address."""

REASON = "Must have at most 500 characters, and none that cannot be shown."
REFUND_WORDS = {
    RefundState.PREPARED: (
        "Your wallet has to send it",
        "Nothing has moved yet. Send exactly the transfer below, once. It is kept for 24 hours.",
    ),
    RefundState.SEEN: (
        "On its way",
        "The transfer is on the network. It is not final yet, so it may still be taken back.",
    ),
    RefundState.COMPLETED: (
        "Given back",
        "The transfer is final. The money is in the wallet that it was sent to.",
    ),
    RefundState.EXPIRED: (
        "Not sent in time",
        "Do not send this transfer any more. If your wallet sent it all the same, it will be "
        "found here; else prepare a new refund.",
    ),
    RefundState.CANCELLED: (
        "Given up",
        "Do not send this transfer any more. If your wallet sent it all the same, it will be "
        "found here.",
    ),
}
"""What the page of a refund says of its state: in a few words, and what it means."""

FLAGS = {
    Flag.UNDER: "Too little",
    Flag.OVER: "Too much",
    Flag.LATE: "Late",
    Flag.DUPLICATE: "Paid again",
    Flag.WRONG_TOKEN: "Other token",
    Flag.WRONG_RECIPIENT: "Other recipient",
    Flag.UNMATCHED: "No session",
    Flag.ACCEPTED: "Accepted",
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
