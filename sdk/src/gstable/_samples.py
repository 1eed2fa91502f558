"""Sample payloads for `webhooks.example`: the shapes of specification section 9, Payload."""

from secrets import choice
from string import ascii_letters, digits
from time import gmtime, strftime

from gstable._errors import GStableUsageError

BUSINESS_TYPES = {
    "session.": "session",
    "payment.link.": "payment_link",
    "product.": "product",
    "account.": "account",
}
SESSION_LIFE_SECONDS = 1800
PAID_STATUSES = ("paid", "settling", "settlement_pending", "completed")
# Events that tell of money leave the session in a status of another name.
STATUS_AFTER = {
    "created": "initialized",
    "underpaid": "initialized",
    "overpaid": "paid",
    "paid_late": "expired",
    "payment_reverted": "initialized",
    "refunded": "completed",
    "captured": "completed",
    "voided": "cancelled",
}
PRICE_MICRO_USD = 20_000_000
FEE_MICRO_USD = 40_000
REFUND_MICRO_USD = 5_000_000
REFUND_LIFE_SECONDS = 86_400
SESSION_ID = "sess_0000000000000000000000000example"
PAYER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
RECIPIENT = "0x5CbDd86a2FA8Dc4bDdd8a8f69dBa48572EeC07FB"
SOURCE_TX = "0x" + "5a" * 32
REFUND_TX = "0x" + "6b" * 32
HOLD_TX = "0x" + "7c" * 32
USDC = "polygon::usdc"


def mint_event_id() -> str:
    """`evt_` and 16 letters and digits."""
    return "evt_" + "".join(choice(ascii_letters + digits) for _ in range(16))


def business_type_of(event_type: str) -> str:
    """Raises `GStableUsageError` for a type of no known object."""
    for prefix, business_type in BUSINESS_TYPES.items():
        if event_type.startswith(prefix) and event_type != prefix:
            return business_type
    raise GStableUsageError(f"event_type {event_type!r} belongs to no known object")


def sample_payload(event_type: str, at: int) -> dict[str, object]:
    """The payload such an event carries. `at`: Unix seconds."""
    happened = event_type.rpartition(".")[2]
    business_type = business_type_of(event_type)
    when = strftime("%Y-%m-%d %H:%M:%S", gmtime(at))
    if business_type == "session":
        session = _session_payload(STATUS_AFTER.get(happened, happened), at, when)
        if happened == "refunded":
            return {**session, "refundData": _refund(at, when)}
        if happened in {"captured", "voided"}:
            return {**session, "holdData": _hold_move(happened, when)}
        return session
    if business_type == "payment_link":
        return {"linkData": _link(happened, when)}
    if business_type == "product":
        return {"productData": _product(happened, when)}
    return {"accountData": _account(when)}


def _session_payload(status: str, at: int, when: str) -> dict[str, object]:
    is_paid = status in PAID_STATUSES
    is_complete = status == "completed"
    session = {
        "sessionId": SESSION_ID,
        "sessionType": "checkout",
        "businessId": SESSION_ID,
        "businessType": "checkout_session",
        "clientCode": "",
        "payer": PAYER if is_paid else "",
        "payerEmail": "",
        "payerEmailRequired": 0,
        "paidToken": USDC if is_paid else "",
        "receiptId": "",
        "recipient": RECIPIENT,
        "settlementToken": USDC,
        "currency": USDC,
        "feeModel": 1,
        "amount": PRICE_MICRO_USD,
        "lineItems": {"items": [_line()]},
        "expirationTime": at + SESSION_LIFE_SECONDS,
        "successUrl": "https://shop.example.com/success?orderId=ORD_001",
        "paymentUrl": f"https://pay.gstable.io/pay/{SESSION_ID}",
        "signedOnce": 1 if is_paid else 0,
        "initiateTx": SOURCE_TX if is_paid else "",
        "completeTx": SOURCE_TX if is_complete else "",
        "paymentSucceededTime": when if is_paid else None,
        "settlementSucceededTime": when if is_complete else None,
        "createAt": when,
        "status": status,
        "metadata": {"orderId": "ORD_001"},
    }
    return {"sessionData": session, "transaction": _transaction(when) if is_paid else None}


def _hold_move(what: str, when: str) -> dict[str, object]:
    is_capture = what == "captured"
    return {
        "what": what,
        "amount": PRICE_MICRO_USD,
        "amountInToken": str(PRICE_MICRO_USD),
        "merchantReceived": PRICE_MICRO_USD - FEE_MICRO_USD if is_capture else 0,
        "fee": FEE_MICRO_USD if is_capture else 0,
        "txHash": HOLD_TX,
        "executeTime": when,
    }


def _refund(at: int, when: str) -> dict[str, object]:
    return {
        "refundId": "rfd_0000000000example",
        "sessionId": SESSION_ID,
        "paymentId": "pay_0000000000example",
        "status": "completed",
        "amount": REFUND_MICRO_USD,
        "token": USDC,
        "chainId": 137,
        "from": RECIPIENT,
        "to": PAYER,
        "amountInToken": str(REFUND_MICRO_USD),
        "reason": "Out of stock",
        "expiresAt": at + REFUND_LIFE_SECONDS,
        "txHash": REFUND_TX,
        "createAt": when,
    }


def _line() -> dict[str, object]:
    return {
        "lineItemId": "item_0000000000example",
        "itemType": "product",
        "productId": "prd_0000000000example",
        "quantity": 1,
        "unitPrice": PRICE_MICRO_USD,
        "productData": {"productName": "Example product", "status": "active"},
    }


def _transaction(when: str) -> dict[str, object]:
    return {
        "orderId": "order_0000000000example",
        "channelId": "polygon",
        "orderType": 1,
        "from": PAYER,
        "to": RECIPIENT,
        "metaData": "",
        "totalValue": PRICE_MICRO_USD,
        "paymentValue": PRICE_MICRO_USD,
        "feeValue": FEE_MICRO_USD,
        "netValue": PRICE_MICRO_USD - FEE_MICRO_USD,
        "sourceTx": SOURCE_TX,
        "targetTx": SOURCE_TX,
        "executeTime": when,
        "finalizeTime": when,
    }


def _link(happened: str, when: str) -> dict[str, object]:
    link_id = "lnk_0000000000000000000000000example"
    status = {"disabled": "inactive", "archived": "archived"}.get(happened, "active")
    return {
        "linkId": link_id,
        "linkType": "fixed",
        "linkName": "Example link",
        "lineItems": {"items": [_line()]},
        "accountId": "acc_0000000000example",
        "settlementToken": USDC,
        "feeModel": 1,
        "amount": PRICE_MICRO_USD,
        "payerEmailRequired": 0,
        "successUrl": None,
        "customSuccessText": None,
        "customDisabledText": None,
        "linkUrl": f"https://pay.gstable.io/link/{link_id}",
        "status": status,
        "versionCode": "ver_000000000example",
        "createAt": when,
        "updateAt": when,
    }


def _product(happened: str, when: str) -> dict[str, object]:
    return {
        "productId": "prd_0000000000example",
        "name": "Example product",
        "description": "What the buyer gets",
        "imageUrl": None,
        "status": "archived" if happened == "archived" else "active",
        "commonPrices": [PRICE_MICRO_USD],
        "attributes": [{"name": "colour", "value": "red"}],
        "createAt": when,
    }


def _account(when: str) -> dict[str, object]:
    return {
        "accountId": "acc_0000000000example",
        "accountName": "Example account",
        "accountAddress": RECIPIENT,
        "accountType": "EVM::ADDR",
        "settlementCurrencies": [USDC],
        "version": "ver_000000000example",
        "status": "normal",
        "createAt": when,
        "updateAt": when,
    }
