"""x402 over HTTP: a link's and a session's address that answer 402 until they are paid.

Anybody may ask, from any page: nothing here acts for a signed-in person, and what is paid is proven
by the payer's signature alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gstable_server.accounts import operations as accounts
from gstable_server.agents.x402 import operations, wire
from gstable_server.agents.x402.model import (
    Offer,
    Progress,
    Reason,
    Rejected,
    Resource,
    Standing,
)
from gstable_server.agents.x402.operations import Till
from gstable_server.chain.checksum import address_from_text
from gstable_server.kernel.errors import Code, Passing, Refused, invalid_field
from gstable_server.kernel.fields import TOTAL_MAX
from gstable_server.kernel.ids import LinkId, id_or_none
from gstable_server.kernel.money import MicroUsd
from gstable_server.plumbing.client_address import client_address
from gstable_server.plumbing.json_text import encode_json
from gstable_server.plumbing.limits import RateLimiter, address_subject
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import Announced

SIGNATURE = "payment-signature"
PAYMENTS_PER_SECOND = 5
PAYMENTS_AT_ONCE = 50
"""Signed payments of one client address: each is several questions to a node. Not of one payer,
whom anybody can name."""

_ALLOWED = "GET, OPTIONS"
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "PAYMENT-REQUIRED, PAYMENT-RESPONSE, Retry-After",
}
_PREFLIGHT = {
    **_HEADERS,
    "access-control-allow-methods": _ALLOWED,
    "access-control-allow-headers": "PAYMENT-SIGNATURE, Access-Control-Expose-Headers",
    "access-control-max-age": "600",
}
_STATUS = {
    Code.LINK_NOT_FOUND: 404,
    Code.SESSION_NOT_FOUND: 404,
    Code.LINK_ARCHIVED: 410,
    Code.SESSION_EXPIRED: 410,
    Code.SESSION_CANCELLED: 410,
    Code.FIELD_INVALID: 400,
    Code.TOO_MANY_REQUESTS: 429,
}
_ASK = "PAYMENT-SIGNATURE header is required"


def routes(till: Till) -> list[BaseRoute]:
    """The x402 addresses of links and sessions."""
    door = _Door(till)
    paths = {"/x402/link/{link_id}": door.link, "/x402/session/{session_id}": door.session}
    return [Route(path, handler, methods=["GET", "OPTIONS"]) for path, handler in paths.items()]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request: what for, and under which address it is known."""

    resource: Resource
    url: str
    address: str


class _Door:
    """The handlers, with what they work on."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self._limiter = RateLimiter(PAYMENTS_PER_SECOND, PAYMENTS_AT_ONCE)

    async def link(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        try:
            link_id = id_or_none(LinkId, request.path_params["link_id"])
            if link_id is None:
                raise Refused(Code.LINK_NOT_FOUND)
            amount = _amount(request.query_params.get("amount"))
            resource = Resource(link_id=link_id, amount=amount, **_said(request))
            return await self._answer(request, resource)
        except (Refused, Passing) as trouble:
            return _failed(trouble)

    async def session(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        try:
            session_id = sessions.session_id_of(request.path_params["session_id"])
            return await self._answer(request, Resource(session_id=session_id, **_said(request)))
        except (Refused, Passing) as trouble:
            return _failed(trouble)

    async def _answer(self, request: Request, resource: Resource) -> Response:
        # The path only: what else the buyer says is not for those who read headers.
        url = self._till.desk.public_url + request.url.path
        asked = _Asked(resource, url, address_subject(client_address(request)))
        sent = request.headers.getlist(SIGNATURE)
        if not sent:
            return await self._ask(asked, _ASK)
        try:
            if len(sent) != 1:
                raise Rejected(Reason.INVALID_PAYLOAD)
            payment = wire.read_payment(sent[0])
            self._require_turn(asked)
            progress = await operations.pay(self._till, resource, payment)
        except Rejected as problem:
            if problem.reason is Reason.IDENTIFIER:
                return _json(409, {"error": problem.reason.value})
            return await self._ask(asked, problem.reason.value)
        return await self._tell(asked, progress)

    def _require_turn(self, asked: _Asked) -> None:
        wait = self._limiter.take(asked.address)
        if wait is not None:
            raise Refused(Code.TOO_MANY_REQUESTS, retry_after=wait)

    async def _ask(
        self,
        asked: _Asked,
        error: str,
        headers: Mapping[str, str] | None = None,
        session: Announced | None = None,
    ) -> Response:
        """402 with what is asked for; a session that is paid, or being paid, as it is. ``session``
        is the one of a link that was asked for before, where it must not be another."""
        desk, resource = self._till.desk, asked.resource
        async with self._till.db.read() as tx:
            found = await operations.offer(tx, desk, resource, session)
            if not found.requirements and error == _ASK:
                view = await sessions.view(tx, found.session.session_id)
                receipt = wire.render_receipt(view, desk.public_url)
                return _json(202 if found.pending else 200, receipt)
            merchant = await accounts.merchant(tx, found.session.tenant.merchant_id)
        if error == Reason.DUPLICATE:
            # Who has paid already must not be led to pay once more.
            found = replace(found, requirements=())
        product = found.session.line_items[0].product
        name = product.name if product else ""
        required = _required(found, error, asked.url, name, merchant.name)
        header = {"PAYMENT-REQUIRED": wire.header_of(required)}
        return _json(402, required, {**header, **(headers or {})})

    async def _tell(self, asked: _Asked, progress: Progress) -> Response:
        """What became of a payment, with the session as its receipt."""
        desk, taken = self._till.desk, progress.taken
        response = wire.render_response(progress, desk.networks.network(taken.network))
        headers = {"PAYMENT-RESPONSE": wire.header_of(response)}
        async with self._till.db.read() as tx:
            view = await sessions.view(tx, taken.session_id)
        if progress.standing is Standing.FAILED:
            # Of a link the same session: somebody else may have sent the transfer, and then the
            # buyer must not be asked to pay another one.
            known = Announced(view.session.session_id, view.session.expires_at)
            return await self._ask(asked, Reason.FAILED.value, headers, known)
        receipt = wire.render_receipt(view, desk.public_url)
        if progress.standing is Standing.PENDING:
            # Not 402: a client that has paid must not take it for a reason to pay again.
            return _json(202, receipt, {**headers, "retry-after": "1"})
        return _json(200, receipt, headers)


def _required(
    found: Offer, error: str, url: str, description: str, merchant: str
) -> dict[str, Any]:
    return wire.render_required(found, error, url=url, description=description, merchant=merchant)


def _said(request: Request) -> dict[str, Any]:
    """What a buyer may say in the query. Refuses with 400101 what has not its form."""
    query = request.query_params
    refund_to = query.get("refundTo")
    try:
        address = address_from_text(refund_to) if refund_to else None
    except ValueError as failure:
        raise invalid_field("refundTo", str(failure)) from None
    return {"payer_email": query.get("payerEmail") or None, "refund_to": address}


def _amount(text: str | None) -> MicroUsd | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and 0 < int(text) <= TOTAL_MAX):
        raise invalid_field("amount", f"must be between 1 and {TOTAL_MAX} Micro-USD")
    return MicroUsd(int(text))


def _failed(trouble: Refused | Passing) -> Response:
    """Never 402, which would ask for money, and never 200, which would mean that it was paid."""
    retry = {} if trouble.retry_after is None else {"retry-after": str(trouble.retry_after)}
    if isinstance(trouble, Passing):
        return _json(503, {"error": "try again in a moment"}, {"retry-after": "1", **retry})
    body = {"error": trouble.message, "code": trouble.code.number}
    return _json(_STATUS.get(trouble.code, 409), body, retry)


def _json(status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        encode_json(body),
        status,
        headers={**_HEADERS, **(headers or {})},
        media_type="application/json",
    )
