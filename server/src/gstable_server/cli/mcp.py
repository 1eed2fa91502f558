"""``gstable mcp``: the merchant's tools for a language model's host, on stdio or loopback HTTP."""

from __future__ import annotations

import os
import socket
import sys

from gstable import AsyncClient
from gstable_server.agents.mcp.server import may_write, merchant_server

LOOPBACK = "127.0.0.1"
DEFAULT_BASE_URL = "http://127.0.0.1:8000/api/v1"
PATH = "/mcp"


class McpFailed(Exception):
    """It cannot start; the text says what to do."""


async def run(port: int | None) -> None:
    """Serve until the host hangs up (stdio), or until interrupted (``port``; 0 takes a free one).

    Raises ``McpFailed`` where no key is set or the port is taken.
    """
    api_key = os.environ.get("GSTABLE_API_KEY", "").strip()
    if not api_key:
        raise McpFailed("set GSTABLE_API_KEY; with a restricted key (rk_…) the tools only read")
    base_url = os.environ.get("GSTABLE_BASE_URL") or DEFAULT_BASE_URL
    async with AsyncClient(api_key, base_url=base_url) as client:
        server = merchant_server(client, writes=may_write(api_key))
        if port is None:
            await server.run_stdio_async()
            return
        import uvicorn  # slow to import, and a host that speaks stdio waits for our first word

        with _listen(port) as listening:
            # Checks Host and Origin, so that no page in a browser can reach it by another name.
            app = server.streamable_http_app(streamable_http_path=PATH, host=LOOPBACK)
            config = uvicorn.Config(app, log_level="warning", access_log=False)
            number = listening.getsockname()[1]
            print(f"MCP on http://{LOOPBACK}:{number}{PATH}", file=sys.stderr, flush=True)
            await uvicorn.Server(config).serve(sockets=[listening])


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as failure:
        raise McpFailed(f"port {port} is in use: take another with --http") from failure
