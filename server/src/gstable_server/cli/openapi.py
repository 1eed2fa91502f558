"""The committed OpenAPI document: what every installation's API is, without its particulars."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gstable_server import serve
from gstable_server.agents import routes as agent_routes
from gstable_server.agents.operations import Agency
from gstable_server.agents.verification import Verifier
from gstable_server.api import openapi
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import OrderSigner
from gstable_server.kernel.address import ZERO_ADDRESS
from gstable_server.plumbing.route import OpenRoute, Route
from gstable_server.routing.model import Schedule
from gstable_server.sessions.operations import Desk


def every_route() -> list[Route]:
    """The merchant routes that ``serve`` mounts."""
    return [route for rows in serve.merchant_routes(_bare_desk()) for route in rows]


def every_agent_route() -> list[OpenRoute]:
    """The routes of the AI payment protocol."""
    return agent_routes.routes(Agency(_bare_desk(), Verifier({}, ()), payer_per_minute=1))


def _bare_desk() -> Desk:
    """Nothing is sold through these routes."""
    return Desk(
        networks=Networks(()),
        signer=OrderSigner((1).to_bytes(32, "big")),
        fee_receiver=ZERO_ADDRESS,
        public_url="",
        schedule=Schedule(),
        lifetime=timedelta(0),
        order_grace=timedelta(0),
    )


def contract() -> bytes:
    """The document as it is committed."""
    return openapi.document_bytes(openapi.document(every_route(), agent_routes=every_agent_route()))


def write(file: Path) -> None:
    """Bring ``file`` up to date."""
    file.write_bytes(contract())


def is_current(file: Path) -> bool:
    """True if ``file`` says what the routes say."""
    return file.is_file() and file.read_bytes() == contract()
