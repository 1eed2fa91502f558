"""A logo from outside, drawn anew: what is served is only ever a picture of our own making."""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageOps

from gstable_server.kernel.errors import invalid_field

FIELD = "logo"
BYTES_MAX = 2 * 1024 * 1024
PIXELS_MAX = 16_000_000
"""More takes too much memory to draw: four bytes each."""
SHOWN = (480, 160)
"""At most so wide and so high: three times what pages show, for screens of any density."""
CONTENT_TYPE = "image/webp"

# An SVG is a program, and would run on our own origin; a GIF may move.
_FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow says of bytes that are no such picture, broken off, or a small file of a huge one.
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    # Of EXIF where a number should be and is none.
    TypeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def redraw(content: bytes) -> bytes:
    """The picture as WebP of at most ``SHOWN``, without anything else that its file carried.

    Takes some tens of milliseconds of CPU and up to 200 MB: call it in a thread, and one at a time
    (``web.dashboard.branding``). Raises ``Refused`` (400101) naming
    ``logo`` for what is no PNG, JPEG or WebP, whatever its name or type says, or is too large.
    """
    if len(content) > BYTES_MAX:
        raise invalid_field(FIELD, f"must have at most {BYTES_MAX // 1024**2} MB")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            # Only the header has been read up to here.
            if picture.width * picture.height > PIXELS_MAX:
                raise invalid_field(FIELD, f"must have at most {PIXELS_MAX:,} pixels")
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except _BROKEN:
        raise invalid_field(FIELD, "must be a PNG, JPEG or WebP picture") from None
    upright.thumbnail(SHOWN)
    drawn = io.BytesIO()
    upright.save(drawn, "WEBP", quality=90, method=6)
    return drawn.getvalue()
