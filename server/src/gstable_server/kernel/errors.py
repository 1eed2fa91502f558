"""Three kinds of trouble, three types.

    Exception
    └── Trouble
        ├── Refused   the caller can act: a code of spec 11/15, and what exactly is wrong
        └── Passing   time may cure it: try the same again later

Anything else that escapes an operation is a bug: it is logged, and answered with 999999.
"""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """Every refusal of the wire contract: number, message and HTTP status (spec 11 and 15)."""

    LINK_NOT_FOUND = (100101, "Payment link not found", 200)
    LINK_ARCHIVED = (100102, "Payment link is archived", 200)
    LINK_NOT_ACTIVE = (100103, "Payment link is not active", 200)
    LINK_VERSION_INVALID = (100104, "Invalid payment link version", 200)
    SESSION_NOT_FOUND = (100201, "Session not found", 200)
    SESSION_CLIENT_KEY_INVALID = (100202, "Session client key is invalid", 200)
    SESSION_EXPIRED = (100203, "Session is expired", 200)
    SESSION_PAID = (100204, "Session is paid", 200)
    SESSION_CANCELLED = (100205, "Session is cancelled", 200)
    SESSION_PAYER_MISMATCH = (100206, "Session payer mismatch", 200)
    SESSION_NOT_CANCELLABLE = (100207, "Session cannot be cancelled", 200)
    SESSION_NOT_PAYABLE = (100208, "Session is not payable", 200)
    SESSION_SETTLING = (100209, "Session is settled or settling", 200)
    PRODUCT_NOT_FOUND = (100301, "Product not found", 200)
    PRODUCT_PARTIAL_MISSING = (100302, "Product partial missing", 200)
    PRODUCT_PARTIALLY_UNAVAILABLE = (100303, "Product partially unavailable", 200)
    PRODUCT_NOT_ACTIVE = (100304, "Product is not active", 200)
    PRODUCT_USED = (100305, "Product has been used", 200)
    PRODUCT_REMOVED = (100306, "Product has been removed", 200)
    ACCOUNT_NOT_FOUND = (100401, "Account not found", 200)
    ACCOUNT_LIMIT = (100402, "Account limit reached", 200)
    ACCOUNT_REMOVED = (100403, "Account has been removed", 200)
    REFUND_NOT_FOUND = (100501, "Refund not found", 200)
    REFUND_IMPOSSIBLE = (100502, "Refund is not possible", 200)
    CAPTURE_IMPOSSIBLE = (100601, "Capture is not possible", 200)
    VOID_IMPOSSIBLE = (100602, "Void is not possible", 200)
    INFLOW_NOT_FOUND = (100701, "Unmatched money not found", 200)
    RESOLUTION_IMPOSSIBLE = (100702, "Resolution is not possible", 200)
    KEY_INVALID = (200101, "API key is invalid", 401)
    KEY_LACKS_PERMISSION = (200102, "API key lacks permission", 403)
    KEY_REVOKED = (200103, "API key is revoked", 401)
    WEBHOOK_NOT_FOUND = (300101, "Webhook not found", 200)
    WEBHOOK_LIMIT = (300102, "Webhook limit reached", 200)
    EVENT_NOT_FOUND = (300201, "Event not found", 200)
    FIELD_INVALID = (400101, "Invalid field format", 200)
    IDEMPOTENCY_MISMATCH = (400102, "Idempotency key was used with a different request", 200)
    IDEMPOTENCY_IN_PROGRESS = (
        400103,
        "Request with this idempotency key is still in progress",
        200,
    )
    SIGNATURE_INVALID = (400104, "Invalid signature", 200)
    AUTHORIZATION_EXPIRED = (400105, "Authorization has expired", 200)
    NONCE_USED = (400106, "Authorization nonce has been used", 200)
    CURRENCY_UNSUPPORTED = (400201, "Unsupported currency", 200)
    CHANNEL_UNSUPPORTED = (400202, "Unsupported channel", 200)
    CAPABILITIES_NOT_FOUND = (400203, "Settlement capabilities not found", 200)
    VALUE_OUT_OF_RANGE = (400204, "Payment value is outside the allowed range", 200)
    ROUTE_UNAVAILABLE = (400205, "Route is temporarily unavailable", 200)
    ROUTE_UNKNOWN = (400101, "Invalid field format", 404)
    METHOD_NOT_ALLOWED = (400101, "Invalid field format", 405)
    BODY_TOO_LARGE = (400101, "Invalid field format", 413)
    TOO_MANY_REQUESTS = (900101, "Too many requests", 429)
    INTERNAL = (999999, "Internal system error", 500)

    def __init__(self, number: int, message: str, status: int) -> None:
        self.number = number
        self.message = message
        self.status = status


class Trouble(Exception):
    """What an operation may raise on purpose."""


class Refused(Trouble):
    """The request cannot be done as asked, and the caller can act on it.

    ``detail`` names the field or the fact; it is shown to the caller behind the code's message.
    ``field`` is the path of the field alone (``lineItems[0].quantity``), "" for other facts.
    ``retry_after`` is in seconds and only set where waiting helps.
    """

    def __init__(
        self, code: Code, detail: str = "", *, field: str = "", retry_after: int | None = None
    ) -> None:
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """``"<fixed text>"`` or ``"<fixed text>: <detail>"`` (spec 2)."""
        return f"{self.code.message}: {self.detail}" if self.detail else self.code.message


class Passing(Trouble):
    """Something outside failed and may work later; nothing was changed."""

    def __init__(self, reason: str, *, retry_after: int | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


def invalid_field(field: str, problem: str) -> Refused:
    """``Invalid field format: <field> <problem>`` (spec 15, HTTP status)."""
    return Refused(Code.FIELD_INVALID, f"{field} {problem}", field=field)
