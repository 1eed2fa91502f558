"""QR codes of addresses that payers open: on the page, and as files to print."""

from __future__ import annotations

import io

import segno
from starlette.responses import Response

from gstable_server.web.base import PAGE_HEADERS

SCALE = 16
"""Pixels of one module: about 700 in all, which prints well on a counter card."""
CONTENT_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


def on_page(url: str) -> str:
    """The code as the address of a picture."""
    return segno.make(url, error="m").svg_data_uri(border=2)


def as_file(url: str, kind: str, name: str) -> Response:
    """The code as a file; ``kind`` is png or svg."""
    drawn = io.BytesIO()
    segno.make(url, error="m").save(drawn, kind=kind, scale=SCALE, border=4)
    named = {"content-disposition": f'attachment; filename="{name}.{kind}"'}
    return Response(
        drawn.getvalue(), media_type=CONTENT_TYPES[kind], headers={**PAGE_HEADERS, **named}
    )
