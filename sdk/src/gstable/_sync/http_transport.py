# Generated from _async/http_transport.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""The transport that is used unless another is given: httpx2."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from gstable._certificates import trusted_by_the_system
from gstable._errors import GStableConnectionError
from gstable._transport import Request, Response

if TYPE_CHECKING:
    from ssl import SSLContext

MOST_CONNECTIONS = 20


class HTTPTransport:
    """Real HTTP over a pool of connections. Reads no setting from the environment.

    `proxy`: URL of a proxy to go through; `ssl_context`: the certificates to trust, the
    system's by default, read once in a process. Redirects are not followed: an API call has
    nowhere else to go.
    """

    def __init__(self, *, proxy: str | None = None, ssl_context: SSLContext | None = None) -> None:
        import httpx2  # here, so that `import gstable` stays fast

        # Below httpx2's client: redirects, cookies and settings of the environment, which this
        # API has no use for, cost as much again as the exchange.
        self._transport = httpx2.HTTPTransport(
            proxy=proxy,
            verify=ssl_context or trusted_by_the_system(),
            trust_env=False,
            limits=httpx2.Limits(max_connections=MOST_CONNECTIONS),
        )

    def send(self, request: Request) -> Response:
        """Send once. Raises `GStableConnectionError` when no whole answer arrives in time."""
        import httpx2

        timeout = request.timeout
        deadline = monotonic() + timeout.total
        try:
            answer = self._transport.handle_request(
                httpx2.Request(
                    request.method,
                    request.url,
                    headers={**request.headers, "Accept-Encoding": "gzip, deflate"},
                    content=request.body,
                    extensions={
                        "timeout": {
                            "connect": timeout.connect,
                            "read": timeout.read,
                            "write": timeout.write,
                            "pool": timeout.pool,
                        }
                    },
                )
            )
            try:
                parts = []
                for part in answer.iter_bytes():
                    parts.append(part)
                    # Each part came in time; a server that drips them is still cut off.
                    if monotonic() > deadline:
                        raise GStableConnectionError("Network error: timed out (total)")
            finally:
                answer.close()
        except httpx2.TimeoutException as error:
            phase = type(error).__name__
            raise GStableConnectionError(f"Network error: timed out ({phase})") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            detail = str(error) or type(error).__name__
            raise GStableConnectionError(f"Network error: {detail}") from error
        return Response(answer.status_code, dict(answer.headers), b"".join(parts))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
