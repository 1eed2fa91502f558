"""A logo from outside, drawn anew (``plumbing.drawing``)."""

from __future__ import annotations

from gstable_server.kernel.errors import invalid_field
from gstable_server.plumbing import drawing
from gstable_server.plumbing.drawing import CONTENT_TYPE as CONTENT_TYPE
from gstable_server.plumbing.drawing import PIXELS_MAX as PIXELS_MAX

FIELD = "logo"
BYTES_MAX = 2 * 1024 * 1024
SHOWN = (480, 160)
"""At most so wide and so high: three times what pages show, for screens of any density."""


def redraw(content: bytes) -> bytes:
    """The picture as WebP of at most ``SHOWN``; as ``drawing.redraw`` says, in a thread and one at
    a time. Raises ``Refused`` (400101) naming ``logo``."""
    try:
        return drawing.redraw(content, bytes_max=BYTES_MAX, shown=SHOWN)
    except drawing.NotDrawable as refused:
        raise invalid_field(FIELD, refused.problem) from None
