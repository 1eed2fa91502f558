"""The addresses of the overview, the products, the payment links and the sessions made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.checkouts import Checkouts
from gstable_server.web.dashboard.guard import Guard, VisitHandler
from gstable_server.web.dashboard.link_pages import Links
from gstable_server.web.dashboard.overview import Overview
from gstable_server.web.dashboard.products import UPLOAD_BYTES_MAX, Products

if TYPE_CHECKING:
    from gstable_server.web.dashboard.routes import Place

    Row = Callable[[str, Action, VisitHandler], Place]
    Upload = Callable[[str, Action, VisitHandler, int], Place]


def catalog_places(guard: Guard, look: Row, act: Row, upload: Upload) -> list[Place]:
    """Rows of the table of places (``routes``)."""
    return [
        look("", Action.OVERVIEW_READ, Overview(guard).show),
        *_products(guard, look, act, upload),
        *_links(guard, look, act),
        *_checkouts(guard, look, act),
    ]


def _products(guard: Guard, look: Row, act: Row, upload: Upload) -> list[Place]:
    products, change = Products(guard), Action.CATALOG_CHANGE
    one = "/products/{product_id}"
    return [
        look("/products", Action.CATALOG_READ, products.list),
        act("/products", change, products.create),
        look("/products/new", change, products.new),
        look(one, Action.CATALOG_READ, products.show),
        act(one, change, products.change),
        upload(f"{one}/picture", change, products.show_picture, UPLOAD_BYTES_MAX),
        act(f"{one}/archive", change, products.archive),
        act(f"{one}/unarchive", change, products.unarchive),
        act(f"{one}/duplicate", change, products.duplicate),
        act(f"{one}/remove", change, products.remove),
    ]


def _links(guard: Guard, look: Row, act: Row) -> list[Place]:
    links, change = Links(guard), Action.CATALOG_CHANGE
    one = "/links/{link_id}"
    return [
        look("/links", Action.CATALOG_READ, links.list),
        act("/links", change, links.create),
        look("/links/new", change, links.new),
        act("/links/preview", change, links.preview),
        act("/links/more", change, links.more),
        look(one, Action.CATALOG_READ, links.show),
        act(one, change, links.change),
        look(f"{one}/edit", change, links.edit),
        act(f"{one}/more", change, links.more_of),
        look(f"{one}/qr.png", Action.CATALOG_READ, links.qr_png),
        look(f"{one}/qr.svg", Action.CATALOG_READ, links.qr_svg),
        act(f"{one}/disable", change, links.disable),
        act(f"{one}/enable", change, links.enable),
        look(f"{one}/archive", change, links.confirm_archive),
        act(f"{one}/archive", change, links.archive),
    ]


def _checkouts(guard: Guard, look: Row, act: Row) -> list[Place]:
    """Before the sessions' own pages: new is no session's name."""
    checkouts = Checkouts(guard)
    return [
        look("/sessions/new", Action.SESSIONS_CREATE, checkouts.new),
        act("/sessions/new", Action.SESSIONS_CREATE, checkouts.create),
        act("/sessions/new/more", Action.SESSIONS_CREATE, checkouts.more),
        look("/sessions/{session_id}/page", Action.SESSIONS_READ, checkouts.page),
        look("/sessions/{session_id}/qr.png", Action.SESSIONS_READ, checkouts.qr_png),
    ]
