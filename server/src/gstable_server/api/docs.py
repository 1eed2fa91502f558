"""``/openapi.json``, and ``/docs``: the same as a page that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gstable_server.api.openapi import document_bytes
from gstable_server.plumbing.route import Json

_PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_STYLE = """\
:root { color-scheme: light dark; --edge: #8884; --dim: #777; --get: #176f3d; --post: #1d4fa3; }
@media (prefers-color-scheme: dark) { :root { --get: #5fd08f; --post: #86aef5; --dim: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--edge); }
details { border: 1px solid var(--edge); border-radius: 6px; margin: 0.5rem 0; padding: 0 0.8rem; }
summary { cursor: pointer; padding: 0.5rem 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1rem; }
th, td { border-top: 1px solid var(--edge); padding: 0.3rem 0.5rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
.get { color: var(--get); } .post { color: var(--post); } .dim { color: var(--dim); }
pre { overflow-x: auto; border: 1px solid var(--edge); border-radius: 6px; padding: 0.6rem; }
"""


def routes(document: dict[str, Json]) -> list[BaseRoute]:
    """The routes that show ``document``; everything is rendered once, here."""
    return [
        _fixed("/openapi.json", document_bytes(document), "application/json"),
        _fixed("/docs", page(document).encode(), "text/html; charset=utf-8"),
        _fixed("/docs/style.css", _STYLE.encode(), "text/css; charset=utf-8"),
    ]


def _fixed(path: str, content: bytes, media_type: str) -> Route:
    async def serve(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers=_PAGE_HEADERS)

    return Route(path, serve, methods=["GET"])


def page(document: dict[str, Json]) -> str:
    """The whole page as HTML."""
    return "\n".join(_page(document))


def _page(document: dict[str, Json]) -> Iterator[str]:
    info = document["info"]
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
    yield '<meta name="viewport" content="width=device-width">'
    yield '<link rel="stylesheet" href="/docs/style.css"></head><body>'
    yield f"<h1>{escape(info['title'])}</h1>"
    for paragraph in info["description"].strip().split("\n\n"):
        yield f"<p>{_text(paragraph)}</p>"
    yield "<p>Base addresses: " + ", ".join(
        f"<code>{escape(server['url'])}</code>" for server in document["servers"]
    )
    yield '. The same as data: <a href="/openapi.json">openapi.json</a>.</p>'
    for tag in [*(tag["name"] for tag in document["tags"]), "Public"]:
        yield from _section(document, tag)
    yield from _codes(document)
    yield "</body></html>"


def _section(document: dict[str, Json], tag: str) -> Iterator[str]:
    yield f"<h2>{escape(tag)}</h2>"
    for path, methods in document["paths"].items():
        # Other doors than the merchants' have an address of their own: it is a part of the path.
        own = methods.get("servers", [{"url": ""}])[0]["url"]
        for method in ("get", "post"):
            operation = methods.get(method)
            if operation is not None and tag in (operation["tags"] or ["Public"]):
                yield from _operation(document, own + path, method, operation)


def _operation(document: dict[str, Json], path: str, method: str, operation: Json) -> Iterator[str]:
    yield f'<details id="{operation["operationId"]}"><summary><b class="{method}">'
    yield f"{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}"
    yield f"</summary><p>{_text(operation['description'])}</p>"
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        yield "<h4>Body</h4>"
        yield from _fields(document, content["schema"])
        for example in content.get("examples", {}).values():
            yield f"<pre>{escape(_pretty(example['value']))}</pre>"
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"][0]
    yield "<h4>Answer: data</h4>"
    yield from _fields(document, answer["properties"]["data"])
    yield "</details>"


def _pretty(value: Json) -> str:
    return document_bytes(value).decode()


def _fields(document: dict[str, Json], schema: Json) -> Iterator[str]:
    """A table of the fields of an object, each type named; other types in one line."""
    yield f"<p>{_type(schema)}</p>"
    found = _resolved(document, schema.get("items", schema))
    if "properties" not in found:
        return
    yield "<table><tr><th>Field</th><th>Type</th><th></th></tr>"
    for name, part in found["properties"].items():
        required = "required" if name in found.get("required", ()) else ""
        yield f"<tr><td><code>{escape(name)}</code></td><td>{_type(part)}</td>"
        yield f'<td><span class="dim">{required}</span> {_text(_notes(part))}</td></tr>'
    yield "</table>"
    for inner in found["properties"].values():
        target = _resolved(document, inner.get("items", inner))
        if target is not inner and "properties" in target and target is not found:
            yield f"<p>{_type(inner)} has:</p>"
            yield from _fields(document, inner.get("items", inner))


def _resolved(document: dict[str, Json], schema: Json) -> Any:
    if "$ref" not in schema:
        return schema
    return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return f"<code>{escape(schema['$ref'].rsplit('/', 1)[1])}</code>"
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(_type(branch) for branch in schema[union])
    if "const" in schema:
        return f"<code>{escape(repr(schema['const']))}</code>"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(repr(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("type", "any JSON")))


_NOTES = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "shortest",
    "maxLength": "longest",
    "minItems": "fewest",
    "maxItems": "most",
    "default": "default",
}


def _notes(schema: Json) -> str:
    parts = [schema, *schema.get("anyOf", ())]
    limits = [
        f"{words} {part[name]}" for part in parts for name, words in _NOTES.items() if name in part
    ]
    described = [schema["description"]] if "description" in schema else []
    return "; ".join([*described, *limits])


def _text(text: str) -> str:
    """Plain text with `code` marked."""
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _codes(document: dict[str, Json]) -> Iterator[str]:
    yield "<h2>Codes</h2><table><tr><th>Code</th><th>Message</th></tr>"
    for row in document["components"]["schemas"]["Refusal"]["x-codes"]:
        yield f"<tr><td>{row['code']}</td><td>{escape(row['message'])}</td></tr>"
    yield "</table>"
