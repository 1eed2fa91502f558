"""What the health page shows: a state in one word, what it means, what to do, and the runbook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gstable_server.chain.executor.model import Funds
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.operations import NetworkState
from gstable_server.kernel.money import Asset, Money, token_text
from gstable_server.plumbing.queues import Queues
from gstable_server.reconciliation.model import Outcome
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.unmatched.model import Total
from gstable_server.web.dashboard.presenter import SESSION_BADGES, Badge
from gstable_server.web.dashboard.speech import N_, _, moment, ngettext, number
from gstable_server.webhooks.model import Backlog

SILENT_SECONDS = 60
BEHIND_BLOCKS = 100
WAITS_SECONDS = 300
COMPARED_SECONDS = 3 * 3600
COIN_DECIMALS = 18
GOOD = Badge(N_("Good"), "good")
LATE = Badge(N_("Late"), "bad")
LOOK = Badge(N_("Look at it"), "bad")
HALTED = Badge(N_("Halted"), "bad")
UNREAD = Badge(N_("Not read"), "bad")
BEHIND = Badge(N_("Behind"), "busy")


@dataclass(frozen=True, slots=True)
class Check:
    """One line. ``todo`` and ``runbook``, a file below docs/runbooks, are empty where it is
    good."""

    title: str
    value: str
    badge: Badge
    todo: str = ""
    runbook: str = ""

    @property
    def is_good(self) -> bool:
        return self.badge == GOOD


@dataclass(frozen=True, slots=True)
class NetworkLine:
    """How a network is read; ``node`` says whether a node answers now, "" where nobody asked."""

    title: str
    chain_id: int
    badge: Badge
    head: str
    lag: str
    read_at: str
    confirmations: int
    node: str
    todo: str
    runbook: str


def seconds_since(now: datetime, since: datetime | None) -> float:
    """0 where nothing waits, or where another machine's clock is ahead."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def age(seconds: float) -> str:
    """How long, in the largest unit that says something."""
    whole = int(seconds)
    if whole < 120:
        return ngettext("%(num)s second", "%(num)s seconds", whole)
    if whole < 7200:
        return ngettext("%(num)s minute", "%(num)s minutes", whole // 60)
    return ngettext("%(num)s hour", "%(num)s hours", whole // 3600)


def network_row(
    network: Network, state: NetworkState | None, answers: bool | None, now: datetime
) -> NetworkLine:
    badge, todo, runbook = _reading(state, now)
    node = "" if answers is None else _("answers") if answers else _("does not answer")
    if answers is False and not todo:
        todo = _("No node of it answers this server. Its provider may be down, or refuse us.")
        runbook = "network-behind.md"
    return NetworkLine(
        title=network.title,
        chain_id=network.chain_id,
        badge=badge,
        head=number(state.head) if state else "–",
        lag=number(max(0, state.head - state.frontier)) if state else "–",
        read_at=moment(state.updated_at) if state else "–",
        confirmations=network.confirmations,
        node=node,
        todo=todo,
        runbook=runbook,
    )


def _reading(state: NetworkState | None, now: datetime) -> tuple[Badge, str, str]:
    if state is None:
        return UNREAD, _("Nothing of it was read yet: no indexer runs."), "network-behind.md"
    if state.halted_reason is not None:
        todo = _(
            "It stands still so that nothing wrong is booked: %(why)s", why=state.halted_reason
        )
        return HALTED, todo, "network-halted.md"
    if seconds_since(now, state.updated_at) > SILENT_SECONDS:
        todo = _("It is not being read: no indexer runs, or it waits for a node.")
        return UNREAD, todo, "network-behind.md"
    if state.head - state.frontier > BEHIND_BLOCKS:
        todo = _("It catches up by itself. Payments on it are seen late until then; none is lost.")
        return BEHIND, todo, "network-behind.md"
    return GOOD, "", ""


def _waiting(title: str, count: int, since: datetime | None, now: datetime, todo: str,
             runbook: str) -> Check:  # fmt: skip
    """What may wait for a while, and not for long."""
    waited = seconds_since(now, since)
    value = number(count)
    if count and since is not None:
        value = _("%(count)s, the oldest for %(age)s", count=value, age=age(waited))
    if waited > WAITS_SECONDS:
        return Check(title, value, LATE, todo, runbook)
    return Check(title, value, GOOD)


def _failed(title: str, count: int, todo: str, runbook: str) -> Check:
    """What should not be at all."""
    if count:
        return Check(title, number(count), LOOK, todo, runbook)
    return Check(title, number(0), GOOD)


def work(found: Queues, now: datetime) -> Iterable[Check]:
    yield _waiting(
        _("Events that wait for their handlers"),
        found.events,
        found.events_since,
        now,
        _("No worker runs, or one event fails again and again and keeps those of its object back."),
        "events-wait.md",
    )
    yield Check(_("Jobs that wait"), number(found.jobs), GOOD)
    yield _failed(
        _("Jobs that failed for good"),
        found.jobs_failed,
        _("Read why in the log, mend it, and start them again."),
        "jobs-failed.md",
    )


def letters(found: Backlog, now: datetime) -> Check:
    return _waiting(
        _("Webhook letters that are due"),
        found.due,
        found.due_since,
        now,
        _("Endpoints that answer are told late: no worker runs, or too few."),
        "letters-late.md",
    )


def receipt_letters(found: tuple[int, datetime | None], now: datetime) -> Check:
    return _waiting(
        _("Receipts that are to be sent"),
        *found,
        now,
        _("The mail server does not take them."),
        "receipts-late.md",
    )


def unsettled_rows(
    found: Sequence[tuple[SessionState, int, datetime | None]], now: datetime
) -> Iterable[Check]:
    for state, count, since in found:
        waited = seconds_since(now, since)
        title = _(
            "Sessions that are paid and not settled: %(state)s", state=_(SESSION_BADGES[state].text)
        )
        value = _("%(count)s, the oldest for %(age)s", count=number(count), age=age(waited))
        if waited > 3600:
            todo = _("Their money is on its way for too long. See which network is behind.")
            yield Check(title, value, LATE, todo, "unsettled.md")
        else:
            yield Check(title, value, GOOD)


def crossings(found: tuple[int, int]) -> Check:
    going, stalled = found
    title = _("Crossings to another network")
    if stalled:
        value = _("%(going)s on their way, %(stalled)s hang", going=number(going),
                  stalled=number(stalled))  # fmt: skip
        todo = _("See whether the rail's other side answers, and whether there is gas money.")
        return Check(title, value, LOOK, todo, "unsettled.md")
    return Check(title, _("%(going)s on their way", going=number(going)), GOOD)


def sender_row(found: tuple[str, str, int, datetime], networks: Networks, now: datetime) -> Check:
    name, sender, count, since = found
    network = networks.find_network(name)
    title = _(
        "Transactions to be sent on %(network)s by the %(sender)s",
        network=network.title if network else name,
        sender=sender,
    )
    todo = _("They are not mined: fees may have risen above the limit, or the account is empty.")
    return _waiting(title, count, since, now, todo, "transactions-wait.md")


def fund_row(found: Funds, networks: Networks) -> Check:
    network = networks.network(found.network)

    def coins(amount: int) -> str:
        asset = Asset(f"{network.name}::coin", COIN_DECIMALS)
        return f"{token_text(Money(amount, asset))} {network.native_symbol}"

    title = _(
        "Gas money on %(network)s of the %(sender)s",
        network=network.title,
        sender=found.sender.value,
    )
    value = _(
        "%(balance)s, alarm below %(least)s",
        balance=coins(found.balance),
        least=coins(network.gas.funds_min),
    )
    if found.enough:
        return Check(title, value, GOOD)
    todo = _("Send coins to 0x%(account)s.", account=found.account.hex())
    return Check(title, value, LOOK, todo, "gas-low.md")


def seals(found: tuple[int, datetime | None], now: datetime) -> Check:
    return _waiting(
        _("Transfers of the book without a seal"),
        *found,
        now,
        _("No worker seals the book, so a change of it would not be noticed."),
        "book-unsealed.md",
    )


def comparison(last: Outcome | None, now: datetime) -> Check:
    title = _("The book compared with the networks")
    if last is None:
        todo = _("It was never compared yet: a worker does it once an hour.")
        return Check(title, _("Never"), LOOK, todo, "books-not-compared.md")
    if last.count:
        value = ngettext("%(num)s difference", "%(num)s differences", last.count)
        todo = _("Do not pay out by the book before you know why.")
        return Check(title, value, LOOK, todo, "books-differ.md")
    since = seconds_since(now, last.at)
    value = _("No difference, %(age)s ago", age=age(since))
    if last.unread or since > COMPARED_SECONDS:
        todo = _("Not all networks were compared lately.")
        return Check(title, value, LATE, todo, "books-not-compared.md")
    return Check(title, value, GOOD)


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """The last comparison: by network up to which block, and the first differences."""

    at: str
    sessions: str
    readings: tuple[tuple[str, str, str], ...]
    differences: tuple[tuple[str, str, str, str, str], ...]


DIFFERENCES_SHOWN = 20


def comparison_rows(last: Outcome, now: datetime) -> ComparisonTable:
    return ComparisonTable(
        at=_("%(time)s, %(age)s ago", time=moment(last.at), age=age(seconds_since(now, last.at))),
        sessions=number(last.sessions),
        readings=tuple(
            (one.network, number(one.to_block) if one.to_block is not None else "–",
             one.unread or "")
            for one in last.readings
        ),
        differences=tuple(
            (one.session_id or "–", one.token_id, one.account, str(one.expected), str(one.booked))
            for one in last.differences[:DIFFERENCES_SHOWN]
        ),
    )  # fmt: skip


def _symbol(network: Network | None, token_id: str) -> str:
    known = {token.token_id: token.symbol for token in network.tokens} if network else {}
    return known.get(token_id, token_id.partition("::")[2])


def unmatched_row(total: Total, networks: Networks) -> Check:
    network = networks.find_network(total.network)
    title = _(
        "Unusual money that waits: %(token)s on %(network)s",
        token=_symbol(network, total.token_id),
        network=network.title if network else total.network,
    )
    todo = _("Whoever it belongs to decides under Unusual money; what is nobody's is yours.")
    return Check(title, number(total.count), Badge(N_("Waits"), "busy"), todo, "unmatched-money.md")
