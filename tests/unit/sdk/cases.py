"""One call of the SDK with what it sends and reads; and those of refunds."""

from dataclasses import dataclass
from typing import Any

from gstable import OperationResult
from tests.unit.sdk import samples
from tests.unit.sdk.support import Call


@dataclass
class Case:
    """`wire`: the body expected, None for a GET. `sample`: what stands behind the result."""

    name: str
    call: Call
    path: str
    wire: dict[str, Any] | None
    data: Any
    sample: Any = None

    def __str__(self) -> str:
        return self.name


def operation(name: str, path: str, call: Call, wire: dict[str, Any]) -> Case:
    return Case(name, call, path, wire, samples.SUCCESS, OperationResult(success=True))


REFUND_CASES = [
    Case(
        "checkout_session.detail, refunded",
        lambda c: c.checkout_session.detail("sess_1"),
        "/session/sess_1",
        None,
        {**samples.DETAIL, "session": {**samples.SESSION, "refunds": [samples.REFUND]}},
        {**samples.DETAIL, "session": {**samples.SESSION, "refunds": [samples.REFUND]}},
    ),
    Case(
        "checkout_session.capture",
        lambda c: c.checkout_session.capture("sess_1", amount=1_000_000),
        "/session/checkout/capture",
        {"sessionId": "sess_1", "amount": 1_000_000},
        samples.SESSION,
        samples.SESSION,
    ),
    Case(
        "checkout_session.capture, all that remains",
        lambda c: c.checkout_session.capture("sess_1"),
        "/session/checkout/capture",
        {"sessionId": "sess_1"},
        samples.SESSION,
        samples.SESSION,
    ),
    Case(
        "checkout_session.void",
        lambda c: c.checkout_session.void("sess_1"),
        "/session/checkout/void",
        {"sessionId": "sess_1"},
        samples.SESSION,
        samples.SESSION,
    ),
    Case(
        "checkout_session.refund_prepare",
        lambda c: c.checkout_session.refund_prepare(
            "sess_1", payment_id="pay_1", amount=1_000_000, to="0xaa", reason="Out of stock"
        ),
        "/session/refund/prepare",
        {
            "sessionId": "sess_1",
            "paymentId": "pay_1",
            "amount": 1_000_000,
            "to": "0xaa",
            "reason": "Out of stock",
        },
        samples.REFUND,
        samples.REFUND,
    ),
    Case(
        "checkout_session.refund_prepare, least",
        lambda c: c.checkout_session.refund_prepare("sess_1"),
        "/session/refund/prepare",
        {"sessionId": "sess_1"},
        samples.REFUND,
        samples.REFUND,
    ),
    operation(
        "checkout_session.advance",
        "/test/session/advance",
        lambda c: c.checkout_session.advance("sess_1", seconds=1800),
        {"sessionId": "sess_1", "seconds": 1800},
    ),
    operation(
        "checkout_session.refund_cancel",
        "/session/refund/cancel",
        lambda c: c.checkout_session.refund_cancel("rfd_1"),
        {"refundId": "rfd_1"},
    ),
    Case(
        "checkout_session.refund_list",
        lambda c: c.checkout_session.refund_list("sess_1"),
        "/session/refund/list/sess_1",
        None,
        {"refunds": [samples.REFUND, {**samples.REFUND, "transaction": None, "txHash": "0x01"}]},
        [samples.REFUND, {**samples.REFUND, "transaction": None, "txHash": "0x01"}],
    ),
    Case(
        "checkout_session.refund_detail",
        lambda c: c.checkout_session.refund_detail("rfd_1"),
        "/session/refund/detail/rfd_1",
        None,
        samples.REFUND,
        samples.REFUND,
    ),
]
