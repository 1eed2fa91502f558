# Generated from _async/client.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""The client: settings in, namespaces out."""

from types import TracebackType
from typing import Self

from gstable._sync.account import AccountNamespace
from gstable._sync.capability import CapabilityNamespace
from gstable._sync.checkout_session import CheckoutSessionNamespace
from gstable._sync.event import EventNamespace
from gstable._sync.http_transport import HTTPTransport
from gstable._sync.log import LogNamespace
from gstable._sync.payment_link import PaymentLinkNamespace
from gstable._sync.product import ProductNamespace
from gstable._sync.requester import Requester
from gstable._sync.seam import Seam
from gstable._sync.webhook import WebhookNamespace
from gstable._config import (
    DEFAULT_BASE_URL,
    DEFAULT_MAX_RETRIES,
    DEFAULT_PUBLIC_BASE_URL,
    DEFAULT_TIMEOUT,
    Timeout,
    configure,
    start_debug_log,
)
from gstable._transport import Transport


class Client:
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
        transport: Transport | None = None,
        _seam: Seam | None = None,
    ) -> None:
        config = configure(api_key, base_url, public_base_url, timeout, max_retries)
        start_debug_log()
        if transport is None:
            transport = HTTPTransport()
        self._requester = Requester(config, transport, _seam or Seam())
        self.product = ProductNamespace(self._requester)
        self.account = AccountNamespace(self._requester)
        self.payment_link = PaymentLinkNamespace(self._requester)
        self.checkout_session = CheckoutSessionNamespace(self._requester)
        self.webhook = WebhookNamespace(self._requester)
        self.event = EventNamespace(self._requester)
        self.log = LogNamespace(self._requester)
        self.capability = CapabilityNamespace(self._requester)

    def close(self) -> None:
        """Close the connections. Calls after that raise `GStableUsageError`."""
        self._requester.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
