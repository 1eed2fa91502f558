"""networks.toml: read back as written, and refused with the field's name when it cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.networks import (
    X402,
    Cctp,
    Contract,
    Finality,
    Gas,
    HeaderHash,
    Networks,
    TokenSigning,
    Trust,
)
from gstable_server.chain.networks_toml import load_networks, networks_toml, parse_networks
from gstable_server.chain.testing import fake_network
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import MicroUsd
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
CONTRACTS = """
permit2 = "0x0000000000000000000000000000000000000201"
swap_pool_fee = 100

[network.contracts]
permit_collector = "0x0000000000000000000000000000000000000102"
deposit_collector = "0x0000000000000000000000000000000000000104"
swap_rail = "0x0000000000000000000000000000000000000105"
cctp_rail = "0x0000000000000000000000000000000000000106"
escrow_rail = "0x0000000000000000000000000000000000000107"
hold_rail = "0x0000000000000000000000000000000000000108"

[network.cctp]
domain = 7
token_messenger = "0x0000000000000000000000000000000000000202"
message_transmitter = "0x0000000000000000000000000000000000000203"
attestation_url = "https://iris.example.com/"
finality_threshold = 1000
max_fee_ppm = 200

[network.gas]
price_max = 500000000000
tip = 30000000000
funds_min = 5000000000000000000

[network.x402]
permit2_proxy = "0x0000000000000000000000000000000000000204"
amount_min = 50000
"""
SIGNING = """
[network.token.signing]
name = "USD Coin"
version = "2"
erc3009 = true
permit = true
"""
FULL = GOOD.replace("\n[[network.token]]", CONTRACTS + "\n[[network.token]]") + SIGNING
OTHER = (
    FULL.replace('"polygon"', '"base"')
    .replace("1337137", "1338453")
    .replace('"POL"', '"BASE"')
    .replace("domain = 7", "domain = 6")
)


def numbered(number: int) -> Address:
    return Address(number.to_bytes(20, "big"))


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


def test_contracts_rails_and_what_holders_may_sign_are_read() -> None:
    [network] = parse_networks(FULL).all
    assert len(network.contracts.configured) == 6
    assert list(network.contracts.collectors) == ["permit_collector", "deposit_collector"]
    assert list(network.contracts.rails) == ["swap_rail", "cctp_rail", "escrow_rail", "hold_rail"]
    assert network.contracts.hold_rail == Contract(numbered(0x108), None)
    assert network.cctp == Cctp(
        domain=7,
        token_messenger=numbered(0x202),
        message_transmitter=numbered(0x203),
        attestation_url="https://iris.example.com",
        finality_threshold=1000,
        max_fee_ppm=200,
    )
    assert network.gas == Gas(500 * 10**9, 30 * 10**9, 5 * 10**18)
    assert network.x402 == X402(permit2_proxy=numbered(0x204), amount_min=50_000)
    assert (network.permit2, network.swap_pool_fee) == (numbered(0x201), 100)
    assert network.tokens[0].signing == TokenSigning("USD Coin", "2", erc3009=True, permit=True)


def test_what_is_not_configured_is_not_there() -> None:
    networks = parse_networks(GOOD)
    [network] = networks.all
    assert network.contracts.configured == {}
    assert (network.cctp, network.permit2, network.swap_pool_fee) == (None, None, 0)
    assert network.x402 == X402()
    assert network.tokens[0].signing is None
    assert networks.at_chain(1337137) is network
    assert networks.at_chain(1337138) is None


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("0000000102", "00000002", "network[0].contracts.permit_collector"),
        ("0000000102", "0000000104", "differ in address"),
        ("0000000105", "0000000203", "differ in address"),
        ("permit_collector =", "erc3010_collector =", "erc3010_collector"),
        ("00000201", "201", "network[0].permit2 must be"),
        ("swap_pool_fee = 100", "",
         "network[0].swap_pool_fee is required with contracts.swap_rail"),
        ('swap_rail = "0x0000000000000000000000000000000000000105"', "",
         "network[0].contracts.swap_rail is required with swap_pool_fee"),
        ("swap_pool_fee = 100", "swap_pool_fee = 1000000", "network[0].swap_pool_fee"),
        ("domain = 7", "domain = -1", "network[0].cctp.domain"),
        ("domain = 7", "", "domain"),
        ("00000202", "00202", "network[0].cctp.token_messenger"),
        ("00000203", "00203", "network[0].cctp.message_transmitter"),
        ("https://iris", "iris", "network[0].cctp.attestation_url"),
        ("finality_threshold = 1000", "finality_threshold = 2001",
         "network[0].cctp.finality_threshold"),
        ("max_fee_ppm = 200", "max_fee_ppm = 10001", "network[0].cctp.max_fee_ppm"),
        ("price_max = 500000000000", "price_max = 0", "network[0].gas.price_max"),
        ("tip = 30000000000", "tip = 500000000001", "network[0].gas.tip"),
        ("funds_min = 5", "funds_min = -5", "network[0].gas.funds_min"),
        ("00000204", "204", "network[0].x402.permit2_proxy must be"),
        ("00000204", "00000201", "differ in address"),
        ("amount_min = 50000", "amount_min = -1", "network[0].x402.amount_min"),
        ('permit2 = "0x0000000000000000000000000000000000000201"', "",
         "network[0].permit2 is required with x402.permit2_proxy"),
        ("erc3009 = true\npermit = true", "",
         "network[0].token[0].signing must set erc3009 or permit"),
        ('version = "2"', 'version = ""', "network[0].token[0].signing.version"),
        ('name = "USD Coin"\nversion', 'name = ""\nversion', "network[0].token[0].signing.name"),
        ("permit = true", "permit = 1", "permit"),
        ("[network.cctp]", f"[network.contracts.code_hash]\nhold_rail = '{HASH}1'\n[network.cctp]",
         "network[0].contracts.code_hash.hold_rail"),
    ],
)  # fmt: skip
def test_field_of_a_contract_that_cannot_be_is_named(old: str, new: str, named: str) -> None:
    assert old in FULL
    with pytest.raises(ConfigurationError) as refusal:
        parse_networks(FULL.replace(old, new, 1))
    assert named in str(refusal.value)


def test_code_hash_of_a_contract_that_is_not_configured_is_refused() -> None:
    section = f'[network.contracts.code_hash]\nhold_rail = "{HASH}"\n\n[[network.token]]'
    with pytest.raises(ConfigurationError, match=r"contracts\.hold_rail is required"):
        parse_networks(GOOD.replace("[[network.token]]", section))


def with_code_hashes() -> str:
    """A live network on which everything is pinned."""
    names = [
        line.split(" = ")[0]
        for line in CONTRACTS.splitlines()
        if line.split(" = ")[0].endswith(("_collector", "_rail"))
    ]
    pinned = "".join(f'{name} = "{HASH}"\n' for name in names)
    text = FULL.replace('mode = "test"', f'mode = "live"\nrouter_code_hash = "{HASH}"')
    text = text.replace("decimals = 6", f'decimals = 6\ncode_hash = "{HASH}"')
    text = text.replace("swap_pool_fee", f'permit2_code_hash = "{HASH}"\nswap_pool_fee')
    text = text.replace(
        "domain = 7",
        f'domain = 7\ntoken_messenger_code_hash = "{HASH}"\n'
        f'message_transmitter_code_hash = "{HASH}"',
    )
    text = text.replace("amount_min", f'permit2_proxy_code_hash = "{HASH}"\namount_min')
    return text.replace(
        "[network.cctp]", f"[network.contracts.code_hash]\n{pinned}\n[network.cctp]"
    )


def test_chn_24_live_network_pins_every_contract_that_money_passes() -> None:
    text = with_code_hashes()
    [network] = parse_networks(text).all
    assert network.mode is Mode.LIVE
    assert parse_networks(networks_toml(Networks((network,)))).all == (network,)
    lines = text.splitlines(keepends=True)
    pinned = [at for at, line in enumerate(lines) if HASH in line]
    assert len(pinned) == 12
    for at in pinned:
        with pytest.raises(ConfigurationError, match="is required on a live network"):
            parse_networks("".join(lines[:at] + lines[at + 1 :]))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("domain = 6", "domain = 7", "differ in cctp.domain"),
        ("00000104", "00000304", "contracts.deposit_collector must be the same"),
    ],
)
def test_networks_must_fit_each_other(old: str, new: str, named: str) -> None:
    assert len(parse_networks(FULL + OTHER).all) == 2
    with pytest.raises(ConfigurationError, match=named):
        parse_networks(FULL + OTHER.replace(old, new))


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
    networks = Networks((fake_network(), *parse_networks(FULL + OTHER).all))
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
    names = sorted(set(re.findall("0x…([^…]+)…", real)) - {"hash"})
    filled = real.replace("0x…hash…", HASH)
    for number, name in enumerate(names, start=0x11):
        filled = filled.replace(f"0x…{name}…", "0x" + f"{number:02x}" * 20)
    assert {network.chain_id for network in parse_networks(filled).of(Mode.LIVE)} == {137, 8453}


TRUST = """
rpc_urls = ["http://127.0.0.1:8545", "http://127.0.0.1:8546/key"]
finality = "finalized"
quorum_above_micro_usd = 1000000000
reorg_limit = 300
header_hash = "require"
ws_url = "ws://127.0.0.1:8545"
"""
TRUSTED = GOOD.replace('rpc_urls = ["http://127.0.0.1:8545"]\n', TRUST)


def test_how_far_providers_are_believed_is_read_and_written_back() -> None:
    [network] = parse_networks(TRUSTED).all
    assert network.trust == Trust(
        Finality.FINALIZED, MicroUsd(1_000_000_000), 300, HeaderHash.REQUIRE
    )
    assert network.ws_url == "ws://127.0.0.1:8545"
    assert parse_networks(networks_toml(Networks((network,)))).all == (network,)
    [plain] = parse_networks(GOOD).all
    assert plain.trust == Trust(Finality.DEPTH, None, 4096)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"finalized"', '"latest"', "finality"),
        ('"require"', '"yes"', "header_hash"),
        ("reorg_limit = 300", "reorg_limit = 0", "reorg_limit"),
        ("reorg_limit = 300", "reorg_limit = 4097", "reorg_limit"),
        ("= 1000000000", "= -1", "quorum_above_micro_usd"),
        ("ws://127", "http://127", "ws_url"),
        ("ws://127.0.0.1:8545", "127.0.0.1:8545", "ws_url"),
        (', "http://127.0.0.1:8546/key"', "", "rpc_urls must name two providers"),
        ("8546/key", "8545/key", "rpc_urls must name two providers"),
    ],
)
def test_chn_14_trust_that_cannot_be_is_refused_naming_the_field(
    old: str, new: str, named: str
) -> None:
    assert old in TRUSTED
    with pytest.raises(ConfigurationError, match=re.escape(named)):
        parse_networks(TRUSTED.replace(old, new))
