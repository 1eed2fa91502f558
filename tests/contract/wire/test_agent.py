"""The AI payment protocol as published clients meet it: exact JSON, signatures, and payments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from eth_account import Account

from tests.contract.shapes import ADDRESS, ATTRIBUTES, Id, matches
from tests.contract.support import Merchant, Wire, one_time_line, product_line
from tests.contract.wire.payers import open_agent
from tests.contract.wire.published_agent import (
    CREATION,
    PREPARATION,
    TYPES,
    AgentStopped,
    PublishedAgent,
    pick,
)
from tests.running import Running, eventually
from tests.unit.agents.test_vectors import CREATE, CREATE_HASHES, KEY, PREPARE_HASHES, PREPARED

DIGITS = re.compile(r"\d+")
USD = re.compile(r"\d+\.\d{2,6}")
HEX = re.compile(r"0x[0-9a-f]+")
MERCHANT = re.compile(r"[0-9a-f]{64}")
PLACEHOLDER = re.compile(r"<[^>]+>")
LINE = {
    "quantity": int,
    "productData": {
        "productName": str,
        "productDescription?": str,
        "imageUrl?": str,
        "attributes?": ATTRIBUTES,
    },
    "unitPriceInUSD?": USD,
}
FIXED = {"type": {"fixed"}}
TOKEN = {
    "chainName": str,
    "chainId": DIGITS,
    "tokenAddress": ADDRESS,
    "name": str,
    "symbol": str,
    "decimals": int,
    "amountInToken": DIGITS,
    "amountInUSD": USD,
}


def workflow(stage: str, action: str, authorized: bool) -> dict[str, Any]:
    return {
        "stage": {stage},
        "nextAction": {
            "action": {action},
            "authorizationRequired": {authorized},
            "description": str,
        },
    }


def spec(primary_type: str, purpose: str, chain_id: str) -> dict[str, Any]:
    return {
        "type": {"eip712"},
        "purpose": {purpose},
        "domain": {"name": {"aipay.gstable.io"}, "version": {"1"}, "chainId": {chain_id}},
        "types": {primary_type: [{"name": str, "type": str}]},
    }


def link_view(pricing: Any, token: Any) -> dict[str, Any]:
    return {
        "merchantId": MERCHANT,
        "linkId": Id("lnk_"),
        "linkVersion": Id("ver_"),
        "linkName": str,
        "lineItems": [LINE],
        "aiView": {
            "pricingModel": pricing,
            "supportedPaymentTokens": [token],
            "createPaymentSessionRequirement": {
                "authorizationRequired": {True},
                "authorizationSpec": spec(CREATION, "create_payment_session", "<payment_chain_id>"),
            },
            "workflow": workflow("link_ready", "create_payment_session", True),
        },
    }


def requirement(chain_id: str) -> dict[str, Any]:
    open_for_payer = {PLACEHOLDER}
    return {
        "authorizationRequired": {True},
        "authorizationSpec": spec(PREPARATION, "prepare_payment", chain_id),
        "messageTemplate": {
            "purpose": {"prepare_payment"},
            "sessionId": Id("sess_"),
            "merchantId": MERCHANT,
            "paymentChainId": {DIGITS, *open_for_payer},
            "paymentToken": {ADDRESS, *open_for_payer},
            "payer": {ADDRESS, *open_for_payer},
            "payerEmail": PLACEHOLDER,
            "authorizationNonce": PLACEHOLDER,
            "authorizationExpiresAt": PLACEHOLDER,
        },
    }


def created_session(chain_id: str) -> dict[str, Any]:
    return {
        "sessionId": Id("sess_"),
        "sessionType": {"ai_checkout"},
        "sessionExpiresAt": int,
        "merchantId": MERCHANT,
        "aiView": {
            "pricingModel": FIXED,
            "workflow": workflow("session_ready", "prepare_payment", True),
            "preparePaymentRequirement": requirement(chain_id),
        },
    }


def guide(chain_id: str) -> dict[str, Any]:
    return {
        "authorizationRequired": {False},
        "executionRequest": {
            "purpose": {"execute_payment_guide"},
            "sessionId": Id("sess_"),
            "txRequest": {"chainId": {chain_id}, "to": ADDRESS, "data": HEX, "value": {"0"}},
            "userReview": {
                "description": {
                    "This transaction will execute the prepared payment on-chain."
                },
                "irreversible": {True},
            },
        },
    }  # fmt: skip


def prepared_payment(chain_id: str) -> dict[str, Any]:
    return {
        "executionChainId": {chain_id},
        "executorContract": ADDRESS,
        "calldata": HEX,
        "aiView": {
            "pricingModel": FIXED,
            "paymentExecutionGuide": guide(chain_id),
            "workflow": workflow("payment_prepared", "execute_payment", False),
        },
    }


@pytest.fixture(scope="module")
def agent(running: Running) -> Iterator[PublishedAgent]:
    with open_agent(running, "polygon", "base") as one:
        yield one


@pytest.fixture(scope="module")
def chain_ids(running: Running) -> dict[str, str]:
    return {network.name: str(network.chain_id) for network in running.networks.all}


@pytest.fixture(scope="module")
def link_id(wire: Wire, merchant: Merchant) -> str:
    return new_link(wire, merchant)


def new_link(wire: Wire, merchant: Merchant, **changes: Any) -> str:
    product = wire.data(
        "/product/create",
        {
            "name": "Plan",
            "description": "A month",
            "commonPrices": [3_000_000],
            "attributes": [{"name": "Tier", "value": "Premium"}],
        },
    )
    body = {
        "linkType": "fixed",
        "linkName": "Premium plan",
        "accountId": merchant.account_id,
        "settlementToken": "polygon::usdc",
        "feeModel": 2,
        "lineItems": [product_line(product["productId"], 1, 3_000_000)],
        **changes,
    }
    if body["linkType"] == "custom":
        line = {"itemType": "user_priced", "productId": product["productId"], "quantity": 1}
        body["lineItems"] = [line]
    return str(wire.data("/payment/link/create", body)["linkId"])


# --- shapes ---------------------------------------------------------------------------------------


def test_links(
    agent: PublishedAgent, wire: Wire, merchant: Merchant, link_id: str, chain_ids: dict[str, str]
) -> None:
    view = agent.link(link_id)
    matches(view, link_view(FIXED, TOKEN))
    assert view["merchantId"] == merchant.tenant.merchant_id
    # The amounts of the published sample: 3.00 USD with 0.3 % for a swap on top.
    swapped = pick(view["aiView"]["supportedPaymentTokens"], chain_ids["polygon"], "USDT")
    assert (swapped["amountInToken"], swapped["amountInUSD"]) == ("3009000", "3.00")
    custom = agent.link(new_link(wire, merchant, linkType="custom"))
    pricing = {
        "type": {"custom"},
        "minAmountInUSD": USD,
        "maxAmountInUSD": USD,
        "presetAmountsInUSD": [USD],
    }
    presets = [{"amountInUSD": USD, "amountInToken": DIGITS}]
    within = {"minAmountInToken": DIGITS, "maxAmountInToken": DIGITS, "presetAmounts": presets}
    matches(custom, link_view(pricing, {**TOKEN, **within}))


def test_the_types_that_are_told_are_those_that_are_signed(
    agent: PublishedAgent, link_id: str, chain_ids: dict[str, str]
) -> None:
    view = agent.link(link_id)["aiView"]
    token = pick(view["supportedPaymentTokens"], chain_ids["polygon"], "USDC")
    session = agent.create(agent.link(link_id), token)
    told = [
        view["createPaymentSessionRequirement"]["authorizationSpec"]["types"],
        session["aiView"]["preparePaymentRequirement"]["authorizationSpec"]["types"],
    ]
    for primary_type, types in zip((CREATION, PREPARATION), told, strict=True):
        members = [{"name": name, "type": kind} for name, kind in TYPES[primary_type]]
        assert types == {primary_type: members}


def test_sessions_and_their_preparation(
    agent: PublishedAgent, link_id: str, chain_ids: dict[str, str]
) -> None:
    chain_id = chain_ids["polygon"]
    link = agent.link(link_id)
    token = pick(link["aiView"]["supportedPaymentTokens"], chain_id, "USDC")
    made = agent.create(link, token)
    matches(made, created_session(chain_id))
    template = made["aiView"]["preparePaymentRequirement"]["messageTemplate"]
    assert template["payer"] == agent.account.address
    assert template["paymentToken"] == token["tokenAddress"]
    matches(agent.session(made["sessionId"]), {**created_session(chain_id), "lineItems": [LINE]})
    prepared = agent.prepare(made["sessionId"], link["merchantId"], chain_id, token["tokenAddress"])
    matches(prepared, prepared_payment(chain_id))
    resumed = agent.session(made["sessionId"])
    view = {
        **created_session(chain_id)["aiView"],
        "workflow": workflow("payment_prepared", "execute_payment", False),
        "paymentExecutionGuide": guide(chain_id),
    }
    matches(resumed, {**created_session(chain_id), "lineItems": [LINE], "aiView": view})
    assert resumed["aiView"]["paymentExecutionGuide"] == prepared["aiView"]["paymentExecutionGuide"]


def test_a_merchants_session(agent: PublishedAgent, wire: Wire, merchant: Merchant) -> None:
    session_id = new_session(wire, merchant)
    found = agent.session(session_id)
    shape = {
        **created_session("<payment_chain_id>"),
        "sessionType": {"checkout"},
        "lineItems": [LINE],
    }
    shape["aiView"] = {
        **shape["aiView"],
        "completePaymentSessionGuide": {
            "authorizationRequired": {False},
            "requiredParameters": [str],
            "supportedPaymentTokens": [TOKEN],
            "description": str,
        },
    }
    matches(found, shape)


def new_session(wire: Wire, merchant: Merchant) -> str:
    made = wire.data(
        "/session/checkout/create",
        {
            "accountId": merchant.account_id,
            "settlementToken": "polygon::usdc",
            "lineItems": [one_time_line(3_000_000)],
        },
    )
    return str(made["sessionId"])


def test_every_address_has_its_checksum(
    agent: PublishedAgent, link_id: str, chain_ids: dict[str, str]
) -> None:
    """Trap 1: eth-account refuses any other as ``to``, which is what the client hands it."""
    token = pick(
        agent.link(link_id)["aiView"]["supportedPaymentTokens"], chain_ids["polygon"], "USDC"
    )
    transaction = {"chainId": 1, "nonce": 0, "gasPrice": 1, "gas": 1, "value": 0, "data": "0x"}
    agent.account.sign_transaction({**transaction, "to": token["tokenAddress"]})
    with pytest.raises(TypeError):
        agent.account.sign_transaction({**transaction, "to": token["tokenAddress"].lower()})


def test_refusals_have_the_envelope(running: Running, agent: PublishedAgent, link_id: str) -> None:
    refusal = {"code": int, "message": str, "data": {None}}
    for path, status, code in (
        ("/payment/link/lnk_nobody", 200, 100101),
        ("/session/sess_nobody", 200, 100201),
        ("/payment/links", 404, 400101),
        ("/payment/prepare", 405, 400101),
    ):
        response = agent.api.get(path)
        assert (response.status_code, response.json()["code"]) == (status, code)
        matches(response.json(), refusal)
        assert response.headers["x-request-id"].startswith("req_")
    with pytest.raises(AgentStopped, match=r"100101: Payment link not found"):
        agent.link("lnk_nobody")
    # No key is asked for, and none opens anything else here.
    response = httpx.get(
        f"{running.base_url}/aipay/api/v1/payment/link/{link_id}",
        headers={"authorization": "Bearer sk_test_nobody"},
        timeout=180,
    )
    assert response.json()["code"] == 0


def test_the_vectors_are_what_eth_account_signs() -> None:
    agent = PublishedAgent("http://127.0.0.1:9", "0x" + KEY.hex(), {})
    for primary_type, message, hashes in (
        (CREATION, CREATE, CREATE_HASHES),
        (PREPARATION, PREPARED, PREPARE_HASHES),
    ):
        assert agent.signed(primary_type, message)["signature"] == "0x" + hashes[3]
    assert Account.from_key(KEY).address == CREATE["payer"]
    agent.close()


# --- payments -------------------------------------------------------------------------------------


def test_the_published_client_pays_a_link_until_it_is_completed(
    agent: PublishedAgent, wire: Wire, link_id: str, chain_ids: dict[str, str]
) -> None:
    sent = agent.pay_link(link_id, chain_ids["polygon"], "USDC")

    def completed() -> Any:
        found = agent.session(sent.session_id)
        return found if found["aiView"]["workflow"]["stage"] == "payment_completed" else None

    # The client is done: nobody tells the server, which sees the payment on chain.
    found = eventually(completed, "the session is completed by itself")
    view = {
        "pricingModel": FIXED,
        "workflow": workflow("payment_completed", "none", False),
        "payment": {
            "status": {"final"},
            "chainId": {chain_ids["polygon"]},
            "transactionHash": {sent.tx_hash},
            "payer": {agent.account.address},
        },
    }
    shape = {**created_session(""), "lineItems": [LINE], "aiView": view}
    matches(found, shape)
    session = wire.data(f"/session/{sent.session_id}")["session"]
    assert session["status"] == "completed"
    assert session["payer"] == agent.account.address
    assert session["payerEmail"] == "agent@example.com"
