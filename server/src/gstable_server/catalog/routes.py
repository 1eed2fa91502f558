"""The merchant API of products (spec 3)."""

from __future__ import annotations

from pydantic import BaseModel

from gstable_server.catalog import operations, wire
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ProductId, id_or_none
from gstable_server.kernel.paging import page_from_path
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.route import Call, Handler, Json, Route

TAGS = ("Products",)
_DONE = wire.SuccessJson(success=True)


class _Products:
    """The handlers, with the one thing they need to know of the server."""

    def __init__(self, public_url: str) -> None:
        self.public_url = public_url

    async def create(self, call: Call) -> Json:
        product = await operations.create(
            call.tx, call.caller.tenant, self.public_url, call.body.terms()
        )
        return wire.render(product, self.public_url)

    async def update(self, call: Call) -> Json:
        await operations.update(
            call.tx, call.caller.tenant, self.public_url, _product_id(call), call.body.terms()
        )
        return _DONE

    async def list_products(self, call: Call) -> Json:
        page = page_from_path(call.path["page"], call.path["size"])
        total, products = await operations.list_products(call.tx, call.caller.tenant, page)
        return wire.render_page(total, page, products, self.public_url)

    async def list_by_ids(self, call: Call) -> Json:
        products = await operations.list_by_ids(call.tx, call.caller.tenant, call.body.product_ids)
        return [wire.render(product, self.public_url) for product in products]

    async def archive(self, call: Call) -> Json:
        await operations.archive(call.tx, call.caller.tenant, self.public_url, _product_id(call))
        return _DONE

    async def unarchive(self, call: Call) -> Json:
        await operations.unarchive(call.tx, call.caller.tenant, self.public_url, _product_id(call))
        return _DONE

    async def remove(self, call: Call) -> Json:
        await operations.remove(call.tx, call.caller.tenant, self.public_url, _product_id(call))
        return _DONE


def _product_id(call: Call) -> ProductId:
    """Text that has not the form of a product's identifier names no product."""
    product_id = id_or_none(ProductId, call.body.product_id)
    if product_id is None:
        raise Refused(Code.PRODUCT_NOT_FOUND)
    return product_id


def _action(path: str, handler: Handler, summary: str, body: type[BaseModel]) -> Route:
    """A route that changes something and answers only that it did."""
    return Route("POST", path, handler, summary, Access.WRITE, wire.SuccessJson, body, TAGS)


def routes(public_url: str) -> list[Route]:
    """``public_url``: this server's address, without a trailing slash."""
    products = _Products(public_url)
    return [
        Route(
            "POST",
            "/product/create",
            products.create,
            "Create a product",
            Access.WRITE,
            wire.ProductJson,
            wire.ProductCreateInput,
            TAGS,
        ),
        _action(
            "/product/update",
            products.update,
            "Replace all fields of a product",
            wire.ProductUpdateInput,
        ),
        Route(
            "GET",
            "/product/list/{page}/{size}",
            products.list_products,
            "List products, newest first",
            Access.READ,
            wire.ProductPageJson,
            None,
            TAGS,
        ),
        Route(
            "POST",
            "/product/list/by/ids",
            products.list_by_ids,
            "Read several products; unknown identifiers are left out",
            Access.READ,
            list[wire.ProductJson],
            wire.ProductIdsInput,
            TAGS,
        ),
        _action(
            "/product/archive", products.archive, "Take a product out of sale", wire.ProductIdInput
        ),
        _action(
            "/product/unarchive",
            products.unarchive,
            "Put an archived product back on sale",
            wire.ProductIdInput,
        ),
        _action(
            "/product/remove",
            products.remove,
            "Remove a product that no payment link ever referenced",
            wire.ProductIdInput,
        ),
    ]
