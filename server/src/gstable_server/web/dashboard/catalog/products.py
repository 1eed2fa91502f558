"""Products in the console: list, search, make, change, picture, usage (spec 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note, change_note
from gstable_server.catalog import operations as catalog
from gstable_server.catalog import picture
from gstable_server.catalog.model import Product, ProductStatus, Wanted
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ProductId
from gstable_server.links import operations as links
from gstable_server.links.operations import Shop
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.statistics import operations as statistics
from gstable_server.web.dashboard.address import id_of, looked_for, page_of
from gstable_server.web.dashboard.catalog import product_forms
from gstable_server.web.dashboard.catalog.catalog_presenter import product_page
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.presenter import link_row, pager, product_row, session_row
from gstable_server.web.dashboard.requests import once
from gstable_server.web.dashboard.speech import N_, _
from gstable_server.web.dashboard.versions import (
    VERSION,
    ChangedMeanwhile,
    conflict,
    require_version,
    version_of,
)

SECTION = "products"
UPLOAD_BYTES_MAX = picture.BYTES_MAX + 64 * 1024
PICTURE_FORM = Form((picture.FIELD,))
ARCHIVED = N_("This product was archived already.")
UNARCHIVED = N_("This product was sold again already.")
IS_USED = N_("A payment link names this product, so it stays. Archive it instead.")
USED_IN = 10
"""Links and sessions that a product's page shows at most."""
FILTERS: Mapping[str, ProductStatus | None] = {
    "": None,
    "active": ProductStatus.ACTIVE,
    "archived": ProductStatus.ARCHIVED,
}


class Products:
    """The handlers of the products' pages."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.url = guard.desk.public_url
        self.shop = Shop(guard.desk.networks, guard.desk.public_url)
        # A large picture takes so much memory that some of them at once would end the process.
        self._drawing = asyncio.Lock()

    async def list(self, visit: Visit) -> Response:
        page, (text, status) = page_of(visit), looked_for(visit, FILTERS)
        async with self.db.read() as tx:
            count, found = await catalog.list_products(
                tx, visit.tenant, page, Wanted(text, FILTERS[status])
            )
        return self.guard.show(
            visit,
            "products.html",
            SECTION,
            products=[product_row(product) for product in found],
            pager=pager(page.number, page.size, len(found), count),
            text=text,
            chosen=status,
        )

    async def new(self, visit: Visit) -> Response:
        return self._new(visit, product_forms.FORM)

    def _new(self, visit: Visit, form: Form, status: int = 200) -> Response:
        return self.guard.show(
            visit,
            "product_new.html",
            SECTION,
            status=status,
            form=form,
            attributes=product_forms.attributes_shown(form),
        )

    async def create(self, visit: Visit) -> Response:
        form = product_forms.sent(visit.entries)
        try:
            made = await self.guard.do(
                visit,
                _created,
                catalog.create,
                visit.tenant,
                self.url,
                product_forms.terms(form),
            )
        except Refused as refused:
            return self._new(visit, form.refused(refused), 422)
        return done(visit, f"/products/{made.product_id}", "product-created")

    async def show(self, visit: Visit) -> Response:
        return await self._show(visit)

    async def _show(
        self,
        visit: Visit,
        form: Form | None = None,
        *,
        version: str = "",
        picture_form: Form = PICTURE_FORM,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        """The product with its form: as it is stored, or with what was typed and refused."""
        async with self.db.read() as tx:
            product = await catalog.detail(tx, visit.tenant, id_of(visit, ProductId, "product_id"))
            count, used = await links.list_using(
                tx, self.shop, visit.tenant, product.product_id, USED_IN
            )
            sold = await statistics.latest_with(tx, visit.tenant, product.product_id, USED_IN)
        form = form or replace(product_forms.of(product), problem=problem)
        return self.guard.show(
            visit,
            "product.html",
            SECTION,
            status=status,
            product=product_page(product),
            form=form,
            attributes=product_forms.attributes_shown(form),
            version=version or version_of(product_forms.stored(product)),
            picture_form=picture_form,
            picture_megabytes=picture.BYTES_MAX // 1024**2,
            links=[link_row(view) for view in used],
            links_count=count,
            sessions=[session_row(view) for view in sold],
        )

    async def change(self, visit: Visit) -> Response:
        """Two people who changed the same product at once are shown both (case DSH-06)."""
        product_id = id_of(visit, ProductId, "product_id")
        form = product_forms.sent(visit.entries)
        try:
            await self.guard.do(visit, _changed, self._change, visit, product_id, form)
        except ChangedMeanwhile as changed:
            names = product_forms.labels()
            return conflict(self.guard, visit, SECTION, changed, names, f"/products/{product_id}")
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            version = visit.entries.get(VERSION, "")
            return await self._show(visit, form.refused(refused), version=version, status=422)
        return done(visit, f"/products/{product_id}", "product-changed")

    async def _change(
        self, tx: Tx, visit: Visit, product_id: ProductId, form: Form
    ) -> tuple[Product, Product]:
        before = await catalog.detail(tx, visit.tenant, product_id, hold=True)
        terms = product_forms.terms(form, before.image_source)
        saved = product_forms.stored(before)
        require_version(visit.entries.get(VERSION, ""), saved, form.values)
        return before, await catalog.update(tx, visit.tenant, self.url, product_id, terms)

    async def show_picture(self, visit: Visit) -> Response:
        """Draw anew what was uploaded, and show that; or show none any more."""
        product_id = id_of(visit, ProductId, "product_id")
        given = visit.files.get(picture.FIELD)
        is_removed = bool(visit.entries.get("withoutPicture"))
        async with self.db.read() as tx:
            await catalog.detail(tx, visit.tenant, product_id)
        try:
            if given is None and not is_removed:
                raise Refused(Code.FIELD_INVALID, f"{picture.FIELD} must be chosen first")
            drawn = None if is_removed or given is None else await self._drawn(given)
        except Refused as refused:
            marked = PICTURE_FORM.refused(refused)
            return await self._show(visit, picture_form=marked, status=422)
        await self.guard.do(
            visit,
            _picture_note,
            catalog.show_picture,
            visit.tenant,
            self.url,
            product_id,
            drawn,
        )
        return done(visit, f"/products/{product_id}", "picture-saved")

    async def _drawn(self, given: bytes) -> bytes:
        async with self._drawing:
            return await asyncio.to_thread(picture.redraw, given)

    async def archive(self, visit: Visit) -> Response:
        product_id = id_of(visit, ProductId, "product_id")
        note = Note("product.archived", product_id)
        noted = once(note, ARCHIVED)
        await self.guard.do(visit, noted, catalog.archive, visit.tenant, self.url, product_id)
        return done(visit, f"/products/{product_id}", "product-archived")

    async def unarchive(self, visit: Visit) -> Response:
        product_id = id_of(visit, ProductId, "product_id")
        note = Note("product.unarchived", product_id)
        noted = once(note, UNARCHIVED)
        await self.guard.do(visit, noted, catalog.unarchive, visit.tenant, self.url, product_id)
        return done(visit, f"/products/{product_id}", "product-unarchived")

    async def duplicate(self, visit: Visit) -> Response:
        product_id = id_of(visit, ProductId, "product_id")
        async with self.db.read() as tx:
            original = await catalog.detail(tx, visit.tenant, product_id)
        # At most 100 characters (spec 15, Field limits), whatever the language adds.
        name = _("%(name)s (copy)", name=original.name)
        name = name if len(name) <= 100 else original.name
        made = await self.guard.do(
            visit, _created, catalog.duplicate, visit.tenant, self.url, product_id, name
        )
        return done(visit, f"/products/{made.product_id}", "product-duplicated")

    async def remove(self, visit: Visit) -> Response:
        """For good, and only what no payment link ever named."""
        product_id = id_of(visit, ProductId, "product_id")
        note = Note("product.removed", product_id)
        try:
            await self.guard.do(
                visit, lambda _none: note, catalog.remove, visit.tenant, self.url, product_id
            )
        except Refused as refused:
            if refused.code is not Code.PRODUCT_USED:
                raise
            return await self._show(visit, problem=IS_USED, status=422)
        return done(visit, "/products", "product-removed")


def _shown(product: Product) -> dict[str, str]:
    return {name: text for name, text in product_forms.stored(product).items() if text}


def _created(product: Product) -> Note:
    return Note("product.created", product.product_id, after=_shown(product))


def _changed(pair: tuple[Product, Product]) -> Note:
    before, after = product_forms.stored(pair[0]), product_forms.stored(pair[1])
    return change_note("product.changed", pair[1].product_id, before, after)


def _picture_note(product: Product) -> Note:
    return Note("product.picture", product.product_id, after={"image": product.image_path or ""})
