"""How the merchant's verbs reach the API, and how they fail."""

from __future__ import annotations

import os

from gstable import AsyncClient, GStableConnectionError, GStableError, GStablePlatformError

API_KEY = "GSTABLE_API_KEY"
BASE_URL = "GSTABLE_BASE_URL"
DEFAULT_BASE_URL = "http://127.0.0.1:8000/api/v1"


class MerchantFailed(Exception):
    """A verb cannot do what it was asked for; the text is one line for the user."""


def base_url() -> str:
    """Where the merchant API is: ``GSTABLE_BASE_URL``, this machine's unless set."""
    return os.environ.get(BASE_URL) or DEFAULT_BASE_URL


def open_client() -> AsyncClient:
    """The SDK with the key of ``GSTABLE_API_KEY``: its timeouts, and its retries.

    Raises ``MerchantFailed`` where no key is set, ``GStableUsageError`` for one that is none.
    """
    api_key = os.environ.get(API_KEY, "").strip()
    if not api_key:
        raise MerchantFailed(f"set {API_KEY} to an API key of the merchant's (sk_… or rk_…)")
    return AsyncClient(api_key, base_url=base_url())


def may_pass(error: GStableError) -> bool:
    """True where asking again later may help: no answer, or the server's own trouble."""
    broken = error.http_status is not None and error.http_status >= 500
    return broken or isinstance(error, (GStableConnectionError, GStablePlatformError))


def in_words(failure: Exception) -> str:
    """One line for the user; what did not answer is named."""
    if isinstance(failure, GStableConnectionError):
        return f"no answer from {base_url()}: {failure.message}"
    return " ".join(str(failure).split())
