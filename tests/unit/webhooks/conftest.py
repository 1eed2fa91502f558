"""The outgoing HTTP client, allowed to reach receivers on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.plumbing.http_client import GuardedClient


@pytest.fixture
async def http() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(allow_loopback=True) as client:
        yield client
