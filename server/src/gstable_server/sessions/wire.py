"""Sessions on the wire: requests parsed, and the one rendering that answers and letters share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict

from gstable_server.catalog.wire import (
    IdText,
    LineItemsJson,
    ProductLineItem,
    render_line_items,
)
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.facts import RailName
from gstable_server.kernel.clock import unix_seconds, wire_time
from gstable_server.kernel.fields import (
    Attributes,
    Body,
    FeeModel,
    Flag,
    Name,
    OptionalDescription,
    OptionalUrl,
    Quantity,
    UnitPrice,
    storable,
)
from gstable_server.kernel.money import Asset, Money, micro_usd_rounded_down
from gstable_server.kernel.paging import Page
from gstable_server.sessions.model import Hold, Payment, PaymentState, SessionState, SessionView

METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_BYTES_MAX = 8 * 1024
ADVANCE_SECONDS_MAX = 365 * 24 * 3600


def _each_text(value: Any) -> None:
    if isinstance(value, str):
        storable(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            storable(key)
            _each_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _each_text(inner)


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) > METADATA_KEYS_MAX:
        raise ValueError(f"must have at most {METADATA_KEYS_MAX} keys")
    if any(len(key) > METADATA_KEY_LENGTH_MAX for key in value):
        raise ValueError(f"keys must have at most {METADATA_KEY_LENGTH_MAX} characters")
    _each_text(value)
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]


class OneTimeProduct(Body):
    """What a one-time line sells; it does not enter the catalogue (spec 6)."""

    product_name: Name
    product_description: OptionalDescription = None
    image_url: OptionalUrl = None
    attributes: Attributes | None = None


class OneTimeLine(Body):
    """A line that describes what it sells itself."""

    item_type: Literal["one_time"]
    quantity: Quantity
    unit_price: UnitPrice
    product_data: OneTimeProduct


class CreateCheckoutSession(Body):
    """The body of POST /session/checkout/create (spec 6)."""

    account_id: IdText
    settlement_token: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    line_items: Annotated[
        list[Annotated[ProductLineItem | OneTimeLine, Field(discriminator="item_type")]],
        Field(min_length=1, max_length=100),
    ]
    success_url: OptionalUrl = None
    payer_email_required: Flag = 0
    fee_model: FeeModel = 1
    expiration_time: int | None = None
    metadata: Metadata | None = None
    capture_method: Literal["automatic", "manual"] = "automatic"


class SessionReference(Body):
    """The body of POST /session/checkout/cancel."""

    session_id: IdText


class AdvanceSession(Body):
    """The body of POST /test/session/advance: how many seconds the session's times come closer."""

    session_id: IdText
    seconds: Annotated[int, Field(ge=1, le=ADVANCE_SECONDS_MAX)]


class HoldJson(TypedDict):
    """A payment that is captured later: amounts in Micro-USD, ``captureBefore`` in Unix seconds.
    ``authorized`` = ``captured`` + ``returned`` + ``remaining``, but for rounding down."""

    authorized: int
    captured: int
    returned: int
    remaining: int
    captureBefore: int


class SessionJson(TypedDict):
    """A checkout session; amounts in Micro-USD, ``expirationTime`` in Unix seconds (spec 6)."""

    sessionId: str
    sessionType: str
    businessId: str
    businessType: str
    clientCode: str
    payer: str
    payerEmail: str
    payerEmailRequired: int
    paidToken: str
    receiptId: str
    recipient: str
    settlementToken: str
    feeModel: int
    amount: int
    lineItems: LineItemsJson
    expirationTime: int
    successUrl: NotRequired[str]
    paymentUrl: str
    signedOnce: int
    initiateTx: str
    completeTx: str
    paymentSucceededTime: str | None
    settlementSucceededTime: str | None
    createAt: str
    status: str
    metadata: NotRequired[dict[str, Any]]
    captureMethod: str
    hold: NotRequired[HoldJson]


# The functional form, because ``from`` is a keyword. Values in Micro-USD (spec 6).
TransactionJson = TypedDict(
    "TransactionJson",
    {
        "orderId": str,
        "channelId": str,
        "orderType": int,
        "from": str,
        "to": str,
        "metaData": str,
        "totalValue": int,
        "paymentValue": int,
        "feeValue": int,
        "netValue": int,
        "sourceTx": str,
        "targetTx": str,
        "executeTime": str,
        "finalizeTime": str,
    },
)


class SessionDetailJson(TypedDict):
    """A session with its payment, as queries answer (spec 6)."""

    session: SessionJson
    transaction: NotRequired[TransactionJson]


class SessionListJson(TypedDict):
    """One page of sessions; page and size are numbers here (spec 2, Pagination)."""

    total: int
    page: int
    size: int
    sessions: list[SessionDetailJson]


ORDER_TYPE_SAME_CHAIN = 1
"""Paid in the settlement token on its own network, at once or captured later."""
ORDER_TYPE_SWAP = 2
"""Paid in another token of the same network."""
ORDER_TYPE_CROSS_CHAIN = 3
"""Paid on another network."""


def order_type(payment: Payment) -> int:
    """The ``orderType`` of a transaction (spec 6 does not define its numbers)."""
    if payment.crosses:
        return ORDER_TYPE_CROSS_CHAIN
    return ORDER_TYPE_SWAP if payment.rail is RailName.SWAP else ORDER_TYPE_SAME_CHAIN


def _target_tx(payment: Payment) -> str:
    """The transaction that gave the merchant the money: the payment's own once it is final, that
    of the other network once it is there, or the last capture; ``""`` before."""
    if payment.hold is not None:
        capture_tx = payment.hold.capture_tx
        return f"0x{capture_tx.hex()}" if capture_tx else ""
    if payment.crosses:
        return f"0x{payment.delivery.tx_hash.hex()}" if payment.delivery else ""
    return f"0x{payment.tx_hash.hex()}" if payment.state is PaymentState.FINAL else ""


def render(view: SessionView, public_url: str) -> dict[str, Any]:
    """The flat session of spec 6; unset text is ``""``, unset optional fields are absent."""
    session, payment = view.session, view.payment
    tx_hash = f"0x{payment.tx_hash.hex()}" if payment else ""
    completed = session.state is SessionState.COMPLETED
    rendered: dict[str, Any] = {
        "sessionId": session.session_id,
        "sessionType": session.session_type.value,
        "businessId": session.business_id,
        "businessType": session.business_type.value,
        "clientCode": session.client_code,
        "payer": to_checksum(payment.payer) if payment else "",
        "payerEmail": session.payer_email or "",
        "payerEmailRequired": int(session.payer_email_required),
        "paidToken": payment.token_id if payment else "",
        "receiptId": session.receipt_id or "",
        "recipient": to_checksum(session.recipient),
        "settlementToken": session.settlement_token,
        "feeModel": int(session.fee_model),
        "amount": session.amount,
        "lineItems": render_line_items(session.line_items, public_url, with_product=True),
        "expirationTime": unix_seconds(session.expires_at),
        "paymentUrl": f"{public_url}/pay/{session.session_id}",
        "signedOnce": int(session.signed_once),
        "initiateTx": tx_hash,
        "completeTx": _target_tx(payment) if payment and completed else "",
        "paymentSucceededTime": wire_time(session.paid_at) if session.paid_at else None,
        "settlementSucceededTime": (
            wire_time(session.completed_at) if session.completed_at else None
        ),
        "createAt": wire_time(session.created_at),
        "status": session.state.value,
        "captureMethod": session.capture_method.value,
    }
    if session.success_url is not None:
        rendered["successUrl"] = session.success_url
    if session.metadata is not None:
        rendered["metadata"] = session.metadata
    if payment is not None and payment.hold is not None:
        rendered["hold"] = render_hold(payment, payment.hold)
    return rendered


def render_hold(payment: Payment, hold: Hold) -> dict[str, Any]:
    """What became of a payment that is captured later."""
    return {
        "authorized": _in_usd(payment, payment.amount),
        "captured": _in_usd(payment, hold.captured),
        "returned": _in_usd(payment, hold.returned),
        "remaining": _in_usd(payment, payment.remaining),
        "captureBefore": unix_seconds(hold.capture_before),
    }


def _in_usd(payment: Payment, atomic: int) -> int:
    assert payment.decimals is not None, "a payment in an unknown token pays nothing"
    return micro_usd_rounded_down(Money(atomic, Asset(payment.token_id, payment.decimals)))


def render_transaction(view: SessionView) -> dict[str, Any] | None:
    """The payment that pays the session, None while there is none."""
    payment = view.payment
    if payment is None:
        return None
    assert payment.decimals is not None, "a payment in an unknown token pays nothing"
    assert payment.settlement_decimals is not None, "nor does one for an unknown token"
    given = Money(payment.amount + payment.fee_received, Asset(payment.token_id, payment.decimals))
    # While the money is on its way the merchant's part is what the signed order promises.
    arrived = payment.received or payment.promised
    gets = Money(arrived, Asset(payment.settlement_token, payment.settlement_decimals))
    total, net = micro_usd_rounded_down(given), micro_usd_rounded_down(gets)
    final_at, fee = payment.final_at, total - net
    if payment.hold is not None:
        final_at = payment.hold.captured_at
        # What went back to the payer is neither the merchant's nor a fee.
        if final_at is not None:
            fee = _in_usd(payment, payment.hold.fee)
    if payment.crosses:
        final_at = payment.delivery.final_at if payment.delivery else None
    return {
        "orderId": f"0x{view.session.session_key.hex()}",
        "channelId": payment.network,
        "orderType": order_type(payment),
        "from": to_checksum(payment.payer),
        "to": to_checksum(payment.merchant),
        "metaData": "",
        "totalValue": total,
        "paymentValue": view.session.amount,
        "feeValue": fee,
        "netValue": net,
        "sourceTx": f"0x{payment.tx_hash.hex()}",
        "targetTx": _target_tx(payment),
        "executeTime": wire_time(payment.block_time),
        "finalizeTime": wire_time(final_at) if final_at else "",
    }


def render_detail(view: SessionView, public_url: str) -> dict[str, Any]:
    """``{session, transaction?}``: the nested form of queries (spec 6)."""
    detail: dict[str, Any] = {"session": render(view, public_url)}
    transaction = render_transaction(view)
    if transaction is not None:
        detail["transaction"] = transaction
    return detail


def render_page(
    total: int, page: Page, views: Sequence[SessionView], public_url: str
) -> dict[str, Any]:
    """One page of sessions, newest first."""
    return {
        "total": total,
        "page": page.number,
        "size": page.size,
        "sessions": [render_detail(view, public_url) for view in views],
    }


def render_letter(view: SessionView, public_url: str) -> dict[str, Any]:
    """The payload of session events: the flat session with ``currency``, and its payment."""
    return {
        "sessionData": {
            **render(view, public_url),
            "currency": view.session.settlement_token,
        },
        "transaction": render_transaction(view),
    }
