"""Paying agents: a link on one chain, a merchant's session from another, and contract wallets."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from gstable import SessionDetail
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.keys import private_key_from_hex, sign_digest
from gstable_server.chain.typed_data_json import typed_data_from_json
from tests.contract.wire.payers import fund, open_agent
from tests.contract.wire.published_agent import (
    CREATION,
    DOMAIN,
    PREPARATION,
    TYPES,
    AgentStopped,
    PublishedAgent,
    pick,
)
from tests.e2e.contract_wallets import ContractWallet, deploy, is_there, wallet_of
from tests.e2e.shop import Shop
from tests.running import Running, eventually


@pytest.fixture(scope="module")
def agent(running: Running) -> Iterator[PublishedAgent]:
    """One agent with money on two networks."""
    with open_agent(running, "polygon", "base") as one:
        yield one


def _chain(running: Running, name: str) -> str:
    return str(running.networks.network(name).chain_id)


def _stage(agent: PublishedAgent, session_id: str) -> str:
    return str(agent.session(session_id)["aiView"]["workflow"]["stage"])


def test_an_agent_pays_a_link_and_a_session_on_two_chains(
    shop: Shop, running: Running, agent: PublishedAgent
) -> None:
    # Given a link for 9 USD, and a session that the merchant opened for 10
    link_id = shop.link(fee_model=2).rsplit("/", 1)[1]
    session_id = shop.session()
    balance = shop.balance()
    # When an agent pays the link with a token of the same chain that is swapped on the way
    by_swap = agent.pay_link(link_id, _chain(running, "polygon"), "USDT")
    # And the session from another chain
    crossing = agent.pay_session(session_id, _chain(running, "base"), "USDC")
    # Then both are completed without another word of the agent's
    swapped = shop.reaches(by_swap.session_id, "completed")
    crossed = shop.reaches(session_id, "completed")
    _is_paid_by(swapped, agent, "polygon::usdt", "ai_checkout", 2)
    _is_paid_by(crossed, agent, "base::usdc", "checkout", 3)
    assert crossed.session.initiate_tx == crossing.tx_hash
    assert crossed.session.complete_tx not in {"", crossing.tx_hash}
    # (the fee of the link is the payer's, that of the session the merchant's)
    assert shop.balance() - balance == 9_000_000 + 10_000_000 - 60_000
    # And the agent is told the same, and the merchant's shop by its webhooks
    for sent in (by_swap, crossing):
        assert _stage(agent, sent.session_id) == "payment_completed"
    shop.is_told(by_swap.session_id, "session.created", "session.paid", "session.completed")
    told = ("session.created", "session.paid", "session.settling", "session.completed")
    shop.is_told(session_id, *told)


def _is_paid_by(
    found: SessionDetail, agent: PublishedAgent, token_id: str, kind: str, order_type: int
) -> None:
    assert found.session.session_type == kind
    assert found.session.payer == agent.account.address
    assert found.session.paid_token == token_id
    assert found.transaction is not None
    assert found.transaction.order_type == order_type


def test_a_paid_session_is_not_prepared_again(
    shop: Shop, running: Running, agent: PublishedAgent
) -> None:
    session_id = shop.session()
    chain_id = _chain(running, "polygon")
    sent = agent.pay_session(session_id, chain_id, "USDC")
    assert sent.session_id == session_id
    stages = ("payment_submitted", "payment_completed")
    eventually(lambda: _stage(agent, session_id) in stages, "the payment is seen")
    usdc = running.networks.network("polygon")
    token = next(one for one in usdc.tokens if one.symbol == "USDC")
    merchant_id = agent.session(session_id)["merchantId"]
    with pytest.raises(AgentStopped, match=r"100204|100209"):
        agent.prepare(session_id, merchant_id, chain_id, to_checksum(token.address))


@pytest.mark.parametrize("deployed", [True, False], ids=["deployed", "undeployed"])
def test_a_contract_wallets_agent_is_believed(
    shop: Shop, running: Running, agent: PublishedAgent, deployed: bool
) -> None:
    # Given an agent whose payer is a contract wallet of a key, which is asked on its own chain
    network, key = running.networks.network("polygon"), secrets.token_hex(32)
    usdc = next(token for token in network.tokens if token.symbol == "USDC")
    wallet = wallet_of(key, network, usdc.address)
    if deployed:
        fund(running, wallet.holder, "polygon")
        asyncio.run(deploy(key, network, wallet))
    link = agent.link(shop.link().rsplit("/", 1)[1])
    token = pick(link["aiView"]["supportedPaymentTokens"], str(network.chain_id), "USDC")
    message = {
        "purpose": "create_payment_session",
        "linkId": link["linkId"],
        "linkVersion": link["linkVersion"],
        "merchantId": link["merchantId"],
        "payer": to_checksum(wallet.address),
        "paymentChainId": token["chainId"],
        "paymentToken": token["tokenAddress"],
        "amount": token["amountInToken"],
        **agent.authorization(),
    }
    # When its key signs, the session is the wallet's; any other key's signature is nobody's
    strangers = _body(CREATION, message, secrets.token_hex(32), wallet, deployed)
    with pytest.raises(AgentStopped, match="400104"):
        agent.post("/payment/session/create", strangers)
    made = agent.post("/payment/session/create", _body(CREATION, message, key, wallet, deployed))
    preparation: dict[str, Any] = {
        **made["aiView"]["preparePaymentRequirement"]["messageTemplate"],
        "payerEmail": "wallet@example.com",
        **agent.authorization(),
    }
    prepared = agent.post(
        "/payment/prepare", _body(PREPARATION, preparation, key, wallet, deployed)
    )
    assert prepared["executorContract"] == to_checksum(network.router)
    # And the question deployed nothing
    assert asyncio.run(is_there(network, wallet)) == deployed


def _body(
    primary_type: str, message: dict[str, Any], key: str, wallet: ContractWallet, deployed: bool
) -> dict[str, Any]:
    """The message with the signature of the wallet's holder, if ``key`` is the holder's."""
    members = [{"name": name, "type": kind} for name, kind in TYPES[primary_type]]
    data = typed_data_from_json(
        {
            "types": {primary_type: members},
            "primaryType": primary_type,
            "domain": {"name": DOMAIN, "version": "1", "chainId": message["paymentChainId"]},
            "message": message,
        }
    )
    signature = sign_digest(private_key_from_hex(key), data.digest)
    if not deployed:
        signature = wallet.deploying(signature)
    return {"message": message, "signature": "0x" + signature.hex()}
