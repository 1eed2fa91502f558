"""Which addresses and URLs merchants may point us at."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.plumbing.destinations import address_problem, destination_problem

INWARD = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::5"]


@pytest.mark.parametrize("address", INWARD)
def test_whk_01_no_connection_to_an_inward_address(address: str) -> None:
    assert address_problem(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert address_problem(address) is None


@given(st.integers(0, 2**32 - 1))
def test_whk_01_agrees_with_the_standard_library_on_ipv4(number: int) -> None:
    """Whatever `ipaddress` holds for private, we refuse; never the other way by accident."""
    address = IPv4Address(number)
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert address_problem(str(address))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::ffff:0:0", "64:ff9b::", "2002::"]))
def test_whk_01_no_ipv4_address_in_disguise(number: int, disguise: str) -> None:
    shift = 80 if disguise == "2002::" else 0
    assert address_problem(str(IPv6Address(int(IPv6Address(disguise)) | number << shift)))


def test_loopback_only_where_asked_for() -> None:
    assert address_problem("127.0.0.1", allow_loopback=True) is None
    assert address_problem("::1", allow_loopback=True) is None
    assert address_problem("10.0.0.1", allow_loopback=True)
    assert address_problem("169.254.169.254", allow_loopback=True)


@pytest.mark.parametrize(
    "host",
    [
        *(address for address in INWARD if ":" not in address),
        *(f"[{address}]" for address in INWARD if ":" in address and "%" not in address),
        "[fe80::1%25eth0]",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "0x7f000001",
        "127.1",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "localhost",
        "localhost.",
        "api.localhost",
        "intranet",
        "%31%32%37.0.0.1",
        "a%2eb.example",
        "1.2.3.4.5",
        "999.1.1.1",
    ],
)
def test_whk_01_inward_hosts_are_refused_at_registration(host: str) -> None:
    assert destination_problem(f"https://{host}/hook")


@pytest.mark.parametrize(
    "url",
    [
        *(f"https://shop.example:{port}/" for port in (22, 25, 80, 3306, 5432, 6379, 8080, 65535)),
        "http://shop.example/",
        "http://shop.example:443/",
        "gopher://shop.example/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "//shop.example/",
        "https://user:secret@shop.example/",
        "https://shop.example@127.0.0.1/",
        "https://shop.example/#fragment",
        "https://shop.example/#",
        "https://shop.example/" + "a" * 8000,
        "https://shop.example/\r\nx: y",
        "https://shop.example\\@127.0.0.1/",
        "https://",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://[::1/",
        "",
    ],
)
def test_whk_05_other_schemes_ports_and_dressed_up_urls_are_refused(url: str) -> None:
    assert destination_problem(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook?order=1",
        "https://shop.example:443/",
        "https://shop.example:8443/hook",
        "https://xn--bcher-kva.example/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://3com.example/",
    ],
)
def test_public_https_is_allowed(url: str) -> None:
    assert destination_problem(url) is None


def test_loopback_urls_only_where_asked_for() -> None:
    for url in ("http://127.0.0.1:9000/x", "http://localhost:9000/", "https://[::1]:1234/"):
        assert destination_problem(url)
        assert destination_problem(url, allow_loopback=True) is None
    assert destination_problem("http://10.0.0.1/", allow_loopback=True)
    assert destination_problem("http://shop.example/", allow_loopback=True)
