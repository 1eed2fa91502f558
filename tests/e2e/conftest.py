"""Stories share one installation; they run one after the other on one test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.shop import Shop
from tests.running import Running


@pytest.fixture
def shop(running: Running) -> Iterator[Shop]:
    with running.client() as client:
        yield Shop(running, client)
