from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from gstable_server.api import openapi
from gstable_server.api.docs import page
from gstable_server.kernel.errors import Code
from tests.unit.api.notes import ROUTES, Api

pytestmark = pytest.mark.anyio

DOCUMENT: Any = openapi.document(ROUTES, "https://pay.example")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_the_same_routes_in_any_order_give_the_same_bytes() -> None:
    made = openapi.document_bytes(DOCUMENT)
    again = openapi.document(list(reversed(ROUTES)), "https://pay.example")
    assert openapi.document_bytes(again) == made
    assert made.endswith(b"}\n")


def test_every_route_is_there_with_both_servers_and_a_key() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert operation["summary"] == route.summary
        assert set(operation["responses"]) == {"200", "401", "403", "413", "429", "500"}
    assert [server["url"] for server in DOCUMENT["servers"]] == [
        "https://pay.example/api/v1",
        "https://pay.example/payment/v1",
    ]
    assert DOCUMENT["security"] == [{"bearer": []}]
    public = DOCUMENT["paths"]["/capabilities/all"]
    assert public["servers"] == [{"url": "https://pay.example/public/api/v1"}]
    assert public["get"]["security"] == []


def test_every_reference_leads_somewhere() -> None:
    found = set(_references(DOCUMENT))
    assert found
    for reference in found:
        here: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            here = here[step]


def test_every_code_is_listed_once() -> None:
    rows = DOCUMENT["components"]["schemas"]["Refusal"]["x-codes"]
    assert {row["code"] for row in rows} == {code.number for code in Code}
    assert len(rows) == len({row["code"] for row in rows})


async def test_real_answers_are_what_the_document_says(api: Api) -> None:
    schema = {
        **DOCUMENT["paths"]["/note/create"]["post"]["responses"]["200"]["content"][
            "application/json"
        ]["schema"],
        "components": DOCUMENT["components"],
    }
    validator = jsonschema_rs.Draft202012Validator(schema)
    done = await api.post("/api/v1/note/create", {"noteName": "x"})
    refused = await api.post("/api/v1/note/create", {})
    for answer in (done, refused):
        validator.validate(answer.json())
    assert not validator.is_valid({"code": 0, "message": "success", "data": {"noteId": 1}})
    assert not validator.is_valid({"code": 1, "message": "?", "data": None})


async def test_the_body_schema_is_what_the_server_accepts(api: Api) -> None:
    content = DOCUMENT["paths"]["/note/create"]["post"]["requestBody"]["content"]
    schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema)
    for body, good in (
        ({"noteName": "x", "lineItems": [{"quantity": 1, "unitPrice": 1}]}, True),
        ({"noteName": "x", "lineItems": [{"quantity": 0, "unitPrice": 1}]}, False),
        ({"noteName": "x", "unknown": 1}, False),
        ({}, False),
    ):
        assert validator.is_valid(body) is good
        answer = await api.post("/api/v1/note/create", body)
        assert (answer.json()["code"] == 0) is good


async def test_the_page_shows_everything_and_loads_nothing_from_elsewhere(api: Api) -> None:
    answer = await api.client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert set(re.findall(r'(?:src|href)="([^"]*)"', answer.text)) == {
        "/docs/style.css",
        "/openapi.json",
    }
    assert "<script" not in answer.text
    assert " style=" not in answer.text
    for route in ROUTES:
        assert f"<code>{route.path}</code>" in answer.text
    for code in Code:
        assert str(code.number) in answer.text
    style = await api.client.get("/docs/style.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in style.text
    assert "@import" not in style.text


async def test_the_document_is_served_as_it_is_generated(api: Api) -> None:
    answer = await api.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content)["openapi"] == "3.1.0"


def test_the_page_escapes_what_it_shows() -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["info"]["title"] = "<script>alert(1)</script>"
    assert "<script>" not in page(document)
