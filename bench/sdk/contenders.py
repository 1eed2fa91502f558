"""Who is compared: each a function that makes one call and reads the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2
import requests
import stripe

from gstable import AsyncClient, Client

KEY = "sk_test_0123456789012345678901234567890123456789"
SESSION = "sess_00000000000000000000000000000000"
OURS = f"/api/v1/session/{SESSION}"
OURS_POST = "/api/v1/session/checkout/capture"
THEIRS = f"/v1/checkout/sessions/{SESSION}"
HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "Authorization": f"Bearer {KEY}",
    "User-Agent": "bench",
}
Call = Callable[[], Any]
AsyncCall = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Pair:
    """A client and the HTTP client below it, that do the same exchange."""

    name: str
    library: Call | AsyncCall
    bare: Call | AsyncCall
    is_async: bool = False


def pairs(url: str) -> list[Pair]:
    """All pairs; their connections live as long as the process."""
    return [*_ours(url), *_theirs(url)]


def _ours(url: str) -> list[Pair]:
    client = Client(KEY, base_url=url + "/api/v1")
    async_client = AsyncClient(KEY, base_url=url + "/api/v1")
    bare, async_bare = httpx2.Client(trust_env=False), httpx2.AsyncClient(trust_env=False)

    def get() -> Any:
        return bare.get(url + OURS, headers=HEADERS).json()

    def post() -> Any:
        content = json.dumps({"sessionId": SESSION, "amount": 1}).encode()
        headers = {**HEADERS, "Idempotency-Key": "key"}
        return bare.post(url + OURS_POST, content=content, headers=headers).json()

    async def async_get() -> Any:
        return (await async_bare.get(url + OURS, headers=HEADERS)).json()

    return [
        Pair("gstable get", lambda: client.checkout_session.detail(SESSION), get),
        Pair("gstable post", lambda: client.checkout_session.capture(SESSION, amount=1), post),
        Pair(
            "gstable get async",
            lambda: async_client.checkout_session.detail(SESSION),
            async_get,
            is_async=True,
        ),
    ]


def _theirs(url: str) -> list[Pair]:
    base: Any = {"api": url}
    client = stripe.StripeClient(KEY, base_addresses=base, http_client=stripe.RequestsClient())
    async_client = stripe.StripeClient(KEY, base_addresses=base, http_client=stripe.HTTPXClient())
    session, async_bare = requests.Session(), httpx.AsyncClient(trust_env=False)
    session.trust_env = False

    def get() -> Any:
        return session.get(url + THEIRS, headers=HEADERS, timeout=80).json()

    async def async_get() -> Any:
        return (await async_bare.get(url + THEIRS, headers=HEADERS)).json()

    return [
        Pair("stripe get", lambda: client.v1.checkout.sessions.retrieve(SESSION), get),
        Pair(
            "stripe get async",
            lambda: async_client.v1.checkout.sessions.retrieve_async(SESSION),
            async_get,
            is_async=True,
        ),
    ]
