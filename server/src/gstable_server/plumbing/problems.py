"""What pydantic finds wrong with a body, said in the contract's words (spec 15, HTTP status):
``Invalid field format: lineItems[0].quantity must be between 1 and 1000000``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gstable_server.kernel.errors import Refused, invalid_field

Location = Sequence[int | str]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_$.\- ]{1,64}")

_TYPES = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "string_unicode": "contains characters that cannot be stored",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "set_type": "must be an array",
    "frozen_set_type": "must be an array",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "typed_dict_type": "must be an object",
    "dataclass_type": "must be an object",
    "none_required": "must be null",
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "union_tag_not_found": "is required",
    "string_pattern_mismatch": "has the wrong form",
}
_BOUNDS = frozenset(
    {
        "greater_than_equal", "less_than_equal", "greater_than", "less_than",
        "string_too_short", "string_too_long", "too_short", "too_long",
    }
)  # fmt: skip


def refusal(error: ValidationError, model: type[BaseModel], sent: Mapping[str, Any]) -> Refused:
    """The first problem of ``error`` as ``Refused`` (400101), its path as the caller wrote it.

    ``sent`` is the body as parsed: it tells fields from the branch names that pydantic puts into
    the path of a union.
    """
    detail = error.errors(include_url=False, include_input=False)[0]
    return invalid_field(_path(detail, sent) or "body", _problem(detail, model))


def _path(detail: ErrorDetails, sent: Any) -> str:
    path, here, last = "", sent, len(detail["loc"]) - 1
    for position, step in enumerate(detail["loc"]):
        if isinstance(step, int):
            path += f"[{step}]"
            here = here[step] if isinstance(here, list) and step < len(here) else None
        elif isinstance(here, Mapping) and step in here:
            path, here = joined(path, step), here[step]
        elif position == last and detail["type"] == "missing":
            path = joined(path, step)
    if detail["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        path = joined(path, _discriminator(detail))
    return path


def _discriminator(detail: ErrorDetails) -> str:
    """Pydantic names it ``'item_type' | 'itemType'``: the wire's name comes last."""
    return str(detail["ctx"]["discriminator"]).rsplit("| ", 1)[-1].strip("'")


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    if kind in {"literal_error", "enum"}:
        return f"must be {context['expected']}"
    if kind == "union_tag_invalid":
        return f"must be one of {context['expected_tags']}"
    if kind in _BOUNDS:
        return _bounds(kind, context, _leaf(_schema(model), detail["loc"]))
    return detail["msg"][:1].lower() + detail["msg"][1:]


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _leaf(root: dict[str, Any], location: Location) -> dict[str, Any]:
    """The part of a model's JSON schema that ``location`` leads to, as far as it is found."""
    here = _resolved(root, root)
    for step in location:
        branches = here.get("discriminator", {}).get("mapping", {})
        if isinstance(step, int):
            here = here.get("items", {})
        elif step in here.get("properties", {}):
            here = here["properties"][step]
        elif step in branches:
            here = {"$ref": branches[step]}
        here = _resolved(root, here)
    return here


def _resolved(root: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in part:
        return _resolved(root, root["$defs"][part["$ref"].rsplit("/", 1)[1]])
    given = [branch for branch in part.get("anyOf", ()) if branch.get("type") != "null"]
    return _resolved(root, given[0]) if len(given) == 1 else part


def _bounds(kind: str, context: Mapping[str, Any], leaf: Mapping[str, Any]) -> str:
    if kind in {"string_too_short", "string_too_long"}:
        least, most = leaf.get("minLength", 0), leaf.get("maxLength")
        unit = "characters"
    elif kind in {"too_short", "too_long"}:
        least, most = (
            leaf.get("minItems", leaf.get("minProperties", 0)),
            leaf.get("maxItems", leaf.get("maxProperties")),
        )
        unit = "items"
    else:
        return _range(context, leaf)
    if most is None:
        most = context.get("max_length")
    least = context.get("min_length", least)
    if not least:
        return f"must have at most {most} {unit}"
    if most is None:
        return f"must have at least {least} {unit}"
    return f"must have {least} to {most} {unit}"


def _range(context: Mapping[str, Any], leaf: Mapping[str, Any]) -> str:
    if "minimum" in leaf and "maximum" in leaf:
        return f"must be between {leaf['minimum']} and {leaf['maximum']}"
    words = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
    name, bound = next(iter(context.items()))
    return f"must be {words[name]} {bound}"


def joined(path: str, name: str) -> str:
    """``path`` and a field below it; a name that is not plain text is not repeated to anyone."""
    shown = name if _PLAIN_NAME.fullmatch(name) else "(unprintable or overlong name)"
    return f"{path}.{shown}" if path else shown
