"""A program with a wallet pays links and sessions on two chains, with the SDK's agent client."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from gstable import GStableError
from gstable._async.seam import AsyncSeam
from gstable._sync.seam import Seam
from gstable.agent import (
    AgentClient,
    AsyncAgentClient,
    FileSpendStore,
    LimitExceeded,
    PaymentPending,
    SpendLimits,
)
from gstable.agent import cli as command
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.tenant import Mode
from tests.e2e.shop import Shop
from tests.running import LOOK_SECONDS, Running

TOLD = ("session.created", "session.paid", "session.completed")
LIMITS = SpendLimits(per_payment=20_000_000, per_day=100_000_000)


def settings(running: Running, **more: Any) -> dict[str, Any]:
    """What a payer's client is made of; its wallet is the installation's last one. It looks more
    often than a payer would, because these chains are quick."""
    return {
        "signer": running.payer_keys[-1],
        "rpc_urls": {one.chain_id: one.rpc_urls[0] for one in running.networks.of(Mode.TEST)},
        "limits": LIMITS,
        "base_url": running.about["aiBaseUrl"],
        "patience_seconds": 60,
        "_seam": Seam(sleep=lambda seconds: time.sleep(min(seconds, LOOK_SECONDS))),
        **more,
    }


def chain_of(running: Running, token_id: str) -> int:
    return running.networks.require_token(token_id, Mode.TEST).chain_id


def link_id(url: str) -> str:
    return url.rsplit("/", 1)[1]


@pytest.mark.parametrize("token_id", ["base::usdc", "polygon::usdc"])
def test_an_agent_pays_a_link(shop: Shop, token_id: str) -> None:
    # Given a link for 9 USD, whose fee the payer bears
    before, chain_id = shop.balance(token_id), chain_of(shop.running, token_id)
    link = link_id(shop.link(token_id, fee_model=2))
    symbol = token_id.split("::")[1]
    with AgentClient(**settings(shop.running)) as agent:
        # When an agent looks at what would happen, and pays
        plan = agent.plan(link, chain_id, symbol)
        assert plan.obstacles == ()
        assert (plan.amount_in_token, plan.symbol.lower()) == (9_018_000, symbol)
        receipt = agent.pay(link, chain_id, symbol)
        # Then the merchant has the full price, by the transaction that the agent was told
        found = shop.detail(receipt.session_id)
        assert shop.balance(token_id) - before == 9_000_000
        assert (receipt.amount_in_token, receipt.stage) == (9_018_000, "payment_completed")
        assert found.session.session_type == "ai_checkout"
        assert found.session.status == "completed"
        assert found.session.initiate_tx == receipt.tx_hash
        assert found.session.payer == agent.address
        shop.is_told(receipt.session_id, *TOLD)
        # And who looks again sees the same, and sends nothing
        again = agent.pay_session(receipt.session_id)
        assert (again.stage, again.tx_hash) == ("payment_completed", receipt.tx_hash)


def test_an_agent_pays_in_another_token_than_the_merchant_gets(shop: Shop) -> None:
    # Given a link for 9 USD that is settled in USDC, the fee on top
    before, chain_id = shop.balance("polygon::usdc"), chain_of(shop.running, "polygon::usdt")
    link = link_id(shop.link("polygon::usdc", fee_model=2))
    # When an agent pays it with USDT, by the router's `route`
    with AgentClient(**settings(shop.running)) as agent:
        receipt = agent.pay(link, chain_id, "USDT")
    # Then the merchant has the full price
    assert receipt.stage == "payment_completed"
    assert shop.balance("polygon::usdc") - before == 9_000_000
    assert shop.detail(receipt.session_id).session.paid_token == "polygon::usdt"


@pytest.mark.parametrize("token_id", ["polygon::usdc", "base::usdc"])
def test_an_agent_pays_a_session_that_a_merchant_made(shop: Shop, token_id: str) -> None:
    # Given a checkout session for 10 USD, made for no payer
    before = shop.balance(token_id)
    session_id = shop.session(token_id, metadata={"orderId": "ORD_9"})
    # When an asynchronous agent has it prepared, stops, and pays it later
    chosen = (chain_of(shop.running, token_id), "USDC")

    async def visit() -> Any:
        seam = AsyncSeam(sleep=lambda _: asyncio.sleep(LOOK_SECONDS))
        async with AsyncAgentClient(**settings(shop.running, _seam=seam)) as agent:
            prepared = await agent.prepare(session_id, *chosen)
            assert prepared.total == 10_000_000
            return await agent.pay_session(session_id, *chosen)

    receipt = asyncio.run(visit())
    # Then the merchant has it less the fee of 0.2 %
    assert receipt.amount_in_token == 10_000_000
    assert shop.balance(token_id) - before == 10_000_000 - 20_000
    assert shop.detail(session_id).session.metadata == {"orderId": "ORD_9"}
    shop.is_told(session_id, *TOLD)


def test_an_agent_that_is_impatient_goes_on_later_and_pays_once(shop: Shop) -> None:
    token_id = "polygon::usdc"
    before, link = shop.balance(token_id), link_id(shop.link(token_id))
    chain_id = chain_of(shop.running, token_id)
    # Given an agent that stops as soon as its payment is in a block
    with (
        AgentClient(**settings(shop.running, patience_seconds=2)) as hasty,
        AgentClient(**settings(shop.running)) as agent,
    ):
        try:
            session_id = hasty.pay(link, chain_id).session_id
        except PaymentPending as pending:
            session_id = pending.session_id
        # When another process goes on with the session
        assert agent.pay_session(session_id).stage == "payment_completed"
    # Then it was paid once
    assert shop.balance(token_id) - before == 9_000_000 - 18_000


def test_an_agent_keeps_within_its_limits(shop: Shop) -> None:
    token_id = "polygon::usdc"
    link, chain_id = link_id(shop.link(token_id)), chain_of(shop.running, token_id)
    for limits in (
        SpendLimits(per_payment=8_999_999, per_day=100_000_000),
        SpendLimits(per_payment=9_000_000, per_day=8_999_999),
        SpendLimits(per_payment=9_000_000, per_day=9_000_000, merchants=["somebody else"]),
    ):
        with (
            AgentClient(**settings(shop.running, limits=limits)) as agent,
            pytest.raises(LimitExceeded),
        ):
            agent.pay(link, chain_id)


def test_an_agent_tells_the_platforms_words(shop: Shop) -> None:
    url = shop.link("polygon::usdc")
    shop.client.payment_link.disable(link_id(url))
    with AgentClient(**settings(shop.running)) as agent:
        with pytest.raises(GStableError) as refused:
            agent.get_link(link_id(url))
        assert refused.value.code == 100103
        with pytest.raises(GStableError) as refused:
            agent.get_session("sess_of_nobody")
        assert refused.value.code == 100201


def test_the_command_pays_and_remembers(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a link, a wallet in the environment, and a limit for one payment a day
    running, token_id = shop.running, "base::usdc"
    given = settings(running)
    environ = {
        "GSTABLE_AGENT_KEY": given["signer"],
        "GSTABLE_AGENT_URL": given["base_url"],
        "GSTABLE_AGENT_RPC": " ".join(f"{id}={url}" for id, url in given["rpc_urls"].items()),
    }
    record = tmp_path / "spent.json"
    link = link_id(shop.link(token_id))
    paying = [link, "--chain", str(chain_of(running, token_id)), "--json", "--record", str(record)]
    paying += ["--per-payment", "9", "--per-day", "9"]
    # When the command is run twice
    assert command.main(["pay", *paying], environ) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert command.main(["pay", *paying], environ) == 1
    # Then it has paid once
    assert "more than 9.00 USD" in capsys.readouterr().err
    assert receipt["stage"] == "payment_completed"
    assert FileSpendStore(record).spent(_block_time(running, token_id)) == 9_000_000


def _block_time(running: Running, token_id: str) -> int:
    network = running.networks.require_token(token_id, Mode.TEST).network
    return int(running.rpc(network, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)


def test_nothing_is_left_allowed(running: Running) -> None:
    """After all these payments the router may take nothing more from the agent's wallet."""
    with AgentClient(**settings(running)) as agent:
        payer = agent.address
    for token_id in ("polygon::usdc", "base::usdc", "polygon::usdt"):
        token = running.networks.require_token(token_id, Mode.TEST)
        router = running.networks.network(token.network).router
        data = f"0xdd62ed3e{payer[2:].rjust(64, '0')}{router.hex().rjust(64, '0')}"
        call = {"to": to_checksum(token.address), "data": data}
        assert int(running.rpc(token.network, "eth_call", call, "latest"), 16) == 0
