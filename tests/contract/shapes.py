"""The shapes of the wire as data (spec 2 to 9, 13): what must be there, and what may.

A type stands for a value, a dict for an object with exactly those keys (``name?`` may be absent),
a one-element list for an array, a set for a choice, a pattern for text of that form.
"""

from __future__ import annotations

import re
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class Id(str):
    """Stands in a shape for an identifier with that prefix."""


ATTRIBUTES = [{"name": str, "value": str}]
PRODUCT = {
    "productId": Id("prd_"),
    "name": str,
    "status": {"active", "archived"},
    "commonPrices": [int],
    "attributes": ATTRIBUTES,
    "createAt": TIME,
    "description?": str,
    "imageUrl?": str,
}
ACCOUNT = {
    "accountId": Id("acc_"),
    "accountName": str,
    "accountAddress": ADDRESS,
    "accountType": {"EVM::ADDR"},
    "settlementCurrencies": [str],
    "version": Id("ver_"),
    "status": {"normal"},
    "createAt": TIME,
    "updateAt": TIME,
}
PRODUCT_DATA = {
    "productName": str,
    "attributes": ATTRIBUTES,
    "productDescription?": str,
    "imageUrl?": str,
}
BARE_ITEM = {
    "lineItemId": str,
    "itemType": {"product", "user_priced", "one_time"},
    "quantity": int,
    "productId?": Id("prd_"),
    "unitPrice?": int,
}
LINK_ITEM = {**BARE_ITEM, "productData": {**PRODUCT_DATA, "status": {"active", "archived"}}}
SESSION_ITEM = {**BARE_ITEM, "productData": PRODUCT_DATA}
LINK = {
    "linkId": Id("lnk_"),
    "linkType": {"fixed", "custom"},
    "linkName": str,
    "lineItems": {"items": [LINK_ITEM]},
    "accountId": Id("acc_"),
    "settlementToken": str,
    "feeModel": {1, 2},
    "amount": int,
    "payerEmailRequired": {0, 1},
    "linkUrl": str,
    "status": {"active", "inactive", "archived"},
    "versionCode": Id("ver_"),
    "createAt": TIME,
    "updateAt": TIME,
    "accountName": str,
    "accountAddress": ADDRESS,
    "settlementTokenInfo": {
        "tokenId": str,
        "contractAddress": ADDRESS,
        "name": str,
        "symbol": str,
        "decimals": int,
        "chainId": str,
    },
    "successUrl?": str,
    "customSuccessText?": str,
    "customDisabledText?": str,
}
LISTED_LINK = {**LINK, "lineItems": {"items": [BARE_ITEM]}}
CREATED_LINK = {
    **LINK,
    "lineItems": {"items": [LINK_ITEM], "lineItems": {"items": [LINK_ITEM]}, "amount": int},
}
DELAYED = {"settling", "settlement_pending"}
SESSION = {
    **dict.fromkeys(
        ("businessId", "payer", "payerEmail", "paidToken", "receiptId", "settlementToken"), str
    ),
    **dict.fromkeys(("paymentUrl", "initiateTx", "completeTx"), str),
    "sessionId": Id("sess_"),
    "sessionType": {"checkout", "payment_link"},
    "businessType": {"checkout_session", "payment_link"},
    "clientCode": Id("cc_"),
    "recipient": ADDRESS,
    "payerEmailRequired": {0, 1},
    "feeModel": {1, 2},
    "amount": int,
    "lineItems": {"items": [SESSION_ITEM]},
    "expirationTime": int,
    "signedOnce": {0, 1},
    "paymentSucceededTime": {None, TIME},
    "settlementSucceededTime": {None, TIME},
    "createAt": TIME,
    "status": {"initialized", "paid", "completed", "expired", "cancelled", *DELAYED},
    "captureMethod": {"automatic", "manual"},
    "successUrl?": str,
    "metadata?": dict,
    "hold?": dict.fromkeys(
        ("authorized", "captured", "returned", "remaining", "captureBefore"), int
    ),
}  # fmt: skip
TRANSACTION = {
    **dict.fromkeys(("channelId", "metaData", "sourceTx", "targetTx"), str),
    **dict.fromkeys(("totalValue", "paymentValue", "feeValue", "netValue"), int),
    "orderId": str,
    "orderType": int,
    "from": ADDRESS,
    "to": ADDRESS,
    "executeTime": TIME,
    "finalizeTime": {"", TIME},
}
DETAIL = {"session": SESSION, "transaction?": TRANSACTION}
REFUND = {
    "refundId": Id("rfd_"),
    "sessionId": Id("sess_"),
    "paymentId": Id("pay_"),
    "status": {
        "awaiting_approval",
        "prepared",
        "seen",
        "completed",
        "expired",
        "cancelled",
    },
    "amount": int,
    "token": str,
    "chainId": int,
    "from": ADDRESS,
    "to": ADDRESS,
    "amountInToken": re.compile(r"\d+"),
    "reason?": str,
    "expiresAt": int,
    "txHash": {"", re.compile(r"0x[0-9a-f]{64}")},
    "createAt": TIME,
    "transaction?": {
        "chainId": int,
        "to": ADDRESS,
        "data": re.compile(r"0xa9059cbb[0-9a-f]{128}"),
        "value": {"0"},
    },
}
WEBHOOK = {
    "webhookId": Id("wkid_"),
    "webhookName": str,
    "webhookUrl": str,
    "webhookDescription": str,
    "subscribedEvents": [str],
    "key": Id("wkk_"),
    "status": {"active", "inactive", "paused"},
    "createAt": TIME,
    "updateAt": TIME,
}
MATRIX = {
    "supportedTokens": [{"tokenId": str, "symbol": str, "chainId": str, "decimals": int}],
    "paymentCapabilities": dict,
}
ROUTE = {
    "tokenId": str,
    "crosschain": bool,
    "feeRatePPM": int,
    "minPaymentValue": int,
    "maxPaymentValue": int,
}
DONE = {"success": {True}}


def matches(value: Any, shape: Any, path: str = "data") -> None:
    """Fails where ``value`` has not exactly ``shape``, naming the place."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), f"{path} is {value!r}"
        required = {name for name in shape if not name.endswith("?")}
        known = {name.removesuffix("?") for name in shape}
        assert required <= set(value) <= known, f"{path} has {sorted(set(value) ^ required)}"
        for name, inner in value.items():
            matches(inner, shape.get(name, shape.get(f"{name}?")), f"{path}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{path} is {value!r}"
        for position, inner in enumerate(value):
            matches(inner, shape[0], f"{path}[{position}]")
    elif isinstance(shape, set):
        plain = {choice for choice in shape if not isinstance(choice, re.Pattern)}
        patterns = [choice for choice in shape if isinstance(choice, re.Pattern)]
        # A boolean equals 0 or 1 in Python and does not on the wire.
        same = any(value == choice and type(value) is type(choice) for choice in plain)
        fits = isinstance(value, str) and any(one.fullmatch(value) for one in patterns)
        assert same or fits, f"{path} is {value!r}"
    elif isinstance(shape, re.Pattern):
        assert isinstance(value, str), f"{path} is {value!r}"
        assert shape.fullmatch(value), f"{path} is {value!r}"
    elif isinstance(shape, Id):
        assert isinstance(value, str), f"{path} is {value!r}"
        assert re.fullmatch(rf"{shape}[A-Za-z0-9]+", value), f"{path} is {value!r}"
    else:
        assert type(value) is shape, f"{path} is {value!r}"
