"""Requests made at random that follow each other: what one answer gave, the next ones use."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.generation.stateful.state_machine import APIStateMachine
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.support import USDC, Merchant, Wire
from tests.running import Running

DOCUMENT = Path(__file__).parents[2] / "openapi.json"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROUNDS_MAX = 40
SCENARIOS = 10
STEPS = 50
REQUESTS_MIN = 4_300
"""With those of ``test_schema`` more than 5,000."""
SOURCES = {
    "productId": "/product/create",
    "linkId": "/payment/link/create",
    "sessionId": "/session/checkout/create",
    "webhookId": "/webhook/create",
    "eventId": "/webhook/test",
}
"""Each id, and whose answer has it."""
FOLLOWED = {
    "POST /product/archive",
    "POST /payment/link/disable",
    "POST /session/checkout/cancel",
    "POST /test/session/advance",
    "POST /webhook/disable",
    "GET /event/deliveries/{eventId}",
}
"""Some of what can succeed only after something else did; chance decides which of them do."""
Document = dict[str, Any]


def settled(document: Document, merchant: Merchant, product_id: str) -> Document:
    """The merchant's part of the document, with values that exist where a request may name any
    and a link from each id to its uses: without them nothing would follow anything."""
    document["paths"] = {
        path: item for path, item in document["paths"].items() if "servers" not in item
    }
    del document["security"]  # the test has the key, and ``test_schema`` tries others
    for schema in document["components"]["schemas"].values():
        _settle(schema.get("properties", {}), str(merchant.account_id), product_id)
    for name, source in SOURCES.items():
        links = document["paths"][source]["post"]["responses"]["200"].setdefault("links", {})
        for path, item in document["paths"].items():
            for operation in item.values():
                use = _use(document, path, operation, name)
                if use:
                    links[f"{name} for {path}"] = {"operationId": operation["operationId"], **use}
    return document


def _settle(properties: Document, account_id: str, product_id: str) -> None:
    known: Document = {
        "accountId": [account_id],
        "settlementToken": [USDC, "base::usdc"],
        "webhookUrl": ["https://hooks.example/in"],
        "successUrl": ["https://shop.example/thanks"],
        "imageUrl": ["https://shop.example/tea.png"],
        "linkType": ["fixed"],
    }
    if "quantity" in properties:
        known |= {"productId": [product_id], "itemType": ["product"], "unitPrice": [1, 4_500_000]}
    properties.pop("expirationTime", None)
    for name in properties.keys() & known.keys():
        properties[name] = {"enum": known[name]}
    if "subscribedEvents" in properties:
        types = {"enum": ["session.paid", "product.created"]}
        properties["subscribedEvents"] = {"type": "array", "items": types, "minItems": 1}


def _use(document: Document, path: str, operation: Document, name: str) -> Document:
    """Where an operation takes that id: in its path, in its body, or nowhere."""
    found = f"$response.body#/data/{name}"
    if f"{{{name}}}" in path:
        return {"parameters": {name: found}}
    if "requestBody" not in operation:
        return {}
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return {"requestBody": {name: found}} if name in schema.get("properties", {}) else {}


def plain(value: Any) -> Any:
    """``value`` with integers written as such, and no text that cannot be stored."""
    if isinstance(value, dict):
        return {plain(name): plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return "".join(each if each.isprintable() else "x" for each in value)
    return value


def _play(sequence: type[APIStateMachine]) -> None:
    # The same choices lead elsewhere another time, because ids are drawn by the server; a round
    # that ends for that has judged every answer up to there.
    with suppress(FlakyStrategyDefinition):
        sequence.run(
            settings=settings(
                max_examples=SCENARIOS,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
        )


def test_no_sequence_of_requests_gets_an_answer_that_is_not_documented(
    running: Running, merchant: Merchant, wire: Wire
) -> None:
    product = wire.data("/product/create", {"name": "Tea", "commonPrices": [4_500_000]})
    document = settled(json.loads(DOCUMENT.read_text()), merchant, product["productId"])
    base_url = running.about["baseUrl"]
    answers: dict[int, int] = {}
    succeeded: set[str] = set()

    with requests.Session() as http:
        machine: type[APIStateMachine] = schemathesis.openapi.from_dict(document).as_state_machine()

        class Sequence(machine):  # type: ignore[valid-type, misc]
            def before_call(self, case: Case) -> None:
                case.body = plain(case.body)

            def get_call_kwargs(self, case: Case) -> dict[str, Any]:
                headers = {"authorization": f"Bearer {merchant.secret}"}
                return {"base_url": base_url, "headers": headers, "session": http, "timeout": 180}

            def validate_response(self, response: Response, case: Case, **_: Any) -> None:
                case.validate_response(response, checks=CHECKS)
                answers[response.status_code] = answers.get(response.status_code, 0) + 1
                if response.status_code == 200 and response.json()["code"] == 0:
                    succeeded.add(case.operation.label)

        for number in range(ROUNDS_MAX):
            if sum(answers.values()) < REQUESTS_MIN:
                _play(seed(number)(Sequence))
    assert len(succeeded & FOLLOWED) >= len(FOLLOWED) // 2, sorted(succeeded)
    assert sum(answers.values()) >= REQUESTS_MIN, answers
