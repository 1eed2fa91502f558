"""The form of a payment page for one payer; no input, output or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gstable_server.catalog.model import Product
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import invalid_field
from gstable_server.sessions.wire import CreateCheckoutSession
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.speech import N_
from gstable_server.web.dashboard.wire_forms import (
    Row,
    checked,
    laid_out,
    micro_usd,
    name_of,
    rows_of,
    whole,
)

LINES, LINES_MAX = "lineItems", 12
NAME = "productData.productName"
LINE_FIELDS = ("productId", NAME, "unitPrice", "quantity")
FIELDS = (
    "accountId",
    "settlementToken",
    "feeModel",
    "payerEmailRequired",
    "captureMethod",
    "successUrl",
    "lifetime",
    "orderId",
)
LIFETIMES: Mapping[str, tuple[timedelta, str]] = {
    "30m": (timedelta(minutes=30), N_("30 minutes")),
    "1d": (timedelta(days=1), N_("One day")),
    "3d": (timedelta(days=3), N_("Three days")),
    "7d": (timedelta(days=7), N_("A week")),
}
LATENCY = timedelta(minutes=1)
"""Between the form's clock and the session's: the shortest time must not be too short by then."""
FORM = Form(
    (
        *FIELDS,
        LINES,
        *(name_of(LINES, at, field) for at in range(LINES_MAX) for field in LINE_FIELDS),
    ),
    values={"feeModel": "1", "lifetime": "3d"},
)
WHAT = N_("must be a product, or say in words what is paid for")


def sent(entries: Mapping[str, str]) -> Form:
    """What was typed, with the lines moved together. A line that has nothing but a quantity is
    none."""
    rows = tuple(
        row
        for row in rows_of(entries, LINES, LINE_FIELDS, LINES_MAX)
        if any(text for field, text in row.items() if field != "quantity")
    )
    text = {name: entries.get(name, "") for name in FIELDS}
    return FORM.filled({**text, **laid_out(LINES, rows)})


def lines_of(form: Form) -> tuple[Row, ...]:
    """The lines that were filled in."""
    return rows_of(form.values, LINES, LINE_FIELDS, LINES_MAX)


def request(form: Form, products: Sequence[Product], now: datetime) -> CreateCheckoutSession:
    """What the form asks for. Raises ``Refused`` (400101) naming the input."""
    prices = {str(one.product_id): one.common_prices[0] for one in products}
    lines = [_line(row, at, prices) for at, row in enumerate(lines_of(form))]
    if not lines:
        raise invalid_field(name_of(LINES, 0, NAME), WHAT)
    lifetime, _words = LIFETIMES.get(form.value("lifetime"), LIFETIMES["3d"])
    lifetime = min(lifetime + LATENCY, timedelta(days=7))
    reference = form.value("orderId").strip()
    body: dict[str, Any] = {
        "accountId": form.value("accountId"),
        "settlementToken": form.value("settlementToken"),
        "feeModel": 2 if form.value("feeModel") == "2" else 1,
        "payerEmailRequired": 1 if form.value("payerEmailRequired") else 0,
        "captureMethod": "manual" if form.value("captureMethod") == "manual" else "automatic",
        "successUrl": form.value("successUrl").strip(),
        "expirationTime": unix_seconds(now + lifetime),
        "lineItems": lines,
    }
    if reference:
        body["metadata"] = {"orderId": reference[:200]}
    return checked(CreateCheckoutSession, body)


def _line(row: Row, at: int, prices: Mapping[str, int]) -> dict[str, Any]:
    product_id, name, typed = row["productId"], row[NAME], row["unitPrice"]
    usual = prices.get(product_id)
    price = micro_usd(name_of(LINES, at, "unitPrice"), typed) if typed or usual is None else usual
    line: dict[str, Any] = {
        "quantity": whole(name_of(LINES, at, "quantity"), row["quantity"] or "1"),
        "unitPrice": price,
    }
    if product_id:
        return {**line, "itemType": "product", "productId": product_id}
    if not name:
        raise invalid_field(name_of(LINES, at, NAME), WHAT)
    return {**line, "itemType": "one_time", "productData": {"productName": name}}
