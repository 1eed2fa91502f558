"""Requests made at random from the committed document: no answer of the server may surprise it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.support import Merchant
from tests.running import Running

DOCUMENT = Path(__file__).parents[2] / "openapi.json"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
"""Requests per operation and mode; there are some thirty operations."""


def operations() -> Iterator[Any]:
    for result in schemathesis.openapi.from_path(DOCUMENT).get_all_operations():
        assert isinstance(result, Ok), result
        yield result.ok()


PUBLIC = "/capabilities/all"
AGENTS = "/api/v1/"
"""The AI payment protocol has a server of its own in the document, because of equal paths."""


def _can_be_wrong(operation: Any) -> bool:
    """Not where there is no key, and nothing to be sent but text in the path, which is any."""
    keyless = operation.path == PUBLIC or operation.path.startswith(AGENTS)
    return not (keyless and operation.method.upper() == "GET")


CASES = [
    pytest.param(operation, mode, id=f"{operation.label} {mode.name.lower()}")
    for operation in operations()
    for mode in GenerationMode
    if mode is not GenerationMode.NEGATIVE or _can_be_wrong(operation)
]


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_no_request_gets_an_answer_that_is_not_documented(
    running: Running,
    merchant: Merchant,
    http: requests.Session,
    operation: Any,
    mode: GenerationMode,
) -> None:
    base_url = running.about["publicBaseUrl" if operation.path == PUBLIC else "baseUrl"]
    if operation.path.startswith(AGENTS):
        base_url = f"{running.base_url}/aipay"

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        headers = {"authorization": f"Bearer {merchant.secret}"}
        response = case.call(base_url=base_url, headers=headers, session=http, timeout=180)
        case.validate_response(response, checks=CHECKS)

    ask()
