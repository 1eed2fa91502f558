"""The one seam of the SDK: what carries a request and brings back a response.

A transport raises `GStableConnectionError` when no answer arrives, and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Protocol

from gstable._config import Timeout


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. The headers carry the API key, so they are not part of the `repr`."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None
    timeout: Timeout

    def json(self) -> object:
        """The body as JSON, None where there is none."""
        return None if self.body is None else loads(self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. Header names are lower case, whatever was given."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __post_init__(self) -> None:
        lowered = {name.lower(): value for name, value in self.headers.items()}
        object.__setattr__(self, "headers", lowered)

    @classmethod
    def envelope(
        cls,
        data: object = None,
        *,
        code: int = 0,
        message: str = "success",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> "Response":
        """An answer in the platform's form `{code, message, data}`, for tests."""
        body = dumps({"code": code, "message": message, "data": data}).encode()
        return cls(status, {"content-type": "application/json", **(headers or {})}, body)


class Transport(Protocol):
    """Carries the requests of a `Client`."""

    def send(self, request: Request) -> Response:
        """Send once; raise `GStableConnectionError` when no answer arrives."""

    def close(self) -> None:
        """Give back what the transport holds."""


class AsyncTransport(Protocol):
    """Carries the requests of an `AsyncClient`."""

    async def send_async(self, request: Request) -> Response:
        """Send once; raise `GStableConnectionError` when no answer arrives."""

    async def close_async(self) -> None:
        """Give back what the transport holds."""


class MockTransport:
    """A transport for tests: the handler is a tiny server. Serves `Client` and `AsyncClient`.

        client = Client("sk_test_1", transport=MockTransport(handler))

    `requests` (list): what arrived, oldest first. A handler that raises
    `GStableConnectionError` stands for a broken line.
    """

    def __init__(self, handler: Callable[[Request], Response]) -> None:
        self._handler = handler
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        return self._handler(request)

    def close(self) -> None:
        """Holds nothing."""

    async def send_async(self, request: Request) -> Response:
        return self.send(request)

    async def close_async(self) -> None:
        """Holds nothing."""
