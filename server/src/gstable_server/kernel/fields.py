"""The parts that request bodies are made of: strict, bounded, and closed to unknown fields.

The one place of the kernel that is not standard library only: see docs/decisions/0003.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from gstable_server.kernel.urls import URL_LENGTH_MAX, url_problem

UNIT_PRICE_MAX = 1_000_000_000_000
QUANTITY_MAX = 1_000_000
TOTAL_MAX = 10**15
# Unicode's categories Cc, but for tab and line ends, and Cs. A pattern, because it looks at every
# text of every request.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Body(BaseModel):
    """A request body: camelCase on the wire, no unknown field, no conversion between types."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=AliasGenerator(alias=to_camel),
        hide_input_in_errors=True,
    )


def storable(text: str) -> str:
    """Refuse text that no database or page can carry: control characters and lone surrogates.

    Direction marks and combining marks are kept; pages isolate them when they are shown.
    """
    if _UNSTORABLE.search(text):
        raise ValueError("contains characters that cannot be stored")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _web_address(text: str) -> str:
    problem = url_problem(text)
    if problem:
        raise ValueError(problem)
    return text


def _empty_is_absent(value: Any) -> Any:
    return None if value == "" else value


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(storable),
    AfterValidator(_not_blank),
]
"""A required name of 1 to 100 characters."""

Description = Annotated[str, StringConstraints(max_length=1000), AfterValidator(storable)]
CustomText = Annotated[str, StringConstraints(max_length=500), AfterValidator(storable)]
WebUrl = Annotated[str, StringConstraints(max_length=URL_LENGTH_MAX), AfterValidator(_web_address)]
"""An absolute URL; operations decide with ``urls.require_https`` whether plain http is allowed."""

OptionalUrl = Annotated[WebUrl | None, BeforeValidator(_empty_is_absent)]
"""Absent, null and "" mean the same: the public examples echo stored values back (spec 5)."""

OptionalDescription = Annotated[Description | None, BeforeValidator(_empty_is_absent)]
OptionalText = Annotated[CustomText | None, BeforeValidator(_empty_is_absent)]

UnitPrice = Annotated[int, Field(ge=1, le=UNIT_PRICE_MAX)]
"""Micro-USD."""

Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Flag = Annotated[int, Field(ge=0, le=1)]
"""0 or 1, as the wire writes yes and no."""

FeeModel = Annotated[int, Field(ge=1, le=2)]
"""1: the merchant bears the fee; 2: the payer does (spec 5)."""


class AttributeInput(Body):
    """One property of a product, for example Colour: blue."""

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=50),
        AfterValidator(storable),
    ]
    value: Annotated[str, StringConstraints(max_length=200), AfterValidator(storable)]


Attributes = Annotated[list[AttributeInput], Field(max_length=10)]
