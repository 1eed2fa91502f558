"""Refusals and results in words for the merchant: what happened and what to do."""

from __future__ import annotations

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.roles import Action
from gstable_server.sessions.model import Flag, PaymentState
from gstable_server.sessions.refunds.model import RefundState
from gstable_server.web.dashboard.problems import refusal_words
from gstable_server.web.dashboard.speech import N_, _, ngettext, said

NOT_FOUND = frozenset(
    {
        Code.ACCOUNT_NOT_FOUND,
        Code.ACCOUNT_REMOVED,
        Code.LINK_NOT_FOUND,
        Code.PRODUCT_NOT_FOUND,
        Code.PRODUCT_REMOVED,
        Code.SESSION_NOT_FOUND,
        Code.REFUND_NOT_FOUND,
        Code.INFLOW_NOT_FOUND,
        Code.WEBHOOK_NOT_FOUND,
        Code.EVENT_NOT_FOUND,
        Code.ROUTE_UNKNOWN,
    }
)
GONE = N_(
    "There is no page at this address. What it showed may have been removed, or belongs to another "
    "business of yours. Go to the dashboard and look for it from there."
)
LATER = N_("This server is busy. Nothing was changed; please try again in a moment.")
ELSEWHERE = N_(
    "This did not come from a page of your own dashboard. Nothing was changed. Open the page "
    "again and use its own button."
)
OLD_PAGE = N_(
    "This page was opened before you signed in anew, or for another business. Nothing was changed. "
    "What you typed is there when you go to the dashboard."
)
HAS_OWNER = N_("This installation has an owner already. Sign in instead.")
NOT_YOURS = N_(
    "Your role in this team does not permit it. Ask an owner or admin of the team if you need it."
)
WRONG_PASSWORD = N_("This is not right.")
WRONG_CODE = N_("This code is wrong, or was used before. Wait for the next one.")
WRONG_PASSKEY = N_("This passkey was not accepted. Try again, or use another way.")
KEY_LOST = N_(
    "This server cannot check codes of apps now, because it was started without the key of their "
    "secrets. Use a recovery code, and tell who runs the server."
)
WRONG_LOGIN = N_("The e-mail address or the password is wrong.")
PASSWORDS_DIFFER = N_("The two passwords are not the same.")

OWNERS_ONLY = N_("The role of an owner is given and taken by owners only.")
LAST_OWNER = N_("The role of the last owner stays: make somebody else owner first.")

_WORDS = {
    Code.BODY_TOO_LARGE: N_("This was too much to send. Shorten it and try again."),
    Code.TOO_MANY_REQUESTS: N_(
        "This was asked for too often in a short time. Nothing was changed; wait a minute and "
        "try again."
    ),
}

DONE = {
    "session-cancelled": N_("The session was cancelled. Nobody can pay it any more."),
    "product-created": N_(
        "The product was made. Give it a picture, or make a payment link for it."
    ),
    "product-changed": N_("The product was saved."),
    "picture-saved": N_("The picture was saved. Payers see it from now on."),
    "product-archived": N_("The product is archived. Nobody can buy it any more."),
    "product-unarchived": N_("The product is on sale again."),
    "product-duplicated": N_("This is the copy. Change what is different about it."),
    "product-removed": N_("The product was removed."),
    "link-created": N_("The payment link is ready. Share its address or its QR code."),
    "link-changed": N_("The payment link was saved. Payers see it from now on."),
    "link-disabled": N_("The link is off. Payers read that it is not available at the moment."),
    "link-enabled": N_("The link is on again."),
    "link-archived": N_("The link is closed for good."),
    "session-created": N_("The payment page is ready. Send its address to your payer."),
    "account-created": N_("The account was created."),
    "payout-asked": N_(
        "It is noted, and your team is told. The account can be used once its time is over."
    ),
    "payout-cancelled": N_("It was cancelled. Nothing will be paid to that wallet."),
    "account-renamed": N_("The account has its new name."),
    "capture-asked": N_("The capture is on its way. It counts once it is in a block."),
    "void-asked": N_("The payer gets back what was still held. It counts once it is in a block."),
    "unmatched-accepted": N_("It was accepted."),
    "unmatched-sweep": N_("It is on its way back. It counts once it is in a block."),
    "unmatched-dismissed": N_("It was dismissed."),
    "unmatched-many-accepted": N_("They were accepted."),
    "unmatched-many-sweep": N_("They are on their way back. Each counts once it is in a block."),
    "unmatched-many-dismissed": N_("They were dismissed."),
    "refund-approved": N_("You approved it. The wallet of the account can send it now."),
    "refund-approved-first": N_("You approved it. It needs one more person."),
    "limit-changed": N_("The limit counts from now on, and your team is told."),
    "limit-asked": N_(
        "It is noted, and your team is told. The limit counts once somebody else approves it, or "
        "once its time has come."
    ),
    "limit-cancelled": N_("It was cancelled. The limit stays as it is."),
    "refund-cancelled": N_("The refund was given up. Do not send its transfer any more."),
    "member-changed": N_("The role was changed."),
    "member-removed": N_("They are no longer in the team, and were signed out."),
    "invitation-withdrawn": N_("The invitation was withdrawn. Its link does not work any more."),
    "joined": N_("Welcome to the team."),
    "merchant-created": N_("The business was created. You are looking at it now."),
    "switched": N_("You are looking at this business now."),
    "password-changed": N_("Your password was changed. Your other browsers were signed out."),
    "passkey-added": N_("The passkey was added. You can sign in with it from now on."),
    "passkey-renamed": N_("The passkey has its new name."),
    "passkey-removed": N_("The passkey was removed. It opens nothing any more."),
    "factor-off": N_("No code is asked for any more. Your recovery codes do not work any more."),
    "login-ended": N_("That browser was signed out."),
    "logins-ended": N_("Every other browser was signed out."),
    "branding-saved": N_("It was saved. Payers see it from now on."),
    "webhook-saved": N_("The endpoint was changed."),
    "webhook-enabled": N_("It is told of events again. What was held goes out now."),
    "webhook-disabled": N_("It is told of nothing until you enable it again."),
    "webhook-removed": N_("The endpoint was removed. Nothing is sent to it any more."),
    "event-redelivered": N_("It is sent once more."),
    "range-redelivered": N_("They are sent again, the oldest first."),
    "settings-saved": N_("It was saved."),
    "test-letter-sent": N_("The letter is on its way. Look into your mailbox."),
    "account-archived": N_("The account is archived. Open sessions still pay its address."),
    "account-proven": N_("The wallet signed: it is yours."),
    "key-revoked": N_("The key was revoked. It does not work any more."),
}
"""What a page says after the form before it was done, by the word in its address."""

UNDO = {
    "product-archived": ("unarchive", Action.CATALOG_CHANGE),
    "product-unarchived": ("archive", Action.CATALOG_CHANGE),
    "link-disabled": ("enable", Action.CATALOG_CHANGE),
    "link-enabled": ("disable", Action.CATALOG_CHANGE),
    "webhook-disabled": ("enable", Action.WEBHOOKS_CHANGE),
    "webhook-enabled": ("disable", Action.WEBHOOKS_CHANGE),
}
"""What takes it back, below the page of the same object, where that is possible."""

REASON = N_("Must have at most 500 characters, and none that cannot be shown.")
REFUND_WORDS = {
    RefundState.AWAITING: (
        N_("Somebody else has to approve it"),
        N_(
            "It is more than one person alone may give back. Nothing is to be sent before it is "
            "approved."
        ),
    ),
    RefundState.PREPARED: (
        N_("Your wallet has to send it"),
        N_(
            "Nothing has moved yet. Send exactly the transfer below, once. It is kept for 24 hours."
        ),
    ),
    RefundState.SEEN: (
        N_("On its way"),
        N_("The transfer is on the network. It is not final yet, so it may still be taken back."),
    ),
    RefundState.COMPLETED: (
        N_("Given back"),
        N_("The transfer is final. The money is in the wallet that it was sent to."),
    ),
    RefundState.EXPIRED: (
        N_("Not sent in time"),
        N_(
            "Do not send this transfer any more. If your wallet sent it all the same, it will be "
            "found here; else prepare a new refund."
        ),
    ),
    RefundState.CANCELLED: (
        N_("Given up"),
        N_(
            "Do not send this transfer any more. If your wallet sent it all the same, it will be "
            "found here."
        ),
    ),
}
"""What the page of a refund says of its state: in a few words, and what it means."""

FLAGS = {
    Flag.UNDER: N_("Too little"),
    Flag.OVER: N_("Too much"),
    Flag.LATE: N_("Late"),
    Flag.DUPLICATE: N_("Paid again"),
    Flag.WRONG_TOKEN: N_("Other token"),
    Flag.WRONG_RECIPIENT: N_("Other recipient"),
    Flag.UNMATCHED: N_("No session"),
    Flag.ACCEPTED: N_("Accepted"),
}
PAYMENT_STATES = {
    PaymentState.SEEN: N_("Not final yet"),
    PaymentState.FINAL: N_("Final"),
    PaymentState.REVERTED: N_("Taken back by its chain"),
    PaymentState.LOST: N_("Lost by its chain"),
    PaymentState.RETURNED: N_("Taken back by the payer"),
}


def sentence(text: str) -> str:
    """``must be …`` as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}."


def in_words(refused: Refused) -> str:
    """What to tell the merchant about ``refused``."""
    if refused.code in NOT_FOUND:
        return said(GONE)
    known = _WORDS.get(refused.code)
    return said(known) if known else sentence(refusal_words(refused))


def of_role(refused: Refused) -> str:
    """What is wrong with a role, above the page. Raises any other refusal."""
    if refused.code is not Code.FIELD_INVALID:
        raise refused
    return LAST_OWNER if "last owner" in refused.detail else OWNERS_ONLY


def wait_text(seconds: int) -> str:
    """How long to wait before the next try to sign in."""
    if seconds < 60:
        time = ngettext("%(num)s second", "%(num)s seconds", seconds)
    else:
        time = ngettext("%(num)s minute", "%(num)s minutes", -(-seconds // 60))
    return _("Too many tries to sign in failed. Wait %(time)s, then try again.", time=time)
