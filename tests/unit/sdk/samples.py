"""Answers as the platform's documents show them (specification sections 3 to 9)."""

from typing import Any

PRODUCT: dict[str, Any] = {
    "productId": "prd_1",
    "name": "Green tea",
    "description": "Loose leaves",
    "imageUrl": "https://img.example.com/1.png",
    "status": "active",
    "commonPrices": [4_500_000, 9_000_000],
    "attributes": [{"name": "colour", "value": "green"}],
    "createAt": "2026-01-02 03:04:05",
}
ACCOUNT: dict[str, Any] = {
    "accountId": "acc_1",
    "accountName": "Shop",
    "accountAddress": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    "accountType": "EVM::ADDR",
    "settlementCurrencies": ["polygon::usdc", "base::usdc"],
    "version": "ver_1",
    "status": "normal",
    "createAt": "2026-01-02 03:04:05",
}
LINE: dict[str, Any] = {
    "lineItemId": "item_1",
    "itemType": "product",
    "productId": "prd_1",
    "quantity": 2,
    "unitPrice": 4_500_000,
    "productData": {
        "productName": "Green tea",
        "productDescription": "Loose leaves",
        "imageUrl": None,
        "attributes": [{"name": "colour", "value": "green"}],
        "status": "active",
    },
}
LINK: dict[str, Any] = {
    "linkId": "lnk_1",
    "linkType": "fixed",
    "linkName": "Tea for two",
    "lineItems": {"items": [LINE]},
    "accountId": "acc_1",
    "settlementToken": "polygon::usdc",
    "feeModel": 2,
    "amount": 9_000_000,
    "payerEmailRequired": 1,
    "successUrl": "https://shop.example.com/success",
    "customSuccessText": None,
    "linkUrl": "https://pay.example.com/link/lnk_1",
    "status": "active",
    "versionCode": "ver_2",
    "createAt": "2026-01-02 03:04:05",
    "updateAt": "2026-01-02 03:04:06",
    "accountName": "Shop",
    "accountAddress": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    "settlementTokenInfo": {
        "tokenId": "polygon::usdc",
        "contractAddress": "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
        "name": "USD Coin",
        "symbol": "USDC",
        "decimals": 6,
        "chainId": "137",
    },
}
SESSION: dict[str, Any] = {
    "sessionId": "sess_1",
    "sessionType": "checkout",
    "businessId": "sess_1",
    "businessType": "checkout_session",
    "clientCode": "cc_1",
    "payer": "",
    "payerEmail": "",
    "payerEmailRequired": 0,
    "paidToken": "",
    "receiptId": "",
    "recipient": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    "settlementToken": "polygon::usdc",
    "feeModel": 1,
    "amount": 9_000_000,
    "lineItems": {"items": [LINE]},
    "expirationTime": 1_800_001_800,
    "successUrl": "https://shop.example.com/success?orderId=1",
    "paymentUrl": "https://pay.example.com/pay/sess_1",
    "signedOnce": 0,
    "initiateTx": "",
    "completeTx": "",
    "paymentSucceededTime": None,
    "settlementSucceededTime": None,
    "createAt": "2026-01-02 03:04:05",
    "status": "initialized",
    "metadata": {"orderId": "1", "nested_key": {"a": [1, 2.5, None]}},
    "captureMethod": "manual",
    "hold": {
        "authorized": 9_000_000,
        "captured": 2_000_000,
        "returned": 1_000_000,
        "remaining": 6_000_000,
        "captureBefore": 1_800_604_800,
    },
}
TRANSACTION: dict[str, Any] = {
    "orderId": "ord_1",
    "channelId": "polygon",
    "orderType": 1,
    "from": "0xaa",
    "to": "0xbb",
    "metaData": "",
    "totalValue": 9_000_000,
    "paymentValue": 9_000_000,
    "feeValue": 18_000,
    "netValue": 8_982_000,
    "sourceTx": "0x01",
    "targetTx": "0x01",
    "executeTime": "2026-01-02 03:05:05",
    "finalizeTime": "2026-01-02 03:05:35",
}
REFUND: dict[str, Any] = {
    "refundId": "rfd_1",
    "sessionId": "sess_1",
    "paymentId": "pay_1",
    "status": "prepared",
    "amount": 1_000_000,
    "token": "bsc::usdc",
    "chainId": 137,
    "from": "0xbb",
    "to": "0xaa",
    # 18 decimals, so that it has more digits than a 64-bit number.
    "amountInToken": "123456000000000000000000",
    "reason": "Out of stock",
    "expiresAt": 1_800_086_400,
    "txHash": "",
    "createAt": "2026-01-02 03:04:05",
    "transaction": {"chainId": 137, "to": "0xcc", "data": "0xa9059cbb", "value": "0"},
}
DETAIL: dict[str, Any] = {"session": SESSION, "transaction": TRANSACTION}
WEBHOOK: dict[str, Any] = {
    "webhookId": "wkid_1",
    "webhookName": "Shop",
    "webhookUrl": "https://shop.example.com/gstable",
    "webhookDescription": "",
    "subscribedEvents": ["session.paid", "session.completed"],
    "key": "wkk_0123456789",
    "status": "active",
    "createAt": "2026-01-02 03:04:05",
}
CAPABILITIES: dict[str, Any] = {
    "supportedTokens": [
        {"tokenId": "polygon::usdc", "symbol": "USDC", "chainId": "137", "decimals": 6}
    ],
    "paymentCapabilities": {
        "polygon::usdc": {
            "POL": [
                {
                    "tokenId": "polygon::usdc",
                    "crosschain": False,
                    "feeRatePPM": 2000,
                    "minPaymentValue": 10_000,
                    "maxPaymentValue": 1_000_000_000_000,
                }
            ]
        }
    },
}
SUCCESS = {"success": True}
PRODUCTS_PAGE = {"total": 1, "page": "1", "size": "20", "products": [PRODUCT]}
LINKS_PAGE = {"total": 1, "page": "1", "size": "20", "links": [LINK]}
SESSIONS_PAGE = {"total": 1, "page": 1, "size": 20, "sessions": [DETAIL]}
