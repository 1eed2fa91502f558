"""Every address of the dashboard (spec 12 and 15).

Pages of a mode have it in their address, so a form that was opened in test mode cannot act in
live mode, whatever another tab shows.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gstable_server.plumbing.db import Database
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import Pages
from gstable_server.web.dashboard.branding import UPLOAD_BYTES_MAX, BrandingPage
from gstable_server.web.dashboard.doors import SETUP, Doors
from gstable_server.web.dashboard.guard import HOME, LOGIN, Guard, Handler, VisitHandler
from gstable_server.web.dashboard.holds import Holds
from gstable_server.web.dashboard.lists import Lists
from gstable_server.web.dashboard.refunds import Sessions
from gstable_server.web.dashboard.settings import Accounts, Keys
from gstable_server.web.dashboard.unmatched import Unmatched

IN_MODE = f"{HOME}/{{mode}}"


def routes(db: Database, desk: Desk, pages: Pages) -> list[BaseRoute]:
    """What answers below ``/dashboard``."""
    guard = Guard(db, desk, pages)
    doors, lists, accounts, keys = Doors(guard), Lists(guard), Accounts(guard), Keys(guard)
    sessions = Sessions(guard)
    holds = Holds(guard, sessions)
    unmatched = Unmatched(guard)
    branding = BrandingPage(guard)

    async def missing(_request: Request) -> Response:
        return guard.missing()

    def look(path: str, handler: VisitHandler) -> Route:
        return _get(IN_MODE + path, guard.look(handler))

    def act(path: str, handler: VisitHandler) -> Route:
        return _post(IN_MODE + path, guard.act(handler))

    return [
        _get(HOME, guard.door(doors.home)),
        _get(f"{HOME}/", guard.door(doors.home)),
        _get(SETUP, guard.door(doors.setup)),
        _post(SETUP, guard.door(doors.register)),
        _get(LOGIN, guard.door(doors.login_page)),
        _post(LOGIN, guard.door(doors.login)),
        _post(f"{HOME}/logout", guard.act(doors.logout)),
        look("", lists.overview),
        look("/sessions", lists.sessions),
        look("/sessions/{session_id}", sessions.show),
        act("/sessions/{session_id}/refunds", sessions.prepare_refund),
        act("/sessions/{session_id}/capture", holds.capture),
        act("/sessions/{session_id}/void", holds.void),
        look("/refunds/{refund_id}", sessions.refund),
        look("/refunds/{refund_id}/status", sessions.refund_status),
        act("/refunds/{refund_id}/cancel", sessions.cancel_refund),
        look("/unusual", unmatched.list),
        look("/unusual/{inflow_id}", unmatched.show),
        look("/unusual/{inflow_id}/{act}", unmatched.confirm),
        act("/unusual/{inflow_id}/{act}", unmatched.act),
        look("/links", lists.links),
        look("/products", lists.products),
        look("/accounts", accounts.list),
        act("/accounts", accounts.create),
        look("/accounts/{account_id}", accounts.detail),
        act("/accounts/{account_id}", accounts.rename),
        look("/accounts/{account_id}/remove", accounts.confirm_removal),
        act("/accounts/{account_id}/remove", accounts.remove),
        look("/branding", branding.show),
        _post(f"{IN_MODE}/branding", guard.upload(branding.save, UPLOAD_BYTES_MAX)),
        look("/keys", keys.list),
        act("/keys", keys.create),
        look("/keys/{key_id}/revoke", keys.confirm_revocation),
        act("/keys/{key_id}/revoke", keys.revoke),
        Route(f"{HOME}/{{rest:path}}", missing, methods=["GET", "POST"]),
    ]


def _get(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["GET"])


def _post(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["POST"])
