"""Refunds. Source: specification section 15, Refunds."""

import re
from typing import Any

from gstable.testing._clock import wire_time
from gstable.testing._fields import ID, SHORT_TEXT, TOTAL_MAX, absent, integer, record, text
from gstable.testing._payments import usd
from gstable.testing._refusals import Refused, invalid
from gstable.testing._routes import DONE, Call, Route, get, post
from gstable.testing._session import Payment, Session
from gstable.testing._sessions import Sessions
from gstable.testing._tokens import settlement_token
from gstable.testing._world import World, token, tx_hash

LIFETIME_SECONDS = 86_400
TRANSFER = "0xa9059cbb"
"""The selector of ERC-20 `transfer(address,uint256)`."""
COUNTED = ("prepared", "seen", "completed")
ZERO_ADDRESS = "0x" + "0" * 40
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class Refunds:
    """The refunds under their ids; each stands in the list of its session too."""

    def __init__(self, world: World, sessions: Sessions) -> None:
        self._world = world
        self._sessions = sessions
        self._all: dict[str, dict[str, Any]] = {}
        world.clock.watch(self._pass_time)

    def send(self, refund_id: str) -> None:
        """The merchant's wallet sends the transfer, and it is final. Raises `Refused` 100501,
        100502 for one that was sent before."""
        refund = self._require(refund_id)
        if refund["status"] == "completed":
            raise Refused(100502, "refundId names a refund that is completed")
        self._mark(refund, "completed")
        refund["txHash"] = tx_hash()
        session = self._sessions.require(refund["sessionId"])
        self._sessions.tell("refunded", session, refundData=dict(refund))

    def advance(self, session: Session, seconds: int) -> None:
        """Bring the end of the session's prepared refunds so many seconds closer."""
        for refund in self._sessions.refunds_of.get(session.session_id, []):
            if refund["status"] == "prepared":
                refund["expiresAt"] -= seconds
        self._pass_time()

    def routes(self) -> list[Route]:
        terms = record(
            sessionId=ID,
            paymentId=absent(ID),
            amount=absent(integer(1, TOTAL_MAX)),
            to=absent(text(0, 64)),
            reason=SHORT_TEXT,
        )
        return [
            post("/session/refund/prepare", self._prepare, terms),
            post("/session/refund/cancel", self._cancel, record(refundId=ID)),
            get("/session/refund/list/{sessionId}", self._list),
            get("/session/refund/detail/{refundId}", self._detail),
        ]

    def _prepare(self, call: Call) -> object:
        session = self._sessions.require(call.body["sessionId"])
        payment = self._chosen(session, call.body["paymentId"])
        left = self._remaining(session, payment)
        amount = left if call.body["amount"] is None else call.body["amount"]
        if amount > left:
            raise Refused(100502, f"amount is more than remains: {left} ({usd(left)} USD)")
        sender = str(session.fixed["recipient"])
        receiver = _receiver(payment, sender, call.body["to"])
        refund = self._drafted(session, payment, amount, receiver)
        if call.body["reason"] is not None:
            refund["reason"] = call.body["reason"]
        self._all[refund["refundId"]] = refund
        self._sessions.refunds_of.setdefault(session.session_id, []).append(refund)
        return refund

    def _drafted(
        self, session: Session, payment: Payment, amount: int, receiver: str
    ) -> dict[str, Any]:
        now = self._world.clock.now
        paid_in = payment.settlement
        data = f"{TRANSFER}{receiver[2:].lower():0>64}{amount:064x}"
        return {
            "refundId": f"rfd_{token(24)}",
            "sessionId": session.session_id,
            "paymentId": payment.payment_id,
            "status": "prepared",
            "amount": amount,
            "token": paid_in.token_id,
            "chainId": paid_in.chain_id,
            "from": session.fixed["recipient"],
            "to": receiver,
            "amountInToken": str(amount),
            "expiresAt": now + LIFETIME_SECONDS,
            "txHash": "",
            "createAt": wire_time(now),
            "transaction": {
                "chainId": paid_in.chain_id,
                "to": settlement_token(paid_in.token_id).address,
                "data": data,
                "value": "0",
            },
        }

    def _chosen(self, session: Session, asked: str | None) -> Payment:
        payment = session.payment
        if asked is not None and (payment is None or asked != payment.payment_id):
            raise invalid("paymentId", "names no payment of this session")
        named = "sessionId" if asked is None else "paymentId"
        if payment is None:
            raise Refused(100502, "sessionId names a session without a payment")
        if payment.final_at is None:
            raise Refused(100502, f"{named} names a payment that is not final yet")
        if not self._remaining(session, payment):
            what = "a session" if asked is None else "a payment"
            nothing = "nothing remains to be given back" if asked is None else "nothing remains"
            raise Refused(100502, f"{named} names {what} of which {nothing}")
        return payment

    def _remaining(self, session: Session, payment: Payment) -> int:
        taken = sum(
            int(refund["amount"])
            for refund in self._all.values()
            if refund["sessionId"] == session.session_id and refund["status"] in COUNTED
        )
        return max(payment.received - taken, 0)

    def _cancel(self, call: Call) -> object:
        refund = self._require(call.body["refundId"])
        if refund["status"] != "prepared":
            raise Refused(100502, f"refundId names a refund that is {refund['status']}")
        self._mark(refund, "cancelled")
        return DONE

    def _list(self, call: Call) -> object:
        session = self._sessions.require(call.values["sessionId"])
        return {"refunds": self._sessions.refunds_of.get(session.session_id, [])}

    def _detail(self, call: Call) -> object:
        return self._require(call.values["refundId"])

    def _require(self, refund_id: str) -> dict[str, Any]:
        if refund_id not in self._all:
            raise Refused(100501)
        return self._all[refund_id]

    def _mark(self, refund: dict[str, Any], status: str) -> None:
        refund["status"] = status
        # What was given up or sent must not be sent again.
        refund.pop("transaction", None)

    def _pass_time(self) -> None:
        for refund in self._all.values():
            if refund["status"] == "prepared" and self._world.clock.now >= refund["expiresAt"]:
                self._mark(refund, "expired")


def _receiver(payment: Payment, sender: str, asked: str | None) -> str:
    if asked is None:
        if payment.is_crossing:
            raise invalid(
                "to", "is required: the payer paid on another network, ask which wallet to refund"
            )
        return payment.payer
    if not _ADDRESS.fullmatch(asked):
        raise invalid("to", "must be 0x followed by 40 hexadecimal digits")
    if asked.lower() == sender.lower():
        raise invalid("to", "must not be the wallet that gives the money back")
    if asked.lower() in (ZERO_ADDRESS, payment.settlement.address.lower()):
        raise invalid("to", "must be somebody's wallet, not a contract of the payment")
    return asked
