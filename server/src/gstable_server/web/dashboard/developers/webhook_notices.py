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
from gstable_server.web.dashboard.speech import N_
from gstable_server.webhooks.model import Endpoint

SUBJECT = N_("%(merchant)s: Where events are sent")
CREATED = N_("""%(who)s has events of %(merchant)s sent to a further address:

%(name)s
%(address)s

If this is not right, remove it, and end the sign-ins of whoever did it:
%(link)s
""")
MOVED = N_("""%(who)s has events of %(merchant)s sent to another address:

%(name)s
%(address)s
until now %(before)s

If this is not right, change it back, and end the sign-ins of whoever did it:
%(link)s
""")
ROTATED = N_("""%(who)s replaced the key that signs events of %(merchant)s:

%(name)s
%(address)s

If this is not right, replace it again, and end the sign-ins of whoever did it:
%(link)s
""")


async def tell(
    tx: Tx, guard: Guard, visit: Visit, text: str, endpoint: Endpoint, before: str = ""
) -> None:
    """Write one of these letters to everybody who may change webhooks; ``before`` is where events
    went."""
    if visit.tenant.mode is not Mode.LIVE or not guard.sends_mail:
        return
    able = await team.members_able(tx, visit.tenant.merchant_id, Action.WEBHOOKS_CHANGE)
    await notices.write(
        tx,
        sorted(able.values()),
        SUBJECT,
        text,
        who=visit.member.email,
        merchant=visit.merchant.name,
        name=endpoint.target.name,
        address=endpoint.target.url,
        before=before,
        link=f"{guard.payouts.public_url}{visit.base}/webhooks/{endpoint.webhook_id}",
    )
