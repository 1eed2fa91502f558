"""What a team hears by e-mail of its webhooks: where events go is as dangerous as where money goes.

In live mode only, as with receiving accounts: in test mode nothing real is told.
"""

from __future__ import annotations

from gstable_server.accounts.members import team
from gstable_server.accounts.notices import operations as notices
from gstable_server.kernel.roles import Action
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.db import Tx
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.webhooks.model import Endpoint

SUBJECT = "{merchant}: Where events are sent"
CREATED = """{who} has events of {merchant} sent to a further address:

{name}
{address}

If this is not right, remove it, and end the sign-ins of whoever did it:
{link}
"""
MOVED = """{who} has events of {merchant} sent to another address:

{name}
{address}
until now {before}

If this is not right, change it back, and end the sign-ins of whoever did it:
{link}
"""
ROTATED = """{who} replaced the key that signs events of {merchant}:

{name}
{address}

If this is not right, replace it again, and end the sign-ins of whoever did it:
{link}
"""


async def tell(
    tx: Tx, guard: Guard, visit: Visit, text: str, endpoint: Endpoint, before: str = ""
) -> None:
    """Write one of these letters to everybody who may change webhooks; ``before`` is where events
    went."""
    if visit.tenant.mode is not Mode.LIVE or not guard.sends_mail:
        return
    able = await team.members_able(tx, visit.tenant.merchant_id, Action.WEBHOOKS_CHANGE)
    merchant = visit.merchant.name
    body = text.format(
        who=visit.member.email,
        merchant=merchant,
        name=endpoint.target.name,
        address=endpoint.target.url,
        before=before,
        link=f"{guard.payouts.public_url}{visit.base}/webhooks/{endpoint.webhook_id}",
    )
    await notices.write(tx, sorted(able.values()), SUBJECT.format(merchant=merchant), body)
