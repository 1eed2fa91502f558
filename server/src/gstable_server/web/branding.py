"""Merchants' own share of the pages: logos, and sheets of their colours and corners.

Both never change under their address. The sheets are made of their address alone, so that the pages
need neither inline styles nor a question to the database for them.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.branding.colours import colour_from_text
from gstable_server.accounts.branding.model import Corners, Theme
from gstable_server.kernel.ids import ImageId, id_or_none
from gstable_server.plumbing.db import Database
from gstable_server.web.base import ASSET_HEADERS, SECURITY_HEADERS

_SHEET = re.compile(r"(?:sheet|preview)-(plain|[0-9a-f]{6})-(square|soft|round)-[0-9a-f]{12}\.css")


def routes(db: Database) -> list[BaseRoute]:
    """``/branding/<kind>-<colour>-<corners>-<hash>.css`` and ``/logos/<imageId>``."""

    async def sheet(request: Request) -> Response:
        match = _SHEET.fullmatch(request.path_params["sheet"])
        if match is None:
            return _missing()
        colour, corners = match.groups()
        accent = None if colour == "plain" else colour_from_text(colour)
        theme = Theme(accent, Corners(corners))
        # Another hash is a sheet as another release would make it.
        sheets = {theme.path: theme.css, theme.preview_path: theme.preview_css}
        css = sheets.get(request.url.path)
        if css is None:
            return _missing()
        return Response(css, media_type="text/css", headers=ASSET_HEADERS)

    async def logo(request: Request) -> Response:
        image_id = id_or_none(ImageId, request.path_params["image_id"])
        if image_id is not None:
            async with db.read() as tx:
                shown = await brandings.logo(tx, image_id)
            if shown is not None:
                return Response(shown.content, media_type=shown.content_type, headers=ASSET_HEADERS)
        return _missing()

    return [
        Route("/branding/{sheet}", sheet, methods=["GET"]),
        Route("/logos/{image_id}", logo, methods=["GET"]),
    ]


def _missing() -> Response:
    return PlainTextResponse("Not found", 404, headers=SECURITY_HEADERS)
