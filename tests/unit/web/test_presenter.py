"""Amounts as payers type them, and what each page shows of the order."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from gstable_server.catalog.model import ItemType, LineItem, ProductSnapshot
from gstable_server.kernel.ids import LineItemId
from gstable_server.kernel.money import usd_text
from gstable_server.web.checkout.amounts import AmountError, parse_usd
from gstable_server.web.checkout.link_page import LinkForm
from gstable_server.web.checkout.presenter import line_view, wallet_apps
from gstable_server.web.language import ENGLISH, Languages

WORDS = Languages.load().words(ENGLISH)


@pytest.mark.parametrize(
    ("text", "micro_usd"),
    [
        ("5", 5_000_000),
        ("12.50", 12_500_000),
        ("0.01", 10_000),
        (" $7.3 ", 7_300_000),
        ("0.000001", 1),
        ("007", 7_000_000),
        ("999999999.999999", 999_999_999_999_999),
        ("0.1", 100_000),
        # As phones of other languages offer it: no point, other figures, wide letters.
        ("12,50", 12_500_000),
        ("1,5", 1_500_000),
        ("٣٫٥", 3_500_000),
        ("१२.५०", 12_500_000),
        ("１２．５０", 12_500_000),
    ],
)
def test_dollars_become_micro_usd_exactly(text: str, micro_usd: int) -> None:
    assert parse_usd(text) == micro_usd
    assert parse_usd(usd_text(parse_usd(text))) == micro_usd


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "5.", ".5", "-1", "+1", "1e3", "1,500", "1,000.00", "0x10", "1_000", "²",
        "1.000,50", "1,5,5", ",5", "½",
        "NaN", "inf", "1.0000001", "1234567890", "0", "0.00", "5 5", "5\n.1", "USD 5",
    ],
)  # fmt: skip
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(AmountError):
        parse_usd(text)


def item(**fields: object) -> LineItem:
    values: dict[str, object] = {
        "line_item_id": LineItemId("li_1"),
        "item_type": ItemType.ONE_TIME,
        "product_id": None,
        "quantity": 3,
        "unit_price": 2_500_000,
    }
    return LineItem(**{**values, **fields})  # type: ignore[arg-type]


def test_a_line_shows_its_sum_and_only_our_own_pictures() -> None:
    shown = ProductSnapshot("Mug", None, "/images/img_1", ())
    assert line_view(item(product=shown), WORDS).total == 7_500_000
    assert line_view(item(product=shown), WORDS).image == "/images/img_1"
    elsewhere = ProductSnapshot("Mug", None, "https://cdn.example.com/mug.png", ())
    assert line_view(item(product=elsewhere), WORDS).image is None
    open_price = line_view(item(unit_price=None, product=shown), WORDS)
    assert (open_price.unit_price, open_price.total) == (None, None)


def test_the_picked_amount_counts_unless_other_is_picked() -> None:
    assert LinkForm(pick="5.00", amount="9").wanted == 5_000_000
    assert LinkForm(pick="other", amount="9").wanted == 9_000_000
    assert LinkForm(amount="9").wanted == 9_000_000


def test_links_into_wallet_apps_open_this_very_page_there() -> None:
    """By the forms that the makers document; each app unpacks the address once."""
    url = "https://pay.example.com/pay/sess_Q7?lang=ar"
    apps = {app.name: urlsplit(app.url) for app in wallet_apps(url)}
    assert {name: f"{app.scheme}://{app.netloc}{app.path}" for name, app in apps.items()} == {
        "MetaMask": "https://link.metamask.io/dapp/pay.example.com/pay/sess_Q7",
        "Coinbase Wallet": "https://go.cb-w.com/dapp",
        "Trust Wallet": "https://link.trustwallet.com/open_url",
        "OKX Wallet": "https://web3.okx.com/download",
    }
    assert apps["MetaMask"].query == "lang=ar"
    assert parse_qs(apps["Coinbase Wallet"].query) == {"cb_url": [url]}
    assert parse_qs(apps["Trust Wallet"].query) == {"coin_id": ["60"], "url": [url]}
    [deeplink] = parse_qs(apps["OKX Wallet"].query)["deeplink"]
    assert deeplink.startswith("okx://wallet/dapp/url?")
    assert parse_qs(urlsplit(deeplink).query) == {"dappUrl": [url]}
