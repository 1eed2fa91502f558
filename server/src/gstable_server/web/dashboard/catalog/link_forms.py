"""The form of a payment link; no input, output or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gstable_server.catalog.model import Product
from gstable_server.kernel.errors import invalid_field
from gstable_server.links.model import LineTerms, LinkTerms, LinkType, PaymentLink
from gstable_server.links.wire import LinkCreateInput
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.speech import N_, _
from gstable_server.web.dashboard.wire_forms import (
    Row,
    checked,
    laid_out,
    micro_usd,
    name_of,
    rows_of,
    typed_usd,
    whole,
)

LINES, LINES_MAX = "lineItems", 12
"""The API takes a hundred lines: a form of so many nobody fills in."""
MINIMUM, MAXIMUM = "adjustableQuantity.minimum", "adjustableQuantity.maximum"
LINE_FIELDS = ("productId", "unitPrice", "quantity", MINIMUM, MAXIMUM)
LABELS = {
    "linkName": N_("Name"),
    "linkType": N_("Amount"),
    "accountId": N_("Account"),
    "settlementToken": N_("Token"),
    "feeModel": N_("Fee"),
    "payerEmailRequired": N_("E-mail"),
    "successUrl": N_("Address after success"),
    "customSuccessText": N_("Text after success"),
    "customDisabledText": N_("Text while it is off"),
}
_LINE_NAMES = tuple(name_of(LINES, at, field) for at in range(LINES_MAX) for field in LINE_FIELDS)
FORM = Form(
    (*LABELS, *_LINE_NAMES, LINES),
    values={"linkType": LinkType.FIXED.value, "feeModel": "1"},
)
CHOOSE_PRODUCT = N_("must be chosen from your products")
TOO_LONG = N_("has more lines than this form can show: change it by the API")


def labels() -> dict[str, str]:
    """The words for every field of the form."""
    return {
        **{name: _(text) for name, text in LABELS.items()},
        **{
            name_of(LINES, at, field): _("Line %(number)s", number=at + 1)
            for at in range(LINES_MAX)
            for field in LINE_FIELDS
        },
    }


def sent(entries: Mapping[str, str]) -> Form:
    """What was typed, with the lines moved together. A line that has nothing but a quantity is
    none."""
    kept = tuple(
        row
        for row in rows_of(entries, LINES, LINE_FIELDS, LINES_MAX)
        if any(text for field, text in row.items() if field != "quantity")
    )
    text = {name: entries.get(name, "").replace("\r\n", "\n") for name in LABELS}
    return FORM.filled({**text, **laid_out(LINES, kept)})


def lines_of(form: Form) -> tuple[Row, ...]:
    """The lines that were filled in."""
    return rows_of(form.values, LINES, LINE_FIELDS, LINES_MAX)


def stored(link: PaymentLink) -> dict[str, str]:
    """What the form says of a link that is as it is."""
    rows: list[Row] = [
        {
            "productId": str(item.product_id or ""),
            "unitPrice": typed_usd(item.unit_price),
            "quantity": str(item.quantity),
            MINIMUM: str(item.adjustable.minimum) if item.adjustable else "",
            MAXIMUM: str(item.adjustable.maximum) if item.adjustable else "",
        }
        for item in link.line_items
    ]
    values = {
        "linkName": link.name,
        "linkType": link.link_type.value,
        "accountId": str(link.account_id),
        "settlementToken": link.settlement_token,
        "feeModel": str(link.fee_model),
        "payerEmailRequired": "1" if link.payer_email_required else "",
        "successUrl": link.success_url or "",
        "customSuccessText": link.custom_success_text or "",
        "customDisabledText": link.custom_disabled_text or "",
        **laid_out(LINES, rows),
    }
    return {name: values.get(name, "") for name in FORM.names if name != LINES}


def require_all_shown(link: PaymentLink) -> None:
    """Raises ``Refused`` (400101) for a link that the form would take lines from."""
    if len(link.line_items) > LINES_MAX:
        raise invalid_field(LINES, TOO_LONG)


def of(link: PaymentLink) -> Form:
    """The form as it is opened for a change."""
    return replace(FORM, values=stored(link))


def terms(form: Form, products: Sequence[Product]) -> LinkTerms:
    """What the form asks for. A line without a price has its product's first usual one. Raises
    ``Refused`` (400101) naming the input."""
    is_fixed = form.value("linkType") != LinkType.CUSTOM
    prices = {str(one.product_id): one.common_prices[0] for one in products}
    lines = [
        _line(row, at, prices) if is_fixed else _open_line(row, at)
        for at, row in enumerate(lines_of(form))
    ]
    if not lines:
        raise invalid_field(name_of(LINES, 0, "productId"), CHOOSE_PRODUCT)
    body = {
        "linkType": form.value("linkType"),
        "linkName": form.value("linkName").strip(),
        "accountId": form.value("accountId"),
        "settlementToken": form.value("settlementToken"),
        "feeModel": 2 if form.value("feeModel") == "2" else 1,
        "payerEmailRequired": 1 if form.value("payerEmailRequired") else 0,
        "successUrl": form.value("successUrl").strip(),
        "customSuccessText": form.value("customSuccessText").strip(),
        "customDisabledText": form.value("customDisabledText").strip(),
        "lineItems": lines,
    }
    return checked(LinkCreateInput, body).terms()


def _line(row: Row, at: int, prices: Mapping[str, int]) -> dict[str, Any]:
    product_id = _product(row, at)
    typed = row["unitPrice"]
    price = (
        micro_usd(name_of(LINES, at, "unitPrice"), typed)
        if typed or product_id not in prices
        else prices[product_id]
    )
    line: dict[str, Any] = {
        "itemType": "product",
        "productId": product_id,
        "quantity": whole(name_of(LINES, at, "quantity"), row["quantity"] or "1"),
        "unitPrice": price,
    }
    if row[MINIMUM] or row[MAXIMUM]:
        line["adjustableQuantity"] = {
            "minimum": whole(name_of(LINES, at, MINIMUM), row[MINIMUM] or "1"),
            "maximum": whole(name_of(LINES, at, MAXIMUM), row[MAXIMUM]),
        }
    return line


def _open_line(row: Row, at: int) -> dict[str, Any]:
    """Of a link whose payers name the amount."""
    return {
        "itemType": "user_priced",
        "productId": _product(row, at),
        "quantity": whole(name_of(LINES, at, "quantity"), row["quantity"] or "1"),
    }


def _product(row: Row, at: int) -> str:
    if not row["productId"]:
        raise invalid_field(name_of(LINES, at, "productId"), CHOOSE_PRODUCT)
    return row["productId"]


def terms_of(link: PaymentLink) -> LinkTerms:
    """What would make this very link again."""
    return LinkTerms(
        link_type=link.link_type,
        name=link.name,
        account_id=link.account_id,
        settlement_token=link.settlement_token,
        fee_model=link.fee_model,
        lines=tuple(
            LineTerms(
                item.item_type,
                str(item.product_id),
                item.quantity,
                item.unit_price,
                item.adjustable,
            )
            for item in link.line_items
        ),
        payer_email_required=link.payer_email_required,
        success_url=link.success_url,
        custom_success_text=link.custom_success_text,
        custom_disabled_text=link.custom_disabled_text,
    )
