"""What a page may send back: from our own pages only, small, and in one form."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from gstable_server.kernel.errors import Code, Refused

BODY_BYTES_MAX = 16 * 1024
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def is_same_origin(request: Request, public_url: str) -> bool:
    """Whether a page of this server sent the request, as the browser says.

    ``Sec-Fetch-Site`` where the browser sends it, else ``Origin``, which every browser sends with
    a POST. A request with neither comes from no page. No script can set either header.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    here = urlsplit(public_url)
    # The Host header is what the browser asked for: right also where the server is reached by
    # another name than its public one.
    return origin == f"{here.scheme}://{here.netloc}" or (
        urlsplit(origin).netloc == request.headers.get("host")
    )


def has_type(request: Request, content_type: str) -> bool:
    """Whether the body says it is of ``content_type``, whatever its parameters."""
    given = request.headers.get("content-type", "")
    return given.split(";", 1)[0].strip().lower() == content_type


async def read_body(request: Request) -> bytes:
    """The body. Refuses what is larger than any of our forms, without reading it all."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise Refused(Code.BODY_TOO_LARGE, f"at most {BODY_BYTES_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an HTML form; of a name sent twice, the last. Refuses a body that is none."""
    body = await read_body(request)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as failure:
        raise Refused(Code.FIELD_INVALID, "the form could not be read") from failure
    return dict(pairs)
