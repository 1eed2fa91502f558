"""What a receipt says, in one language; page, PDF and letter only set it differently."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.catalog.model import LineItem
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.money import MicroUsd
from gstable_server.receipts.model import Amount, GivenBack, PaidPart, Place, Receipt
from gstable_server.routing.model import FeeModel
from gstable_server.sessions.model import SessionState
from gstable_server.web.checkout.presenter import UNTITLED
from gstable_server.web.language import N_, Words

COMPLETE = N_("Complete: the merchant has the money.")
GIVEN_BACK = N_("Complete. Some or all of it was given back since, see below.")
NOT_FINAL = N_("Paid, but not final yet. What this receipt says can still change.")
DELAYED = N_("Paid. The money is taking longer than usual to reach the merchant.")


@dataclass(frozen=True, slots=True)
class Row:
    """A name and what it stands for. ``url`` where it leads somewhere; ``is_code`` for what is
    compared letter by letter and never translated."""

    label: str
    value: str
    url: str = ""
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what was bought; ``each`` is empty for a single one."""

    name: str
    each: str
    total: str


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with its rows."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole receipt. ``state`` is a sentence, and ``is_final`` whether it is good news only."""

    title: str
    merchant: str
    total: str
    state: str
    is_final: bool
    test: str
    facts: tuple[Row, ...]
    lines: tuple[Line, ...]
    sums: tuple[Row, ...]
    parts: tuple[Part, ...]
    contact: tuple[Row, ...]
    proof: str


def sheet(receipt: Receipt, words: Words, url: str) -> Sheet:
    """``url`` is the receipt's own address."""
    session, merchant = receipt.session, receipt.merchant
    return Sheet(
        title=words.gettext("Receipt"),
        merchant=merchant.display_name,
        total=words.dollars(session.amount),
        state=words.gettext(_state(receipt)),
        is_final=receipt.is_final,
        test=words.gettext("Test payment: no real money.") if receipt.is_test else "",
        facts=_facts(receipt, words),
        lines=tuple(_line(item, words) for item in receipt.lines),
        sums=_sums(receipt, words),
        parts=(
            *(_paid(part, words) for part in receipt.paid),
            *(_given_back(one, words) for one in receipt.given_back),
        ),
        contact=_contact(receipt, words),
        proof=f"{url}.json",
    )


def _state(receipt: Receipt) -> str:
    if receipt.is_final:
        came_back = receipt.given_back or any(part.returned for part in receipt.paid)
        return GIVEN_BACK if came_back else COMPLETE
    is_late = receipt.session.state is SessionState.SETTLEMENT_PENDING
    return DELAYED if is_late else NOT_FINAL


def _facts(receipt: Receipt, words: Words) -> tuple[Row, ...]:
    session = receipt.session
    rows = [
        Row(words.gettext("Number"), session.receipt_id or session.session_id, is_code=True),
    ]
    if session.paid_at is not None:
        rows.append(Row(words.gettext("Paid"), words.moment(session.paid_at)))
    if session.completed_at is not None:
        rows.append(Row(words.gettext("Completed"), words.moment(session.completed_at)))
    return tuple(rows)


def _line(item: LineItem, words: Words) -> Line:
    name = item.product.name if item.product else words.gettext(UNTITLED)
    if not item.unit_price:
        return Line(name, "", "")
    price = MicroUsd(item.unit_price)
    each = f"{words.number(item.quantity)} × {words.dollars(price)}" if item.quantity > 1 else ""
    return Line(name, each, words.dollars(MicroUsd(price * item.quantity)))


def _sums(receipt: Receipt, words: Words) -> tuple[Row, ...]:
    session = receipt.session
    total = Row(words.gettext("Total"), words.dollars(session.amount))
    if session.fee_model is FeeModel.MERCHANT_PAYS:
        return total, Row(words.gettext("Service fee"), words.gettext("paid by the merchant"))
    return total, Row(words.gettext("Service fee"), words.gettext("paid on top, see below"))


def _paid(part: PaidPart, words: Words) -> Part:
    title = words.gettext("Payment") if part.pays else words.gettext("Further payment")
    rows = [
        Row(words.gettext("You paid"), _amount(part.given, words)),
        Row(words.gettext("Service fee, included"), _amount(part.fee, words)),
        Row(words.gettext("Merchant receives"), _amount(part.merchant, words)),
        Row(words.gettext("Time"), words.moment(part.at)),
        *_place(part.paid, words),
        Row(words.gettext("From"), to_checksum(part.payer), is_code=True),
        Row(words.gettext("To"), to_checksum(part.recipient), is_code=True),
    ]
    if part.delivered is not None:
        rows += _place(part.delivered, words)
    if part.returned is not None:
        rows.append(Row(words.gettext("Returned to you"), _amount(part.returned, words)))
    if not part.is_final:
        rows.append(Row(words.gettext("Status"), words.gettext("Not final yet")))
    return Part(title, tuple(rows))


def _given_back(one: GivenBack, words: Words) -> Part:
    state = words.gettext("Final") if one.is_final else words.gettext("Not final yet")
    rows = (
        Row(words.gettext("Returned to you"), _amount(one.amount, words)),
        *_place(one.place, words),
        Row(words.gettext("To"), to_checksum(one.receiver), is_code=True),
        Row(words.gettext("Status"), state),
    )
    return Part(words.gettext("Refund"), rows)


def _amount(amount: Amount, words: Words) -> str:
    return words.token(amount.money, amount.symbol)


def _place(place: Place, words: Words) -> tuple[Row, Row]:
    tx_hash = f"0x{place.tx_hash.hex()}"
    return (
        Row(words.gettext("Network"), place.network),
        Row(words.gettext("Transaction"), tx_hash, place.url, is_code=True),
    )


def _contact(receipt: Receipt, words: Words) -> tuple[Row, ...]:
    merchant = receipt.merchant
    rows = []
    if merchant.support_email and merchant.support_mailto:
        rows.append(Row(words.gettext("E-mail"), merchant.support_email, merchant.support_mailto))
    if merchant.support_url:
        rows.append(Row(words.gettext("Help"), merchant.support_url, merchant.support_url))
    if merchant.terms_url:
        rows.append(Row(words.gettext("Terms and returns"), merchant.terms_url, merchant.terms_url))
    return tuple(rows)
