"""What a merchant does with a payment that is held, on the session's page."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.responses import Response

from gstable_server.accounts.audit.model import Note
from gstable_server.kernel.errors import Code, Refused
from gstable_server.sessions.holds import operations as holds
from gstable_server.sessions.holds.wire import CaptureSession, VoidSession
from gstable_server.web.checkout.amounts import AmountError, parse_usd
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.payments.sessions import HOLD_FORM, Sessions
from gstable_server.web.dashboard.speech import N_

AMOUNT = N_("Must be more than 0.")
HOLD_CODES = {
    Code.CAPTURE_IMPOSSIBLE,
    Code.VOID_IMPOSSIBLE,
    Code.FIELD_INVALID,
    Code.ROUTE_UNAVAILABLE,
}


class Holds:
    """The handlers of capture and void; ``sessions`` shows the page that they are on."""

    def __init__(self, guard: Guard, sessions: Sessions) -> None:
        self.guard = guard
        self.sessions = sessions

    async def capture(self, visit: Visit) -> Response:
        form = HOLD_FORM.filled(visit.entries)
        session_id = visit.request.path_params["session_id"]
        asked = form.value("captureAmount").strip()
        try:
            amount = parse_usd(asked) if asked else None
            request = CaptureSession.model_validate({"sessionId": session_id, "amount": amount})
            note = Note("hold.captured", session_id, after={"amountUsd": asked or "all"})
            await self.guard.do(
                visit, lambda _: note, holds.capture, self.guard.desk, visit.tenant, request
            )
        except AmountError as problem:
            return await self.sessions.show_hold(visit, form.marked("captureAmount", str(problem)))
        except ValidationError:
            return await self.sessions.show_hold(visit, form.marked("captureAmount", AMOUNT))
        except Refused as refused:
            return await self._refused(visit, form, refused)
        return done(visit, f"/sessions/{session_id}", "capture-asked")

    async def void(self, visit: Visit) -> Response:
        session_id = visit.request.path_params["session_id"]
        try:
            request = VoidSession.model_validate({"sessionId": session_id})
            note = Note("hold.voided", session_id)
            await self.guard.do(
                visit, lambda _: note, holds.void, self.guard.desk, visit.tenant, request
            )
        except Refused as refused:
            return await self._refused(visit, HOLD_FORM, refused)
        return done(visit, f"/sessions/{session_id}", "void-asked")

    async def _refused(self, visit: Visit, form: Form, refused: Refused) -> Response:
        if refused.code not in HOLD_CODES:
            raise refused
        return await self.sessions.show_hold(visit, form.refused(refused))
