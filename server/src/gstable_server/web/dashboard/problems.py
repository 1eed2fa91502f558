"""What the slices say is wrong, in the words and the language of whoever reads the console.

The same texts go to programs over the API, in English and never otherwise. So they are found again
here by their form, with what varies in the places ``%(name)s``; a test finds every one of them in
the sources (tests/unit/web/test_console_problems.py). Pure: no input, output or clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gstable_server.kernel.errors import Refused
from gstable_server.web.dashboard.speech import N_, _, said

_PLACE = re.compile(r"%\((\w+)\)s")

PROBLEMS = (
    N_("Write the amount with two figures after the point, like 12.50."),
    N_("Write the amount in figures with a point, like 12.50."),
    N_("Enter an amount above zero."),
    N_("must be an integer"),
    N_("must be a number"),
    N_("must be a string"),
    N_("must be true or false"),
    N_("must be an array"),
    N_("must be an object"),
    N_("must be null"),
    N_("is required"),
    N_("is not a known field"),
    N_("has the wrong form"),
    N_("contains characters that cannot be stored"),
    N_("must not be blank"),
    N_("must have at most %(most)s characters"),
    N_("must have at least %(least)s characters"),
    N_("must have %(least)s to %(most)s characters"),
    N_("must have at most %(most)s items"),
    N_("must have at least %(least)s items"),
    N_("must have %(least)s to %(most)s items"),
    N_("must have at most %(most)s keys"),
    N_("must have at most %(most)s bytes"),
    N_("must have %(least)s to %(most)s bytes"),
    N_("must have at most %(most)s MB"),
    N_("must have at most %(most)s pixels"),
    N_("must have at least one"),
    N_("must be between 0 and 100 USD"),
    N_("must be between 0 and 7 days"),
    N_("must be between %(least)s and %(most)s Micro-USD"),
    N_("must be between %(least)s and %(most)s in a fixed link"),
    N_("must be between %(least)s and %(most)s, as adjustableQuantity says"),
    N_("must be between %(least)s and %(most)s seconds ahead, in Unix seconds"),
    N_("must be between %(least)s and %(most)s"),
    N_("must be at least %(least)s"),
    N_("must be at most 1,000,000 USD"),
    N_("must be at most %(most)s sites"),
    N_("must be at most %(most)s"),
    N_("must be more than %(bound)s"),
    N_("must be less than %(bound)s"),
    N_("must be above the minimum"),
    N_("must come to at most %(most)s Micro-USD"),
    N_("must total at most %(most)s Micro-USD"),
    N_("must be one of those that are offered"),
    N_("must be of the kinds that are offered"),
    N_("must be one of %(choices)s"),
    N_("must be a whole number between 1 and %(most)s"),
    N_("must be a whole number"),
    N_("must be an e-mail address"),
    N_("must be a language tag like pt-BR"),
    N_("must be a colour like #0a6b58"),
    N_("must be square, soft or round"),
    N_("must be a PNG, JPEG or WebP picture"),
    N_("must be chosen first"),
    N_("must be chosen from your products"),
    N_("must be a product, or say in words what is paid for"),
    N_("has more lines than this form can show: change it by the API"),
    N_("must start with https://"),
    N_("must be like https://shop.example"),
    N_("must be the beginning of an address only, like https://shop.example"),
    N_("must name a host, like https://shop.example"),
    N_("must name a public host"),
    N_("must be an absolute https URL in ASCII"),
    N_("must be an absolute https URL"),
    N_("must not carry a user name or password"),
    N_("must not have a fragment"),
    N_("must use port 443 or 8443"),
    N_("%(ip)s is not a public address"),
    N_("must be IP addresses or networks like 203.0.113.0/24"),
    N_("must be 0x followed by 40 hexadecimal digits"),
    N_("must be 0x and hexadecimal digits"),
    N_("has a wrong checksum (EIP-55): check it for a mistyped character"),
    N_("must not be a token's or the router's contract"),
    N_("must not be an address that nobody holds"),
    N_("must not be the zero address"),
    N_("must be a wallet of the payer"),
    N_("must be somebody's wallet, not a contract of the payment"),
    N_("must not be the wallet that gives the money back"),
    N_("must be dollars with a point, like 0.50"),
    N_("must be minutes, from 0 to %(most)s"),
    N_("must be a day and a time"),
    N_("must be after the beginning"),
    N_("must be an active webhook"),
    N_("is not a known event type"),
    N_("must not name an event type twice"),
    N_("must be user_priced in a custom link"),
    N_("must be product in a fixed link"),
    N_("must be left out in a custom link"),
    N_("must be left out or 0 in a custom link"),
    N_("is for links with a custom amount, and needed there"),
    N_("were changed since; read the link again"),
    N_("cannot be manual for %(token)s"),
    N_("cannot be manual: this server sends no captures"),
    N_("is finer than the %(decimals)s decimals of the token"),
    N_("is so small that the fee would be all of it"),
    N_("is required: the payer paid on another network, ask which wallet to refund"),
    N_("is required: there is more than one payment, %(ids)s"),
    N_("is required: what paid is no wallet that the payer named, ask for one"),
    N_("names no payment of this session"),
    N_("cannot be checked: begin again"),
    N_("is asked for already: turn it off first"),
    N_("is not the one that the app shows now"),
    N_("needs GSTABLE_SECRETS_KEY: ask who runs this server to set it"),
    N_("exists already: sign in"),
    N_("came too late: begin again"),
    N_("is kept already"),
    N_("is not what this server asked for: begin again"),
    N_("is one too many: %(most)s are kept"),
    N_("is one too many: %(most)s invitations are open"),
    N_("is one too many: %(most)s are waiting"),
    N_("belongs to a member of this team already"),
    N_("of an owner is given and taken by owners only"),
    N_("of the last owner stays: make somebody else owner first"),
    N_("is not the message that was to be signed"),
    N_("has a time that is none"),
    N_("has a time without its zone"),
    N_("has another nonce"),
    N_("has expired"),
    N_("is for another chain"),
    N_("is for another site"),
    N_("is for another wallet"),
    N_("is approved by owners and admins of the team only"),
    N_("needs somebody else: you asked for it yourself"),
    N_("was asked for by somebody who may no longer change it: ask for it anew"),
    N_("is approved by owners, admins and finance of the team only"),
    N_("is yours already: it needs somebody else"),
    N_("needs somebody else: you prepared this refund yourself"),
    N_("waits for nobody's approval"),
    N_("was for other terms: look at the refund again"),
    N_("is at a contract of ours, of which no function gives it out"),
    N_("is at the session's deposit address, not in the merchant's wallet"),
    N_("is not at a deposit address"),
    N_("is on its way back"),
    N_("goes back, or went back in part"),
    N_("was given back"),
    N_("went to a wallet that is no merchant's here"),
    N_("belongs to no session: only the wallet's owner can send it back"),
    N_("can go back only after %(time)s UTC"),
    N_("has left its chain: there is nothing to decide about"),
    N_("is being refunded or returned already"),
    N_("is waited for: its session may still take it"),
    N_("is dismissed"),
    N_("is resolved"),
    N_("is not final yet"),
    N_("went back to its payer"),
    N_("went to another wallet"),
    N_("its money is not in the merchant's wallet"),
    N_("a payment link references it"),
    N_("a merchant has at most %(most)s"),
    N_("at most %(most)s webhooks"),
    N_("its time is over"),
    N_("it is not this wallet's over this message"),
    N_("none of the networks that the merchant accepts can pay that"),
    N_("this server sends no transactions: send the call that is shown with any wallet"),
    N_("this server cannot send it; the merchant's own wallet can"),
    N_("the form could not be read"),
    N_("must be '%(choices)s'"),
    N_("no node says whether the wallet's contract signed"),
    N_("must be test or live"),
    N_("must be write, read or limited"),
    N_("must be chosen for one kind at least"),
)
"""What stands behind the name of a field, or of what is refused."""

REWORDED: Mapping[str, str] = {
    "sessionId names a session of which nothing remains to be given back": N_(
        "nothing remains to be given back"
    ),
    "sessionId names a session without a payment": N_("the session has no payment"),
    "sessionId names a session that nobody has authorized": N_(
        "nobody has authorized a payment of the session"
    ),
    "sessionId names a session that could be captured before %(time)s": N_(
        "it could be captured before %(time)s"
    ),
    "sessionId names a session that is being voided": N_("what is held is being given back"),
    "sessionId names a session of which nothing is held any more": N_("nothing is held any more"),
    "sessionId names a session of which a capture is on its way": N_("a capture is on its way"),
    "sessionId names a session of which nothing remains to be captured": N_(
        "nothing remains to be captured"
    ),
    "sessionId names a session that is captured with its payment": N_("the payment was not held"),
    "refundId names a refund whose transfer is on the chain": N_(
        "its transfer is on the network already"
    ),
    "refundId names a refund that waits for nobody's approval": N_(
        "it waits for nobody's approval"
    ),
    "refundId names a refund that is completed": N_("it is completed"),
    "refundId names a refund that is expired": N_("its time is over"),
    "refundId names a refund that is cancelled": N_("it was given up"),
    "%(field)s names a payment that is not final yet": N_("the payment is not final yet"),
    "%(field)s names a payment that went back to its payer": N_(
        "the payment went back to its payer"
    ),
    "%(field)s names a payment that went to another wallet": N_(
        "the payment went to another wallet"
    ),
    "%(field)s names a payment whose money is not in the merchant's wallet": N_(
        "its money is not in your wallet"
    ),
    "paymentId names a payment in a token that is not configured": N_(
        "its token is not configured on this server"
    ),
    "paymentId names a payment of which nothing remains": N_("nothing remains of the payment"),
    "amount is more than remains: %(most)s (%(dollars)s USD)": N_("only %(dollars)s USD remain"),
    "amount must be between %(least)s and %(most)s Micro-USD": N_(
        "the amount must be between %(least)s and %(most)s Micro-USD"
    ),
    "amount is too fine for %(decimals)s": N_("the amount is too fine for %(decimals)s"),
    "tokenId %(token)s cannot pay for this session": N_("%(token)s cannot pay for it"),
    "approval is approved by owners, admins and finance of the team only": N_(
        "only owners, admins and finance of the team approve"
    ),
    "approval is yours already: it needs somebody else": N_(
        "you approved it already: it needs somebody else"
    ),
    "approval needs somebody else: you prepared this refund yourself": N_(
        "it needs somebody else: you prepared this refund yourself"
    ),
    "approval waits for nobody's approval": N_("it waits for nobody's approval"),
    "approval was for other terms: look at the refund again": N_(
        "your approval was for other terms: look at the refund again"
    ),
    "%(act)s of %(inflow)s: it %(problem)s": N_("it %(problem)s"),
}
"""What names fields of the API, in words that people need no reference for."""


def _form_of(text: str) -> re.Pattern[str]:
    """What a problem of that form looks like, with what varies in it."""
    parts = _PLACE.split(text)
    return re.compile(
        "".join(f"(?P<{part}>.+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)),
        re.DOTALL,
    )


def _literal(text: str) -> int:
    return len(_PLACE.sub("", text))


# What says most of itself comes first: "must be one of those" before "must be one of ...".
_FORMS = tuple(
    (_form_of(text), words)
    for text, words in sorted(
        {**{text: text for text in PROBLEMS}, **REWORDED}.items(), key=lambda one: -_literal(one[0])
    )
)


def problem_words(problem: str) -> str:
    """``must be ...`` in the reader's language; as it is where nothing is known of its form."""
    for form, words in _FORMS:
        found = form.fullmatch(problem)
        if found is not None:
            places = set(_PLACE.findall(words))
            values = {name: text for name, text in found.groupdict().items() if name in places}
            if "problem" in values:
                values["problem"] = problem_words(values["problem"])
            return _(words, **values)
    return problem


def refusal_words(refused: Refused) -> str:
    """All that a refusal says: what is refused, and why, with the field that it is about."""
    return told_words(refused.code.message, refused.detail)


def told_words(message: str, detail: str) -> str:
    """The same of what a program was told: the code's message and what stood behind it."""
    words = problem_words(detail)
    if words == detail:
        field, space, problem = detail.partition(" ")
        words = f"{field}{space}{problem_words(problem)}"
    return ": ".join(part for part in (said(message), words) if part)
