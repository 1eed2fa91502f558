"""Sessions with their payments in hand: read and locked together, decided on one after the other
without asking the database anything, and written together.

So the number of statements does not grow with the number of events that are handled at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gstable_server.chain.executor import operations as executor
from gstable_server.chain.facts import RailName
from gstable_server.kernel.ids import SessionId
from gstable_server.ledger import operations as ledger
from gstable_server.ledger.model import Transfer
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import store, store_payments
from gstable_server.sessions.attested import AttestedAmounts
from gstable_server.sessions.model import (
    STANDING,
    Payment,
    PaymentName,
    PaymentState,
    Session,
    SessionView,
)


class Case:
    """One session and the payments that reached the chain for it, as they are by now; or one
    payment for no session of ours.

    Whoever decides changes what is here; ``Cases.write`` makes it so in the database.
    """

    def __init__(
        self,
        session: Session | None,
        payments: Iterable[Payment],
        attested: AttestedAmounts | None = None,
    ) -> None:
        self.session = session
        self.attested: AttestedAmounts = attested or {}
        self.transfers: list[Transfer] = []
        self.withdraws_relays = False
        self._read_session = session
        self._payments = {payment.name: payment for payment in payments}
        self._read_payments = dict(self._payments)

    @property
    def view(self) -> SessionView:
        """The session with its payments, oldest first."""
        assert self.session is not None, "only what is known can be shown"
        return SessionView(self.session, tuple(self._payments.values()))

    def attested_for(self, network: str, token_id: str, rail: RailName | None) -> frozenset[int]:
        """The merchant's amounts of all orders by which that token may have been paid there."""
        return self.attested.get((network, token_id, rail), frozenset())

    def payment(self, name: PaymentName) -> Payment | None:
        """The payment of that name; None before it was seen."""
        return self._payments.get(name)

    def put(self, payment: Payment) -> None:
        """Keep ``payment`` as it is now; the session gets it if it is new."""
        self._payments[payment.name] = payment

    def move(self, session: Session) -> None:
        """Keep the session as it is now."""
        self.session = session

    def post(self, transfers: Iterable[Transfer]) -> None:
        """Book ``transfers``."""
        self.transfers.extend(transfers)

    def withdraw_relays(self) -> None:
        """Do not send any more what payers signed and we have not sent."""
        self.withdraws_relays = True

    def other_payment(self, known: Payment | None) -> bool:
        """Whether a payment other than ``known`` stands for the session and pays it."""
        standing = self.view.payment
        return standing is not None and (known is None or standing.name != known.name)

    @property
    def awaits_one(self) -> bool:
        """Whether a payment that pays the session was taken back and not given up yet."""
        return any(
            payment.pays and payment.state is PaymentState.REVERTED
            for payment in self._payments.values()
        )

    def moved_session(self) -> tuple[Session, Session] | None:
        """The session as it was read and as it is now, if it changed."""
        if self.session is None or self.session is self._read_session:
            return None
        assert self._read_session is not None, "nobody opens a session here"
        return self._read_session, self.session

    def changed_payments(self) -> tuple[list[Payment], list[Payment]]:
        """The payments that changed, and those that are new."""
        paying = [one for one in self._payments.values() if one.pays and one.state in STANDING]
        assert len(paying) <= 1, f"two payments pay one session: {[one.cause for one in paying]}"
        changed, new = [], []
        for name, payment in self._payments.items():
            if name not in self._read_payments:
                new.append(payment)
            elif payment is not self._read_payments[name]:
                changed.append(payment)
        return changed, new


class Cases:
    """The cases of one transaction."""

    def __init__(self) -> None:
        self._of_sessions: dict[bytes, Case] = {}
        self._of_strays: dict[PaymentName, Case] = {}

    @classmethod
    async def about(
        cls,
        tx: Tx,
        session_keys: Iterable[bytes],
        names: Sequence[PaymentName] = (),
        *,
        orders: bool = False,
    ) -> Cases:
        """The cases of the sessions that the chain knows by those keys, and of those payments;
        with what was attested for the sessions if ``orders``. Held until the transaction ends."""
        sessions = await store.lock_by_keys(tx, sorted(set(session_keys)))
        return await cls._read(tx, sessions, names, orders=orders)

    @classmethod
    async def of(cls, tx: Tx, sessions: Sequence[Session]) -> Cases:
        """The cases of sessions that are locked already."""
        return await cls._read(tx, sessions, (), orders=False)

    @classmethod
    async def _read(
        cls, tx: Tx, sessions: Sequence[Session], names: Sequence[PaymentName], *, orders: bool
    ) -> Cases:
        ids = [session.session_id for session in sessions]
        payments: dict[SessionId, list[Payment]] = {session_id: [] for session_id in ids}
        cases = cls()
        for payment in await store_payments.lock(tx, ids, names):
            if payment.session_id is None:
                cases._of_strays[payment.name] = Case(None, [payment])
            else:
                payments[payment.session_id].append(payment)
        attested = await store.attested_amounts(tx, ids) if orders and ids else {}
        for session in sessions:
            session_id = session.session_id
            case = Case(session, payments[session_id], attested.get(session_id))
            cases._of_sessions[session.session_key] = case
        return cases

    def case(self, session_key: bytes, name: PaymentName) -> Case:
        """Whose case that payment is. One that was seen before its session was opened stays a
        payment for no session, as it was booked."""
        stray = self._of_strays.get(name)
        if stray is not None:
            return stray
        known = self._of_sessions.get(session_key)
        return known or self._of_strays.setdefault(name, Case(None, ()))

    def __iter__(self) -> Iterator[Case]:
        return iter([*self._of_sessions.values(), *self._of_strays.values()])

    def of_session(self, session_key: bytes) -> Case | None:
        """The case of a session; None where no session of ours has that key."""
        return self._of_sessions.get(session_key)

    async def write(self, tx: Tx) -> None:
        """Write everything that changed, with one statement for each kind of row."""
        cases = list(self)
        moves = [move for case in cases if (move := case.moved_session())]
        if moves:
            await store.move_all(tx, moves)
        changed, new = [], []
        for case in cases:
            changed_here, new_here = case.changed_payments()
            changed += changed_here
            new += new_here
        if changed:
            await store_payments.update(tx, changed)
        if new:
            await store_payments.insert(tx, new)
        await ledger.post_all(tx, [one for case in cases for one in case.transfers])
        await _withdraw_relays(
            tx,
            [case.session.session_id for case in cases if case.session and case.withdraws_relays],
        )


async def _withdraw_relays(tx: Tx, session_ids: Sequence[SessionId]) -> None:
    if session_ids:
        causes = await store.authorizations(tx, session_ids)
        if causes:
            await executor.withdraw_all(tx, sorted(causes))
