"""Addresses that letters can be sent to."""

from __future__ import annotations

import pytest

from gstable_server.kernel.email import email_from_text, email_problem
from gstable_server.kernel.errors import Refused


@pytest.mark.parametrize(
    "text",
    ["anna@shop.example", "o'brien+50%@a.b.example", "x@1.example", f"{'a' * 64}@shop.example"],
)
def test_an_address_is_one(text: str) -> None:
    assert email_problem(text) is None
    assert email_from_text(f" {text.upper()} ") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "anna@shop",
        "@shop.example",
        f"{'a' * 65}@shop.example",
        f"a@{'b' * 250}.example",
        "a@shop.example@shop.example",
        ".anna@shop.example",
        "anna.@shop.example",
        "an..na@shop.example",
        "hëlp@shop.example",
        "<anna>@shop.example",
        "=?utf-8?q?a?=@shop.example",
        "anna@shop.example\r\nBcc: all@shop.example",
        "anna\x00@shop.example",
        "anna@shop_.example",
        "anna@shop..example",
    ],
)
def test_what_would_spoil_a_letter_is_none(text: str) -> None:
    assert email_problem(text) == "must be an e-mail address"
    with pytest.raises(Refused, match="supportEmail must be an e-mail address"):
        email_from_text(text, "supportEmail")
