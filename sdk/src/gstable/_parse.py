"""From the platform's JSON to the results. Each function takes `data` as it arrived.

Raises `Malformed` where a required field is missing. Source: specification sections 2 to 9.
"""

from collections.abc import Callable
from typing import TypeVar

from gstable._models import (
    Account,
    Attribute,
    Capabilities,
    CheckoutSession,
    DeliveryAttempt,
    EventDelivery,
    Hold,
    HoldMove,
    LineItem,
    LogEntry,
    LogFeed,
    OperationResult,
    Page,
    PaymentCapability,
    PaymentLink,
    Product,
    ProductData,
    QuantityRange,
    Redelivery,
    RefreshedKey,
    Refund,
    RefundTransaction,
    SessionDetail,
    SupportedToken,
    TokenInfo,
    Transaction,
    Webhook,
    WebhookAttempt,
    WebhookTest,
)
from gstable._reader import Malformed, Reader, readers

Item = TypeVar("Item")


def page_of(name: str, parse: Callable[[Reader], Item]) -> Callable[[object], Page[Item]]:
    """A parser of one page whose items stand under `name`.

    Some lists send page and size as text, others as numbers (section 2); both become integers.
    """

    def parse_page(data: object) -> Page[Item]:
        page = Reader(data, "data")
        return Page(
            total=page.decimal("total"),
            page=page.decimal("page"),
            size=page.decimal("size"),
            items=tuple(parse(item) for item in page.children(name)),
        )

    return parse_page


def array_of(parse: Callable[[Reader], Item]) -> Callable[[object], tuple[Item, ...]]:
    """A parser of a bare array."""
    return lambda data: tuple(parse(item) for item in readers(data, "data"))


def one(parse: Callable[[Reader], Item]) -> Callable[[object], Item]:
    """A parser of one object."""
    return lambda data: parse(Reader(data, "data"))


def operation_result(result: Reader) -> OperationResult:
    return OperationResult(success=result.flag("success"))


def refreshed_key(result: Reader) -> RefreshedKey:
    return RefreshedKey(success=result.flag_or_false("success"), key=result.text_or_empty("key"))


def product(found: Reader) -> Product:
    return Product(
        product_id=found.text("productId"),
        name=found.text("name"),
        description=found.optional_text("description"),
        image_url=found.optional_text("imageUrl"),
        status=found.text("status"),
        common_prices=found.integers("commonPrices"),
        attributes=_attributes(found),
        create_at=found.optional_text("createAt"),
    )


def account(found: Reader) -> Account:
    return Account(
        account_id=found.text("accountId"),
        account_name=found.text_or_empty("accountName"),
        account_address=found.text("accountAddress"),
        account_type=found.text("accountType"),
        settlement_currencies=found.texts("settlementCurrencies"),
        version=found.text("version"),
        status=found.text("status"),
        create_at=found.optional_text("createAt"),
        update_at=found.optional_text("updateAt"),
    )


def payment_link(found: Reader) -> PaymentLink:
    return PaymentLink(
        link_id=found.text("linkId"),
        link_type=found.text("linkType"),
        link_name=found.text("linkName"),
        line_items=_line_items(found),
        account_id=found.text("accountId"),
        settlement_token=found.text("settlementToken"),
        fee_model=found.integer("feeModel"),
        amount=found.integer("amount"),
        payer_email_required=found.flag_or_false("payerEmailRequired"),
        success_url=found.optional_text("successUrl"),
        custom_success_text=found.optional_text("customSuccessText"),
        custom_disabled_text=found.optional_text("customDisabledText"),
        link_url=found.text("linkUrl"),
        status=found.text("status"),
        version_code=found.text("versionCode"),
        create_at=found.optional_text("createAt"),
        update_at=found.optional_text("updateAt"),
        account_name=found.optional_text("accountName"),
        account_address=found.optional_text("accountAddress"),
        settlement_token_info=_token_info(found),
    )


def checkout_session(found: Reader) -> CheckoutSession:
    held = found.optional_child("hold")
    return CheckoutSession(
        session_id=found.text("sessionId"),
        session_type=found.text_or_empty("sessionType"),
        business_id=found.text_or_empty("businessId"),
        business_type=found.text_or_empty("businessType"),
        client_code=found.text_or_empty("clientCode"),
        payer=found.text_or_empty("payer"),
        payer_email=found.text_or_empty("payerEmail"),
        payer_email_required=found.flag_or_false("payerEmailRequired"),
        paid_token=found.text_or_empty("paidToken"),
        receipt_id=found.text_or_empty("receiptId"),
        recipient=found.text_or_empty("recipient"),
        settlement_token=found.text("settlementToken"),
        fee_model=found.integer("feeModel"),
        amount=found.integer("amount"),
        line_items=_line_items(found),
        expiration_time=found.integer("expirationTime"),
        success_url=found.optional_text("successUrl"),
        payment_url=found.text("paymentUrl"),
        signed_once=found.flag_or_false("signedOnce"),
        initiate_tx=found.text_or_empty("initiateTx"),
        complete_tx=found.text_or_empty("completeTx"),
        payment_succeeded_time=found.optional_text("paymentSucceededTime"),
        settlement_succeeded_time=found.optional_text("settlementSucceededTime"),
        create_at=found.text("createAt"),
        status=found.text("status"),
        metadata=found.optional_mapping("metadata"),
        refunds=tuple(refund(item) for item in found.children_or_none("refunds")),
        capture_method=found.text_or_empty("captureMethod") or "automatic",
        hold=None if held is None else _hold(held),
    )


def _hold(found: Reader) -> Hold:
    return Hold(
        authorized=found.integer("authorized"),
        captured=found.integer("captured"),
        returned=found.integer("returned"),
        remaining=found.integer("remaining"),
        capture_before=found.integer("captureBefore"),
    )


def hold_move(found: Reader) -> HoldMove:
    return HoldMove(
        what=found.text("what"),
        amount=found.integer("amount"),
        amount_in_token=found.decimal("amountInToken"),
        merchant_received=found.integer("merchantReceived"),
        fee=found.integer("fee"),
        tx_hash=found.text("txHash"),
        execute_time=found.text("executeTime"),
    )


def refund(found: Reader) -> Refund:
    asked = found.optional_child("transaction")
    return Refund(
        refund_id=found.text("refundId"),
        session_id=found.text("sessionId"),
        payment_id=found.text("paymentId"),
        status=found.text("status"),
        amount=found.integer("amount"),
        token=found.text("token"),
        chain_id=found.integer("chainId"),
        from_=found.text("from"),
        to=found.text("to"),
        amount_in_token=found.decimal("amountInToken"),
        reason=found.optional_text("reason"),
        expires_at=found.integer("expiresAt"),
        tx_hash=found.text_or_empty("txHash"),
        create_at=found.text("createAt"),
        transaction=None if asked is None else _refund_transaction(asked),
    )


def refunds(found: Reader) -> tuple[Refund, ...]:
    return tuple(refund(item) for item in found.children("refunds"))


def _refund_transaction(found: Reader) -> RefundTransaction:
    return RefundTransaction(
        chain_id=found.integer("chainId"),
        to=found.text("to"),
        data=found.text("data"),
        value=found.decimal("value"),
    )


def transaction(found: Reader) -> Transaction:
    return Transaction(
        order_id=found.opaque("orderId"),
        channel_id=found.opaque("channelId"),
        order_type=found.integer("orderType"),
        from_=found.text_or_empty("from"),
        to=found.text_or_empty("to"),
        meta_data=found.raw("metaData"),
        total_value=found.integer("totalValue"),
        payment_value=found.integer("paymentValue"),
        fee_value=found.integer("feeValue"),
        net_value=found.integer("netValue"),
        source_tx=found.text_or_empty("sourceTx"),
        target_tx=found.text_or_empty("targetTx"),
        execute_time=found.text_or_empty("executeTime"),
        finalize_time=found.text_or_empty("finalizeTime"),
    )


def session_detail(found: Reader) -> SessionDetail:
    paid_by = found.optional_child("transaction")
    return SessionDetail(
        session=checkout_session(found.child("session")),
        transaction=None if paid_by is None else transaction(paid_by),
    )


def webhook(found: Reader) -> Webhook:
    return Webhook(
        webhook_id=found.text("webhookId"),
        webhook_name=found.text("webhookName"),
        webhook_url=found.text("webhookUrl"),
        webhook_description=found.optional_text("webhookDescription"),
        subscribed_events=found.texts("subscribedEvents"),
        key=found.text_or_empty("key"),
        status=found.text("status"),
        create_at=found.optional_text("createAt"),
        update_at=found.optional_text("updateAt"),
    )


def webhooks(found: Reader) -> tuple[Webhook, ...]:
    return tuple(webhook(item) for item in found.children("webhooks"))


def log_feed(found: Reader) -> LogFeed:
    return LogFeed(
        entries=tuple(_log_entry(item) for item in found.children("entries")),
        cursor=found.text("cursor"),
    )


def _log_entry(found: Reader) -> LogEntry:
    return LogEntry(
        time=found.text("time"),
        request_id=found.text("requestId"),
        key_id=found.text("keyId"),
        method=found.text("method"),
        path=found.text("path"),
        status=found.integer("status"),
        code=found.optional_integer("code"),
        duration_ms=found.integer("durationMs"),
    )


def capabilities(found: Reader) -> Capabilities:
    matrix = found.child("paymentCapabilities")
    return Capabilities(
        supported_tokens=tuple(_supported_token(t) for t in found.children("supportedTokens")),
        payment_capabilities={
            token_id: {
                group: tuple(_capability(way) for way in matrix.child(token_id).children(group))
                for group in matrix.child(token_id).entries()
            }
            for token_id in matrix.entries()
        },
    )


def _supported_token(found: Reader) -> SupportedToken:
    return SupportedToken(
        token_id=found.text("tokenId"),
        symbol=found.text("symbol"),
        chain_id=found.decimal("chainId"),
        decimals=found.integer("decimals"),
    )


def _capability(found: Reader) -> PaymentCapability:
    return PaymentCapability(
        token_id=found.text("tokenId"),
        crosschain=found.flag("crosschain"),
        fee_rate_ppm=found.integer("feeRatePPM"),
        min_payment_value=found.integer("minPaymentValue"),
        max_payment_value=found.integer("maxPaymentValue"),
    )


def event_deliveries(data: Reader) -> tuple[EventDelivery, ...]:
    return tuple(_event_delivery(found) for found in data.children("deliveries"))


def _event_delivery(found: Reader) -> EventDelivery:
    return EventDelivery(
        webhook_id=found.text("webhookId"),
        status=found.text("status"),
        attempt_count=found.integer("attemptCount"),
        next_attempt_time=found.optional_text("nextAttemptTime"),
        attempts=tuple(_attempt(item) for item in found.children("attempts")),
    )


def _attempt(found: Reader) -> DeliveryAttempt:
    return DeliveryAttempt(
        attempt_number=found.integer("attemptNumber"),
        started_at=found.text("startedAt"),
        duration_ms=found.integer("durationMs"),
        status_code=found.optional_integer("statusCode"),
        error=found.optional_text("error"),
        response=found.optional_text("response"),
    )


def webhook_attempt(found: Reader) -> WebhookAttempt:
    return WebhookAttempt(
        attempt_number=found.integer("attemptNumber"),
        started_at=found.text("startedAt"),
        duration_ms=found.integer("durationMs"),
        status_code=found.optional_integer("statusCode"),
        error=found.optional_text("error"),
        response=found.optional_text("response"),
        event_id=found.text("eventId"),
    )


def redelivery(result: Reader) -> Redelivery:
    return Redelivery(success=result.flag("success"), messages=result.integer("messages"))


def webhook_test(result: Reader) -> WebhookTest:
    return WebhookTest(success=result.flag("success"), event_id=result.text("eventId"))


def _attributes(found: Reader) -> tuple[Attribute, ...]:
    return tuple(
        Attribute(item.text("name"), item.text("value"))
        for item in found.children_or_none("attributes")
    )


def _line_items(found: Reader) -> tuple[LineItem, ...]:
    # Section 5: the array stands in an object, and some answers nest that object once more.
    holder = found.child("lineItems")
    for _ in range(2):
        if isinstance(holder.raw("items"), list):
            return tuple(_line_item(item) for item in holder.children("items"))
        holder = holder.optional_child("lineItems") or holder
    raise Malformed("data.lineItems.items is missing")


def _line_item(found: Reader) -> LineItem:
    shown = found.optional_child("productData")
    return LineItem(
        line_item_id=found.optional_text("lineItemId"),
        item_type=found.text("itemType"),
        product_id=found.optional_text("productId"),
        quantity=found.integer("quantity"),
        unit_price=found.optional_integer("unitPrice"),
        product_data=None if shown is None else _product_data(shown),
        adjustable_quantity=_quantity_range(found.optional_child("adjustableQuantity")),
    )


def _quantity_range(found: Reader | None) -> QuantityRange | None:
    if found is None:
        return None
    return QuantityRange(found.integer("minimum"), found.integer("maximum"))


def _product_data(found: Reader) -> ProductData:
    return ProductData(
        product_name=found.text("productName"),
        product_description=found.optional_text("productDescription"),
        image_url=found.optional_text("imageUrl"),
        attributes=_attributes(found),
        status=found.optional_text("status"),
    )


def _token_info(found: Reader) -> TokenInfo | None:
    token = found.optional_child("settlementTokenInfo")
    if token is None:
        return None
    return TokenInfo(
        token_id=token.text("tokenId"),
        contract_address=token.text("contractAddress"),
        name=token.text("name"),
        symbol=token.text("symbol"),
        decimals=token.integer("decimals"),
        chain_id=token.decimal("chainId"),
    )
