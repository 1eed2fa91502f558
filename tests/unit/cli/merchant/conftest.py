from __future__ import annotations

from functools import partial

import pytest

from gstable import AsyncClient, MockTransport
from gstable_server.cli.merchant import connection
from tests.unit.cli.merchant.support import Platform


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The API at the SDK's transport, and a merchant's key in the environment."""
    made = Platform()
    client = partial(AsyncClient, transport=MockTransport(made.answer), max_retries=0)
    monkeypatch.setattr(connection, "AsyncClient", client)
    monkeypatch.setenv("GSTABLE_API_KEY", "sk_test_1")
    monkeypatch.setenv("GSTABLE_BASE_URL", "http://127.0.0.1:9/api/v1")
    monkeypatch.setenv("COLUMNS", "80")
    return made
