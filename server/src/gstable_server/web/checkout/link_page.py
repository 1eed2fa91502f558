"""What the page of a payment link shows and takes; no input, output or clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gstable_server.accounts.branding.model import Branding
from gstable_server.catalog.model import LineItem, Product
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode
from gstable_server.links.model import LinkStatus, LinkType, PaymentLink, with_quantities
from gstable_server.routing.model import AmountTooFine, FeeModel
from gstable_server.web.checkout.amounts import (
    AmountError,
    ZeroAmountError,
    parse_quantity,
    parse_typed_usd,
    parse_usd,
)
from gstable_server.web.checkout.presenter import LineView, line_view
from gstable_server.web.checkout.words import WORDS, in_words
from gstable_server.web.language import N_, Words

SUGGESTIONS_MAX = 5
EXAMPLE = MicroUsd(12_500_000)
QUANTITY = "quantity-"
"""Before the line's identifier, the name of the field that says how many."""

Bounds = tuple[MicroUsd, MicroUsd]
"""The least and the most that can be paid, in Micro-USD."""


@dataclass(frozen=True, slots=True)
class LinkForm:
    """What the payer has filled in on the link's page. ``quantities`` by line item id; ``more`` and
    ``fewer`` name the line whose button was pressed instead of going on."""

    pick: str = ""
    amount: str = ""
    email: str = ""
    quantities: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    fewer: str = ""

    @classmethod
    def sent(cls, fields: Mapping[str, str]) -> LinkForm:
        """The fields as they came, cut to what a page may carry back."""
        return cls(
            pick=fields.get("pick", "")[:40],
            amount=fields.get("amount", "")[:40],
            email=fields.get("email", "").strip()[:254],
            quantities={
                name.removeprefix(QUANTITY): text.strip()[:12]
                for name, text in fields.items()
                if name.startswith(QUANTITY)
            },
            more=fields.get("more", ""),
            fewer=fields.get("fewer", ""),
        )

    @property
    def wanted(self) -> MicroUsd:
        """The amount that was chosen, or typed under "Other". Raises ``AmountError``."""
        is_typed = self.pick in {"", "other"}
        return parse_typed_usd(self.amount) if is_typed else parse_usd(self.pick)

    @property
    def chosen(self) -> dict[str, int]:
        """The quantities by line item id; 0, which no line takes, for what is no number."""
        return {name: parse_quantity(text) or 0 for name, text in self.quantities.items()}

    def stepped(self, link: PaymentLink) -> LinkForm:
        """The form after the button that was pressed: one more or one fewer, within the line's
        range. What was no number begins at the merchant's."""
        quantities = dict(self.quantities)
        for item in link.line_items:
            step = (item.line_item_id == self.more) - (item.line_item_id == self.fewer)
            if item.adjustable and step:
                known = parse_quantity(quantities.get(item.line_item_id, ""))
                wanted = (item.quantity if known is None else known) + step
                within = min(max(wanted, item.adjustable.minimum), item.adjustable.maximum)
                quantities[item.line_item_id] = str(within)
        return replace(self, quantities=quantities, more="", fewer="")


@dataclass(frozen=True, slots=True)
class Problems:
    """What is wrong with the entries, in the payer's words, each for beside its field; ``general``
    is about none of them. ``quantities`` by line item id."""

    general: str = ""
    amount: str = ""
    email: str = ""
    quantities: Mapping[str, str] = field(default_factory=dict)


NO_PROBLEMS = Problems()


@dataclass(frozen=True, slots=True)
class QuantityField:
    """How many of a line the payer wants: what stands in the field, and its bounds."""

    line_item_id: str
    text: str
    minimum: int
    maximum: int
    problem: str

    @property
    def name(self) -> str:
        return QUANTITY + self.line_item_id


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One line of the page, and the field for its quantity where the payer chooses it."""

    view: LineView
    quantity: QuantityField | None


@dataclass(frozen=True, slots=True)
class LinkPage:
    """The page of a payment link. ``amount`` is None where the payer names it; ``bounds`` None
    where nothing can be paid at all."""

    link_id: str
    title: str
    branding: Branding
    test_mode: bool
    lines: tuple[LinkLine, ...]
    amount: MicroUsd | None
    payer_bears_fee: bool
    is_custom: bool
    is_adjustable: bool
    suggestions: tuple[MicroUsd, ...]
    bounds: Bounds | None
    email_required: bool
    is_archived: bool
    closed_title: str
    closed_text: str


def link_page(
    link: PaymentLink,
    branding: Branding,
    products: Mapping[ProductId, Product],
    bounds: Bounds | None,
    form: LinkForm,
    problems: Problems,
    words: Words,
) -> LinkPage:
    """``products`` are those of the link; their common prices are offered for custom amounts.
    What ``form`` says and can be had is in the lines and the amount already."""
    is_custom = link.link_type is LinkType.CUSTOM
    closed_title, closed_text = _closed(link, words)
    wanted = _as_wanted(link, form)
    return LinkPage(
        link_id=link.link_id,
        title=link.name,
        branding=branding,
        test_mode=link.tenant.mode is Mode.TEST,
        lines=tuple(
            LinkLine(
                line_view(item, words), None if closed_text else _quantity(item, form, problems)
            )
            for item in wanted.line_items
        ),
        amount=None if is_custom else wanted.amount,
        payer_bears_fee=FeeModel(link.fee_model) is FeeModel.PAYER_PAYS,
        is_custom=is_custom,
        is_adjustable=any(item.adjustable for item in link.line_items),
        suggestions=_suggestions(products.values(), bounds) if is_custom else (),
        bounds=bounds,
        email_required=link.payer_email_required,
        is_archived=link.status is LinkStatus.ARCHIVED,
        closed_title=closed_title,
        closed_text=closed_text,
    )


def _as_wanted(link: PaymentLink, form: LinkForm) -> PaymentLink:
    """The link with those of the form's quantities that can be had; the others are the merchant's
    until the payer has put them right."""
    chosen: dict[str, int] = {
        item.line_item_id: form.chosen[item.line_item_id]
        for item in link.line_items
        if item.adjustable and form.chosen.get(item.line_item_id, 0) in item.adjustable
    }
    return with_quantities(link, chosen)


def _quantity(item: LineItem, form: LinkForm, problems: Problems) -> QuantityField | None:
    if item.adjustable is None:
        return None
    return QuantityField(
        line_item_id=item.line_item_id,
        text=form.quantities.get(item.line_item_id, str(item.quantity)),
        minimum=item.adjustable.minimum,
        maximum=item.adjustable.maximum,
        problem=problems.quantities.get(item.line_item_id, ""),
    )


def _closed(link: PaymentLink, words: Words) -> tuple[str, str]:
    """Why the link opens no payment; empty while it does."""
    match link.status:
        case LinkStatus.ACTIVE:
            return "", ""
        case LinkStatus.INACTIVE:
            text = words.gettext(WORDS[Code.LINK_NOT_ACTIVE])
            return words.gettext("Not available at the moment"), link.custom_disabled_text or text
        case LinkStatus.ARCHIVED:
            return words.gettext("Closed"), words.gettext(WORDS[Code.LINK_ARCHIVED])


def _suggestions(products: Iterable[Product], bounds: Bounds | None) -> tuple[MicroUsd, ...]:
    """Those that can be paid: an offer that is refused afterwards is none."""
    prices = {MicroUsd(price) for product in products for price in product.common_prices}
    payable = [price for price in sorted(prices) if bounds and bounds[0] <= price <= bounds[1]]
    return tuple(payable[:SUGGESTIONS_MAX])


def problems_of(
    trouble: Refused | AmountError,
    form: LinkForm,
    link: PaymentLink,
    bounds: Bounds | None,
    words: Words,
) -> Problems:
    """What to say about ``trouble`` with ``form``, beside the field that it is about. ``link`` may
    be another than it was when the trouble came, after an update by its merchant."""
    if isinstance(trouble, AmountError):
        return Problems(amount=_unreadable(trouble, words))
    if trouble.code is Code.VALUE_OUT_OF_RANGE:
        return _out_of_range(trouble, link, bounds, words)
    if trouble.field == "payerEmail":
        return Problems(email=in_words(trouble, words))
    if trouble.field.startswith("lineItems"):
        return _wrong_lines(form, link, words)
    return Problems(general=in_words(trouble, words))


def _unreadable(trouble: AmountError, words: Words) -> str:
    if isinstance(trouble, ZeroAmountError):
        return words.gettext("Enter an amount above zero.")
    example = words.usd(EXAMPLE)
    return words.gettext("Write the amount in figures, like %(example)s.", example=example)


def _out_of_range(
    refused: Refused, link: PaymentLink, bounds: Bounds | None, words: Words
) -> Problems:
    text = in_words(refused, words)
    if isinstance(refused, AmountTooFine):
        text = words.gettext("This amount has too many decimal places. Round it to cents.")
    elif bounds is not None:
        text = words.gettext(
            "Only amounts from %(least)s to %(most)s can be paid here.",
            least=words.dollars(bounds[0]),
            most=words.dollars(bounds[1]),
        )
    return Problems(amount=text) if link.link_type is LinkType.CUSTOM else Problems(general=text)


def _wrong_lines(form: LinkForm, link: PaymentLink, words: Words) -> Problems:
    """Beside each quantity that cannot be had; above all where the link has changed meanwhile."""
    wrong: dict[str, str] = {
        item.line_item_id: _quantity_problem(item, words)
        for item in link.line_items
        if item.adjustable
        and item.line_item_id in form.chosen
        and form.chosen[item.line_item_id] not in item.adjustable
    }
    if wrong:
        return Problems(quantities=wrong)
    text = N_("The merchant has changed this page. Check your order and go on.")
    return Problems(general=words.gettext(text))


def _quantity_problem(item: LineItem, words: Words) -> str:
    lowest = item.adjustable.minimum if item.adjustable else item.quantity
    highest = item.adjustable.maximum if item.adjustable else item.quantity
    return words.gettext(
        "Choose a number from %(least)s to %(most)s.",
        least=words.number(lowest),
        most=words.number(highest),
    )
