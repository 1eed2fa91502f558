"""GStable for Python: take stablecoin payments into your own wallet.

    from gstable import Client

    with Client("sk_live_…") as client:
        session = client.checkout_session.create(...)

Every name here is public; modules and names with a leading underscore are not.
"""

from gstable import webhooks
from gstable._async.client import AsyncClient
from gstable._async.http_transport import AsyncHTTPTransport
from gstable._body import AttributeInput, LineItemInput, ProductDataInput, QuantityRangeInput
from gstable._config import Timeout, __version__
from gstable._errors import (
    GStableCommonError,
    GStableConnectionError,
    GStableError,
    GStablePlatformError,
    GStableProductError,
    GStableUsageError,
    SignatureError,
)
from gstable._event import Event, EventFeed
from gstable._models import (
    Account,
    Attribute,
    Capabilities,
    CheckoutSession,
    DeliveryAttempt,
    EventDelivery,
    FeeModel,
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
from gstable._sync.client import Client
from gstable._sync.http_transport import HTTPTransport
from gstable._transport import AsyncTransport, MockTransport, Request, Response, Transport

__all__ = [
    "Account",
    "AsyncClient",
    "AsyncHTTPTransport",
    "AsyncTransport",
    "Attribute",
    "AttributeInput",
    "Capabilities",
    "CheckoutSession",
    "Client",
    "DeliveryAttempt",
    "Event",
    "EventDelivery",
    "EventFeed",
    "FeeModel",
    "GStableCommonError",
    "GStableConnectionError",
    "GStableError",
    "GStablePlatformError",
    "GStableProductError",
    "GStableUsageError",
    "HTTPTransport",
    "Hold",
    "HoldMove",
    "LineItem",
    "LineItemInput",
    "LogEntry",
    "LogFeed",
    "MockTransport",
    "OperationResult",
    "Page",
    "PaymentCapability",
    "PaymentLink",
    "Product",
    "ProductData",
    "ProductDataInput",
    "QuantityRange",
    "QuantityRangeInput",
    "Redelivery",
    "RefreshedKey",
    "Refund",
    "RefundTransaction",
    "Request",
    "Response",
    "SessionDetail",
    "SignatureError",
    "SupportedToken",
    "Timeout",
    "TokenInfo",
    "Transaction",
    "Transport",
    "Webhook",
    "WebhookAttempt",
    "WebhookTest",
    "__version__",
    "webhooks",
]
