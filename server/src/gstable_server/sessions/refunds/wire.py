"""Refunds on the wire: requests parsed, and the one rendering that answers and letters share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from gstable_server.catalog.wire import IdText
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.orders import transfer_call
from gstable_server.kernel.clock import unix_seconds, wire_time
from gstable_server.kernel.fields import TOTAL_MAX, Body, OptionalText
from gstable_server.sessions import wire as session_wire
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.refunds.model import Refund, RefundState


class PrepareRefund(Body):
    """The body of POST /session/refund/prepare; ``amount`` in Micro-USD."""

    session_id: IdText
    payment_id: IdText | None = None
    amount: Annotated[int, Field(ge=1, le=TOTAL_MAX)] | None = None
    to: Annotated[str, Field(max_length=64)] | None = None
    reason: OptionalText = None


class RefundReference(Body):
    """The body of POST /session/refund/cancel."""

    refund_id: IdText


class RefundTransactionJson(TypedDict):
    """The transaction that the merchant's wallet sends; ``value`` in the smallest native unit."""

    chainId: int
    to: str
    data: str
    value: str


# The functional form, because ``from`` is a keyword.
RefundJson = TypedDict(
    "RefundJson",
    {
        "refundId": str,
        "sessionId": str,
        "paymentId": str,
        "status": str,
        "amount": int,
        "token": str,
        "chainId": int,
        "from": str,
        "to": str,
        "amountInToken": str,
        "reason": NotRequired[str],
        "expiresAt": int,
        "txHash": str,
        "createAt": str,
        "transaction": NotRequired[RefundTransactionJson],
    },
)
RefundJson.__doc__ = """Money that a merchant gives back. ``amount`` in Micro-USD, ``amountInToken``
in the token's smallest units, ``expiresAt`` in Unix seconds; ``transaction`` while the refund is
``prepared``."""


class RefundListJson(TypedDict):
    """Every refund of one session, oldest first."""

    refunds: list[RefundJson]


class RefundedSessionJson(session_wire.SessionJson):
    """A session with what was, or is to be, given back of it."""

    refunds: NotRequired[list[RefundJson]]


class RefundedSessionDetailJson(TypedDict):
    """A session with its payment and its refunds."""

    session: RefundedSessionJson
    transaction: NotRequired[session_wire.TransactionJson]


def render(refund: Refund) -> dict[str, Any]:
    """A refund as the API shows it. The transaction only while it is to be sent: what was given
    up or is on the chain must not be sent again."""
    terms = refund.terms
    rendered: dict[str, Any] = {
        "refundId": refund.refund_id,
        "sessionId": refund.session_id,
        "paymentId": refund.payment_id,
        "status": refund.state.value,
        "amount": refund.amount,
        "token": terms.token_id,
        "chainId": terms.chain_id,
        "from": to_checksum(terms.sender),
        "to": to_checksum(terms.receiver),
        "amountInToken": str(terms.amount),
        "expiresAt": unix_seconds(refund.expires_at),
        "txHash": f"0x{refund.claim.tx_hash.hex()}" if refund.claim else "",
        "createAt": wire_time(refund.created_at),
    }
    if refund.reason is not None:
        rendered["reason"] = refund.reason
    if refund.state is RefundState.PREPARED:
        rendered["transaction"] = transaction(refund)
    return rendered


def transaction(refund: Refund) -> dict[str, Any]:
    """The call that the merchant's wallet sends: ERC-20 ``transfer``, no native coin."""
    terms = refund.terms
    call = transfer_call(terms.token, terms.receiver, terms.amount)
    return {
        "chainId": terms.chain_id,
        "to": to_checksum(call.to),
        "data": f"0x{call.data.hex()}",
        "value": str(call.value),
    }


def render_list(refunds: Sequence[Refund]) -> dict[str, Any]:
    return {"refunds": [render(refund) for refund in refunds]}


def render_detail(view: SessionView, refunds: Sequence[Refund], public_url: str) -> dict[str, Any]:
    """``{session, transaction?}`` as everywhere, with ``refunds`` when there are any."""
    detail = session_wire.render_detail(view, public_url)
    if refunds:
        detail["session"].update(render_list(refunds))
    return detail


def render_letter(view: SessionView, refund: Refund, public_url: str) -> dict[str, Any]:
    """The payload of ``session.refunded``: that of every session event, and the refund."""
    return {**session_wire.render_letter(view, public_url), "refundData": render(refund)}
