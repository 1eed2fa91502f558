"""What the calls answer: frozen, typed, in snake_case; each field is the wire's name in that form.

Units: amounts and prices are integers of Micro-USD (1 USD = 1,000,000) unless a field says
otherwise; `expiration_time` is Unix seconds; `create_at` and other text times are UTC,
`YYYY-MM-DD HH:mm:ss`. Fields the platform adds later are ignored. Source: sections 2 to 9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FeeModel(IntEnum):
    """Who pays the platform's fee. Source: section 5."""

    MERCHANT_PAYS = 1
    PAYER_PAYS = 2


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, newest first. `total` counts all pages; `page` starts at 1."""

    total: int
    page: int
    size: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class OperationResult:
    """The answer of a call that changes a state. Source: section 2."""

    success: bool


@dataclass(frozen=True, slots=True)
class RefreshedKey:
    """A webhook's new signing key, empty where the platform does not send it. Section 9."""

    success: bool
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One named property of a product, such as colour: red."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue. `common_prices`: 1 to 5 prices in Micro-USD. Section 3."""

    product_id: str
    name: str
    description: str | None
    image_url: str | None
    status: str
    common_prices: tuple[int, ...]
    attributes: tuple[Attribute, ...]
    create_at: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """A receiving account: the merchant's own wallet on a kind of chain. Section 4.

    `settlement_currencies`: token ids such as `polygon::usdc`.
    """

    account_id: str
    account_name: str
    account_address: str
    account_type: str
    settlement_currencies: tuple[str, ...]
    version: str
    status: str
    create_at: str | None
    update_at: str | None


@dataclass(frozen=True, slots=True)
class ProductData:
    """What the payer sees of a product, as it was when the line was made."""

    product_name: str
    product_description: str | None
    image_url: str | None
    attributes: tuple[Attribute, ...]
    status: str | None


@dataclass(frozen=True, slots=True)
class QuantityRange:
    """How many pieces of a link's line its payer may choose, both ends included."""

    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line of a link or session. `item_type`: `product`, `user_priced` or `one_time`.

    `unit_price`: Micro-USD; None where the payer names the price.
    `product_data`: None where the list does not carry it. `adjustable_quantity`: only in links
    whose payers choose the quantity.
    """

    line_item_id: str | None
    item_type: str
    product_id: str | None
    quantity: int
    unit_price: int | None
    product_data: ProductData | None
    adjustable_quantity: QuantityRange | None = None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """The settlement token on its chain. `decimals`: digits of its smallest unit."""

    token_id: str
    contract_address: str
    name: str
    symbol: str
    decimals: int
    chain_id: int


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """A reusable payment page. Section 5.

    `link_type`: `fixed` or `custom`; `status`: `active`, `inactive` or `archived`; `amount`:
    Micro-USD, 0 where the payer names the price; `fee_model`: see `FeeModel`; `version_code`
    changes with each update.
    """

    link_id: str
    link_type: str
    link_name: str
    line_items: tuple[LineItem, ...]
    account_id: str
    settlement_token: str
    fee_model: int
    amount: int
    payer_email_required: bool
    success_url: str | None
    custom_success_text: str | None
    custom_disabled_text: str | None
    link_url: str
    status: str
    version_code: str
    create_at: str | None
    update_at: str | None
    account_name: str | None
    account_address: str | None
    settlement_token_info: TokenInfo | None


@dataclass(frozen=True, slots=True)
class RefundTransaction:
    """What the merchant's own wallet sends to give money back: nobody else can.

    `to` (the token's contract), `data` and `value` (native coin, in the smallest unit) are the
    transaction's members.
    """

    chain_id: int
    to: str
    data: str
    value: int


@dataclass(frozen=True, slots=True)
class Refund:
    """Money of a payment that goes back.

    `status`: `prepared`, `seen` (in a block), `completed` (final), `expired` or `cancelled`.
    `amount`: Micro-USD; `amount_in_token`: smallest units of `token`, such as `polygon::usdc`.
    `from_` and `to` are the wire's: the merchant's wallet that was paid, and who gets the money.
    `expires_at`: Unix seconds. `tx_hash` is empty until the transfer is in a block.
    `transaction`: None when it must not be sent any more.
    """

    refund_id: str
    session_id: str
    payment_id: str
    status: str
    amount: int
    token: str
    chain_id: int
    from_: str
    to: str
    amount_in_token: int
    reason: str | None
    expires_at: int
    tx_hash: str
    create_at: str
    transaction: RefundTransaction | None


@dataclass(frozen=True, slots=True)
class Hold:
    """A payment that is captured later. Amounts in Micro-USD.

    `captured` and `returned` left the hold, also in blocks that are not final yet. From
    `capture_before` (Unix seconds) on nothing is captured, and the payer gets `remaining` back.
    """

    authorized: int
    captured: int
    returned: int
    remaining: int
    capture_before: int


@dataclass(frozen=True, slots=True)
class HoldMove:
    """Money that left a hold, finally. Amounts in Micro-USD.

    `what`: `captured`, `voided`, or `reclaimed` when time was over. `merchant_received` and `fee`
    are the parts of a capture. `amount_in_token`: smallest units.
    """

    what: str
    amount: int
    amount_in_token: int
    merchant_received: int
    fee: int
    tx_hash: str
    execute_time: str


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """One payment that is awaited, under way or done. Section 6.

    `amount`: Micro-USD. `expiration_time`: Unix seconds. `status`: `initialized`, `paid`,
    `settling`, `completed`, `settlement_pending`, `expired` or `cancelled`. `signed_once`: the
    payer has asked for a signed order, so the session can no longer be cancelled.
    Texts that are not known yet (payer, transactions) are empty. `refunds`: in a detail only.
    `capture_method`: `automatic` or `manual`; `hold`: what became of a payment captured later.
    """

    session_id: str
    session_type: str
    business_id: str
    business_type: str
    client_code: str = field(repr=False)
    payer: str
    payer_email: str
    payer_email_required: bool
    paid_token: str
    receipt_id: str
    recipient: str
    settlement_token: str
    fee_model: int
    amount: int
    line_items: tuple[LineItem, ...]
    expiration_time: int
    success_url: str | None
    payment_url: str
    signed_once: bool
    initiate_tx: str
    complete_tx: str
    payment_succeeded_time: str | None
    settlement_succeeded_time: str | None
    create_at: str
    status: str
    metadata: Mapping[str, object] | None
    refunds: tuple[Refund, ...]
    capture_method: str
    hold: Hold | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """The payment behind a session. Values are in Micro-USD. Section 6.

    `total_value`: what the payer gave; `payment_value`: the price; `fee_value`: the fee;
    `net_value`: what the merchant gets. `from_` and `to` are the wire's `from` and `to`.
    """

    order_id: str
    channel_id: str
    order_type: int
    from_: str
    to: str
    meta_data: object
    total_value: int
    payment_value: int
    fee_value: int
    net_value: int
    source_tx: str
    target_tx: str
    execute_time: str
    finalize_time: str


@dataclass(frozen=True, slots=True)
class SessionDetail:
    """A session with its payment; `transaction` is None before there is one."""

    session: CheckoutSession
    transaction: Transaction | None


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint that events are sent to. Section 9.

    `status`: `active`, `inactive` (by the merchant) or `paused` (by the platform, after
    failures). `key`: the signing secret `wkk_…`, not part of the `repr`; empty where the platform
    does not show it.
    """

    webhook_id: str
    webhook_name: str
    webhook_url: str
    webhook_description: str | None
    subscribed_events: tuple[str, ...]
    key: str = field(repr=False)
    status: str
    create_at: str | None
    update_at: str | None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One request to an endpoint. `status_code`: None where no answer came; `error` says why.

    `started_at`: UTC. `response`: the beginning of the answer's body, None for a restricted key.
    """

    attempt_number: int
    started_at: str
    duration_ms: int
    status_code: int | None
    error: str | None
    response: str | None


@dataclass(frozen=True, slots=True)
class WebhookAttempt(DeliveryAttempt):
    """One request to an endpoint, and which event it carried."""

    event_id: str


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """One event on its way to one endpoint.

    `status`: `pending`, `held` (the endpoint is disabled or paused), `delivered`, `exhausted`
    (the last attempt failed) or `stopped`. `next_attempt_time`: UTC, None where none is planned.
    """

    webhook_id: str
    status: str
    attempt_count: int
    next_attempt_time: str | None
    attempts: tuple[DeliveryAttempt, ...]


@dataclass(frozen=True, slots=True)
class Redelivery:
    """What is sent again. `messages`: how many, one for each event and endpoint."""

    success: bool
    messages: int


@dataclass(frozen=True, slots=True)
class WebhookTest:
    """An event of type `webhook.test` that is on its way to one endpoint."""

    success: bool
    event_id: str


@dataclass(frozen=True, slots=True)
class SupportedToken:
    """A token that may pay or settle. `decimals`: digits of its smallest unit. Section 8."""

    token_id: str
    symbol: str
    chain_id: int
    decimals: int


@dataclass(frozen=True, slots=True)
class PaymentCapability:
    """One way to pay. `fee_rate_ppm`: parts per million; values: Micro-USD, inclusive."""

    token_id: str
    crosschain: bool
    fee_rate_ppm: int
    min_payment_value: int
    max_payment_value: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What may pay for what. Section 8.

    `payment_capabilities`: settlement token id → group of routes → the ways to pay.
    """

    supported_tokens: tuple[SupportedToken, ...]
    payment_capabilities: Mapping[str, Mapping[str, tuple[PaymentCapability, ...]]]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request that came with a key of the merchant's.

    `time`: when it was answered, UTC. `path`: identifiers and numbers as they were sent, anything
    else by its name. `status`: HTTP's, 0 where the client went away. `code`: the answer's, None
    without one.
    """

    time: str
    request_id: str
    key_id: str
    method: str
    path: str
    status: int
    code: int | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class LogFeed:
    """The next requests, oldest first, and from where to read on."""

    entries: tuple[LogEntry, ...]
    cursor: str
