"""The OpenAPI 3.1 document, made from the rows of the slices' routes and their types.

The same routes give the same bytes, so that the committed ``openapi.json`` shows every change of
the contract in review.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from pydantic import TypeAdapter

from gstable_server.api.merchant import PREFIXES
from gstable_server.api.open import AGENT_PREFIX
from gstable_server.kernel.errors import Code
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.idempotency import KEY_LENGTH_MAX
from gstable_server.plumbing.route import Json, OpenRoute, Route
from gstable_server.routing.wire import Capabilities

VERSION = "1"
_AGENT_PATH = "/api/v1"
_REF = "#/components/schemas/{model}"
_PATH_VALUE = re.compile(r"{(\w+)}")
_DESCRIPTION = """\
Merchants create products, payment links and checkout sessions, and read what was paid.

Every answer is the envelope `{code, message, data}`: `code` 0 means success, any other code is a
refusal and `data` is null. Prices are integers of Micro-USD (1 USD = 1,000,000). Every POST
accepts an `Idempotency-Key`, kept for 24 hours. Every answer carries an `x-request-id`.
"""
_STATUSES = {
    "401": "No API key, or one that does not work: 200101, 200103",
    "403": "The API key may only read: 200102",
    "413": "The body is too large",
    "429": "Too many requests: 900101; `Retry-After` says how many seconds to wait",
    "500": "Our own fault: 999999",
}


def document(
    routes: Sequence[Route], public_url: str = "", agent_routes: Sequence[OpenRoute] = ()
) -> dict[str, Json]:
    """The document. ``public_url`` without a trailing slash; empty for addresses relative to
    where the document is served. ``agent_routes`` need no key, and have a server of their own."""
    results, definitions = _schemas([*routes, *agent_routes])
    paths: dict[str, Json] = {}
    for route in sorted(routes, key=lambda row: (row.path, row.method)):
        operation = _operation(route, results[_key_of(route), "serialization"])
        if route.body is not None:
            body = results[_key_of(route), "validation"]
            operation["requestBody"] = _request_body(route, body)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    for one in agent_routes:
        paths[_AGENT_PATH + one.path] = _agent_path(one, public_url, results)
    paths["/capabilities/all"] = _capabilities(public_url, results["capabilities", "serialization"])
    tags = {tag for row in routes for tag in row.tags}
    tags |= {tag for one in agent_routes for tag in one.tags}
    return {
        "openapi": "3.1.0",
        "info": {"title": "GStable payment API", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": public_url + prefix} for prefix in PREFIXES],
        "security": [{"bearer": []}],
        "tags": [{"name": tag} for tag in sorted(tags)],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": _BEARER},
            "schemas": {**definitions, "Refusal": _refusal_schema()},
            "responses": {status: _refusal(text) for status, text in _STATUSES.items()},
        },
    }


def document_bytes(made: dict[str, Json]) -> bytes:
    """The document as it is committed and served: indented JSON, one line break at the end."""
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"


_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "`sk_live_…`/`sk_test_…` may do everything, `rk_live_…`/`rk_test_…` only read.",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Text of your choice: the same request under the same key is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX},
}


def _schemas(
    routes: Iterable[Route | OpenRoute],
) -> tuple[dict[tuple[str, str], Json], dict[str, Json]]:
    """Every type's schema by (route, direction), and the definitions that they share."""
    wanted: list[tuple[str, Any, TypeAdapter[Any]]] = [
        ("capabilities", "serialization", TypeAdapter(Capabilities))
    ]
    for route in routes:
        name = _key_of(route)
        wanted.append((name, "serialization", TypeAdapter(route.result)))
        if route.body is not None:
            wanted.append((name, "validation", TypeAdapter(route.body)))
    made, shared = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    definitions = shared.get("$defs", {})
    return (
        {(str(name), str(mode)): schema for (name, mode), schema in made.items()},
        {name: definitions[name] for name in sorted(definitions)},
    )


def _operation(route: Route, result: Json) -> dict[str, Json]:
    parameters: list[Json] = [_path_parameter(name) for name in _PATH_VALUE.findall(route.path)]
    if route.method == "POST":
        parameters.append(_IDEMPOTENCY_KEY)
    right = "reads: any API key" if route.access is Access.READ else "writes: a secret key"
    return {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "description": f"This {right}.",
        "tags": list(route.tags),
        "parameters": parameters,
        "responses": {
            "200": _success(result),
            **{status: {"$ref": f"#/components/responses/{status}"} for status in _STATUSES},
        },
    }


def _key_of(route: Route | OpenRoute) -> str:
    """Agents' paths are also merchants': see spec 1, route clash."""
    door = "agents " if isinstance(route, OpenRoute) else ""
    return f"{door}{route.method}{route.path}"


def _agent_path(
    route: OpenRoute, public_url: str, results: dict[tuple[str, str], Json]
) -> dict[str, Json]:
    """A path of the AI payment protocol. Beside merchants' paths, not among them: there it would
    be the same path with another meaning."""
    answers = {code: {"$ref": f"#/components/responses/{code}"} for code in ("413", "429", "500")}
    operation: dict[str, Json] = {
        "operationId": f"agent_{_operation_id(route)}",
        "summary": route.summary,
        "description": "Public: needs no API key. What changes anything is signed by its payer.",
        "tags": list(route.tags),
        "security": [],
        "parameters": [_path_parameter(name) for name in _PATH_VALUE.findall(route.path)],
        "responses": {"200": _success(results[_key_of(route), "serialization"]), **answers},
    }
    if route.body is not None:
        operation["requestBody"] = _request_body(route, results[_key_of(route), "validation"])
    return {
        "servers": [{"url": public_url + AGENT_PREFIX.removesuffix(_AGENT_PATH)}],
        route.method.lower(): operation,
    }


def _operation_id(route: Route | OpenRoute) -> str:
    words = [word for word in route.path.split("/") if word]
    return "_".join([route.method.lower(), *(word.strip("{}") for word in words)])


def _path_parameter(name: str) -> Json:
    schema: Json = {"type": "string"}
    if name == "page":
        schema = {"type": "integer", "minimum": 1}
    elif name == "size":
        schema = {"type": "integer", "minimum": 1, "maximum": 100}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _request_body(route: Route | OpenRoute, schema: Json) -> Json:
    content: Json = {"schema": schema}
    if route.examples:
        content["examples"] = {
            f"example{number}": {"value": example}
            for number, example in enumerate(route.examples, start=1)
        }
    return {"required": True, "content": {"application/json": content}}


def _success(result: Json) -> Json:
    envelope = {
        "type": "object",
        "required": ["code", "message", "data"],
        "additionalProperties": False,
        "properties": {"code": {"const": 0}, "message": {"const": "success"}, "data": result},
    }
    either = {"oneOf": [envelope, {"$ref": "#/components/schemas/Refusal"}]}
    return {
        "description": "Done (`code` 0), or refused for a reason that the code tells.",
        "headers": {"x-request-id": {"schema": {"type": "string"}}},
        "content": {"application/json": {"schema": either}},
    }


def _refusal(description: str) -> Json:
    schema = {"$ref": "#/components/schemas/Refusal"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refusal_schema() -> Json:
    # Members of the enumeration that share a number differ in HTTP status only.
    table: dict[int, str] = {}
    for code in Code.__members__.values():
        table.setdefault(code.number, code.message)
    return {
        "type": "object",
        "required": ["code", "message", "data"],
        "additionalProperties": False,
        "properties": {
            "code": {"type": "integer", "enum": sorted(table)},
            "message": {
                "type": "string",
                "description": "The code's fixed text, or that text, a colon and what is wrong.",
            },
            "data": {"type": "null"},
        },
        "x-codes": [{"code": number, "message": table[number]} for number in sorted(table)],
    }


def _capabilities(public_url: str, result: Json) -> Json:
    return {
        "servers": [{"url": public_url + "/public/api/v1"}],
        "get": {
            "operationId": "get_capabilities_all",
            "summary": "Which token may pay for which, at what fee and within what limits",
            "description": "Public: needs no API key.",
            "tags": [],
            "security": [],
            "parameters": [],
            "responses": {
                "200": _success(result),
                **{code: {"$ref": f"#/components/responses/{code}"} for code in ("429", "500")},
            },
        },
    }
