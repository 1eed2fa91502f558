"""The re-hosted pictures of products: ``/images/<imageId>``, public and never changing."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gstable_server.catalog import operations as catalog
from gstable_server.kernel.ids import ImageId, id_or_none
from gstable_server.plumbing.db import Database
from gstable_server.web.base import ASSET_HEADERS, SECURITY_HEADERS


def routes(db: Database) -> list[BaseRoute]:
    """One picture by its id; the merchant's API names the address in ``imageUrl`` (spec 3)."""

    async def serve(request: Request) -> Response:
        image_id = id_or_none(ImageId, request.path_params["image_id"])
        if image_id is not None:
            async with db.read() as tx:
                image = await catalog.image(tx, image_id)
            if image is not None:
                return Response(
                    image.content,
                    media_type=image.content_type,
                    # Shops may show the picture too, so other sites may load it.
                    headers={**ASSET_HEADERS, "cross-origin-resource-policy": "cross-origin"},
                )
        return PlainTextResponse("Not found", 404, headers=SECURITY_HEADERS)

    return [Route("/images/{image_id}", serve, methods=["GET"])]
