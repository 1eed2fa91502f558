"""The builder of payment links: a form beside the payer's page that it makes.

The page is made by the server from the very template that payers see, and shown in a frame in which
no script runs. It follows what is typed where scripts run, and a button shows it anew elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.branding import operations as brandings
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import Product, ProductStatus
from gstable_server.catalog.model import Wanted as WantedProducts
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.paging import SIZE_MAX, Page
from gstable_server.links import operations as links
from gstable_server.links.model import LinkTerms, PaymentLink
from gstable_server.links.operations import Shop
from gstable_server.plumbing.db import Tx
from gstable_server.routing import operations as routing
from gstable_server.web.base import CONTENT_SECURITY_POLICY, allow_framing
from gstable_server.web.checkout.link_page import NO_PROBLEMS, LinkForm
from gstable_server.web.checkout.link_page import link_page as payers_page
from gstable_server.web.dashboard.catalog import link_forms
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.web.dashboard.speech import _, dollars, said
from gstable_server.web.dashboard.wire_forms import Row, name_of, typed_usd

OURS = ("'self'",)
BUILDER_POLICY = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"
NAMELESS = "…"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form can be filled from: (value, words) each."""

    accounts: tuple[tuple[str, str], ...]
    tokens: tuple[tuple[str, str], ...]
    products: tuple[tuple[str, str], ...]


class Building:
    """Shows the form and the preview."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk
        self.shop = Shop(guard.desk.networks, guard.desk.public_url)

    async def show(
        self,
        visit: Visit,
        form: Form,
        path: str,
        *,
        link: PaymentLink | None = None,
        version: str = "",
        status: int = 200,
        more: bool = False,
    ) -> Response:
        """The builder, for a new link or for a change of ``link``. ``more``: with a free line."""
        async with self.db.read() as tx:
            choices = await self.choices(tx, visit, link_forms.lines_of(form))
        filled = len(link_forms.lines_of(form))
        shown = min(max(filled + more, 1), link_forms.LINES_MAX)
        # As the browser chooses where nothing was chosen.
        first = {
            "accountId": choices.accounts[0][0] if choices.accounts else "",
            "settlementToken": choices.tokens[0][0] if choices.tokens else "",
        }
        chosen = {name: form.value(name) or value for name, value in first.items()}
        seen = await self.preview(visit, replace(form, values={**form.values, **chosen}))
        response = self.guard.show(
            visit,
            "link_builder.html",
            "links",
            status=status,
            form=form,
            path=path,
            link=link,
            version=version,
            choices=choices,
            lines=range(shown),
            can_have_more=shown < link_forms.LINES_MAX,
            preview=bytes(seen.body).decode(),
        )
        response.headers["content-security-policy"] = BUILDER_POLICY
        return response

    async def choices(self, tx: Tx, visit: Visit, rows: Sequence[Row]) -> Choices:
        """What a form with these lines can be filled from."""
        held = await accounts.list_accounts(tx, visit.tenant)
        tokens = [
            (token.token_id, _("%(token)s on %(network)s", token=token.symbol, network=one.title))
            for one in self.desk.networks.of(visit.tenant.mode)
            for token in one.tokens
        ]
        products = await self._products(tx, visit, rows)
        return Choices(
            accounts=tuple((str(one.account_id), one.name) for one in held),
            tokens=tuple(tokens),
            products=tuple((str(one.product_id), _product_text(one)) for one in products),
        )

    async def _products(self, tx: Tx, visit: Visit, rows: Sequence[Row]) -> Sequence[Product]:
        """Those on sale, the newest first, and those that the form names anyway."""
        wanted = WantedProducts(status=ProductStatus.ACTIVE)
        _count, offered = await catalog.list_products(tx, visit.tenant, Page(1, SIZE_MAX), wanted)
        known = {str(one.product_id) for one in offered}
        named = [row["productId"] for row in rows]
        missing = [one for one in named if one not in known]
        return [*await catalog.list_by_ids(tx, visit.tenant, missing), *offered]

    async def begun_with(self, visit: Visit, form: Form, product_id: ProductId) -> Form:
        """The form with that product in its first line, at its first usual price."""
        async with self.db.read() as tx:
            product = await catalog.detail(tx, visit.tenant, product_id)
        first = {
            name_of(link_forms.LINES, 0, "productId"): str(product.product_id),
            name_of(link_forms.LINES, 0, "unitPrice"): typed_usd(product.common_prices[0]),
            name_of(link_forms.LINES, 0, "quantity"): "1",
        }
        return replace(form, values={**form.values, "linkName": product.name, **first})

    async def terms(self, visit: Visit, form: Form) -> LinkTerms:
        """What the form asks for. Refused as ``link_forms.terms``."""
        async with self.db.read() as tx:
            return await self.terms_in(tx, visit, form)

    async def terms_in(self, tx: Tx, visit: Visit, form: Form) -> LinkTerms:
        """The same in a transaction that is open."""
        named = [row["productId"] for row in link_forms.lines_of(form)]
        return link_forms.terms(form, await catalog.list_by_ids(tx, visit.tenant, named))

    async def preview(self, visit: Visit, form: Form) -> Response:
        """The payer's page, or what is still missing for it."""
        named = form.value("linkName").strip()
        form = replace(form, values={**form.values, "linkName": named or NAMELESS})
        async with self.db.read() as tx:
            branding = await brandings.branding(tx, visit.tenant.merchant_id)
            try:
                terms = await self.terms_in(tx, visit, form)
                link, products = await links.draft(tx, self.shop, visit.tenant, terms)
            except Refused as refused:
                return self._unfinished(form.refused(refused))
        pages = self.guard.pages
        tag = pages.languages.lookup(branding.default_language or "")
        words = pages.languages.words(tag or "en")
        token = self.desk.networks.find_token(link.settlement_token, visit.tenant.mode)
        bounds = routing.bounds(self.desk.market, token) if token else None
        shown = payers_page(link, branding, products, bounds, LinkForm(), NO_PROBLEMS, words)
        response = pages.page(
            "checkout/templates/link.html",
            language=words,
            link=shown,
            form=LinkForm(),
            problems=NO_PROBLEMS,
            query="",
        )
        return allow_framing(response, OURS)

    def _unfinished(self, form: Form) -> Response:
        """What has to be filled in before there is anything to see."""
        problems = [text for text in (form.problem, *form.errors.values()) if text]
        names = [link_forms.labels().get(name, "") for name in form.errors]
        text = ": ".join(part for part in (*names[:1], said(problems[0])) if part)
        response = self.guard.outside("preview_unfinished.html", text=text)
        return allow_framing(response, OURS)


def _product_text(product: Product) -> str:
    return f"{product.name} · {dollars(MicroUsd(product.common_prices[0]))}"
