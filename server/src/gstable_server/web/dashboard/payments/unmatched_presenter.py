"""What the pages of unusual money show; no input, output or clock."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.sessions.unmatched.model import (
    Act,
    Decision,
    How,
    Inflow,
    InflowView,
    Source,
    State,
    Why,
)
from gstable_server.sessions.unmatched.wire import amount_text
from gstable_server.web.dashboard.presenter import Badge
from gstable_server.web.dashboard.problems import problem_words
from gstable_server.web.dashboard.speech import N_, _, moment, ngettext, said

WHY = {
    Why.UNDER: N_("Too little"),
    Why.OVER: N_("Too much"),
    Why.LATE: N_("Late"),
    Why.DUPLICATE: N_("Paid again"),
    Why.WRONG_TOKEN: N_("Other token"),
    Why.WRONG_CHAIN: N_("Other network"),
    Why.WRONG_RECIPIENT: N_("Other recipient"),
    Why.UNMATCHED: N_("No session"),
    Why.STRAY: N_("Sent to a contract"),
    Why.COIN: N_("Network's coin"),
    Why.UNKNOWN_TOKEN: N_("Unknown token"),
    Why.DUST: N_("Dust"),
}
STATE_BADGES = {
    State.OPEN: Badge(N_("To be decided"), "bad"),
    State.RESOLVING: Badge(N_("On its way"), "busy"),
    State.RESOLVED: Badge(N_("Resolved"), "good"),
    State.DISMISSED: Badge(N_("Dismissed"), "quiet"),
    State.EXPECTED: Badge(N_("Waited for"), "busy"),
    State.GONE: Badge(N_("Taken back by its chain"), "quiet"),
}
LONG = 12
"""More digits of a number without known decimals tell people nothing."""
HOW = {
    How.COLLECTED: N_("Collected as payment"),
    How.ACCEPTED: N_("Accepted as payment"),
    How.REFUNDED: N_("Given back by your wallet"),
    How.RETURNED: N_("Went back"),
}
PLACES = {
    Source.PAYMENT: N_("In the merchant's wallet, or on its way there"),
    Source.TRANSFER: N_("At the address below"),
    Source.COIN: N_("At the address below"),
}


@dataclass(frozen=True, slots=True)
class ActWords:
    """``button`` and ``short`` on the page of one, ``title`` and ``text`` of the question back."""

    button: str
    short: str
    title: str
    text: str
    is_grave: bool = False


ACTS = {
    Act.ACCEPT: ActWords(
        N_("Accept it"),
        N_("It counts as payment, and completes its session if that is open or expired."),
        N_("Accept it as payment?"),
        N_(
            "The money counts as the merchant's own. If its session is open or expired, it is "
            "completed by it, and your shop is told so. This cannot be undone, but the money can "
            "be given back."
        ),
    ),
    Act.REFUND: ActWords(
        N_("Give it back"),
        N_("Your wallet sends it back; you see the transfer before."),
        N_("Give it back?"),
        N_(
            "The money is in your wallet, so your wallet sends it back. The next page shows the "
            "one transfer that it has to make."
        ),
    ),
    Act.SWEEP: ActWords(
        N_("Send it back"),
        N_("From the deposit address to where the payer wanted it."),
        N_("Send it back?"),
        N_(
            "Everything of this token at the deposit address goes to the address that the payer "
            "named for this; nobody can send it elsewhere. It costs this server the network's fee."
        ),
    ),
    Act.DISMISS: ActWords(
        N_("Dismiss it"),
        N_("Nothing is to be done about it."),
        N_("Dismiss it?"),
        N_(
            "It leaves the list of what waits for a decision. The money stays where it is, and "
            "what was dismissed can still be found."
        ),
        is_grave=True,
    ),
}
MANY = {
    Act.ACCEPT: ActWords(
        N_("Accept them"),
        "",
        N_("Accept them as payment?"),
        N_(
            "Each counts as the merchant's own money. Sessions that are open or expired are "
            "completed by it, and your shop is told so. This cannot be undone, but money can be "
            "given back."
        ),
    ),
    Act.SWEEP: ActWords(
        N_("Send them back"),
        "",
        N_("Send them back?"),
        N_(
            "Everything of these tokens at the deposit addresses goes to the addresses that the "
            "payers named for this; nobody can send it elsewhere. It costs this server the "
            "networks' fees."
        ),
    ),
    Act.DISMISS: ActWords(
        N_("Dismiss them"),
        "",
        N_("Dismiss them?"),
        N_(
            "They leave the list of what waits for a decision. The money stays where it is, and "
            "what was dismissed can still be found."
        ),
        is_grave=True,
    ),
}
"""What can be done to several at once: all but what the merchant's own wallet has to sign."""
MANY_DONE = {
    Act.ACCEPT: "unmatched-many-accepted",
    Act.SWEEP: "unmatched-many-sweep",
    Act.DISMISS: "unmatched-many-dismissed",
}
DONE_WORDS = {
    Act.ACCEPT: "unmatched-accepted",
    Act.SWEEP: "unmatched-sweep",
    Act.DISMISS: "unmatched-dismissed",
}


@dataclass(frozen=True, slots=True)
class InflowRow:
    """Money in the list. ``amount`` is what is left of it, exact, with its token."""

    inflow_id: str
    amount: str
    network: str
    flags: tuple[str, ...]
    badge: Badge
    arrived_at: str
    session_id: str
    can_be_chosen: bool


def inflow_row(inflow: Inflow, networks: Networks) -> InflowRow:
    network = networks.find_network(inflow.network)
    return InflowRow(
        inflow_id=inflow.inflow_id,
        amount=_short(inflow, inflow.left or inflow.amount, networks),
        network=network.title if network else inflow.network,
        flags=tuple(WHY[flag] for flag in Why if flag in inflow.flags),
        badge=STATE_BADGES[inflow.state],
        arrived_at=moment(inflow.arrived_at),
        session_id=inflow.session_id or "",
        can_be_chosen=inflow.state is State.OPEN,
    )


def _amount(inflow: Inflow, amount: int, networks: Networks) -> str:
    token = networks.find_token(inflow.token_id, inflow.mode)
    network = networks.find_network(inflow.network)
    if token is not None:
        return f"{amount_text(inflow, amount)} {token.symbol}"
    if inflow.source is Source.COIN and network is not None:
        return f"{amount_text(inflow, amount)} {network.native_symbol}"
    return _("%(amount)s smallest units", amount=amount_text(inflow, amount))


def _short(inflow: Inflow, amount: int, networks: Networks) -> str:
    """The same where there is little room: what a token that nobody knows calls an amount can be
    as long as it likes."""
    digits = str(amount)
    if inflow.decimals is None and len(digits) > LONG:
        return ngettext("%(num)s digit", "%(num)s digits", len(digits))
    return _amount(inflow, amount, networks)


@dataclass(frozen=True, slots=True)
class ActRow:
    """Something to do; ``obstacle`` is empty where it can be done."""

    act: str
    words: ActWords
    obstacle: str


@dataclass(frozen=True, slots=True)
class DecisionRow:
    what: str
    actor: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class InflowPage:
    """One inflow with all that is known of it; texts that do not apply are empty."""

    row: InflowRow
    arrived: str
    collected: str
    returned: str
    how: str
    place: str
    chain_id: str
    sender: str
    receiver: str
    transaction_hash: str
    transaction_url: str
    token: str
    is_final: bool
    refund_id: str
    call_to: str
    call_data: str
    acts: tuple[ActRow, ...]
    decisions: tuple[DecisionRow, ...]


def inflow_page(view: InflowView, networks: Networks) -> InflowPage:
    inflow = view.inflow
    return InflowPage(
        row=inflow_row(inflow, networks),
        arrived=_amount(inflow, inflow.amount, networks),
        collected=_amount(inflow, inflow.collected, networks) if inflow.collected else "",
        returned=_amount(inflow, inflow.returned, networks) if inflow.returned else "",
        how=HOW[inflow.how] if inflow.how else "",
        place=PLACES[inflow.source],
        chain_id=str(view.chain_id or ""),
        sender=to_checksum(inflow.sender) if inflow.sender else "",
        receiver=to_checksum(inflow.receiver),
        transaction_hash=f"0x{inflow.tx_hash.hex()}" if inflow.tx_hash else "",
        transaction_url=networks.transaction_url(inflow.network, inflow.tx_hash),
        token=to_checksum(inflow.token) if inflow.token and any(inflow.token) else "",
        is_final=inflow.final,
        refund_id=inflow.refund_id or "",
        call_to=to_checksum(view.call.to) if view.call else "",
        call_data=f"0x{view.call.data.hex()}" if view.call else "",
        acts=tuple(
            ActRow(act.value, ACTS[act], obstacle_text(problem) if problem else "")
            for act, problem in view.resolutions.items()
        ),
        decisions=tuple(_decision(one) for one in view.decisions),
    )


def obstacle_text(problem: str) -> str:
    """Why something cannot be done, as a sentence."""
    return _("It %(problem)s.", problem=problem_words(problem))


def _decision(decision: Decision) -> DecisionRow:
    before, after = STATE_BADGES[decision.before].text, STATE_BADGES[decision.after].text
    return DecisionRow(
        what=f"{said(before)} → {said(after)}",
        actor=decision.actor,
        reason=decision.reason,
        at=moment(decision.at),
    )
