"""What a page may send back: from our own pages only, small, and in one form."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from gstable_server.kernel.errors import Code, Refused

BODY_BYTES_MAX = 16 * 1024
FIELDS_MAX = 120
"""More than the page of a link of a hundred lines has."""
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
UPLOAD = "multipart/form-data"


def is_same_origin(request: Request, public_url: str) -> bool:
    """Whether a page of this server sent the request, as the browser says.

    ``Sec-Fetch-Site`` where the browser sends it, else ``Origin``, which every browser sends with
    a POST. A request with neither comes from no page. No script can set either header.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return _is_here(request.headers.get("origin"), request, public_url)


def is_followed_here(request: Request, public_url: str) -> bool:
    """Whether a link of one of our own pages led here. As ``is_same_origin``, but with ``Referer``
    in place of ``Origin``: browsers send none with a GET, and without TLS no ``Sec-Fetch-Site``."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return _is_here(request.headers.get("referer"), request, public_url)


def is_from_elsewhere(request: Request) -> bool:
    """Whether the browser says that a page of another site led here."""
    return request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}


def _is_here(url: str | None, request: Request, public_url: str) -> bool:
    if url is None:
        return False
    try:
        there, here = urlsplit(url), urlsplit(public_url)
    except ValueError:
        return False
    # The Host header is what the browser asked for: right also where the server is reached by
    # another name than its public one.
    return (there.scheme, there.netloc) == (here.scheme, here.netloc) or (
        there.netloc == request.headers.get("host")
    )


def has_type(request: Request, content_type: str) -> bool:
    """Whether the body says it is of ``content_type``, whatever its parameters."""
    given = request.headers.get("content-type", "")
    return given.split(";", 1)[0].strip().lower() == content_type


async def read_body(request: Request) -> bytes:
    """The body. Refuses what is larger than any of our forms, without reading it all."""
    return b"".join([chunk async for chunk in _at_most(request, BODY_BYTES_MAX)])


async def _at_most(request: Request, bytes_max: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            raise Refused(Code.BODY_TOO_LARGE, f"at most {bytes_max} bytes")
        yield chunk


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an HTML form; of a name sent twice, the last. Refuses a body that is none."""
    body = await read_body(request)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError as failure:
        raise Refused(Code.FIELD_INVALID, "the form could not be read") from failure
    return dict(pairs)


async def read_upload(request: Request, bytes_max: int) -> tuple[dict[str, str], dict[str, bytes]]:
    """The fields and the files of an HTML form that may carry files (RFC 7578), of at most
    ``bytes_max`` together. A file field that was left empty is no file; the names of files on the
    sender's machine are not looked at."""
    parser = MultiPartParser(
        request.headers,
        _at_most(request, bytes_max),
        max_files=5,
        max_fields=50,
        max_part_size=BODY_BYTES_MAX,
    )
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, KeyError) as failure:
        raise Refused(Code.FIELD_INVALID, "the form could not be read") from failure
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields[name] = value
        elif content := await value.read():
            files[name] = content
    await form.close()
    return fields, files
