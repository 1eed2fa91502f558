"""The overview: how the business does, what needs somebody, and what comes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import ApiKey
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.catalog import operations as catalog
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.ledger import operations as ledger
from gstable_server.links import operations as links
from gstable_server.links.operations import Shop
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import news
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import RefundState
from gstable_server.sessions.statistics import operations as statistics
from gstable_server.sessions.statistics.model import StateCount
from gstable_server.sessions.unmatched import operations as unmatched
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.web.dashboard.overview_presenter import (
    money_tiles,
    session_chart,
    session_tiles,
    token_rows,
    volume_chart,
)
from gstable_server.web.dashboard.periods import Period, period_of, periods
from gstable_server.web.dashboard.presenter import session_row
from gstable_server.web.dashboard.purse import BY_NETWORK, BY_TOKEN, Purse
from gstable_server.web.dashboard.speech import _, moment, ngettext
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import EndpointStatus

LATEST = 6
WEEK = timedelta(days=7)
EXPIRES_SOON = timedelta(days=14)
COUNTED_MAX = 100
"""More are not counted one by one."""
KEPT_SECONDS = 60
KEPT_FROM = 20_000
"""Sessions: counting fewer again is faster than being asked for."""
KEPT_MAX = 200


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that needs somebody; ``path`` is where, "" where the reader's role may not go."""

    text: str
    path: str
    link: str
    is_grave: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first things to do. ``path`` is where, "" where the reader's role may not."""

    title: str
    text: str
    path: str
    link: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class _Counted:
    at: datetime
    counts: tuple[StateCount, ...]


class Overview:
    """The page's handler. It remembers for a minute how many sessions there were on the past days
    of a large business; money and the present day are always counted anew."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk
        self._kept: OrderedDict[tuple[Tenant, date, date], _Counted] = OrderedDict()

    async def show(self, visit: Visit) -> Response:
        """Every figure of money of one state of the book (case DSH-07)."""
        query = visit.request.query_params
        period = period_of(query, self.db.clock.now())
        by = BY_NETWORK if query.get("by") == BY_NETWORK else BY_TOKEN
        tenant, purse = visit.tenant, Purse(self.desk.networks, visit.tenant.mode)
        # One day has no shape: the week around it is drawn.
        drawn = Period(min(period.since, period.until - WEEK + timedelta(days=1)), period.until, "")
        async with self.db.snapshot() as tx:
            made_at = await news.position(tx)
            ever = await ledger.totals(tx, tenant)
            counts = await self._counts(tx, tenant, drawn)
            before = await self._counts(tx, tenant, period.before)
            latest = await statistics.latest(tx, tenant, LATEST)
            concerns = await self._concerns(tx, visit)
            steps = await self._steps(tx, visit, has_money=bool(ever))
        now = [one for one in ever if period.since <= one.day <= period.until]
        earlier = [one for one in ever if one.day in _days(period.before)]
        around = [one for one in ever if drawn.since <= one.day <= drawn.until]
        own = [one for one in counts if period.since <= one.day <= period.until]
        return self.guard.show(
            visit,
            "overview.html",
            "",
            made_at=made_at,
            period=period,
            periods=periods(period),
            by=by,
            steps=steps if any(not one.is_done for one in steps) else (),
            concerns=concerns,
            money=money_tiles(now, earlier, ever, purse),
            tiles=session_tiles(own, before),
            volume=volume_chart(around, drawn, purse, by),
            outcomes=session_chart(counts, drawn),
            tokens=token_rows(now, ever, purse),
            latest=[session_row(view) for view in latest],
            as_of=moment(self.db.clock.now()),
        )

    async def _counts(self, tx: Tx, tenant: Tenant, period: Period) -> Sequence[StateCount]:
        today = self.db.clock.now().astimezone(UTC).date()
        past_until = min(period.until, today - timedelta(days=1))
        past: Sequence[StateCount] = ()
        if period.since <= past_until:
            past = await self._past(tx, tenant, period.since, past_until)
        if period.until < today:
            return past
        return [*past, *await statistics.by_day(tx, tenant, today, today)]

    async def _past(self, tx: Tx, tenant: Tenant, since: date, until: date) -> Sequence[StateCount]:
        key, now = (tenant, since, until), self.db.clock.now()
        kept = self._kept.get(key)
        if kept is not None and now - kept.at < timedelta(seconds=KEPT_SECONDS):
            return kept.counts
        counts = await statistics.by_day(tx, tenant, since, until)
        if sum(one.sessions for one in counts) >= KEPT_FROM:
            self._kept[key] = _Counted(now, tuple(counts))
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return counts

    # --- what needs somebody ----------------------------------------------------------------------

    async def _concerns(self, tx: Tx, visit: Visit) -> list[Concern]:
        return [
            *await self._unusual(tx, visit),
            *await self._stalled(tx, visit),
            *await self._refunds(tx, visit),
            *await self._webhooks(tx, visit),
            *await self._payouts(tx, visit),
            *await self._keys(tx, visit),
        ]

    async def _unusual(self, tx: Tx, visit: Visit) -> list[Concern]:
        found = await unmatched.list_inflows(tx, tenant=visit.tenant, limit=COUNTED_MAX)
        if not found:
            return []
        text = ngettext(
            "One sum did not arrive as agreed.",
            "%(num)s sums did not arrive as agreed.",
            len(found),
        )
        path = "/unusual" if visit.may("unmatched.read") else ""
        return [Concern(text, path, _("Look at unusual money"))]

    async def _stalled(self, tx: Tx, visit: Visit) -> list[Concern]:
        state = SessionState.SETTLEMENT_PENDING
        count, _views = await sessions.list_sessions(tx, visit.tenant, state, Page(1, 1))
        if not count:
            return []
        text = ngettext(
            "One settlement takes longer than it should. It is tried again by itself.",
            "%(num)s settlements take longer than they should. They are tried again by themselves.",
            count,
        )
        path = "/sessions?state=settlement_pending" if visit.may("sessions.read") else ""
        return [Concern(text, path, _("Look at them"), is_grave=True)]

    async def _refunds(self, tx: Tx, visit: Visit) -> list[Concern]:
        """Those that wait for somebody of the team: for an approval, or for the wallet."""
        concerns = []
        for state in (RefundState.AWAITING, RefundState.PREPARED):
            many = len(await refunds.newest(tx, visit.tenant, COUNTED_MAX, state=state))
            if state is RefundState.AWAITING:
                text = ngettext(
                    "One large refund waits for somebody to approve it.",
                    "%(num)s large refunds wait for somebody to approve them.",
                    many,
                )
            else:
                text = ngettext(
                    "One refund waits for your wallet to send it.",
                    "%(num)s refunds wait for your wallet to send them.",
                    many,
                )
            path = f"/refunds?state={state}" if visit.may("sessions.read") else ""
            if many:
                concerns.append(Concern(text, path, _("Look at refunds")))
        return concerns

    async def _webhooks(self, tx: Tx, visit: Visit) -> list[Concern]:
        endpoints = await webhooks.list_webhooks(tx, visit.tenant)
        if not endpoints:
            return []
        conditions = await webhooks.conditions(tx, visit.tenant)
        ill = [
            one.target.name
            for one in endpoints
            if one.status is EndpointStatus.PAUSED
            or (
                one.status is EndpointStatus.ACTIVE
                and one.webhook_id in conditions
                and conditions[one.webhook_id].failing_since
            )
        ]
        path = "/webhooks" if visit.may("webhooks.read") else ""
        return [
            Concern(
                _("Your webhook %(name)s does not answer as it should.", name=name),
                path,
                _("Look at webhooks"),
                is_grave=True,
            )
            for name in ill
        ]

    async def _payouts(self, tx: Tx, visit: Visit) -> list[Concern]:
        waiting = await payouts.waiting(tx, visit.tenant)
        if not waiting:
            return []
        text = ngettext(
            "One further wallet becomes a receiving account soon. Was it you?",
            "%(num)s further wallets become receiving accounts soon. Was it you?",
            len(waiting),
        )
        path = "/accounts" if visit.may("accounts.read") else ""
        return [Concern(text, path, _("Look at accounts"))]

    async def _keys(self, tx: Tx, visit: Visit) -> list[Concern]:
        if not visit.may("keys.read"):
            return []
        now = self.db.clock.now()
        keys = [one for one in await accounts.list_keys(tx, visit.tenant) if _ends_soon(one, now)]
        return [
            Concern(
                _("The API key %(name)s ends within two weeks.", name=one.name),
                "/keys",
                _("Look at API keys"),
            )
            for one in keys
        ]

    # --- what comes first -------------------------------------------------------------------------

    async def _steps(self, tx: Tx, visit: Visit, *, has_money: bool) -> tuple[Step, ...]:
        """From a new account to a shop that hears of its payments."""
        shop, one = Shop(self.desk.networks, self.desk.public_url), Page(1, 1)
        held = await accounts.list_accounts(tx, visit.tenant)
        products, _list = await catalog.list_products(tx, visit.tenant, one)
        made, found = await links.list_links(tx, shop, visit.tenant, one)
        told = await webhooks.list_webhooks(tx, visit.tenant)
        paid = f"/links/{found[0].link.link_id}" if found else ""
        return (
            Step(
                _("Say where the money goes"),
                _(
                    "A receiving account is the address of your own wallet. "
                    "Nobody else has its key."
                ),
                "/accounts" if visit.may("accounts.change") else "",
                _("Add an account"),
                bool(held),
            ),
            Step(
                _("Make a product"),
                _("A name and a price are enough to begin with."),
                "/products/new" if visit.may("catalog.change") else "",
                _("New product"),
                bool(products),
            ),
            Step(
                _("Make a payment link"),
                _("An address and a QR code that anybody can pay at."),
                "/links/new" if visit.may("catalog.change") else "",
                _("New payment link"),
                bool(made),
            ),
            Step(
                _("Pay it once yourself"),
                _("Open your link and pay as your customers will. In test mode it costs nothing."),
                paid if visit.may("catalog.read") else "",
                _("Open my link"),
                has_money,
            ),
            Step(
                _("Let your shop know"),
                _("A webhook tells your own server of every payment, so that it can deliver."),
                "/webhooks/new" if visit.may("webhooks.change") else "",
                _("Add a webhook"),
                bool(told),
            ),
        )


def _days(period: Period) -> frozenset[date]:
    return frozenset(period.since + timedelta(days=at) for at in range(period.days))


def _ends_soon(key: ApiKey, now: datetime) -> bool:
    ends = key.limits.expires_at
    return key.revoked_at is None and ends is not None and now < ends < now + EXPIRES_SOON
