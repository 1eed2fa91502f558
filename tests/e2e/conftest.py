"""Stories share one installation; they run one after the other on one test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.shop import Shop
from tests.running import Running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "running" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture
def shop(running: Running) -> Iterator[Shop]:
    with running.client() as client:
        yield Shop(running, client)
