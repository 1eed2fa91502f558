"""What the status of sessions is made of, read for many of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.branding.model import Branding
from gstable_server.chain import operations as chain
from gstable_server.kernel.ids import LinkId, SessionId
from gstable_server.links import operations as links
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.deposits import operations as deposits
from gstable_server.sessions.deposits.model import DepositView
from gstable_server.sessions.model import BusinessType, SessionView
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import Refund
from gstable_server.web.checkout.deposit import notices
from gstable_server.web.checkout.status import SUCCESS, Status, Surroundings, status
from gstable_server.web.language import Words


@dataclass(frozen=True, slots=True)
class Known:
    """A session with all that its status is made of, but the time and the height of the chains."""

    view: SessionView
    branding: Branding
    success_text: str | None
    deposit: DepositView | None
    refunds: tuple[Refund, ...] = ()


async def gather(tx: Tx, desk: Desk, session_ids: Sequence[SessionId]) -> dict[SessionId, Known]:
    """What is known of these sessions; an id that is none is left out."""
    views = await sessions.views(tx, session_ids)
    found = await deposits.views(tx, desk, [view.session for view in views.values()])
    merchants = {view.session.tenant.merchant_id for view in views.values()}
    branding = await brandings.brandings(tx, merchants)
    texts = await links.success_texts(tx, _done_links(views.values()))
    given_back = await refunds.of_sessions(tx, list(views))
    return {
        session_id: Known(
            view=view,
            branding=branding[view.session.tenant.merchant_id],
            success_text=texts.get(view.session.business_id),
            deposit=found.get(session_id),
            refunds=tuple(one for one in given_back if one.session_id == session_id),
        )
        for session_id, view in views.items()
    }


def _done_links(views: Iterable[SessionView]) -> list[LinkId]:
    """The links whose words for the end are shown now."""
    return [
        LinkId(view.session.business_id)
        for view in views
        if view.session.business_type is BusinessType.PAYMENT_LINK and view.session.state in SUCCESS
    ]


def networks_of(known: Known) -> frozenset[str]:
    """The networks whose height the status depends on."""
    return frozenset(payment.network for payment in known.view.payments)


async def heights(tx: Tx, networks: Iterable[str]) -> dict[str, int]:
    """The newest block that was read of each network that has one."""
    found = {}
    for name in networks:
        if block := await chain.frontier(tx, name):
            found[name] = block.number
    return found


def status_of(
    known: Known, desk: Desk, chain_heights: Mapping[str, int], now: datetime, words: Words
) -> Status:
    """Where the payment stands, in the payer's words; no input or output."""
    session, deposit = known.view.session, known.deposit
    around = Surroundings(
        merchant_name=known.branding.display_name,
        success_text=known.success_text,
        networks=desk.networks,
        heights=chain_heights,
        redirect_url=sessions.redirect_url(session),
        now=now,
        collects=deposit is not None and deposit.collects,
        deposit_notices=() if deposit is None else tuple(notices(deposit, desk.networks, words)),
        shop_url=sessions.shop_url(session),
        refunds=known.refunds,
    )
    return status(known.view, around, words)
