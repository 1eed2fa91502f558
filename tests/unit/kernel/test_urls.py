"""Origins that merchants type: what may frame the payer's pages (CHK-02)."""

from __future__ import annotations

import pytest

from gstable_server.kernel.urls import parse_origin


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        (" https://SHOP.example/ ", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_chk_02_an_origin_is_kept_as_browsers_write_it(typed: str, origin: str) -> None:
    assert parse_origin(typed) == origin


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "*",
        "https://*.example",
        "https:",
        "shop.example",
        "http://shop.example",
        "https://shop.example/cart",
        "https://shop.example?x",
        "https://me@shop.example",
        "https://shop.example;script-src",
        "https://shop.example 'self'",
        "https://shop.example,https://other.example",
        "https://a'b.example",
        "data:text/html,x",
        "https://shop.example:0",
        "https://shop.example.",
        "https://shop..example",
        "https://-shop.example",
        "https://1.2.3.4.5",
        "https://0x7f.1",
        "https://127.1",
        "https://[::00001]",
    ],
)
def test_chk_02_nothing_else_is_an_origin(typed: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_origin(typed)
