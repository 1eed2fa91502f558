"""The fake as an ASGI application."""

from typing import Any

from gstable._config import DEFAULT_TIMEOUT
from gstable._transport import Request
from gstable.testing._server import Server


class Door:
    """Serves HTTP in-process, or behind any ASGI server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        path = scope.get("raw_path", scope["path"].encode()).split(b"?", 1)[0].decode("latin-1")
        url = f"http://{headers.get('host', 'localhost')}{path}"
        request = Request(scope["method"], url, headers, body or None, DEFAULT_TIMEOUT)
        answer = self._server.answer(request)
        pairs = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        pairs.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body})


async def _live(receive: Any, send: Any) -> None:
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
