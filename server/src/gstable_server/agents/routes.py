"""The paths of the AI payment protocol (spec 10.2 to 10.5)."""

from __future__ import annotations

from gstable_server.agents import operations, rendering, wire
from gstable_server.agents.operations import Agency
from gstable_server.plumbing.route import Json, OpenCall, OpenRoute

TAGS = ("AI payments",)


class _Agents:
    """The handlers, with what they work on."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        self.public_url = agency.desk.public_url

    async def link(self, call: OpenCall) -> Json:
        async with call.db.read() as tx:
            found = await operations.view_link(tx, self.agency, call.path["linkId"])
        return rendering.link(found.link, found.offers, found.prices, self.public_url)

    async def create_session(self, call: OpenCall) -> Json:
        session, token = await operations.create_session(
            call.db, self.agency, call.body.parsed(), call.address
        )
        return rendering.created(session, token)

    async def session(self, call: OpenCall) -> Json:
        async with call.db.read() as tx:
            found = await operations.view_session(tx, self.agency, call.path["sessionId"])
        return rendering.session_view(
            found.view.session,
            found.stage,
            token=found.token,
            offers=found.offers,
            order=found.order,
            payment=found.view.payment,
            public_url=self.public_url,
        )

    async def prepare(self, call: OpenCall) -> Json:
        session, order = await operations.prepare(
            call.db, self.agency, call.body.parsed(), call.address
        )
        return rendering.prepared(session, order)


def routes(agency: Agency) -> list[OpenRoute]:
    """The protocol's routes; each is public, and what changes anything is signed by its payer."""
    agents = _Agents(agency)
    return [
        OpenRoute(
            "GET",
            "/payment/link/{linkId}",
            agents.link,
            "What a payment link costs in each token, and what to sign to pay it",
            wire.AgentLinkJson,
            tags=TAGS,
        ),
        OpenRoute(
            "POST",
            "/payment/session/create",
            agents.create_session,
            "Create a session of a link for the payer who signed the message",
            wire.CreatedAgentSessionJson,
            wire.CreateSessionInput,
            TAGS,
        ),
        OpenRoute(
            "GET",
            "/session/{sessionId}",
            agents.session,
            "Where a session stands, and what its payer has to do next",
            wire.AgentSessionJson,
            tags=TAGS,
        ),
        OpenRoute(
            "POST",
            "/payment/prepare",
            agents.prepare,
            "Get the transaction that pays a session, for the payer who signed the message",
            wire.PreparedPaymentJson,
            wire.PrepareInput,
            TAGS,
        ),
    ]
