"""From Python arguments to request paths and JSON bodies.

Only what cannot travel at all is refused here, by its wire name; the platform judges the rest,
so that there is one set of rules. Source: specification sections 2 to 9.
"""

from collections.abc import Mapping, Sequence
from json import dumps
from math import isfinite
from typing import Required, TypedDict
from urllib.parse import quote

from gstable._errors import GStableUsageError
from gstable._models import Attribute, LineItem, ProductData, QuantityRange

DEEPEST = 64
MOST_INTEGER_BITS = 1024


class AttributeInput(TypedDict):
    """One named property: name up to 50 characters, value up to 200."""

    name: str
    value: str


class ProductDataInput(TypedDict, total=False):
    """What the payer sees of a `one_time` line."""

    product_name: Required[str]
    product_description: str
    image_url: str
    attributes: Sequence[AttributeInput | Attribute]


class QuantityRangeInput(TypedDict):
    """How many pieces the payer may choose, both ends included; `quantity` is within."""

    minimum: int
    maximum: int


class LineItemInput(TypedDict, total=False):
    """One line to sell. `quantity`: 1 to 1,000,000; `unit_price`: Micro-USD.

    `item_type`: `product` (with `product_id`), `user_priced` (links only, without `unit_price`)
    or `one_time` (sessions only, with `product_data`). `adjustable_quantity`: lets the payer of a
    fixed link choose how many; a self-hosted platform's own, unknown to others.
    """

    item_type: Required[str]
    product_id: str
    quantity: Required[int]
    unit_price: int
    product_data: ProductDataInput
    adjustable_quantity: QuantityRangeInput | QuantityRange


LineItems = Sequence[LineItemInput | LineItem]
Attributes = Sequence[AttributeInput | Attribute]


def body(**fields: object) -> bytes:
    """The JSON of the given fields under their wire names; None means not given."""
    given = {_camel(name): value for name, value in fields.items() if value is not None}
    checked = {name: _json(value, name, 0) for name, value in given.items()}
    return dumps(checked, allow_nan=False).encode()


def path(template: str, **segments: object) -> str:
    """The path with each segment URI-encoded. Refuses one that is blank or would climb."""
    encoded: dict[str, str] = {}
    for name, value in segments.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise GStableUsageError(f"{name} must be a string")
        text = str(value)
        if not text.strip() or text in (".", ".."):
            raise GStableUsageError(f"{name} is required")
        encoded[name] = quote(text, safe="", errors="replace")
    return template.format(**encoded)


def idempotency_key(given: object) -> str:
    """The caller's key, if it can travel in a header. Source: section 15, Idempotency."""
    if not isinstance(given, str) or not 1 <= len(given) <= 255:
        raise GStableUsageError("idempotency_key must be 1 to 255 characters")
    if not given.isascii() or not given.isprintable() or given != given.strip():
        raise GStableUsageError("idempotency_key must be printable ASCII")
    return given


def wire_line_items(items: object) -> object:
    """Lines under their wire names; results of an earlier call may be handed back."""
    if isinstance(items, str) or not isinstance(items, Sequence):
        return items
    return [_line_item(item) for item in items]


def wire_attributes(items: object) -> object:
    """Attributes under their wire names."""
    if isinstance(items, str) or not isinstance(items, Sequence):
        return items
    return [
        {"name": item.name, "value": item.value} if isinstance(item, Attribute) else item
        for item in items
    ]


def wire_flag(value: bool | None) -> object:
    """1 or 0. Anything that is no truth value goes as it is, for the platform to refuse."""
    return int(value) if isinstance(value, bool) else value


def _line_item(item: object) -> object:
    if isinstance(item, LineItem):
        return _from_result(item)
    if not isinstance(item, Mapping):
        return item
    line = _renamed(item)
    product_data = line.get("productData")
    if isinstance(product_data, Mapping):
        shown = _renamed(product_data)
        if "attributes" in shown:
            shown["attributes"] = wire_attributes(shown["attributes"])
        line["productData"] = shown
    adjustable = line.get("adjustableQuantity")
    if isinstance(adjustable, QuantityRange):
        line["adjustableQuantity"] = _bounds(adjustable)
    return line


def _from_result(item: LineItem) -> dict[str, object]:
    line: dict[str, object] = {"itemType": item.item_type, "quantity": item.quantity}
    if item.item_type == "one_time" and item.product_data is not None:
        line["productData"] = _shown(item.product_data)
    elif item.product_id is not None:
        line["productId"] = item.product_id
    if item.unit_price is not None:
        line["unitPrice"] = item.unit_price
    if item.adjustable_quantity is not None:
        line["adjustableQuantity"] = _bounds(item.adjustable_quantity)
    return line


def _bounds(adjustable: QuantityRange) -> dict[str, int]:
    return {"minimum": adjustable.minimum, "maximum": adjustable.maximum}


def _shown(data: ProductData) -> dict[str, object]:
    shown = {
        "productName": data.product_name,
        "productDescription": data.product_description,
        "imageUrl": data.image_url,
        "attributes": wire_attributes(data.attributes) if data.attributes else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _renamed(fields: Mapping[object, object]) -> dict[object, object]:
    return {
        _camel(name) if isinstance(name, str) else name: value
        for name, value in fields.items()
        if value is not None
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _json(value: object, where: str, depth: int) -> object:
    """The value if JSON can carry it exactly; else a refusal that names the place."""
    if depth > DEEPEST:
        raise GStableUsageError(f"Invalid field format: {where} is nested too deeply")
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise GStableUsageError(f"Invalid field format: {where} has a key that is no text")
        return {name: _json(item, f"{where}.{name}", depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, float) and not isfinite(value):
        raise GStableUsageError(f"Invalid field format: {where} must be a finite number")
    if isinstance(value, int) and value.bit_length() > MOST_INTEGER_BITS:
        raise GStableUsageError(f"Invalid field format: {where} is too large")
    if value is None or isinstance(value, (str, int, float)):
        return value
    kind = type(value).__name__
    raise GStableUsageError(f"Invalid field format: {where} cannot be a {kind}")
