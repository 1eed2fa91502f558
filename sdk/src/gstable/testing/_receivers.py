"""Who gets the fake's deliveries: a function, or an application of a web framework, in-process."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

Answer = tuple[int, bytes]
Receiver = Callable[[str, bytes, Mapping[str, str]], Answer]
"""Gets URL, body and headers of a delivery; gives the HTTP status and what was answered."""

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def function_receiver(function: Callable[[bytes, Mapping[str, str]], int]) -> Receiver:
    """`function` gets the raw body and the headers, and gives the HTTP status."""
    return lambda url, body, headers: (function(body, headers), b"")


def asgi_receiver(app: ASGIApp) -> Receiver:
    """An application of FastAPI, Starlette, Django or the like.

    It runs on an event loop of its own in a thread of its own, so that this also works while the
    caller's loop is running. Lifespan events are not sent.
    """

    def receive(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        import asyncio  # here, so that a fake without such an application does without it
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _ask(app, url, body, headers)).result()

    return receive


async def _ask(app: ASGIApp, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    import asyncio

    parts = urlsplit(url)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": parts.scheme,
        "path": unquote(parts.path) or "/",
        "raw_path": (parts.path or "/").encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in _all_headers(parts.netloc, body, headers).items()
        ],
        "client": ("127.0.0.1", 1),
        "server": (parts.hostname, parts.port or 443),
    }
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    answered: list[Message] = []
    is_answered = asyncio.Event()

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        # Some frameworks take a client that is gone for one that wants no answer.
        await is_answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answered.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            is_answered.set()

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in answered[1:])
    return int(answered[0]["status"]), content


def wsgi_receiver(app: WSGIApp) -> Receiver:
    """An application of Flask, Django or the like. Source: PEP 3333."""

    def receive(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        statuses: list[str] = []

        def start_response(status: str, _headers: object, _failure: object = None) -> object:
            statuses.append(status)
            return lambda content: None

        answered = app(_environ(url, body, headers), start_response)
        try:
            content = b"".join(answered)
        finally:
            close = getattr(answered, "close", None)
            if close is not None:
                close()
        return int(statuses[-1].split(" ", 1)[0]), content

    return receive


def _environ(url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    import sys
    from io import BytesIO

    parts = urlsplit(url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path) or "/",
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or 443),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in _all_headers(parts.netloc, body, headers).items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH")
    return environ


def _all_headers(host: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    return {"host": host, "content-length": str(len(body)), **headers}
