"""One call: build the request, send it, read the answer, and try again where that is safe."""

from collections.abc import Callable
from typing import TypeVar

from gstable import _answer, _body, _retry
from gstable._async.seam import AsyncSeam
from gstable._config import Config, __version__, logger
from gstable._errors import GStableConnectionError, GStableError, GStableUsageError
from gstable._transport import AsyncTransport, Request, Response

Result = TypeVar("Result")

LEAST_SECONDS = 0.001
"""An attempt is given so long even where sleeping took longer than it was asked to."""

# Section 13: every call names both, a GET too.
COMMON_HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": f"gstable-python/{__version__}",
}


class AsyncRequester:
    """Knows the addresses, the key and the manners; knows no endpoint."""

    def __init__(self, config: Config, transport: AsyncTransport, seam: AsyncSeam) -> None:
        self._config = config
        self._transport = transport
        self._seam = seam
        self._closed = False

    async def get(self, path: str, parse: Callable[[object], Result]) -> Result:
        """GET `path` of the merchant API."""
        headers = {**COMMON_HEADERS, "Authorization": self._config.authorization}
        return await self._call("GET", self._config.base_url + path, headers, None, parse)

    async def get_public(self, path: str, parse: Callable[[object], Result]) -> Result:
        """GET `path` of the public API, without the key."""
        url = self._config.public_base_url + path
        return await self._call("GET", url, COMMON_HEADERS, None, parse)

    async def post(
        self,
        path: str,
        body: bytes,
        parse: Callable[[object], Result],
        idempotency_key: str | None,
    ) -> Result:
        """POST `body` to `path` of the merchant API, under the caller's key or a fresh one."""
        if idempotency_key is None:
            idempotency_key = self._seam.mint_key()
        headers = {
            **COMMON_HEADERS,
            "Authorization": self._config.authorization,
            "Idempotency-Key": _body.idempotency_key(idempotency_key),
        }
        return await self._call("POST", self._config.base_url + path, headers, body, parse)

    async def close(self) -> None:
        """Close the transport. Calls after that are refused."""
        self._closed = True
        await self._transport.close_async()

    async def _call(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        parse: Callable[[object], Result],
    ) -> Result:
        if self._closed:
            raise GStableUsageError("the client is closed")
        left = self._config.timeout.total
        deadline = self._seam.monotonic() + left
        for attempt in range(1, self._config.max_retries + 1):
            timeout = self._config.timeout.within(max(left, LEAST_SECONDS))
            request = Request(method, url, headers, body, timeout)
            response: Response | None = None
            try:
                response = await self._send(request)
                return _answer.read(response, parse)
            except GStableError as error:
                if not _retry.is_transient(error):
                    raise
                seconds = self._wait_seconds(attempt, response, error)
                if self._seam.monotonic() + seconds >= deadline:
                    raise
            await self._seam.sleep(seconds)
            left = deadline - self._seam.monotonic()
        last = self._config.timeout.within(max(left, LEAST_SECONDS))
        response = await self._send(Request(method, url, headers, body, last))
        return _answer.read(response, parse)

    async def _send(self, request: Request) -> Response:
        try:
            response = await self._transport.send_async(request)
        except GStableConnectionError as error:
            logger.debug("%s %s: %s", request.method, request.url, error)
            raise
        request_id = _answer.request_id(response)
        logger.debug("%s %s: %d, %s", request.method, request.url, response.status, request_id)
        return response

    def _wait_seconds(self, attempt: int, response: Response | None, error: GStableError) -> float:
        retry_after = None if response is None else response.headers.get("retry-after")
        seconds = _retry.delay(attempt, self._seam.chance(), retry_after, self._seam.now())
        logger.debug("attempt %d failed with %s; next in %.2f s", attempt, error, seconds)
        return seconds
