"""The form of a product; no input, output or clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gstable_server.catalog.model import Product, ProductTerms
from gstable_server.catalog.wire import ProductCreateInput
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.speech import N_, _
from gstable_server.web.dashboard.wire_forms import (
    Row,
    checked,
    laid_out,
    micro_usd,
    name_of,
    rows_of,
    typed_usd,
)

PRICES, PRICES_MAX = "commonPrices", 5
ATTRIBUTES, ATTRIBUTES_MAX = "attributes", 10
ATTRIBUTES_FREE = 3
ATTRIBUTE_FIELDS = ("name", "value")
_PRICE_NAMES = tuple(name_of(PRICES, at) for at in range(PRICES_MAX))
_ATTRIBUTE_NAMES = tuple(
    name_of(ATTRIBUTES, at, field) for at in range(ATTRIBUTES_MAX) for field in ATTRIBUTE_FIELDS
)
FORM = Form(("name", "description", *_PRICE_NAMES, *_ATTRIBUTE_NAMES))
LABELS = {"name": N_("Name"), "description": N_("Description")}


def labels() -> dict[str, str]:
    """The words for every field of the form, for the page of two who changed the same thing."""
    return {
        **{name: _(text) for name, text in LABELS.items()},
        **{name: _("Price %(number)s", number=at + 1) for at, name in enumerate(_PRICE_NAMES)},
        **{
            name_of(ATTRIBUTES, at, field): _("Property %(number)s", number=at + 1)
            for at in range(ATTRIBUTES_MAX)
            for field in ATTRIBUTE_FIELDS
        },
    }


def sent(entries: Mapping[str, str]) -> Form:
    """What was typed, with the rows moved together."""
    prices = rows_of(entries, PRICES, ("",), PRICES_MAX)
    attributes = rows_of(entries, ATTRIBUTES, ATTRIBUTE_FIELDS, ATTRIBUTES_MAX)
    text = {name: entries.get(name, "") for name in LABELS}
    text["description"] = text["description"].replace("\r\n", "\n")
    return FORM.filled({**text, **laid_out(PRICES, prices), **laid_out(ATTRIBUTES, attributes)})


def stored(product: Product) -> dict[str, str]:
    """What the form says of a product that is as it is."""
    attributes: list[Row] = [{"name": one.name, "value": one.value} for one in product.attributes]
    prices: list[Row] = [{"": typed_usd(price)} for price in product.common_prices]
    values = {"name": product.name, "description": product.description or ""}
    values |= {**laid_out(PRICES, prices), **laid_out(ATTRIBUTES, attributes)}
    return {name: values.get(name, "") for name in FORM.names}


def of(product: Product) -> Form:
    """The form as it is opened for a change."""
    return replace(FORM, values=stored(product))


def terms(form: Form, image_source: str | None = None) -> ProductTerms:
    """What the form asks for; the picture is changed elsewhere, and stays. Raises ``Refused``
    (400101) naming the input."""
    prices = [form.value(name) for name in _PRICE_NAMES]
    body: dict[str, Any] = {
        "name": form.value("name").strip(),
        "description": form.value("description").strip(),
        "commonPrices": [
            micro_usd(name_of(PRICES, at), text) for at, text in enumerate(prices) if text
        ],
        "attributes": list(rows_of(form.values, ATTRIBUTES, ATTRIBUTE_FIELDS, ATTRIBUTES_MAX)),
    }
    if not body["commonPrices"]:
        body["commonPrices"] = [micro_usd(name_of(PRICES, 0), "")]
    found = checked(ProductCreateInput, body).terms()
    return found.with_image_source(image_source)


def attributes_shown(form: Form) -> int:
    """How many of the properties have fields: those that are there, and some more."""
    rows = rows_of(form.values, ATTRIBUTES, ATTRIBUTE_FIELDS, ATTRIBUTES_MAX)
    return min(len(rows) + ATTRIBUTES_FREE, ATTRIBUTES_MAX)
