"""The probe, on real contracts and tokens of a local chain, and through nodes that are odd."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gstable_server.chain import abi
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.deployment import ARTIFACTS, ISSUE, MINT, Actors, fiat_token
from gstable_server.chain.deployment_script import (
    Script,
    carry_out,
    creation_code,
    load_artifact,
)
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.doctor.network import examine
from gstable_server.chain.doctor.report import Accounts, Finding, Outcome
from gstable_server.chain.networks import Contract, Gas, Network, Networks, TokenSigning
from gstable_server.chain.networks_toml import networks_toml
from gstable_server.cli import doctor as command
from gstable_server.kernel.address import Address
from tests.conftest import SOLVER_KEY

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

NOBODY = Address(b"\x77" * 20)
OPERATOR = Address(b"\x58" * 20)
Twist = Callable[[dict[str, Any]], Any]


@pytest.fixture
def polygon(devnet: Devnet) -> Network:
    return devnet.networks.network("polygon")


@pytest.fixture
def accounts(actors: Actors) -> Accounts:
    return Accounts(actors.order_signer, actors.relayer, actors.solver, actors.attestor)


def of(findings: list[Finding], subject: str, check: str) -> Finding:
    [found] = [each for each in findings if (each.subject, each.check) == (subject, check)]
    return found


def failures(findings: list[Finding]) -> list[str]:
    return [f"{each.subject}: {each.check}" for each in findings if each.outcome is Outcome.FAILED]


@asynccontextmanager
async def script_of(devnet: Devnet, network: str) -> AsyncIterator[Script]:
    """Transactions of an operator of our own, carried out at the end of the block."""
    await devnet.set_balance(network, OPERATOR, 10**20)
    async with devnet.rpc(network) as rpc:
        await rpc.ask([("anvil_impersonateAccount", ["0x" + OPERATOR.hex()])])
        script = Script(OPERATOR, await rpc.transaction_count(OPERATOR))
        yield script
        await carry_out(rpc, [script])


def tether(script: Script) -> Address:
    return script.create(
        creation_code(load_artifact(ARTIFACTS / "TetherDouble.json")), abi.number_word(0)
    )


def with_token(network: Network, address: Address, **changes: Any) -> Network:
    """``network`` with one token only."""
    known = network.tokens[-1]
    return replace(network, tokens=(replace(known, address=address, code_hash=None, **changes),))


async def test_networks_as_deployed_have_nothing_wrong(devnet: Devnet, accounts: Accounts) -> None:
    for network in devnet.networks.all:
        await devnet.mine(network.name, 12)
        findings = await examine(network, accounts)
        wrong = [each for each in findings if each.outcome is not Outcome.OK]
        assert wrong == []
    base = devnet.networks.network("base")
    findings = await examine(base, accounts)
    assert of(findings, "base::usdc", "transfer").found == "returns true"
    assert of(findings, "base::usdc", "transferFrom").found == "returns true"
    assert "isBlacklisted" in of(findings, "base::usdc", "blacklist").found
    assert of(findings, "base::usdc", "EIP-3009").found == "answers"
    assert "code_hash does not pin" in of(findings, "base::usdc", "proxy").found
    assert "blocks behind the newest" in of(findings, "base", "finalized").found


async def test_double_of_tether_is_seen_as_what_it_is(polygon: Network, accounts: Accounts) -> None:
    findings = await examine(polygon, accounts)
    assert of(findings, "polygon::usdt", "transfer").found == "returns nothing"
    assert of(findings, "polygon::usdt", "approve").found == "returns nothing"
    assert "is refused" in of(findings, "polygon::usdt", "approve again").found
    assert "isBlackListed" in of(findings, "polygon::usdt", "blacklist").found
    assert "neither EIP-2612 nor EIP-3009" in of(findings, "polygon::usdt", "signing").found


async def test_tokens_are_tried_without_any_account_that_has_some(polygon: Network) -> None:
    """The place of the balances is found in the storage of each of both tokens."""
    findings = await examine(polygon, Accounts())
    for token in polygon.tokens:
        assert of(findings, token.token_id, "transfer fee").outcome is Outcome.OK
    unknown = {each.check for each in findings if each.outcome is Outcome.UNKNOWN}
    assert unknown == {"order signer", "gas funds"}
    assert failures(findings) == []


async def test_chn_24_wrong_chain_ends_the_probe(polygon: Network, accounts: Accounts) -> None:
    findings = await examine(replace(polygon, chain_id=1337138), accounts)
    [finding] = findings
    assert (finding.check, finding.outcome) == ("chain id", Outcome.FAILED)
    assert finding.found == "1337137, configured is 1337138"


async def test_node_that_does_not_answer_is_said_without_its_secret(
    polygon: Network, accounts: Accounts
) -> None:
    urls = (*polygon.rpc_urls, "http://127.0.0.1:9/secret")
    findings = await examine(replace(polygon, rpc_urls=urls), accounts)
    assert failures(findings) == ["127.0.0.1:9: node"]
    assert not any("secret" in each.found for each in findings)


async def test_contract_without_code_fails(polygon: Network, accounts: Accounts) -> None:
    contracts = replace(polygon.contracts, hold_rail=Contract(NOBODY, None))
    findings = await examine(replace(polygon, contracts=contracts), accounts)
    assert failures(findings) == ["polygon: as configured"]
    assert "hold_rail 0x7777777777777777777777777777777777777777 has no code" in (
        of(findings, "polygon", "as configured").found
    )


async def test_chn_10_token_with_18_decimals_fails_where_6_are_configured(
    devnet: Devnet, polygon: Network, accounts: Accounts
) -> None:
    async with script_of(devnet, "polygon") as script:
        token = fiat_token(script, 18)
        script.call(token, MINT, abi.address_word(OPERATOR), abi.number_word(10**24))
    network = with_token(polygon, token, symbol="USDC", token_id="polygon::usdc")
    findings = await examine(network, accounts)
    assert failures(findings) == ["polygon: as configured", "polygon::usdc: decimals"]
    assert of(findings, "polygon::usdc", "decimals").found == "18, configured are 6"
    findings = await examine(with_token(polygon, token, decimals=18, symbol="USDC"), accounts)
    assert failures(findings) == []


async def test_chn_09_token_that_takes_a_fee_fails(
    devnet: Devnet, polygon: Network, accounts: Accounts
) -> None:
    async with script_of(devnet, "polygon") as script:
        token = tether(script)
        script.call(token, ISSUE, abi.number_word(10**12))
        script.call(token, "setParams(uint256,uint256)", abi.number_word(10), abi.number_word(49))
    network = with_token(polygon, token)
    assert failures(await examine(network, accounts)) == ["polygon::usdt: transfer fee"]
    # The same with a real account's tokens instead of imagined ones.
    holding = replace(accounts, holders={"polygon::usdt": OPERATOR})
    findings = await examine(network, holding)
    assert of(findings, "polygon::usdt", "transfer fee").found == (
        "of 1000000 units sent, 999000 arrive"
    )


async def test_chn_09_token_that_is_paused_or_lists_our_rail_fails(
    devnet: Devnet, polygon: Network, accounts: Accounts
) -> None:
    rail = polygon.contracts.configured["escrow_rail"].address
    async with script_of(devnet, "polygon") as script:
        token = tether(script)
        script.call(token, ISSUE, abi.number_word(10**12))
        script.call(token, "addBlackList(address)", abi.address_word(rail))
        script.call(token, "pause()")
    findings = await examine(with_token(polygon, token), accounts)
    assert of(findings, "polygon::usdt", "blacklist").found == "lists escrow_rail"
    assert of(findings, "polygon::usdt", "pause").found == "paused now"
    assert failures(findings) == [
        *("polygon::usdt: transfer", "polygon::usdt: transferFrom"),
        *("polygon::usdt: pause", "polygon::usdt: blacklist"),
    ]


async def test_token_whose_balances_are_not_found_is_unknown(
    devnet: Devnet, polygon: Network, accounts: Accounts
) -> None:
    """A contract that answers every call with the number 6 has decimals, and nothing else."""
    async with devnet.rpc("polygon") as rpc:
        await rpc.ask([("anvil_setCode", ["0x" + NOBODY.hex(), "0x600660005260206000f3"])])
    network = with_token(polygon, NOBODY)
    findings = await examine(network, accounts)
    for check in ("transfer", "approve", "transfer fee"):
        finding = of(findings, "polygon::usdt", check)
        assert (finding.outcome, "--holder" in finding.found) == (Outcome.UNKNOWN, True)
    async with devnet.rpc("polygon") as rpc:
        await rpc.ask([("anvil_setCode", ["0x" + NOBODY.hex(), "0x"])])


@pytest.mark.parametrize(
    ("signing", "failing"),
    [
        (TokenSigning("USD Coin", "1", erc3009=True, permit=True), ["signing domain"]),
        (TokenSigning("USDC", "2", erc3009=True, permit=True), ["signing domain"]),
        (TokenSigning("USD Coin", "2", erc3009=False, permit=True), []),
    ],
)
async def test_domain_that_signatures_would_not_fit_fails(
    polygon: Network, accounts: Accounts, signing: TokenSigning, failing: list[str]
) -> None:
    token = replace(polygon.tokens[0], signing=signing)
    findings = await examine(replace(polygon, tokens=(token,)), accounts)
    assert failures(findings) == [f"polygon::usdc: {check}" for check in failing]


async def test_what_holders_can_sign_is_found_where_nobody_configured_it(
    polygon: Network, accounts: Accounts
) -> None:
    usdc, usdt = (replace(token, signing=None) for token in polygon.tokens)
    findings = await examine(replace(polygon, tokens=(usdc,)), accounts)
    assert of(findings, "polygon::usdc", "signing").found == (
        "EIP-2612 permit and EIP-3009; not configured, would be name = 'USD Coin', version = '2'"
    )
    wrong = replace(usdt, signing=TokenSigning("Tether USD", "1", erc3009=True, permit=True))
    findings = await examine(replace(polygon, tokens=(wrong,)), accounts)
    assert failures(findings) == [
        f"polygon::usdt: {check}" for check in ("signing domain", "EIP-2612 permit", "EIP-3009")
    ]


async def test_accounts_that_cannot_do_their_work_fail(
    polygon: Network, accounts: Accounts
) -> None:
    stranger = replace(accounts, relayer=NOBODY, solver=NOBODY, attestor=NOBODY)
    findings = await examine(polygon, stranger)
    assert failures(findings) == [
        *("relayer: gas funds", "solver: gas funds"),
        *("solver: escrow rail", "attestor: escrow rail"),
    ]
    assert of(findings, "solver", "polygon::usdc").outcome is Outcome.WARNING
    findings = await examine(polygon, replace(accounts, order_signer=NOBODY))
    assert failures(findings) == ["polygon: as configured"]


@asynccontextmanager
async def twisted(network: Network, twist: Twist) -> AsyncIterator[Network]:
    """A node that forwards to the local chain, except for what ``twist`` answers: a result, an
    exception with the text of an error, or None for an honest answer."""
    async with aiohttp.ClientSession() as session:

        async def answer(question: dict[str, Any]) -> dict[str, Any]:
            twisted_answer = twist(question)
            head = {"jsonrpc": "2.0", "id": question["id"]}
            if isinstance(twisted_answer, Exception):
                return {**head, "error": {"code": -32601, "message": str(twisted_answer)}}
            if twisted_answer is not None:
                return {**head, "result": twisted_answer}
            async with session.post(network.rpc_urls[0], json=question) as response:
                honest: dict[str, Any] = await response.json()
            return honest

        async def handle(request: web.Request) -> web.Response:
            asked = await request.json()
            if isinstance(asked, list):
                return web.json_response([await answer(each) for each in asked])
            return web.json_response(await answer(asked))

        app = web.Application()
        app.router.add_post("/", handle)
        async with TestServer(app) as server:
            yield replace(network, rpc_urls=(str(server.make_url("/")),))


def tag_of(question: dict[str, Any]) -> object:
    return question["params"][0] if question["method"] == "eth_getBlockByNumber" else None


async def test_chn_25_finality_tag_that_says_nothing_is_a_warning(
    devnet: Devnet, polygon: Network, accounts: Accounts
) -> None:
    async with devnet.standing_still("polygon"), devnet.rpc("polygon") as rpc:
        [latest] = await rpc.ask([("eth_getBlockByNumber", ["latest", False])])

        def twist(question: dict[str, Any]) -> Any:
            if tag_of(question) == "finalized":
                return latest
            return ValueError("unknown tag") if tag_of(question) == "safe" else None

        async with twisted(polygon, twist) as network:
            findings = await examine(network, accounts)
    finalized, safe = (of(findings, "polygon", tag) for tag in ("finalized", "safe"))
    assert finalized.outcome is safe.outcome is Outcome.WARNING
    assert "only depth counts" in finalized.found
    assert "knows no block by the tag safe" in safe.found
    assert failures(findings) == []


async def test_range_of_logs_that_the_node_takes_is_found(
    devnet: Devnet, polygon: Network, accounts: Accounts
) -> None:
    await devnet.mine("polygon", 600)

    def twist(question: dict[str, Any]) -> Any:
        asked = question["params"][0] if question["method"] == "eth_getLogs" else {}
        if "fromBlock" not in asked:
            return None
        blocks = int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1
        return ValueError("block range is too large") if blocks > 100 else None

    async with twisted(polygon, twist) as network:
        findings = await examine(network, accounts)
        narrow = await examine(replace(network, log_range=50), accounts)
    assert of(findings, "polygon", "log range").found == "100 blocks at once; log_range is 1000"
    assert of(findings, "polygon", "log range").outcome is Outcome.WARNING
    assert of(narrow, "polygon", "log range").outcome is Outcome.OK


async def test_node_without_history_logs_or_simulation(
    polygon: Network, accounts: Accounts
) -> None:
    def twist(question: dict[str, Any]) -> Any:
        if question["method"] == "eth_simulateV1":
            return ValueError("the method does not exist")
        asked = question["params"][0] if question["method"] == "eth_getLogs" else {}
        if "blockHash" in asked or asked.get("fromBlock") == "0x0":
            return ValueError("history has been pruned")
        return None

    async with twisted(polygon, twist) as network:
        findings = await examine(network, accounts)
    assert failures(findings) == ["polygon: logs by block hash", "polygon: start block"]
    unknown = of(findings, "polygon::usdc", "transfer fee")
    assert (unknown.outcome, unknown.found) == (
        Outcome.UNKNOWN,
        "the node does not simulate (eth_simulateV1)",
    )


async def test_start_block_that_is_not_mined_and_dear_gas(
    polygon: Network, accounts: Accounts
) -> None:
    network = replace(polygon, start_block=10**9, gas=Gas(1, 0, 10**30))
    findings = await examine(network, accounts)
    assert failures(findings) == [
        "polygon: start block", "relayer: gas funds", "solver: gas funds"
    ]  # fmt: skip
    assert of(findings, "polygon", "gas price").outcome is Outcome.WARNING


async def test_command_says_what_failed(
    devnet: Devnet,
    polygon: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GSTABLE_SOLVER_KEY", SOLVER_KEY.hex())
    monkeypatch.setenv("COLUMNS", "200")
    assert await command.network("polygon", devnet.networks_file, [], as_json=False)
    assert "0 failed" in capsys.readouterr().out
    token = replace(polygon.tokens[0], decimals=18)
    file = tmp_path / "wrong.toml"
    file.write_text(networks_toml(Networks((replace(polygon, tokens=(token,)),))))
    assert not await command.network("polygon", file, [], as_json=True)
    assert '"outcome": "failed"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "holder", "said"),
    [
        ("solana", [], "no network is called solana; there are ethereum, polygon"),
        ("polygon", ["polygon::dai=0x00"], "no token is called 'polygon::dai'"),
        ("polygon", ["polygon::usdc=0x00"], "the address must be 0x followed by 40"),
    ],
)
async def test_command_names_what_it_does_not_know(
    devnet: Devnet, name: str, holder: list[str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await command.network(name, devnet.networks_file, holder, as_json=False)
