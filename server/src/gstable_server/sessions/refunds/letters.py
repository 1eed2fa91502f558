"""What the team is told of a refund that waits for its approval."""

from __future__ import annotations

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import By
from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.notices.operations import Said
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.money import usd_text
from gstable_server.kernel.roles import Action
from gstable_server.kernel.tenant import Tenant
from gstable_server.kernel.words import N_
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds.model import Refund

BY_KEY = N_("An API key of the shop's server")
SUBJECT = N_("%(merchant)s: A refund waits for approval")
WAITING = N_("""%(who)s wants to give %(amount)s USD of %(merchant)s back to

%(receiver)s

That is more than one person alone may give back. Look at it, and approve it if it is right:
%(link)s
""")


async def tell_of_waiting(
    tx: Tx, desk: Desk, tenant: Tenant, refund: Refund, by: By | None
) -> None:
    """A letter to everybody who could approve it."""
    if not desk.sends_mail:
        return
    merchant = await accounts.merchant(tx, tenant.merchant_id)
    members = await team.members_able(tx, tenant.merchant_id, Action.REFUNDS_APPROVE)
    emails = [email for one, email in members.items() if one != refund.prepared_by]
    await notices.write(
        tx,
        emails,
        SUBJECT,
        WAITING,
        who=by.member.email if by else Said(BY_KEY),
        amount=usd_text(refund.amount),
        merchant=merchant.name,
        receiver=to_checksum(refund.terms.receiver),
        link=f"{desk.public_url}/dashboard/{tenant.mode}/refunds/{refund.refund_id}",
    )
