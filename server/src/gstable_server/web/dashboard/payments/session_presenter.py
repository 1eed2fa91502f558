"""What the list of sessions shows of each; no input, output or clock."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.chain.networks import Networks
from gstable_server.kernel.money import Money
from gstable_server.sessions.model import Payment, SessionState, SessionView
from gstable_server.web.dashboard.presenter import SessionRow, session_row
from gstable_server.web.dashboard.speech import _, token


@dataclass(frozen=True, slots=True)
class ListedSession:
    """``final`` is the merchant's for good; ``unfinal`` is what a reorganisation can still undo.
    They stand in columns of their own and are never added up."""

    row: SessionRow
    final: str
    unfinal: str


def listed(view: SessionView, networks: Networks) -> ListedSession:
    final = unfinal = ""
    payment = view.payment
    if payment is not None:
        if view.session.state is SessionState.COMPLETED:
            final = settled_text(view, payment, payment.received, networks)
        else:
            amount = payment.received or payment.promised
            unfinal = settled_text(view, payment, amount, networks)
    return ListedSession(session_row(view), final, unfinal)


def settled_text(view: SessionView, payment: Payment, atomic: int, networks: Networks) -> str:
    """An amount of the token that the merchant gets."""
    known = networks.find_token(payment.settlement_token, view.session.tenant.mode)
    if known is None:
        return _("%(number)s atomic units", number=atomic)
    return token(Money(atomic, known.asset), known.symbol)
