"""Every address of the dashboard (spec 12 and 15).

Pages of a mode have it in their address, so a form that was opened in test mode cannot act in
live mode, whatever another tab shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Database
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import Pages
from gstable_server.web.dashboard.catalog.places import catalog
from gstable_server.web.dashboard.developers.places import developers
from gstable_server.web.dashboard.guard import (
    HOME,
    NO_CHAINS,
    PAYOUT_DELAY,
    PLAIN,
    Guard,
    SignIn,
)
from gstable_server.web.dashboard.live import LivePages
from gstable_server.web.dashboard.overview import Overview
from gstable_server.web.dashboard.payments.places import payments
from gstable_server.web.dashboard.people.places import doors, people
from gstable_server.web.dashboard.place import Place, Rows
from gstable_server.web.dashboard.settings.places import settings
from gstable_server.web.news import MerchantNews


def routes(
    db: Database,
    desk: Desk,
    pages: Pages,
    *,
    sends_mail: bool = False,
    payout_delay: timedelta = PAYOUT_DELAY,
    news: MerchantNews | None = None,
    sign_in: SignIn = PLAIN,
    chains: Mapping[str, Rpc] = NO_CHAINS,
) -> list[BaseRoute]:
    """What answers below ``/dashboard``."""
    guard = Guard(
        db,
        desk,
        pages,
        sends_mail=sends_mail,
        payout_delay=payout_delay,
        news=news,
        sign_in=sign_in,
        chains=chains,
    )

    async def missing(_request: Request) -> Response:
        return guard.missing()

    return [
        *(Route(one.path, one.handler, methods=[one.method]) for one in places(guard)),
        Route(f"{HOME}/{{rest:path}}", missing, methods=["GET", "POST"]),
    ]


def places(guard: Guard) -> list[Place]:
    """Everything that can be asked of the dashboard, with what a role must permit for it."""
    rows = Rows(guard)
    return [
        *doors(rows),
        rows.look("", Action.OVERVIEW_READ, Overview(guard).show),
        rows.look("/live", Action.SESSIONS_READ, LivePages(guard).stream),
        *catalog(rows),
        *payments(rows),
        *settings(rows),
        *developers(rows),
        *people(rows),
    ]
