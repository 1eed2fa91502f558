"""Where a request comes from, behind proxies and without them."""

from __future__ import annotations

import pytest

from gstable_server.plumbing.client_address import (
    NO_PROXIES,
    TrustedProxies,
    client_address,
    proxies_of,
)
from gstable_server.plumbing.config import SettingsInvalid, load_settings

PROXIES = TrustedProxies.from_text("10.0.0.0/8, 192.0.2.1\t2001:db8:1::/48")
PEER = "10.0.0.1"
NEEDED = {
    "DATABASE_URL": "postgresql:///none",
    "GSTABLE_ORDER_SIGNING_KEY": "11" * 32,
    "GSTABLE_FEE_RECEIVER": "0x" + "12" * 20,
}


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("203.0.113.9, 192.0.2.1, 10.0.0.2, 2001:db8:1::5", "203.0.113.9"),
        # What a stranger claims stands before the stranger's own address.
        ("198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("<script>, 203.0.113.9", "203.0.113.9"),
        (",,, 203.0.113.9", "203.0.113.9"),
        # The one who is farthest away, where all are proxies: a request of the first of them.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("2001:db8:2::9", "2001:db8:2::9"),
        ("2001:DB8:2:0::9", "2001:db8:2::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.2:80", "203.0.113.9"),
        ("[2001:db8:2::9]:443", "2001:db8:2::9"),
        ("[2001:db8:2::9]", "2001:db8:2::9"),
    ],
)
def test_the_last_stranger_is_the_client(forwarded: str, expected: str) -> None:
    assert PROXIES.client_of(PEER, [forwarded.encode()]) == expected


@pytest.mark.parametrize(
    "forwarded",
    [
        "",
        ",",
        "unknown",
        "203.0.113.9,",
        "203.0.113.9, garbage",
        "203.0.113.9, garbage, 10.0.0.2",
        "203.0.113.999",
        "203.0.113.9/32",
        "203.0.113.9:port",
        "203.0.113.9:",
        "[203.0.113.9",
        "[2001:db8:2::9]443",
        "[2001:db8:2::9]:",
        "2001:db8:2::9]:443",
        "fe80::1%eth0",
        "3405803785",
        "0xcb007109",
        "\xff\xfe",
        "for=203.0.113.9",
    ],
)
def test_what_cannot_be_read_is_not_guessed(forwarded: str) -> None:
    assert PROXIES.client_of(PEER, [forwarded.encode("latin-1")]) == PEER


def test_several_headers_are_one_in_their_order() -> None:
    lines = [b"198.51.100.7", b"203.0.113.9", b"10.0.0.2"]
    assert PROXIES.client_of(PEER, lines) == "203.0.113.9"
    assert PROXIES.client_of(PEER, []) == PEER


@pytest.mark.parametrize("peer", ["203.0.113.50", "192.0.2.2", "2001:db8:2::1", "", "testclient"])
def test_a_peer_that_is_no_proxy_of_ours_speaks_for_nobody(peer: str) -> None:
    assert PROXIES.client_of(peer, [b"203.0.113.9"]) == peer
    assert NO_PROXIES.client_of(peer, [b"203.0.113.9"]) == peer


@pytest.mark.parametrize("peer", ["192.0.2.1", "::ffff:10.9.9.9", "2001:db8:1::77"])
def test_each_proxy_is_known_by_its_address(peer: str) -> None:
    assert PROXIES.client_of(peer, [b"203.0.113.9"]) == "203.0.113.9"
    assert NO_PROXIES.client_of(peer, [b"203.0.113.9"]) == peer


def test_the_setting_is_read_strictly() -> None:
    assert TrustedProxies.from_text("") == TrustedProxies.from_text(" , ") == NO_PROXIES
    for text in (
        *("proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "0.0.0.0/0", "::/0"),
        *("::ffff:10.0.0.1", "::ffff:10.0.0.0/104"),
    ):
        with pytest.raises(ValueError, match="must"):
            TrustedProxies.from_text(text)


def test_the_setting_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in NEEDED.items():
        monkeypatch.setenv(name, text)
    assert proxies_of(load_settings()) == NO_PROXIES
    monkeypatch.setenv("GSTABLE_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1 2001:db8:1::/48")
    assert proxies_of(load_settings()) == PROXIES
    monkeypatch.setenv("GSTABLE_TRUSTED_PROXIES", "10.0.0.0/8,caddy")
    with pytest.raises(SettingsInvalid, match="GSTABLE_TRUSTED_PROXIES: must be IP addresses"):
        proxies_of(load_settings())


def test_a_scope_without_a_client_has_no_address() -> None:
    assert client_address({"client": None}) == client_address({}) == ""
    assert client_address({"client": ("203.0.113.9", 4711)}) == "203.0.113.9"
