"""What the tools take, and the words of the API for it. Prices are decimal text in USD: a model
that must count in Micro-USD is wrong by a thousand sooner or later.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gstable import FeeModel, LineItemInput, ProductDataInput
from gstable_server.kernel.money import MICRO_USD_DECIMALS

Usd = Annotated[
    str,
    Field(
        pattern=r"^\d{1,7}(\.\d{1,6})?$",
        description="A price in USD as decimal text, such as 12.50",
    ),
]
PageNumber = Annotated[int, Field(ge=1, description="From 1")]
PageSize = Annotated[int, Field(ge=1, le=100, description="Items per page")]
Quantity = Annotated[int, Field(ge=1, le=1_000_000)]
FeePayer = Literal["merchant", "payer"]
Status = Literal["all", "paid", "settling", "completed", "cancelled", "settlement_pending"]
IdempotencyKey = Annotated[
    str | None,
    Field(description="The same key on a repeated call gives the first answer again, for 24 hours"),
]


class Input(BaseModel):
    """A part of a tool's arguments. What is not known is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class LinkLine(Input):
    """One product of a payment link."""

    product_id: str
    quantity: Quantity = 1
    unit_price_usd: Usd | None = None
    """One of the product's prices. Leave it out only in a `custom` link, where the payer names the
    price."""


class SessionLine(Input):
    """One thing to sell: a product of the catalogue, or anything with a name."""

    product_id: str | None = None
    """A product of the catalogue, or none and `product_name` instead."""
    product_name: Annotated[str, Field(max_length=100)] | None = None
    """What is sold, where it is no product of the catalogue."""
    product_description: Annotated[str, Field(max_length=1000)] | None = None
    quantity: Quantity = 1
    unit_price_usd: Usd

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.product_id is None) == (self.product_name is None):
            raise ValueError("give either product_id or product_name")
        return self


def micro_usd(price_usd: str) -> int:
    """Decimal text in USD as Micro-USD, exactly."""
    whole, _, fraction = price_usd.partition(".")
    return int(whole + fraction.ljust(MICRO_USD_DECIMALS, "0"))


def fee_model_of(fee_payer: FeePayer) -> FeeModel:
    """The API's number for who pays the fee (section 5)."""
    return FeeModel.PAYER_PAYS if fee_payer == "payer" else FeeModel.MERCHANT_PAYS


def link_line_of(line: LinkLine) -> LineItemInput:
    """A line as the SDK takes it."""
    if line.unit_price_usd is None:
        return {
            "item_type": "user_priced",
            "product_id": line.product_id,
            "quantity": line.quantity,
        }
    return _product_line(line.product_id, line.quantity, line.unit_price_usd)


def session_line_of(line: SessionLine) -> LineItemInput:
    """A line as the SDK takes it."""
    if line.product_id is not None:
        return _product_line(line.product_id, line.quantity, line.unit_price_usd)
    shown = ProductDataInput(product_name=line.product_name or "")
    if line.product_description is not None:
        shown["product_description"] = line.product_description
    return {
        "item_type": "one_time",
        "quantity": line.quantity,
        "unit_price": micro_usd(line.unit_price_usd),
        "product_data": shown,
    }


def _product_line(product_id: str, quantity: int, price_usd: str) -> LineItemInput:
    return {
        "item_type": "product",
        "product_id": product_id,
        "quantity": quantity,
        "unit_price": micro_usd(price_usd),
    }
