"""Which amounts can be paid: what is offered must be what the router accepts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gstable_server.chain.facts import RailName
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode
from gstable_server.routing import operations as routing
from gstable_server.routing.model import FeeModel, Market, RouteOption, Schedule, Way
from gstable_server.routing.ways import ways
from tests.unit.routing.market import CHAINS, every_network, market, network, without_rails

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEN_DOLLARS = MicroUsd(10_000_000)
TOKENS = [f"{name}::{symbol}" for name, (_, _, symbols) in CHAINS.items() for symbol in symbols]


def options(
    here: Market, settlement: str, amount: int, model: FeeModel = FeeModel.MERCHANT_PAYS
) -> tuple[RouteOption, ...]:
    token = here.networks.require_token(settlement, Mode.TEST)
    return routing.options(here, token, MicroUsd(amount), model, NOW)


@pytest.mark.parametrize("model", FeeModel)
@pytest.mark.parametrize("decimals", [0, 2, 6, 18])
def test_every_option_is_one_that_the_router_accepts(decimals: int, model: FeeModel) -> None:
    # contracts/src/PaymentRouter.sol: no payment without the merchant's share, and at most 1 % of
    # the whole, rounded up, as the fee.
    here = market({"usdc": decimals})
    offered = 0
    for amount in (10_000, 12_345, 20_010, 505_050, 999_999, 1_000_001, 2_000_001, 123_456_789):
        for option in options(here, "polygon::usdc", amount, model):
            offered += 1
            total, fee = option.quote.payer_pays.atomic, option.quote.fee.atomic
            assert option.quote.merchant_receives.atomic > 0
            assert fee * 1_000_000 <= total * 10_000 + 999_999
            assert option.quote.amount.atomic + fee == total
    assert offered


def test_an_amount_finer_than_the_token_is_refused_by_name() -> None:
    here = without_rails(every_network({"usdc": 2}))
    token = here.networks.require_token("polygon::usdc", Mode.TEST)
    with pytest.raises(Refused) as refusal:
        routing.require_payable(here, token, MicroUsd(20_010), FeeModel.MERCHANT_PAYS, NOW)
    assert refusal.value.code is Code.VALUE_OUT_OF_RANGE
    assert "2 decimals" in refusal.value.detail


@pytest.mark.parametrize("settlement", TOKENS)
def test_every_token_pays_for_every_token_the_nearest_first(settlement: str) -> None:
    found = options(market(), settlement, TEN_DOLLARS)
    assert sorted(option.token.token_id for option in found) == sorted(TOKENS)
    assert found[0].token.token_id == settlement
    network_name, _, symbol = settlement.partition("::")
    for option in found:
        same_network = option.network.name == network_name
        expected: tuple[RailName | None, int, bool]
        if option.token.token_id == settlement:
            expected = (None, 2000, False)
        elif same_network:
            expected = (RailName.SWAP, 3000, False)
        elif symbol == "usdc" and option.token.symbol == "USDC":
            expected = (RailName.CCTP, 6000, True)
        else:
            expected = (RailName.ESCROW, 6000, True)
        assert (option.rail, option.fee_ppm, option.crosschain) == expected
    assert [option.fee_ppm for option in found] == sorted(option.fee_ppm for option in found)


@pytest.mark.parametrize(
    ("amount", "offered"),
    [
        (9_999, {}),
        (10_000, {2000, 3000}),
        (999_999, {2000, 3000}),
        (1_000_000, {2000, 3000, 6000}),
        (10**11, {2000, 3000, 6000}),
        (10**11 + 1, {2000, 3000}),
        (10**12, {2000, 3000}),
        (10**12 + 1, {}),
    ],
)
def test_the_limits_are_those_of_the_path(amount: int, offered: set[int]) -> None:
    found = options(market(), "polygon::usdc", amount)
    assert {option.fee_ppm for option in found} == set(offered)


def test_a_rail_that_is_not_there_serves_nobody() -> None:
    for settlement in TOKENS:
        found = options(without_rails(every_network()), settlement, TEN_DOLLARS)
        assert [option.token.token_id for option in found] == [settlement]


def test_a_rails_cost_comes_out_of_the_fee() -> None:
    # 0.6 % of 10.00 is 0.06; the solver of the escrow gets 0.1 % of what the merchant gets.
    found = options(market(), "polygon::usdt", TEN_DOLLARS)
    by_token = {option.token.token_id: option.quote for option in found}
    quoted = by_token["base::usdc"]
    assert quoted.payer_pays.atomic == 10_000_000
    assert quoted.merchant_receives.atomic == 9_940_000
    assert quoted.amount.atomic == 9_949_940
    assert quoted.fee.atomic == 50_060


def test_a_rail_that_costs_more_than_the_fee_is_not_offered() -> None:
    cheap = market(schedule=Schedule(same_chain_ppm=500))
    found = options(cheap, "polygon::usdc", TEN_DOLLARS)
    assert "polygon::usdt" not in {option.token.token_id for option in found}


def test_a_price_expires() -> None:
    found = options(market(schedule=Schedule(quote_seconds=60)), "base::usdc", TEN_DOLLARS)
    assert {option.expires_at for option in found} == {NOW + timedelta(seconds=60)}


def test_the_matrix_shows_exactly_what_is_offered() -> None:
    here = market()
    matrix = routing.capabilities(here, Mode.TEST)
    assert [row["tokenId"] for row in matrix["supportedTokens"]] == TOKENS
    assert matrix["supportedTokens"][0] == {
        "tokenId": "ethereum::usdt",
        "symbol": "USDT",
        "chainId": "1331001",
        "decimals": 6,
    }
    assert set(matrix["paymentCapabilities"]) == set(TOKENS)
    for settlement, groups in matrix["paymentCapabilities"].items():
        assert set(groups) == {"ETH", "BASE", "ARB", "POL"}
        shown = {row["tokenId"]: row for rows in groups.values() for row in rows}
        for option in options(here, settlement, TEN_DOLLARS):
            row = shown.pop(option.token.token_id)
            assert row["crosschain"] is option.crosschain
            assert row["feeRatePPM"] == option.fee_ppm
            assert (row["minPaymentValue"], row["maxPaymentValue"]) == (
                (1_000_000, 10**11) if option.crosschain else (10_000, 10**12)
            )
        assert shown == {}
    assert routing.capabilities(here, Mode.LIVE) == {
        "supportedTokens": [],
        "paymentCapabilities": {},
    }


def test_ways_are_those_that_token_network_and_server_have() -> None:
    polygon = network("polygon", 3)
    usdt, usdc = polygon.tokens
    assert ways(polygon, usdc, relays=True) == (
        Way.ERC3009,
        Way.PERMIT2,
        Way.PERMIT,
        Way.APPROVE,
    )
    assert ways(polygon, usdc, relays=False) == (Way.PERMIT, Way.APPROVE)
    assert ways(polygon, usdt, relays=True) == (Way.PERMIT2, Way.APPROVE)
    assert ways(polygon, usdt, relays=False) == (Way.APPROVE,)
    bare = without_rails(every_network()).networks.network("polygon")
    assert ways(bare, bare.tokens[1], relays=True) == (Way.ERC3009, Way.PERMIT2, Way.APPROVE)
    alone = replace(bare, permit2=None)
    assert ways(alone, bare.tokens[1], relays=True) == (Way.ERC3009, Way.APPROVE)
    assert ways(alone, bare.tokens[0], relays=True) == (Way.APPROVE,)


def test_the_reference_says_what_the_schedule_and_the_rails_say() -> None:
    text = (Path(__file__).parents[3] / "docs/reference/capabilities.md").read_text()
    schedule = Schedule()
    same_chain = f"{schedule.same_chain_minimum} | {schedule.same_chain_maximum} |"
    crosschain = f"{schedule.crosschain_minimum} | {schedule.crosschain_maximum} |"
    for path in (
        f"| {schedule.same_token_ppm} | {same_chain} a transfer |",
        f"| {schedule.same_chain_ppm} | {same_chain} `swap` |",
        f"| {schedule.crosschain_ppm} | {crosschain} `cctp`",
        f"stands for {schedule.quote_seconds} seconds",
    ):
        assert path in text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| **")]
    columns = next(line for line in text.splitlines() if line.startswith("| pays")).strip("| ")
    settlements = ["::".join(name.split()) for name in columns.split(" | ")[1:]]
    shown = {
        (row[0].strip("*`"), settlement): cell
        for row in rows
        for settlement, cell in zip(settlements, row[1:], strict=True)
    }
    here = market()
    found = {
        (option.token.token_id, settlement): option.rail.value if option.rail else "direct"
        for settlement in TOKENS
        for option in options(here, settlement, TEN_DOLLARS)
    }
    assert shown == found
