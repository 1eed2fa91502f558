"""Pictures from outside, drawn anew: what is served is only ever a picture of our own making."""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageOps

CONTENT_TYPE = "image/webp"
PIXELS_MAX = 16_000_000
"""More takes too much memory to draw: four bytes each."""

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


class NotDrawable(Exception):
    """``problem`` completes "The picture …"."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def redraw(content: bytes, *, bytes_max: int, shown: tuple[int, int]) -> bytes:
    """The picture as WebP of at most ``shown`` (width, height), without anything else that its file
    carried.

    Takes some tens of milliseconds of CPU and up to 200 MB: call it in a thread, and one at a time.
    Raises ``NotDrawable`` for what is no PNG, JPEG or WebP, whatever its name or type says, or is
    too large.
    """
    if len(content) > bytes_max:
        raise NotDrawable(f"must have at most {bytes_max // 1024**2} MB")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            # Only the header has been read up to here.
            if picture.width * picture.height > PIXELS_MAX:
                raise NotDrawable(f"must have at most {PIXELS_MAX:,} pixels")
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except _BROKEN:
        raise NotDrawable("must be a PNG, JPEG or WebP picture") from None
    upright.thumbnail(shown)
    drawn = io.BytesIO()
    upright.save(drawn, "WEBP", quality=90, method=6)
    return drawn.getvalue()
