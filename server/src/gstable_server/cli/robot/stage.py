"""What a scenario is played with: a test key, the networks, and a wallet with test money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from gstable import AsyncClient
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import load_networks
from gstable_server.cli.payer import Payer, open_http

API_KEY = "GSTABLE_API_KEY"
BASE_URL = "GSTABLE_BASE_URL"
NETWORKS_FILE = "GSTABLE_NETWORKS_FILE"
PAYER_KEY = "GSTABLE_PAYER_KEY"
MERCHANT_KEY = "GSTABLE_MERCHANT_KEY"
STALL_SECONDS = "GSTABLE_STALL_SECONDS"
DEFAULT_BASE_URL = "http://127.0.0.1:8000/api/v1"
TEST_KEY_PREFIX = "sk_test_"


class RobotFailed(Exception):
    """A scenario cannot be played here, or did not end as it should; the text is one line."""


@dataclass(frozen=True, slots=True)
class Stage:
    """``payer_key`` and ``merchant_key`` are private keys as hexadecimal: of a wallet with test
    tokens and coins on every network, and of the one that the merchant is paid to, if known.
    ``stall_seconds`` is the server's: after what time a crossing hangs."""

    client: AsyncClient
    http: aiohttp.ClientSession
    networks: Networks
    payer_key: str
    merchant_key: str | None = None
    stall_seconds: int = 120

    def payer(self, payment_url: str) -> Payer:
        """The wallet, at the address that the page is served from."""
        parts = urlsplit(payment_url)
        return Payer(self.http, f"{parts.scheme}://{parts.netloc}", self.networks, self.payer_key)


@asynccontextmanager
async def open_stage(environment: Mapping[str, str]) -> AsyncIterator[Stage]:
    """The stage that ``GSTABLE_API_KEY``, ``GSTABLE_BASE_URL``, ``GSTABLE_NETWORKS_FILE``,
    ``GSTABLE_PAYER_KEY``, ``GSTABLE_STALL_SECONDS`` and, for refunds only,
    ``GSTABLE_MERCHANT_KEY`` describe.

    Raises ``RobotFailed`` naming the variable that is missing or wrong, or a key that is no full
    test key; ``ConfigurationError`` for the networks file.
    """
    settings = {name: value for name, value in environment.items() if value}
    missing = [name for name in (API_KEY, NETWORKS_FILE, PAYER_KEY) if name not in settings]
    if missing:
        raise RobotFailed(f"set {', '.join(missing)}")
    if not settings[API_KEY].startswith(TEST_KEY_PREFIX):
        raise RobotFailed(f"{API_KEY} must be a key that begins with {TEST_KEY_PREFIX}")
    stall = settings.get(STALL_SECONDS, "120")
    if not stall.isdecimal():
        raise RobotFailed(f"{STALL_SECONDS} must be a number of seconds")
    payer_key = _private_key(settings, PAYER_KEY)
    merchant_key = _private_key(settings, MERCHANT_KEY) if MERCHANT_KEY in settings else None
    networks = load_networks(Path(settings[NETWORKS_FILE]))
    base_url = settings.get(BASE_URL, DEFAULT_BASE_URL)
    async with (
        open_http() as http,
        AsyncClient(settings[API_KEY], base_url=base_url) as client,
    ):
        yield Stage(
            client=client,
            http=http,
            networks=networks,
            payer_key=payer_key,
            merchant_key=merchant_key,
            stall_seconds=int(stall),
        )


def _private_key(settings: Mapping[str, str], name: str) -> str:
    try:
        return private_key_from_hex(settings[name]).hex()
    except ValueError as failure:
        raise RobotFailed(f"{name}: {failure}") from None
