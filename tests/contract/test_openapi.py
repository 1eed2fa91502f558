from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

from gstable_server.cli import openapi


def test_the_committed_document_is_what_the_routes_say(repository: Path) -> None:
    assert (repository / "openapi.json").read_bytes() == openapi.contract(), (
        "openapi.json is out of date: run `gstable openapi` and review the difference"
    )


def test_a_changed_document_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    assert not openapi.is_current(file)
    openapi.write(file)
    assert openapi.is_current(file)
    file.write_bytes(file.read_bytes().replace(b"/product/create", b"/product/make"))
    assert not openapi.is_current(file)


def test_the_document_has_every_endpoint_of_the_merchant_api(repository: Path) -> None:
    paths: Any = json.loads((repository / "openapi.json").read_bytes())["paths"]
    agents = {path: row for path, row in paths.items() if path.startswith("/api/v1/")}
    assert sum(method in {"get", "post"} for row in agents.values() for method in row) == 4
    merchants = [row for path, row in paths.items() if path not in agents]
    assert sum(method in {"get", "post"} for row in merchants for method in row) == 49
    assert "/session/list/settlement/pending/{page}/{size}" in paths


def test_every_schema_of_the_document_is_valid(repository: Path) -> None:
    schemas: Any = json.loads((repository / "openapi.json").read_bytes())["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": DIALECT, **schema})


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def test_every_body_example_is_one_that_the_document_allows(repository: Path) -> None:
    document: Any = json.loads((repository / "openapi.json").read_bytes())
    for row in document["paths"].values():
        content = row.get("post", {}).get("requestBody", {}).get("content")
        if content is None:
            continue
        body = content["application/json"]
        schema = {**body["schema"], "components": document["components"]}
        for example in body.get("examples", {}).values():
            jsonschema_rs.Draft202012Validator(schema).validate(example["value"])
