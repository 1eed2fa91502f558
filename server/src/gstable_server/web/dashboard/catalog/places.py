"""The addresses of the products, the payment links and the sessions made by hand."""

from __future__ import annotations

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.catalog.checkouts import Checkouts
from gstable_server.web.dashboard.catalog.link_pages import Links
from gstable_server.web.dashboard.catalog.products import UPLOAD_BYTES_MAX, Products
from gstable_server.web.dashboard.place import Place, Rows


def catalog(rows: Rows) -> list[Place]:
    """Rows of the table of places (``routes``)."""
    return [
        *_products(rows),
        *_links(rows),
        *_checkouts(rows),
    ]


def _products(rows: Rows) -> list[Place]:
    products, change = Products(rows.guard), Action.CATALOG_CHANGE
    one = "/products/{product_id}"
    return [
        rows.look("/products", Action.CATALOG_READ, products.list),
        rows.act("/products", change, products.create),
        rows.look("/products/new", change, products.new),
        rows.look(one, Action.CATALOG_READ, products.show),
        rows.act(one, change, products.change),
        rows.upload(f"{one}/picture", change, products.show_picture, UPLOAD_BYTES_MAX),
        rows.act(f"{one}/archive", change, products.archive),
        rows.act(f"{one}/unarchive", change, products.unarchive),
        rows.act(f"{one}/duplicate", change, products.duplicate),
        rows.act(f"{one}/remove", change, products.remove),
    ]


def _links(rows: Rows) -> list[Place]:
    links, change = Links(rows.guard), Action.CATALOG_CHANGE
    one = "/links/{link_id}"
    return [
        rows.look("/links", Action.CATALOG_READ, links.list),
        rows.act("/links", change, links.create),
        rows.look("/links/new", change, links.new),
        rows.act("/links/preview", change, links.preview),
        rows.act("/links/more", change, links.more),
        rows.look(one, Action.CATALOG_READ, links.show),
        rows.act(one, change, links.change),
        rows.look(f"{one}/edit", change, links.edit),
        rows.act(f"{one}/more", change, links.more_of),
        rows.look(f"{one}/qr.png", Action.CATALOG_READ, links.qr_png),
        rows.look(f"{one}/qr.svg", Action.CATALOG_READ, links.qr_svg),
        rows.act(f"{one}/disable", change, links.disable),
        rows.act(f"{one}/enable", change, links.enable),
        rows.look(f"{one}/archive", change, links.confirm_archive),
        rows.act(f"{one}/archive", change, links.archive),
    ]


def _checkouts(rows: Rows) -> list[Place]:
    """Before the sessions' own pages: new is no session's name."""
    checkouts = Checkouts(rows.guard)
    return [
        rows.look("/sessions/new", Action.SESSIONS_CREATE, checkouts.new),
        rows.act("/sessions/new", Action.SESSIONS_CREATE, checkouts.create),
        rows.act("/sessions/new/more", Action.SESSIONS_CREATE, checkouts.more),
        rows.look("/sessions/{session_id}/page", Action.SESSIONS_READ, checkouts.page),
        rows.look("/sessions/{session_id}/qr.png", Action.SESSIONS_READ, checkouts.qr_png),
    ]
