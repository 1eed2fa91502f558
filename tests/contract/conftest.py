"""The contract tests share one installation with the stories, and make merchants of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.support import Merchant, Wire, new_merchant, open_wire
from tests.running import Running


@pytest.fixture(scope="module")
def merchant(running: Running) -> Merchant:
    """A merchant whose lists hold only what the module's tests make."""
    return new_merchant(running)


@pytest.fixture(scope="module")
def other(running: Running) -> Merchant:
    """A merchant whose objects the other one must not reach."""
    return new_merchant(running)


@pytest.fixture(scope="module")
def wire(running: Running, merchant: Merchant) -> Iterator[Wire]:
    """HTTP without the SDK, with the merchant's secret key."""
    with open_wire(running.base_url, merchant.secret) as opened:
        yield opened
