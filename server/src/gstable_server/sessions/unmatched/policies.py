"""Which unusual money a merchant takes without being asked: a pure rule over its policies."""

from __future__ import annotations

from gstable_server.accounts.preferences.model import Policies
from gstable_server.kernel.money import Asset, atomic_rounded_down
from gstable_server.sessions.model import Flag, Payment, Session, SessionState

_FORGIVABLE = frozenset({Flag.LATE, Flag.UNDER, Flag.OVER})


def reason_to_accept(
    policies: Policies, session: Session, payment: Payment, asked: int | None
) -> str | None:
    """Why the payment is accepted, for the record; None where somebody has to look at it.

    ``asked``: the least that an order of the session asked for, in atomic units of what the
    merchant gets, None where none is known. Each thing that is unusual must be one that the
    merchant forgives, and never more than half of what was asked; money for a session that the
    merchant called off never is.
    """
    flags = payment.flags
    if not flags or flags - _FORGIVABLE or session.state is SessionState.CANCELLED:
        return None
    said = []
    if Flag.LATE in flags:
        late = (payment.block_time - session.expires_at).total_seconds()
        if late > policies.late_seconds:
            return None
        said.append(f"{int(late)} s late of at most {policies.late_seconds}")
    if Flag.UNDER in flags:
        if asked is None or payment.settlement_decimals is None:
            return None
        asset = Asset(payment.settlement_token, payment.settlement_decimals)
        short = asked - payment.received
        # However much is forgiven: else what costs no more than that is had for one atomic unit.
        if short > atomic_rounded_down(policies.short, asset).atomic or 2 * short > asked:
            return None
        said.append(f"{short} atomic units short of at most {policies.short} Micro-USD")
    if Flag.OVER in flags:
        if not policies.keeps_surplus:
            return None
        said.append("surplus is kept")
    return f"policy: {', '.join(said)}"
