"""What an agent's payment can fail with, beside the platform's own refusals (`GStableError`).

AgentError                 all of these; itself a `GStableError` with code -1
 ├─ NotPayable             the link or session cannot be paid that way; nothing was signed
 ├─ LimitExceeded          a spend limit forbids it; nothing was approved or sent
 ├─ UnsafePayment          what the platform asks for is not what was agreed; not signed
 ├─ SpendStoreError        the record of what was spent cannot be read or written
 ├─ ChainError             the node answered nothing, or an error
 ├─ TransactionReverted    a transaction was mined and failed; the tokens are still there
 └─ PaymentPending         sent, not completed in time: go on with `pay_session(session_id)`
"""

from gstable._errors import NO_ANSWER_CODE, GStableError


class AgentError(GStableError):
    """A payment by an agent that did not come to its end (code -1)."""

    def __init__(self, message: str) -> None:
        super().__init__(NO_ANSWER_CODE, message)
        self.args = (message,)


class NotPayable(AgentError):
    """The link or session cannot be paid that way: no such token, no balance, expired."""


class LimitExceeded(AgentError):
    """A spend limit forbids the payment. `limit` (str): the field of `SpendLimits`."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class UnsafePayment(AgentError):
    """The platform, or a node, asks for something else than was agreed. Nothing was sent."""


class SpendStoreError(AgentError):
    """The record of what was spent cannot be read or written, so nothing may be spent."""


class ChainError(AgentError):
    """The node gave no answer, or answered an error. `code` stays -1; see the message."""


class TransactionReverted(AgentError):
    """A transaction was mined and failed. `tx_hash` (str)."""

    def __init__(self, message: str, tx_hash: str) -> None:
        super().__init__(message)
        self.tx_hash = tx_hash


class PaymentPending(AgentError):
    """The payment was sent and is not completed yet; never pay the link again instead.

    `session_id` (str): go on with `pay_session(session_id)`, which sends nothing twice.
    `tx_hash` (str or None): the payment's transaction, None where another process sent it.
    """

    def __init__(self, message: str, session_id: str, tx_hash: str | None) -> None:
        super().__init__(message)
        self.session_id = session_id
        self.tx_hash = tx_hash
