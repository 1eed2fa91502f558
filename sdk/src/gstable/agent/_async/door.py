"""The platform's side: HTTP without a key. Source: specification section 10."""

from collections.abc import Callable
from typing import TypeVar

from gstable import _answer, _retry
from gstable._async.requester import COMMON_HEADERS
from gstable._async.seam import AsyncSeam
from gstable._config import Timeout
from gstable._errors import GStableError
from gstable._transport import AsyncTransport, Request, Response

Result = TypeVar("Result")


class AsyncDoor:
    """Calls of the AI payment protocol below `base_url`, tried again where that is safe."""

    def __init__(
        self,
        base_url: str,
        transport: AsyncTransport,
        seam: AsyncSeam,
        timeout: Timeout,
        max_retries: int,
    ) -> None:
        self._base_url = base_url
        self._transport = transport
        self._seam = seam
        self._timeout = timeout
        self._max_retries = max_retries

    async def get(self, path: str, parse: Callable[[object], Result]) -> Result:
        """GET `path`. Raises `GStableError`."""
        return await self._call("GET", path, None, parse)

    async def post(
        self, path: str, make_body: Callable[[], bytes], parse: Callable[[object], Result]
    ) -> Result:
        """POST to `path`. `make_body` is asked before each attempt, because an authorization
        counts once: a repeated one would be refused although the first answer was lost."""
        return await self._call("POST", path, make_body, parse)

    async def _call(
        self,
        method: str,
        path: str,
        make_body: Callable[[], bytes] | None,
        parse: Callable[[object], Result],
    ) -> Result:
        for attempt in range(1, self._max_retries + 1):
            response: Response | None = None
            try:
                response = await self._send(method, path, make_body)
                return _answer.read(response, parse)
            except GStableError as error:
                if not _retry.is_transient(error):
                    raise
            retry_after = None if response is None else response.headers.get("retry-after")
            seconds = _retry.delay(attempt, self._seam.chance(), retry_after, self._seam.now())
            await self._seam.sleep(seconds)
        return _answer.read(await self._send(method, path, make_body), parse)

    async def _send(
        self, method: str, path: str, make_body: Callable[[], bytes] | None
    ) -> Response:
        body = None if make_body is None else make_body()
        url = self._base_url + path
        return await self._transport.send_async(
            Request(method, url, COMMON_HEADERS, body, self._timeout)
        )
