"""The committed OpenAPI document: what every installation's API is, without its particulars."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gstable_server import serve
from gstable_server.api import openapi
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import OrderSigner
from gstable_server.kernel.address import ZERO_ADDRESS
from gstable_server.plumbing.route import Route
from gstable_server.routing.model import Schedule
from gstable_server.sessions.operations import Desk


def every_route() -> list[Route]:
    """The routes that ``serve`` mounts. Nothing is sold through these, so the desk is bare."""
    desk = Desk(
        networks=Networks(()),
        signer=OrderSigner((1).to_bytes(32, "big")),
        fee_receiver=ZERO_ADDRESS,
        public_url="",
        schedule=Schedule(),
        lifetime=timedelta(0),
        order_grace=timedelta(0),
    )
    return [route for rows in serve.merchant_routes(desk) for route in rows]


def contract() -> bytes:
    """The document as it is committed."""
    return openapi.document_bytes(openapi.document(every_route()))


def write(file: Path) -> None:
    """Bring ``file`` up to date."""
    file.write_bytes(contract())


def is_current(file: Path) -> bool:
    """True if ``file`` says what the routes say."""
    return file.is_file() and file.read_bytes() == contract()
