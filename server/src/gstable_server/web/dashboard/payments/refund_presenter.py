"""What the pages of refunds and of their limit show; no input, output or clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import transfer_call
from gstable_server.kernel.money import (
    Asset,
    Money,
    micro_usd_rounded_down,
    token_text,
    usd_text,
)
from gstable_server.kernel.tenant import Mode
from gstable_server.kernel.urls import is_loopback
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.refunds.model import Approval, Refund, RefundState
from gstable_server.web.dashboard.presenter import Badge
from gstable_server.web.dashboard.speech import N_, _, moment
from gstable_server.web.dashboard.words import REFUND_WORDS


@dataclass(frozen=True, slots=True)
class RefundableRow:
    """A payment of which money can be given back; ``left_usd`` as it is typed into the form."""

    payment_id: str
    text: str
    left: str
    left_usd: str
    payer: str


def refundable_rows(
    view: SessionView, left: Mapping[str, int], networks: Networks, mode: Mode
) -> tuple[RefundableRow, ...]:
    """``left`` in atomic units, by payment; without those whose token is not configured any more,
    of which no transfer can be made."""
    rows = []
    for payment in view.payments:
        token = networks.find_token(payment.settlement_token, mode)
        if payment.payment_id in left and token is not None:
            money = Money(left[payment.payment_id], token.asset)
            shown = f"{token_text(money)} {token.symbol}"
            rows.append(
                RefundableRow(
                    payment_id=payment.payment_id,
                    text=_("Paid %(time)s (UTC)", time=moment(payment.block_time)),
                    left=shown,
                    left_usd=usd_text(micro_usd_rounded_down(money)),
                    payer=to_checksum(payment.payer),
                )
            )
    return tuple(rows)


REFUND_BADGES = {
    RefundState.AWAITING: Badge(N_("To be approved"), "bad"),
    RefundState.PREPARED: Badge(N_("To be sent"), "busy"),
    RefundState.SEEN: Badge(N_("Not final yet"), "busy"),
    RefundState.COMPLETED: Badge(N_("Given back"), "good"),
    RefundState.EXPIRED: Badge(N_("Expired"), "quiet"),
    RefundState.CANCELLED: Badge(N_("Given up"), "quiet"),
}


@dataclass(frozen=True, slots=True)
class RefundRow:
    """``amount`` is exact, with the token's symbol."""

    refund_id: str
    session_id: str
    amount: str
    network: str
    sender: str
    receiver: str
    reason: str
    badge: Badge
    created_at: str
    expires_at: str
    transaction_hash: str
    transaction_url: str


def refund_row(refund: Refund, networks: Networks, mode: Mode) -> RefundRow:
    terms = refund.terms
    network = networks.find_network(terms.network)
    token = networks.find_token(terms.token_id, mode)
    tx_hash = refund.claim.tx_hash if refund.claim else b""
    amount = token_text(Money(terms.amount, Asset(terms.token_id, terms.decimals)))
    return RefundRow(
        refund_id=refund.refund_id,
        session_id=refund.session_id,
        amount=f"{amount} {token.symbol if token else terms.token_id}",
        network=network.title if network else terms.network,
        sender=to_checksum(terms.sender),
        receiver=to_checksum(terms.receiver),
        reason=refund.reason or "",
        badge=REFUND_BADGES[refund.state],
        created_at=moment(refund.created_at),
        expires_at=moment(refund.expires_at),
        transaction_hash=f"0x{tx_hash.hex()}" if tx_hash else "",
        transaction_url=networks.transaction_url(terms.network, tx_hash),
    )


@dataclass(frozen=True, slots=True)
class RefundPage:
    """A refund with the call that the merchant's wallet sends, member by member.
    ``was_unapproved`` says that it was sent before enough people had approved it."""

    row: RefundRow
    state: str
    was_unapproved: bool
    headline: str
    detail: str
    chain_id: int
    native_symbol: str
    rpc_url: str
    token_address: str
    atomic_amount: int
    call_data: str


def refund_page(refund: Refund, networks: Networks, mode: Mode) -> RefundPage:
    terms = refund.terms
    network = networks.find_network(terms.network)
    headline, detail = REFUND_WORDS[refund.state]
    # Only a local network's: another RPC address may carry the operator's access key.
    urls = [url for url in network.rpc_urls if is_loopback(url)] if network else []
    return RefundPage(
        row=refund_row(refund, networks, mode),
        state=refund.state.value,
        was_unapproved=refund.approval is Approval.AWAITED and refund.claim is not None,
        headline=headline,
        detail=detail,
        chain_id=terms.chain_id,
        native_symbol=network.native_symbol if network else "",
        rpc_url=urls[0] if urls else "",
        token_address=to_checksum(terms.token),
        atomic_amount=terms.amount,
        call_data=f"0x{transfer_call(terms.token, terms.receiver, terms.amount).data.hex()}",
    )


@dataclass(frozen=True, slots=True)
class ApprovalPanel:
    """A refund that waits for people, by their e-mail addresses. ``missing`` counts those that it
    still takes, ``digest`` names the terms that stand on the page."""

    prepared_by: str
    is_own: bool
    approved_by: tuple[str, ...]
    missing: int
    can_approve: bool
    others: tuple[str, ...]
    has_enough_people: bool
    digest: str


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A higher limit that waits."""

    change_id: str
    limit: str
    asked_by: str
    due_at: str
    is_own: bool
    can_approve: bool
