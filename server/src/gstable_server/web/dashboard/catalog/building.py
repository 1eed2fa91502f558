"""The builder of payment links: a form beside the payer's page that it makes.

The page is made by the server from the very template that payers see, and shown in a frame in which
no script runs. It follows what is typed where scripts run, and a button shows it anew elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.branding import operations as brandings
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import Product, ProductStatus
from gstable_server.catalog.model import Wanted as WantedProducts
from gstable_server.chain.networks import Network
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.paging import SIZE_MAX, Page
from gstable_server.links import operations as links
from gstable_server.links.model import LinkTerms, PaymentLink
from gstable_server.links.operations import Shop
from gstable_server.plumbing.db import Tx
from gstable_server.routing import operations as routing
from gstable_server.sessions.statistics import operations as statistics
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
USUAL = "USDC"


Used = tuple[str, str]
"""An account and the token that is paid out to it."""


class By(StrEnum):
    """Where what a merchant chose last is looked for first."""

    LINKS = "links"
    SESSIONS = "sessions"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form can be filled from: (value, words) each; and what is chosen where nothing
    is."""

    accounts: tuple[tuple[str, str], ...]
    tokens: tuple[tuple[str, str], ...]
    products: tuple[tuple[str, str], ...]
    first: Used

    def begun(self, form: Form) -> Form:
        """The form with an account and a token, where it has none yet."""
        account, token = self.first
        chosen = {
            "accountId": form.value("accountId") or account,
            "settlementToken": form.value("settlementToken") or token,
        }
        return replace(form, values={**form.values, **chosen})


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
            choices = await self.choices(tx, visit, link_forms.lines_of(form), By.LINKS)
        form = choices.begun(form)
        filled = len(link_forms.lines_of(form))
        shown = min(max(filled + more, 1), link_forms.LINES_MAX)
        seen = await self.preview(visit, form)
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

    async def choices(self, tx: Tx, visit: Visit, rows: Sequence[Row], by: By) -> Choices:
        """What a form with these lines can be filled from."""
        held = await accounts.list_accounts(tx, visit.tenant)
        here = self.desk.networks.of(visit.tenant.mode)
        products = await self._products(tx, visit, rows)
        tokens = {
            token.token_id: _("%(token)s on %(network)s", token=token.symbol, network=one.title)
            for one in here
            for token in one.tokens
        }
        names = {str(one.account_id): one.name for one in held}
        account, token = await self._used(tx, visit, by)
        return Choices(
            accounts=tuple(names.items()),
            tokens=tuple(tokens.items()),
            products=tuple((str(one.product_id), _product_text(one)) for one in products),
            first=(
                account if account in names else next(iter(names), ""),
                token if token in tokens else first_token(here),
            ),
        )

    async def _used(self, tx: Tx, visit: Visit, by: By) -> Used:
        """What the merchant's newest link names, or its newest session; empty without any."""
        _count, views = await links.list_links(tx, self.shop, visit.tenant, Page(1, 1))
        made = [(str(one.link.account_id), one.link.settlement_token) for one in views]
        sold = [
            (str(one.session.account_id), one.session.settlement_token)
            for one in await statistics.latest(tx, visit.tenant, 1)
        ]
        return next(iter(made + sold if by is By.LINKS else sold + made), ("", ""))

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


def first_token(networks: Sequence[Network]) -> str:
    """What a merchant who never chose is paid in: USDC on the network where by the operator's own
    setting the least amount is worth its gas, else on the first; any token where there is none."""
    cheapest = sorted(networks, key=lambda one: one.x402.amount_min)
    tokens = [token for one in cheapest for token in one.tokens]
    usual = [token for token in tokens if token.symbol == USUAL]
    return next((token.token_id for token in usual + tokens), "")


def _product_text(product: Product) -> str:
    return f"{product.name} · {dollars(MicroUsd(product.common_prices[0]))}"
