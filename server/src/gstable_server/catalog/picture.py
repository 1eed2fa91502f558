"""A merchant's picture: fetched and judged by its first bytes (spec 3, ``imageUrl``), or sent
to the console and drawn anew."""

from __future__ import annotations

from gstable_server.kernel.errors import invalid_field
from gstable_server.plumbing import drawing
from gstable_server.plumbing.http_client import HttpClient

BYTES_MAX = 5 * 1024 * 1024
"""5 MiB."""
TIMEOUT_SECONDS = 15.0
FIELD = "picture"
SHOWN = (960, 960)
"""At most so wide and so high: more than any page shows, for screens of any density."""


class NoPicture(Exception):
    """What came back is not a picture that we show."""


def picture_type(content: bytes) -> str | None:
    """The media type that the first bytes prove, or None.

    Only raster formats: an SVG is a program, and would run on our own origin.
    """
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


async def download(http: HttpClient, url: str) -> tuple[str, bytes]:
    """The media type and bytes of the picture at ``url``.

    Raises ``FetchFailed`` when nothing came, ``NoPicture`` when something else did.
    """
    answer = await http.fetch(
        "GET",
        url,
        {"accept": "image/png, image/jpeg, image/webp, image/gif"},
        b"",
        max_bytes=BYTES_MAX,
        timeout=TIMEOUT_SECONDS,
    )
    if answer.status != 200:
        raise NoPicture(f"answered with status {answer.status}")
    if answer.truncated:
        raise NoPicture(f"larger than {BYTES_MAX} bytes")
    content_type = picture_type(answer.body)
    if content_type is None:
        raise NoPicture("neither PNG, JPEG, WebP nor GIF")
    return content_type, answer.body


def redraw(content: bytes) -> bytes:
    """A picture that somebody uploaded, as WebP of at most ``SHOWN``; as ``drawing.redraw`` says,
    in a thread and one at a time. Raises ``Refused`` (400101) naming ``picture``."""
    try:
        return drawing.redraw(content, bytes_max=BYTES_MAX, shown=SHOWN)
    except drawing.NotDrawable as refused:
        raise invalid_field(FIELD, refused.problem) from None
