"""networks.toml: read back as written, and refused with the field's name when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.networks import (
    ConfigurationError,
    Networks,
    load_networks,
    parse_networks,
)
from gstable_server.chain.networks_toml import networks_toml
from gstable_server.chain.testing import fake_network
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.tenant import Mode

GOOD = """
[[network]]
name = "polygon"
title = "Polygon"
mode = "test"
chain_id = 1337137
route_group = "POL"
rpc_urls = ["http://127.0.0.1:8545"]
router = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
confirmations = 3
start_block = 0
native_symbol = "POL"

[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
decimals = 6
"""
HASH = "0x" + "ab" * 32


def test_good_file_gives_networks_and_tokens() -> None:
    networks = parse_networks(GOOD)
    [network] = networks.of(Mode.TEST)
    assert networks.of(Mode.LIVE) == ()
    assert networks.network("polygon") is network
    [token] = network.tokens
    assert token.token_id == "polygon::usdc"
    assert token.asset.decimals == 6
    assert networks.require_token("polygon::usdc", Mode.TEST) is token
    assert networks.find_token("polygon::usdc", Mode.LIVE) is None
    assert networks.token_at("polygon", token.address) is token
    assert networks.token_at("polygon", network.router) is None


def test_token_that_is_not_listed_is_refused_with_its_code() -> None:
    with pytest.raises(Refused) as refusal:
        parse_networks(GOOD).require_token("polygon::dai", Mode.TEST)
    assert refusal.value.code is Code.CURRENCY_UNSUPPORTED
    assert "polygon::dai" in refusal.value.detail


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('name = "polygon"', 'name = "Poly gon"', "network[0].name"),
        ('title = "Polygon"', 'title = " "', "network[0].title"),
        ('mode = "test"', 'mode = "staging"', "network[0].mode"),
        ("chain_id = 1337137", "chain_id = 0", "network[0].chain_id"),
        ("chain_id = 1337137", 'chain_id = "1"', "network[0].chain_id"),
        ('route_group = "POL"', 'route_group = "pol"', "network[0].route_group"),
        ('["http://127.0.0.1:8545"]', '["ws://127.0.0.1"]', "network[0].rpc_urls[0]"),
        ('["http://127.0.0.1:8545"]', "[]", "rpc_urls"),
        ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "5aAeb", "network[0].router"),
        ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
         "network[0].router has a wrong checksum"),
        ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0" * 40, "zero address"),
        ("confirmations = 3", "confirmations = 0", "network[0].confirmations"),
        ("confirmations = 3", "confirmations = 3\ncolour = 1", "colour"),
        ("start_block = 0", "start_block = -1", "network[0].start_block"),
        ('native_symbol = "POL"', "", "native_symbol"),
        ('symbol = "USDC"', 'symbol = "U$"', "network[0].token[0].symbol"),
        ("decimals = 6", "decimals = 99", "network[0].token[0].decimals"),
        ("decimals = 6", 'decimals = 6\ncode_hash = "0x12"', "network[0].token[0].code_hash"),
        ("fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
         "differ in address"),
        ("[[network]]", "[[network", "not TOML"),
        ('mode = "test"', 'mode = "live"', "code_hash is required on a live network"),
    ],
)  # fmt: skip
def test_chn_24_what_cannot_be_is_refused_naming_the_field(old: str, new: str, named: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as refusal:
        parse_networks(GOOD.replace(old, new))
    assert named in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("1337137", "1337138", "differ in name"),
        ('name = "polygon"', 'name = "base"', "differ in chain_id"),
    ],
)
def test_networks_must_differ(old: str, new: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        parse_networks(GOOD + GOOD.replace(old, new))


def test_two_tokens_of_one_symbol_are_refused() -> None:
    section = GOOD[GOOD.index("[[network.token]]") :]
    with pytest.raises(ConfigurationError, match="differ in symbol"):
        parse_networks(GOOD + section.replace("USDC", "usdc"))


def test_file_that_is_missing_or_empty_is_refused_with_its_path(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path / "empty.toml"):
        (tmp_path / "empty.toml").write_text("")
        with pytest.raises(ConfigurationError, match=path.name):
            load_networks(path)


def test_written_networks_are_read_back_alike() -> None:
    networks = Networks((fake_network(), *parse_networks(GOOD).all))
    assert parse_networks(networks_toml(networks)).all == networks.all


def test_live_network_with_code_hashes_is_accepted() -> None:
    text = GOOD.replace('mode = "test"', f'mode = "live"\nrouter_code_hash = "{HASH}"')
    network = parse_networks(text + f'code_hash = "{HASH}"\n').network("polygon")
    assert network.mode is Mode.LIVE
    assert network.router_code_hash == bytes.fromhex("ab" * 32)


def test_address_in_one_case_carries_no_checksum_and_is_taken() -> None:
    text = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    network = parse_networks(GOOD.replace(text, text.lower())).network("polygon")
    assert network.router == address_from_text(text)


def test_example_of_the_guide_is_a_good_file(repository: Path) -> None:
    guide = (repository / "docs/guide/networks.md").read_text(encoding="utf-8")
    [local, real] = [part.split("```")[0] for part in guide.split("```toml\n")[1:]]
    assert parse_networks(local).of(Mode.TEST)
    # The real addresses are for the operator to fill in, so the example is refused until then.
    with pytest.raises(ConfigurationError, match="must be 0x"):
        parse_networks(real)
    filled = real.replace("0x…router…", "0x" + "11" * 20).replace("0x…hash…", HASH)
    assert {network.chain_id for network in parse_networks(filled).of(Mode.LIVE)} == {137, 8453}
