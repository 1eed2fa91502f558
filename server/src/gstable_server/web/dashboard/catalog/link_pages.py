"""Payment links in the console: list, builder, sharing, statistics (spec 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note, change_note
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LinkId, ProductId, id_or_none
from gstable_server.links import operations as links
from gstable_server.links.model import LinkStatus, PaymentLink, Wanted
from gstable_server.links.operations import Shop
from gstable_server.links.wire import LinkOffInput, LinkView
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.statistics import operations as statistics
from gstable_server.web.dashboard.address import id_of, looked_for, page_of
from gstable_server.web.dashboard.catalog import link_forms, qr
from gstable_server.web.dashboard.catalog.building import Building
from gstable_server.web.dashboard.catalog.catalog_presenter import link_page, link_statistics
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.periods import period_of, periods
from gstable_server.web.dashboard.presenter import link_row, pager
from gstable_server.web.dashboard.requests import AlreadyDone, once
from gstable_server.web.dashboard.speech import N_
from gstable_server.web.dashboard.versions import (
    VERSION,
    ChangedMeanwhile,
    conflict,
    require_version,
    version_of,
)
from gstable_server.web.dashboard.wire_forms import checked

SECTION = "links"
IS_OFF = N_("This link was off already, with the same text.")
IS_ON = N_("This link was on already.")
OFF_FORM = Form(("customDisabledText",))
FILTERS: Mapping[str, LinkStatus | None] = {"": None, **{one.value: one for one in LinkStatus}}


class Links:
    """The handlers of the payment links' pages."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.shop = Shop(guard.desk.networks, guard.desk.public_url)
        self.building = Building(guard)

    async def list(self, visit: Visit) -> Response:
        page, (text, status) = page_of(visit), looked_for(visit, FILTERS)
        async with self.db.read() as tx:
            wanted = Wanted(text, FILTERS[status])
            count, views = await links.list_links(tx, self.shop, visit.tenant, page, wanted)
        return self.guard.show(
            visit,
            "links.html",
            SECTION,
            links=[link_row(view) for view in views],
            pager=pager(page.number, page.size, len(views), count),
            text=text,
            chosen=status,
        )

    # --- builder ----------------------------------------------------------------------------------

    async def new(self, visit: Visit) -> Response:
        """The empty form, or with the product that the address names in its first line."""
        form = link_forms.FORM
        product_id = id_or_none(ProductId, visit.request.query_params.get("product", ""))
        if product_id is not None:
            form = await self.building.begun_with(visit, form, product_id)
        return await self.building.show(visit, form, "/links")

    async def create(self, visit: Visit) -> Response:
        form = link_forms.sent(visit.entries)
        try:
            terms = await self.building.terms(visit, form)
            made = await self.guard.do(
                visit, _created, links.create, self.shop, visit.tenant, terms
            )
        except Refused as refused:
            return await self.building.show(visit, form.refused(refused), "/links", status=422)
        return done(visit, f"/links/{made.link.link_id}", "link-created")

    async def more(self, visit: Visit) -> Response:
        """The form of a new link with a line more; nothing is stored."""
        form = link_forms.sent(visit.entries)
        return await self.building.show(visit, form, "/links", more=True)

    async def more_of(self, visit: Visit) -> Response:
        """The same of a link that is changed."""
        link = await self._link(visit)
        link_forms.require_all_shown(link)
        path, form = f"/links/{link.link_id}", link_forms.sent(visit.entries)
        version = visit.entries.get(VERSION, "")
        return await self.building.show(visit, form, path, link=link, version=version, more=True)

    async def edit(self, visit: Visit) -> Response:
        link = await self._link(visit)
        _refuse_archived(link)
        link_forms.require_all_shown(link)
        return await self.building.show(
            visit,
            link_forms.of(link),
            f"/links/{link.link_id}",
            link=link,
            version=version_of(link_forms.stored(link)),
        )

    async def change(self, visit: Visit) -> Response:
        """Two people who changed the same link at once are shown both."""
        link = await self._link(visit)
        _refuse_archived(link)
        path, form = f"/links/{link.link_id}", link_forms.sent(visit.entries)
        version = visit.entries.get(VERSION, "")
        try:
            await self.guard.do(visit, _changed, self._change, visit, link.link_id, form)
        except ChangedMeanwhile as changed:
            return conflict(self.guard, visit, SECTION, changed, link_forms.labels(), path)
        except Refused as refused:
            return await self.building.show(
                visit, form.refused(refused), path, link=link, version=version, status=422
            )
        return done(visit, path, "link-changed")

    async def _change(
        self, tx: Tx, visit: Visit, link_id: LinkId, form: Form
    ) -> tuple[PaymentLink, PaymentLink]:
        terms = await self.building.terms_in(tx, visit, form)
        before = await links.locked(tx, visit.tenant, link_id)
        link_forms.require_all_shown(before)
        require_version(visit.entries.get(VERSION, ""), link_forms.stored(before), form.values)
        after = await links.update(tx, self.shop, visit.tenant, link_id, terms)
        return before, after.link

    async def preview(self, visit: Visit) -> Response:
        """The payer's page of the link that the form asks for; nothing is stored."""
        return await self.building.preview(visit, link_forms.sent(visit.entries))

    # --- one link ---------------------------------------------------------------------------------

    async def show(self, visit: Visit) -> Response:
        return await self._show(visit)

    async def _show(self, visit: Visit, form: Form | None = None, status: int = 200) -> Response:
        period = period_of(visit.request.query_params, self.db.clock.now())
        async with self.db.read() as tx:
            view = await links.detail(tx, self.shop, visit.tenant, id_of(visit, LinkId, "link_id"))
            link = view.link
            opened = await links.opened(tx, link.link_id, period.since, period.until)
            counts = await statistics.of_link(tx, link.link_id, period.since, period.until)
        url = self._url(link.link_id)
        text = {"customDisabledText": link.custom_disabled_text or ""}
        return self.guard.show(
            visit,
            "link.html",
            SECTION,
            status=status,
            link=link_page(view, url),
            qr=qr.on_page(url),
            statistics=link_statistics(period, opened, counts),
            periods=periods(period),
            period=period,
            form=form or replace(OFF_FORM, values=text),
        )

    async def qr_png(self, visit: Visit) -> Response:
        return await self._qr(visit, "png")

    async def qr_svg(self, visit: Visit) -> Response:
        return await self._qr(visit, "svg")

    async def _qr(self, visit: Visit, kind: str) -> Response:
        link = await self._link(visit)
        return qr.as_file(self._url(link.link_id), kind, link.link_id)

    async def disable(self, visit: Visit) -> Response:
        """Off from now on, with the text that payers read meanwhile."""
        link_id = id_of(visit, LinkId, "link_id")
        form = OFF_FORM.filled(visit.entries)
        try:
            await self.guard.do(visit, _off, self._disable, visit, link_id, form)
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            return await self._show(visit, form.refused(refused), 422)
        return done(visit, f"/links/{link_id}", "link-disabled")

    async def _disable(self, tx: Tx, visit: Visit, link_id: LinkId, form: Form) -> PaymentLink:
        link = await links.locked(tx, visit.tenant, link_id)
        text = form.value("customDisabledText").replace("\r\n", "\n").strip()
        wanted = checked(LinkOffInput, {"customDisabledText": text}).custom_disabled_text
        if not await links.disable_saying(tx, self.shop, visit.tenant, link_id, wanted):
            raise AlreadyDone(IS_OFF)
        return replace(link, custom_disabled_text=wanted)

    async def enable(self, visit: Visit) -> Response:
        link_id = id_of(visit, LinkId, "link_id")
        note = Note("link.enabled", link_id)
        noted = once(note, IS_ON)
        await self.guard.do(visit, noted, links.enable, self.shop, visit.tenant, link_id)
        return done(visit, f"/links/{link_id}", "link-enabled")

    async def confirm_archive(self, visit: Visit) -> Response:
        link = await self._link(visit)
        _refuse_archived(link)
        return self.guard.show(
            visit, "link_archive.html", SECTION, name=link.name, link_id=link.link_id
        )

    async def archive(self, visit: Visit) -> Response:
        link_id = id_of(visit, LinkId, "link_id")
        note = Note("link.archived", link_id)
        await self.guard.do(
            visit, lambda _none: note, links.archive, self.shop, visit.tenant, link_id
        )
        return done(visit, f"/links/{link_id}", "link-archived")

    async def _link(self, visit: Visit) -> PaymentLink:
        async with self.db.read() as tx:
            view = await links.detail(tx, self.shop, visit.tenant, id_of(visit, LinkId, "link_id"))
        return view.link

    def _url(self, link_id: LinkId) -> str:
        return f"{self.shop.public_url}/link/{link_id}"


def _refuse_archived(link: PaymentLink) -> None:
    if link.status is LinkStatus.ARCHIVED:
        raise Refused(Code.LINK_ARCHIVED)


def _created(view: LinkView) -> Note:
    stored = link_forms.stored(view.link)
    return Note(
        "link.created",
        view.link.link_id,
        after={name: text for name, text in stored.items() if text},
    )


def _changed(pair: tuple[PaymentLink, PaymentLink]) -> Note:
    before, after = link_forms.stored(pair[0]), link_forms.stored(pair[1])
    return change_note("link.changed", pair[1].link_id, before, after)


def _off(link: PaymentLink) -> Note:
    return Note("link.disabled", link.link_id, after={"text": link.custom_disabled_text or ""})
