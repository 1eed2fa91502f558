"""What a scenario is played with: a test key, the networks, and a wallet with test money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from gstable import AsyncClient
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import load_networks
from gstable_server.cli.payer import Payer

API_KEY = "GSTABLE_API_KEY"
BASE_URL = "GSTABLE_BASE_URL"
NETWORKS_FILE = "GSTABLE_NETWORKS_FILE"
PAYER_KEY = "GSTABLE_PAYER_KEY"
MERCHANT_KEY = "GSTABLE_MERCHANT_KEY"
DEFAULT_BASE_URL = "http://127.0.0.1:8000/api/v1"
TEST_KEY_PREFIX = "sk_test_"


class RobotFailed(Exception):
    """A scenario cannot be played here, or did not end as it should; the text is one line."""


@dataclass(frozen=True, slots=True)
class Stage:
    """``payer_key`` and ``merchant_key`` are private keys as hexadecimal: of a wallet with test
    tokens and coins on every network, and of the one that the merchant is paid to, if known."""

    client: AsyncClient
    http: aiohttp.ClientSession
    networks: Networks
    payer_key: str
    merchant_key: str | None = None

    def payer(self, payment_url: str) -> Payer:
        """The wallet, at the address that the page is served from."""
        parts = urlsplit(payment_url)
        return Payer(self.http, f"{parts.scheme}://{parts.netloc}", self.networks, self.payer_key)


@asynccontextmanager
async def open_stage(environment: Mapping[str, str]) -> AsyncIterator[Stage]:
    """The stage that ``GSTABLE_API_KEY``, ``GSTABLE_BASE_URL``, ``GSTABLE_NETWORKS_FILE``,
    ``GSTABLE_PAYER_KEY`` and, for refunds only, ``GSTABLE_MERCHANT_KEY`` describe.

    Raises ``RobotFailed`` naming the variable that is missing, or a key that is no full test key;
    ``ConfigurationError`` for the networks file.
    """
    missing = [name for name in (API_KEY, NETWORKS_FILE, PAYER_KEY) if not environment.get(name)]
    if missing:
        raise RobotFailed(f"set {', '.join(missing)}")
    if not environment[API_KEY].startswith(TEST_KEY_PREFIX):
        raise RobotFailed(f"{API_KEY} must be a key that begins with {TEST_KEY_PREFIX}")
    base_url = environment.get(BASE_URL) or DEFAULT_BASE_URL
    networks = load_networks(Path(environment[NETWORKS_FILE]))
    async with (
        aiohttp.ClientSession() as http,
        AsyncClient(environment[API_KEY], base_url=base_url) as client,
    ):
        yield Stage(
            client=client,
            http=http,
            networks=networks,
            payer_key=_without_prefix(environment[PAYER_KEY]),
            merchant_key=_without_prefix(environment.get(MERCHANT_KEY, "")) or None,
        )


def _without_prefix(key_hex: str) -> str:
    return key_hex.removeprefix("0x")
