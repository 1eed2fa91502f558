"""The client: settings in, namespaces out."""

from types import TracebackType
from typing import Self

from gstable._async.account import AsyncAccountNamespace
from gstable._async.capability import AsyncCapabilityNamespace
from gstable._async.checkout_session import AsyncCheckoutSessionNamespace
from gstable._async.event import AsyncEventNamespace
from gstable._async.http_transport import AsyncHTTPTransport
from gstable._async.log import AsyncLogNamespace
from gstable._async.payment_link import AsyncPaymentLinkNamespace
from gstable._async.product import AsyncProductNamespace
from gstable._async.requester import AsyncRequester
from gstable._async.seam import AsyncSeam
from gstable._async.webhook import AsyncWebhookNamespace
from gstable._config import (
    DEFAULT_BASE_URL,
    DEFAULT_MAX_RETRIES,
    DEFAULT_PUBLIC_BASE_URL,
    DEFAULT_TIMEOUT,
    Timeout,
    configure,
    start_debug_log,
)
from gstable._transport import AsyncTransport


class AsyncClient:
    """A merchant's door to the platform.

    `api_key`: `sk_…` or `rk_…`, trimmed; `Bearer ` is added unless it is there.
    `base_url`, `public_base_url`: where the merchant and public API are; a trailing slash is
    trimmed. `timeout`: seconds per phase of one attempt and for a whole call, see `Timeout`; a
    number sets all phases.
    `max_retries`: further attempts (0 to 10) after a connection error, a timeout, HTTP 429, 500,
    502, 503, 504, or code 400103 or 900101. GETs are safe to repeat; every POST carries an
    `Idempotency-Key`, yours or a fresh one, the same on each attempt. `transport`: what carries
    the requests; it is closed with the client.

    Raises `GStableUsageError` (a `GStableError` and a `ValueError`) for a setting that cannot be.
    Reads nothing from the environment but GSTABLE_DEBUG. Source: specification sections 13, 15.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        public_base_url: str = DEFAULT_PUBLIC_BASE_URL,
        timeout: Timeout | float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        transport: AsyncTransport | None = None,
        _seam: AsyncSeam | None = None,
    ) -> None:
        config = configure(api_key, base_url, public_base_url, timeout, max_retries)
        start_debug_log()
        if transport is None:
            transport = AsyncHTTPTransport()
        self._requester = AsyncRequester(config, transport, _seam or AsyncSeam())
        self.product = AsyncProductNamespace(self._requester)
        self.account = AsyncAccountNamespace(self._requester)
        self.payment_link = AsyncPaymentLinkNamespace(self._requester)
        self.checkout_session = AsyncCheckoutSessionNamespace(self._requester)
        self.webhook = AsyncWebhookNamespace(self._requester)
        self.event = AsyncEventNamespace(self._requester)
        self.log = AsyncLogNamespace(self._requester)
        self.capability = AsyncCapabilityNamespace(self._requester)

    async def close(self) -> None:
        """Close the connections. Calls after that raise `GStableUsageError`."""
        await self._requester.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
