"""The merchant API of payment links (spec 5)."""

from __future__ import annotations

from pydantic import BaseModel

from gstable_server.catalog.wire import SuccessJson
from gstable_server.chain.networks import Networks
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LinkId, id_or_none
from gstable_server.kernel.paging import page_from_path
from gstable_server.kernel.tenant import Access
from gstable_server.links import operations, wire
from gstable_server.links.operations import Shop
from gstable_server.plumbing.route import Call, Handler, Json, Route

TAGS = ("Payment links",)
_DONE = SuccessJson(success=True)


class _Links:
    """The handlers, with what they need to know of the server."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def create(self, call: Call) -> Json:
        view = await operations.create(call.tx, self.shop, call.caller.tenant, call.body.terms())
        return wire.render_created(view, self.shop.public_url)

    async def update(self, call: Call) -> Json:
        link_id = _link_id(call.body.link_id)
        await operations.update(call.tx, self.shop, call.caller.tenant, link_id, call.body.terms())
        return _DONE

    async def disable(self, call: Call) -> Json:
        link_id = _link_id(call.body.link_id)
        await operations.disable(call.tx, self.shop, call.caller.tenant, link_id)
        return _DONE

    async def enable(self, call: Call) -> Json:
        link_id = _link_id(call.body.link_id)
        await operations.enable(call.tx, self.shop, call.caller.tenant, link_id)
        return _DONE

    async def list_links(self, call: Call) -> Json:
        page = page_from_path(call.path["page"], call.path["size"])
        total, views = await operations.list_links(call.tx, self.shop, call.caller.tenant, page)
        return wire.render_page(total, page, views, self.shop.public_url)

    async def detail(self, call: Call) -> Json:
        link_id = _link_id(call.path["linkId"])
        view = await operations.detail(call.tx, self.shop, call.caller.tenant, link_id)
        return wire.render(view, self.shop.public_url)


def _link_id(text: str) -> LinkId:
    """Text that has not the form of a link's identifier names no link."""
    link_id = id_or_none(LinkId, text)
    if link_id is None:
        raise Refused(Code.LINK_NOT_FOUND)
    return link_id


def _action(path: str, handler: Handler, summary: str, body: type[BaseModel]) -> Route:
    """A route that changes something and answers only that it did."""
    return Route("POST", path, handler, summary, Access.WRITE, SuccessJson, body, TAGS)


def routes(networks: Networks, public_url: str) -> list[Route]:
    """``public_url``: this server's address, without a trailing slash.

    The order matters where rows are matched one by one: fixed paths before ``{linkId}``.
    """
    links = _Links(Shop(networks, public_url))
    return [
        Route(
            "POST",
            "/payment/link/create",
            links.create,
            "Create a payment link",
            Access.WRITE,
            wire.CreatedLinkJson,
            wire.LinkCreateInput,
            TAGS,
        ),
        _action(
            "/payment/link/update",
            links.update,
            "Replace all fields of a payment link",
            wire.LinkUpdateInput,
        ),
        _action("/payment/link/disable", links.disable, "Disable a payment link", wire.LinkIdInput),
        _action(
            "/payment/link/enable", links.enable, "Enable a disabled payment link", wire.LinkIdInput
        ),
        Route(
            "GET",
            "/payment/link/list/{page}/{size}",
            links.list_links,
            "List payment links, newest first",
            Access.READ,
            wire.LinkPageJson,
            None,
            TAGS,
        ),
        Route(
            "GET",
            "/payment/link/{linkId}",
            links.detail,
            "Read a payment link",
            Access.READ,
            wire.LinkJson,
            None,
            TAGS,
        ),
    ]
