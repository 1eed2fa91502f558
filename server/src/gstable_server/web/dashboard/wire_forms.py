"""Forms whose inputs are named as the API names its fields: ``lineItems[0].quantity``.

What the API's own models say of such a form stands beside the right input (``Form.refused``), and
one rule holds for both doors. Pure: no input, output or clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.fields import UNIT_PRICE_MAX
from gstable_server.kernel.money import MicroUsd, usd_text
from gstable_server.plumbing.problems import refusal
from gstable_server.web.checkout.amounts import AmountError, parse_quantity, parse_typed_usd
from gstable_server.web.dashboard.speech import N_

M = TypeVar("M", bound=BaseModel)

PRICE_MAX_TEXT = N_("must be at most 1,000,000 USD")
WHOLE = N_("must be a whole number")
Row = dict[str, str]


def checked(model: type[M], body: Mapping[str, Any]) -> M:
    """``body`` as the API would take it. Raises ``Refused`` (400101) naming the field."""
    try:
        return model.model_validate(dict(body))
    except ValidationError as error:
        raise refusal(error, model, body) from None


def name_of(array: str, at: int, field: str = "") -> str:
    """The input's name: ``attributes[2].name``, or ``commonPrices[2]`` without a field."""
    return f"{array}[{at}]{'.' if field else ''}{field}"


def rows_of(
    entries: Mapping[str, str], array: str, fields: Sequence[str], most: int
) -> tuple[Row, ...]:
    """The rows of ``array`` that have anything in one of ``fields``, moved together: what the API
    says of the third is about the third that a person sees."""
    rows = (
        {field: entries.get(name_of(array, at, field), "").strip() for field in fields}
        for at in range(most)
    )
    return tuple(row for row in rows if any(row.values()))


def laid_out(array: str, rows: Sequence[Row]) -> dict[str, str]:
    """The rows as entries of the form again."""
    return {
        name_of(array, at, field): text
        for at, row in enumerate(rows)
        for field, text in row.items()
    }


def micro_usd(field: str, text: str) -> int:
    """A typed amount of US dollars in Micro-USD. Raises ``Refused`` (400101) naming ``field``."""
    try:
        amount = parse_typed_usd(text)
    except AmountError as problem:
        raise invalid_field(field, str(problem).removesuffix(".")) from None
    if amount > UNIT_PRICE_MAX:
        raise invalid_field(field, PRICE_MAX_TEXT)
    return amount


def whole(field: str, text: str) -> int:
    """A typed whole number. Raises ``Refused`` (400101) naming ``field``."""
    number = parse_quantity(text)
    if number is None:
        raise invalid_field(field, WHOLE)
    return number


def typed_usd(amount: int | None) -> str:
    """An amount as it is typed into a form."""
    return "" if amount is None else usd_text(MicroUsd(amount))
