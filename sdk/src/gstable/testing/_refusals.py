"""What the platform refuses, in its words. Source: specification sections 11 and 15."""

MESSAGES = {
    100101: "Payment link not found",
    100103: "Payment link is not active",
    100201: "Session not found",
    100203: "Session is expired",
    100204: "Session is paid",
    100205: "Session is cancelled",
    100207: "Session cannot be cancelled",
    100209: "Session is settled or settling",
    100301: "Product not found",
    100302: "Product partial missing",
    100303: "Product partially unavailable",
    100304: "Product is not active",
    100305: "Product has been used",
    100306: "Product has been removed",
    100401: "Account not found",
    100403: "Account has been removed",
    100501: "Refund not found",
    100502: "Refund is not possible",
    100601: "Capture is not possible",
    100602: "Void is not possible",
    200101: "API key is invalid",
    200102: "API key lacks permission",
    300101: "Webhook not found",
    300102: "Webhook limit reached",
    300201: "Event not found",
    400101: "Invalid field format",
    400102: "Idempotency key was used with a different request",
    400201: "Unsupported currency",
    400202: "Unsupported channel",
    400204: "Payment value is outside the allowed range",
}


class Refused(Exception):
    """An answer with a code of the platform. `detail` stands behind the code's own words."""

    def __init__(self, code: int, detail: str = "", status: int = 200) -> None:
        self.code = code
        self.message = f"{MESSAGES[code]}: {detail}" if detail else MESSAGES[code]
        self.status = status
        super().__init__(self.message)


def invalid(field: str, problem: str) -> Refused:
    """A field that is not acceptable (400101)."""
    return Refused(400101, f"{field} {problem}")
