"""One checkout session and its payment, as the wire shows them. Source: specification section 6.

Every token of the fake has six decimals, so that one Micro-USD is one of its smallest units.
"""

from dataclasses import dataclass, field
from typing import Any

from gstable.testing._clock import wire_time
from gstable.testing._tokens import Token, fee
from gstable.testing._world import token, tx_hash

CAPTURE_SECONDS = 7 * 86_400


@dataclass
class Hold:
    """What left a payment that is captured later, in Micro-USD. `capture_before`: Unix seconds."""

    capture_before: int
    captured: int = 0
    captured_fee: int = 0
    returned: int = 0
    capture_tx: str = ""
    captured_at: int | None = None


@dataclass
class Payment:
    """Money that pays a session. Amounts in Micro-USD, times in Unix seconds.

    `total` is what the payer gave, `fee` the platform's part. `final_at`: when the money was in
    the merchant's wallet for good, `target_tx` what brought it there.
    """

    payer: str
    paying: Token
    settlement: Token
    total: int
    fee: int
    paid_at: int
    hold: Hold | None
    payment_id: str = field(default_factory=lambda: f"pay_{token(24)}")
    source_tx: str = field(default_factory=tx_hash)
    target_tx: str = ""
    final_at: int | None = None

    @property
    def is_crossing(self) -> bool:
        return self.paying.network != self.settlement.network

    @property
    def order_type(self) -> int:
        if self.is_crossing:
            return 3
        return 1 if self.paying == self.settlement else 2

    @property
    def received(self) -> int:
        """What the merchant got, or will get."""
        if self.hold is not None and self.hold.captured:
            return self.hold.captured - self.hold.captured_fee
        return self.total - self.fee

    @property
    def remaining(self) -> int:
        """What is still held."""
        return 0 if self.hold is None else self.total - self.hold.captured - self.hold.returned

    def is_over(self, now: int) -> bool:
        """Whether something is held and can be captured no more. `now`: Unix seconds."""
        return self.hold is not None and self.remaining > 0 and now >= self.hold.capture_before

    def hold_shown(self, hold: Hold) -> dict[str, object]:
        return {
            "authorized": self.total,
            "captured": hold.captured,
            "returned": hold.returned,
            "remaining": self.remaining,
            "captureBefore": hold.capture_before,
        }


@dataclass
class Session:
    """`fixed` is what paying changes nothing of."""

    fixed: dict[str, Any]
    order_id: str
    status: str = "initialized"
    payment: Payment | None = None
    paid_at: int | None = None
    completed_at: int | None = None

    @property
    def session_id(self) -> str:
        return str(self.fixed["sessionId"])

    @property
    def expires_at(self) -> int:
        return int(self.fixed["expirationTime"])

    def paid(self, payer: str, paying: Token, settlement: Token, now: int) -> Payment:
        """The payment that would pay it."""
        amount = int(self.fixed["amount"])
        part = fee(amount, paying, settlement)
        is_manual = self.fixed["captureMethod"] == "manual"
        return Payment(
            payer=payer,
            paying=paying,
            settlement=settlement,
            total=amount if self.fixed["feeModel"] == 1 else amount + part,
            fee=part,
            paid_at=now,
            hold=Hold(now + CAPTURE_SECONDS) if is_manual else None,
        )

    def shown(self) -> dict[str, object]:
        """The flat session."""
        payment = self.payment
        shown = {
            **self.fixed,
            "payer": payment.payer if payment else "",
            "paidToken": payment.paying.token_id if payment else "",
            "signedOnce": int(payment is not None),
            "initiateTx": payment.source_tx if payment else "",
            "completeTx": payment.target_tx if payment and self.status == "completed" else "",
            "paymentSucceededTime": None if self.paid_at is None else wire_time(self.paid_at),
            "settlementSucceededTime": (
                None if self.completed_at is None else wire_time(self.completed_at)
            ),
            "status": self.status,
        }
        if payment is not None and payment.hold is not None:
            shown["hold"] = payment.hold_shown(payment.hold)
        return shown

    def transaction(self) -> dict[str, object] | None:
        """The payment, None before there is one."""
        payment = self.payment
        if payment is None:
            return None
        final_at, part = payment.final_at, payment.total - payment.received
        if payment.hold is not None:
            final_at = payment.hold.captured_at
            if final_at is not None:
                part = payment.hold.captured_fee
        return {
            "orderId": self.order_id,
            "channelId": payment.paying.network,
            "orderType": payment.order_type,
            "from": payment.payer,
            "to": self.fixed["recipient"],
            "metaData": "",
            "totalValue": payment.total,
            "paymentValue": self.fixed["amount"],
            "feeValue": part,
            "netValue": payment.received,
            "sourceTx": payment.source_tx,
            "targetTx": payment.target_tx,
            "executeTime": wire_time(payment.paid_at),
            "finalizeTime": "" if final_at is None else wire_time(final_at),
        }

    def detail(self) -> dict[str, object]:
        """The session and its payment, as queries answer."""
        transaction = self.transaction()
        beside = {} if transaction is None else {"transaction": transaction}
        return {"session": self.shown(), **beside}

    def letter(self) -> dict[str, object]:
        """The payload of its events."""
        shown = {**self.shown(), "currency": self.fixed["settlementToken"]}
        return {"sessionData": shown, "transaction": self.transaction()}
