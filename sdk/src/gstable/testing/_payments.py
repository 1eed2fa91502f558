"""What payers, chains and the clock do to a session: the part that no merchant's request does."""

from collections.abc import Callable

from gstable.testing._clock import wire_time
from gstable.testing._fields import ID, TOTAL_MAX, absent, integer, record
from gstable.testing._refusals import Refused, invalid
from gstable.testing._routes import Call, Route, post
from gstable.testing._session import Hold, Payment, Session
from gstable.testing._sessions import Sessions
from gstable.testing._tokens import paying_token, settlement_token
from gstable.testing._world import World, token, tx_hash

NOT_PAYABLE = {
    "paid": 100204,
    "completed": 100204,
    "settling": 100209,
    "settlement_pending": 100209,
    "expired": 100203,
    "cancelled": 100205,
}
CAPTURE_MIN = 2


class Payments:
    """The moves of sessions and of what is held for them."""

    def __init__(self, world: World, sessions: Sessions) -> None:
        self._world = world
        self._sessions = sessions
        world.clock.watch(self.pass_time)

    def pay(self, session_id: str, token_id: str | None, payer: str) -> None:
        """A payment in a block. Raises `Refused`: 100201, 100203 to 100205, 100209, 400202."""
        session = self._sessions.require(session_id)
        if session.status != "initialized":
            raise Refused(NOT_PAYABLE[session.status])
        settlement = settlement_token(session.fixed["settlementToken"])
        paying = paying_token(token_id or settlement.token_id)
        now = self._world.clock.now
        payment = session.paid(payer, paying, settlement, now)
        if payment.hold is not None and paying != settlement:
            raise Refused(400202, f"tokenId {paying.token_id!r} cannot pay for this session")
        session.payment, session.paid_at = payment, now
        session.fixed["receiptId"] = f"rcp_{token(24)}"
        self._move(session, "paid")

    def begin_settlement(self, session_id: str) -> None:
        """The money is on its way to another network."""
        self._move(self._in(session_id, "paid", "settlement_pending"), "settling")

    def delay_settlement(self, session_id: str) -> None:
        """What carries the money hangs, or the payment's block left the chain."""
        self._move(self._in(session_id, "paid", "settling"), "settlement_pending")

    def settle(self, session_id: str) -> None:
        """The money is in the merchant's wallet for good."""
        session = self._in(session_id, "paid", "settling", "settlement_pending")
        payment = _payment_of(session)
        if payment.hold is not None:
            raise Refused(100209, "sessionId names a session that is captured over the API")
        payment.final_at = self._world.clock.now
        payment.target_tx = tx_hash() if payment.is_crossing else payment.source_tx
        self._complete(session)

    def expire(self, session_id: str) -> None:
        """The session's time is over, whatever the clock says."""
        self._move(self._in(session_id, "initialized"), "expired")

    def pass_time(self) -> None:
        """What is due by the clock: sessions expire, and what is held goes back."""
        now = self._world.clock.now
        for session in list(self._sessions.all.values()):
            payment = session.payment
            if session.status == "initialized" and now >= session.expires_at:
                self._move(session, "expired")
            elif payment and payment.hold and payment.is_over(now):
                self._give_back(session, payment.hold, "reclaimed")

    def routes(self) -> list[Route]:
        amount = absent(integer(1, TOTAL_MAX))
        return [
            post("/session/checkout/capture", self._capture, record(sessionId=ID, amount=amount)),
            post("/session/checkout/void", self._void, record(sessionId=ID)),
        ]

    def _capture(self, call: Call) -> object:
        session, hold = self._held(call, 100601)
        payment = _payment_of(session)
        if self._world.clock.now >= hold.capture_before:
            over = wire_time(hold.capture_before)
            raise Refused(100601, f"sessionId names a session that could be captured before {over}")
        if payment.remaining < CAPTURE_MIN:
            nothing = "names a session of which nothing remains to be captured"
            raise Refused(100601, f"sessionId {nothing}")
        amount = call.body["amount"] or payment.remaining
        if amount > payment.remaining:
            most = payment.remaining
            raise Refused(100601, f"amount is more than remains: {most} ({usd(most)} USD)")
        if amount < CAPTURE_MIN:
            raise invalid("amount", "is so small that the fee would be all of it")
        # The answer is the session as it was: what is captured is on the chain later.
        return self._then(session, lambda: self._take(session, hold, amount))

    def _void(self, call: Call) -> object:
        session, hold = self._held(call, 100602)
        if not _payment_of(session).remaining:
            nothing = "names a session of which nothing is held any more"
            raise Refused(100602, f"sessionId {nothing}")
        return self._then(session, lambda: self._give_back(session, hold, "voided"))

    def _held(self, call: Call, code: int) -> tuple[Session, Hold]:
        session = self._sessions.require(call.body["sessionId"])
        if session.fixed["captureMethod"] != "manual":
            raise Refused(code, "sessionId names a session that is captured with its payment")
        if session.payment is None or session.payment.hold is None:
            raise Refused(code, "sessionId names a session that nobody has authorized")
        return session, session.payment.hold

    def _then(self, session: Session, happen: Callable[[], None]) -> object:
        answer = session.shown()
        happen()
        return answer

    def _take(self, session: Session, hold: Hold, amount: int) -> None:
        payment = _payment_of(session)
        part = -(-amount * payment.fee // payment.total)
        hold.captured += amount
        hold.captured_fee += part
        hold.captured_at = self._world.clock.now
        hold.capture_tx = payment.target_tx = tx_hash()
        self._tell_move(session, "captured", amount, amount - part, hold.capture_tx)
        if not payment.remaining:
            self._close(session, hold)

    def _give_back(self, session: Session, hold: Hold, what: str) -> None:
        amount = _payment_of(session).remaining
        hold.returned += amount
        self._tell_move(session, what, amount, 0, tx_hash())
        self._close(session, hold)

    def _tell_move(self, session: Session, what: str, amount: int, gets: int, proof: str) -> None:
        is_capture = what == "captured"
        move = {
            "what": what,
            "amount": amount,
            "amountInToken": str(amount),
            "merchantReceived": gets,
            "fee": amount - gets if is_capture else 0,
            "txHash": proof,
            "executeTime": wire_time(self._world.clock.now),
        }
        self._sessions.tell("captured" if is_capture else "voided", session, holdData=move)

    def _close(self, session: Session, hold: Hold) -> None:
        if hold.captured:
            _payment_of(session).final_at = self._world.clock.now
            self._complete(session)
        else:
            self._move(session, "cancelled")

    def _complete(self, session: Session) -> None:
        session.completed_at = self._world.clock.now
        self._move(session, "completed")

    def _in(self, session_id: str, *statuses: str) -> Session:
        session = self._sessions.require(session_id)
        if session.status not in statuses:
            code = NOT_PAYABLE.get(session.status, 100209)
            raise Refused(code, f"sessionId names a session that is {session.status}")
        return session

    def _move(self, session: Session, status: str) -> None:
        session.status = status
        self._sessions.tell(status, session)


def _payment_of(session: Session) -> Payment:
    assert session.payment is not None, "only a session with a payment comes here"
    return session.payment


def usd(amount: int) -> str:
    """Micro-USD as dollars."""
    fraction = f"{amount % 10**6:06d}".rstrip("0").ljust(2, "0")
    return f"{amount // 10**6}.{fraction}"
