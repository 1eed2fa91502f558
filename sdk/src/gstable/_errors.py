"""Every error this package raises.

    GStableError                      any refusal or failure; the parent of all
     ├─ GStableProductError           100301-100306: the product cannot be used that way
     ├─ GStableCommonError            400xxx: a field, a key, a token or a route is not acceptable
     ├─ GStablePlatformError          900xxx and 999999: the platform's own limits and failures
     ├─ GStableConnectionError        -1: no answer arrived (refused, reset, timed out)
     ├─ GStableUsageError             -1: refused here, before anything was sent; also a ValueError
     └─ SignatureError                400104: a webhook that must not be believed

Link, session, account, API key and webhook codes are plain `GStableError`s: branch on `code`.
Source: specification sections 11, 13 and 15.
"""

PRODUCT_CODES = range(100301, 100307)
COMMON_CODES = range(400000, 401000)
PLATFORM_CODES = range(900000, 901000)
INTERNAL_ERROR_CODE = 999999
INVALID_SIGNATURE_CODE = 400104
NO_ANSWER_CODE = -1


class GStableError(Exception):
    """A refusal by the platform, or an answer that cannot be read.

    `code` (int): the platform's code; the HTTP status where an answer carried none.
    `message` (str): the platform's words; a validation error names the field.
    `request_id` (str or None): the `x-request-id` of the answer; name it to the operator.
    `http_status` (int or None): None where no answer arrived.
    """

    def __init__(
        self,
        code: int,
        message: str,
        request_id: str | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(code, message, request_id, http_status)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.http_status = http_status

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message}"
        return text if self.request_id is None else f"{text} (request id {self.request_id})"


class GStableProductError(GStableError):
    """The product is missing, not active, in use or removed (codes 100301 to 100306)."""


class GStableCommonError(GStableError):
    """A field, an idempotency key, a token or a route is not acceptable (codes 400xxx)."""


class GStablePlatformError(GStableError):
    """The platform's own trouble: rate limit, storage, internal error (900xxx, 999999)."""


class GStableConnectionError(GStableError):
    """No answer arrived: the connection failed, broke, or timed out (code -1).

    Whether the platform acted is unknown. The same call with the same idempotency key is safe.
    """

    def __init__(self, message: str) -> None:
        super().__init__(NO_ANSWER_CODE, message)
        self.args = (message,)


class GStableUsageError(GStableError, ValueError):
    """The call cannot be made at all; nothing was sent (code -1). The message names the field."""

    def __init__(self, message: str) -> None:
        super().__init__(NO_ANSWER_CODE, message)
        self.args = (message,)


class SignatureError(GStableError):
    """A webhook delivery that must not be believed (code 400104).

    `reason` (str): which rule it broke, fit for a log; never contains the secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(INVALID_SIGNATURE_CODE, f"Invalid signature: {reason}")
        self.reason = reason
        self.args = (reason,)


def error_for(
    code: int, message: str, request_id: str | None, http_status: int | None
) -> GStableError:
    """The error of the class that the code belongs to."""
    kind = GStableError
    if code in PRODUCT_CODES:
        kind = GStableProductError
    elif code in COMMON_CODES:
        kind = GStableCommonError
    elif code in PLATFORM_CODES or code == INTERNAL_ERROR_CODE:
        kind = GStablePlatformError
    return kind(code, message, request_id, http_status)
