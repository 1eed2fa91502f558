"""What the tools answer: the SDK's results, cut to what a language model needs.

Amounts are shown twice: in Micro-USD (1 USD = 1,000,000), as the API and its events count, and as
text in USD, which needs no arithmetic. A page's client code and a webhook's key are left out.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

import gstable
from gstable_server.kernel.money import MicroUsd, usd_text

Item = TypeVar("Item", bound=BaseModel)


class Answer(BaseModel):
    """An answer, whose fields are described to the model by their docstrings."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Amount(Answer):
    """An amount of money."""

    micro_usd: int
    """Micro-USD: 1 USD = 1,000,000."""
    usd: str
    """The same amount in USD, such as 12.50."""


class PageAnswer(Answer, Generic[Item]):
    """One page of a list, newest first."""

    total: int
    """How many there are on all pages."""
    page: int
    size: int
    items: tuple[Item, ...]


class AccountAnswer(Answer):
    """A wallet of the merchant that payments are settled to."""

    account_id: str
    account_name: str
    account_address: str
    settlement_tokens: tuple[str, ...]
    """What it can be paid in, such as polygon::usdc."""
    status: str


class ProductAnswer(Answer):
    """A product of the merchant's catalogue."""

    product_id: str
    name: str
    description: str | None
    status: str
    """`active` products can be sold."""
    prices: tuple[Amount, ...]


class LineAnswer(Answer):
    """One line that is sold."""

    item_type: str
    product_id: str | None
    product_name: str | None
    quantity: int
    unit_price: Amount | None
    """None where the payer names the price."""


class PaymentLinkAnswer(Answer):
    """A reusable payment page."""

    link_id: str
    link_name: str
    link_type: str
    """`fixed`, or `custom` where the payer names the price."""
    link_url: str
    """Send this to payers."""
    status: str
    """`active`, `inactive` or `archived`."""
    amount: Amount
    """What one payment is worth; zero where the payer names the price."""
    fee_payer: str
    account_id: str
    settlement_token: str
    line_items: tuple[LineAnswer, ...]
    create_at: str | None
    """UTC."""


class SessionAnswer(Answer):
    """One payment that is awaited, under way or done."""

    session_id: str
    session_type: str
    status: str
    """`initialized` (nobody has paid), `paid`, `settling`, `completed` (the money is in the
    merchant's wallet), `settlement_pending` (delayed, will settle by itself), `expired` or
    `cancelled`."""
    amount: Amount
    payment_url: str
    """Where the payer pays."""
    settlement_token: str
    paid_token: str
    """What was paid with; empty before."""
    payer: str
    """The paying wallet; empty before."""
    payer_email: str
    business_id: str
    """The link's id for a session of a link, else the session's own."""
    expiration_time: int
    """Unix seconds."""
    initiate_tx: str
    """The payment's transaction; empty before."""
    complete_tx: str
    """The transaction that settled; empty before."""
    create_at: str
    """UTC."""
    payment_succeeded_time: str | None
    settlement_succeeded_time: str | None
    metadata: dict[str, Any] | None
    line_items: tuple[LineAnswer, ...]


class CancelledAnswer(Answer):
    """What became of a cancellation."""

    session_id: str
    success: bool


class EventHeadAnswer(Answer):
    """What happened, without its payload."""

    event_id: str
    event_type: str
    """Such as session.completed."""
    business_type: str
    business_id: str
    """The id of the session, link, product or account that it is about."""
    occurrence: str
    """UTC."""
    sequence: int | None
    """Grows with each event of one object."""


class EventAnswer(EventHeadAnswer):
    """What happened, as it is told to webhooks."""

    payload: dict[str, Any]
    """The object as it was at that moment. Amounts in Micro-USD."""


def amount_of(micro_usd: int) -> Amount:
    """An amount of Micro-USD, shown in both ways."""
    return Amount(micro_usd=micro_usd, usd=usd_text(MicroUsd(micro_usd)))


def account_of(found: gstable.Account) -> AccountAnswer:
    return AccountAnswer(
        account_id=found.account_id,
        account_name=found.account_name,
        account_address=found.account_address,
        settlement_tokens=found.settlement_currencies,
        status=found.status,
    )


def product_of(found: gstable.Product) -> ProductAnswer:
    return ProductAnswer(
        product_id=found.product_id,
        name=found.name,
        description=found.description,
        status=found.status,
        prices=tuple(amount_of(price) for price in found.common_prices),
    )


def link_of(found: gstable.PaymentLink) -> PaymentLinkAnswer:
    return PaymentLinkAnswer(
        link_id=found.link_id,
        link_name=found.link_name,
        link_type=found.link_type,
        link_url=found.link_url,
        status=found.status,
        amount=amount_of(found.amount),
        fee_payer="payer" if found.fee_model == gstable.FeeModel.PAYER_PAYS else "merchant",
        account_id=found.account_id,
        settlement_token=found.settlement_token,
        line_items=_lines_of(found.line_items),
        create_at=found.create_at,
    )


def session_of(found: gstable.CheckoutSession) -> SessionAnswer:
    return SessionAnswer(
        session_id=found.session_id,
        session_type=found.session_type,
        status=found.status,
        amount=amount_of(found.amount),
        payment_url=found.payment_url,
        settlement_token=found.settlement_token,
        paid_token=found.paid_token,
        payer=found.payer,
        payer_email=found.payer_email,
        business_id=found.business_id,
        expiration_time=found.expiration_time,
        initiate_tx=found.initiate_tx,
        complete_tx=found.complete_tx,
        create_at=found.create_at,
        payment_succeeded_time=found.payment_succeeded_time,
        settlement_succeeded_time=found.settlement_succeeded_time,
        metadata=None if found.metadata is None else dict(found.metadata),
        line_items=_lines_of(found.line_items),
    )


def event_head_of(found: gstable.Event) -> EventHeadAnswer:
    return EventHeadAnswer(**_head(found))


def event_of(found: gstable.Event) -> EventAnswer:
    return EventAnswer(**_head(found), payload=dict(found.payload))


def _head(found: gstable.Event) -> dict[str, Any]:
    return {
        "event_id": found.event_id,
        "event_type": found.event_type,
        "business_type": found.business_type,
        "business_id": _object_id(found),
        "occurrence": found.occurrence,
        "sequence": found.sequence,
    }


# Where each kind of event carries the id of what it is about (section 9, Payload).
_ID_OF = {
    "sessionData": "sessionId",
    "linkData": "linkId",
    "productData": "productId",
    "accountData": "accountId",
    "webhookData": "webhookId",
}


def _object_id(found: gstable.Event) -> str:
    for part, name in _ID_OF.items():
        data = found.payload.get(part)
        if isinstance(data, dict) and isinstance(data.get(name), str):
            return str(data[name])
    return ""


def _lines_of(lines: tuple[gstable.LineItem, ...]) -> tuple[LineAnswer, ...]:
    return tuple(
        LineAnswer(
            item_type=line.item_type,
            product_id=line.product_id,
            product_name=None if line.product_data is None else line.product_data.product_name,
            quantity=line.quantity,
            unit_price=None if line.unit_price is None else amount_of(line.unit_price),
        )
        for line in lines
    )
