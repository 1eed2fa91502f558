"""What an agent is told from the link to the end of its payment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gstable_server.agents.model import CREATE_SESSION, PREPARE
from gstable_server.chain import abi
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.address import Address, address_from_hex
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import hearing, operations, paying
from tests.unit.agents.support import Agent
from tests.unit.sessions.till import one_time

pytestmark = pytest.mark.anyio

CREATE = "/payment/session/create"
TO_PREPARE = "/payment/prepare"


def offers_of(view: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The supported tokens by chain id and symbol."""
    tokens = view["aiView"]["supportedPaymentTokens"]
    return {(token["chainId"], token["symbol"]): token for token in tokens}


def workflow(answer: Mapping[str, Any]) -> tuple[str, str]:
    found = answer["aiView"]["workflow"]
    return found["stage"], found["nextAction"]["action"]


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fee_model", "usdc", "usdt", "on_base"),
    [(1, 9_000_000, 9_000_000, 9_000_000), (2, 9_018_000, 9_027_000, 9_054_000)],
)
async def test_a_link_says_what_each_token_costs(
    agent: Agent, fee_model: int, usdc: int, usdt: int, on_base: int
) -> None:
    link_id = await agent.link(feeModel=fee_model)
    view = await agent.data(f"/payment/link/{link_id}")
    found = offers_of(view)
    assert len(found) == 7
    totals = {key: int(offer["amountInToken"]) for key, offer in found.items()}
    assert totals["1337137", "USDC"] == usdc
    assert totals["1337137", "USDT"] == usdt
    assert totals["1338453", "USDC"] == on_base
    assert {offer["amountInUSD"] for offer in found.values()} == {"9.00"}
    assert view["lineItems"][0]["unitPriceInUSD"] == "4.50"
    assert workflow(view) == ("link_ready", "create_payment_session")
    requirement = view["aiView"]["createPaymentSessionRequirement"]
    assert requirement["authorizationSpec"]["types"] == CREATE_SESSION.types()
    assert requirement["authorizationSpec"]["domain"] == {
        "name": "aipay.gstable.io", "version": "1", "chainId": "<payment_chain_id>",
    }  # fmt: skip


async def test_a_link_without_a_price_says_what_may_be_named(agent: Agent) -> None:
    view = await agent.data(f"/payment/link/{await agent.link(custom=True)}")
    assert view["aiView"]["pricingModel"] == {
        "type": "custom",
        "minAmountInUSD": "0.01",
        "maxAmountInUSD": "1000000.00",
        "presetAmountsInUSD": ["1.00", "4.50"],
    }
    assert "unitPriceInUSD" not in view["lineItems"][0]
    offer = offers_of(view)["1338453", "USDC"]
    assert (offer["amountInToken"], offer["amountInUSD"]) == ("0", "0.00")
    assert offer["minAmountInToken"] == "1006000"  # a crossing begins at 1 USD
    assert offer["presetAmounts"] == [
        {"amountInUSD": "1.00", "amountInToken": "1006000"},
        {"amountInUSD": "4.50", "amountInToken": "4527000"},
    ]


@pytest.mark.parametrize(
    ("total", "code"),
    [("9018000", 0), ("10020", 0), ("10019", 400204), ("0", 400204), ("1002000000001", 400204),
     (str(2**255), 400204), ("9018001", 400101), ("9018002", 0)],
)  # fmt: skip
async def test_the_amount_that_a_payer_names_is_the_whole_charge(
    agent: Agent, total: str, code: int
) -> None:
    link_id = await agent.link(custom=True)
    body = agent.signed(CREATE_SESSION, await agent.creation(link_id, amount=total))
    if code:
        assert (await agent.refusal(CREATE, body))[0] == code
        return
    session = await agent.data(CREATE, body)
    assert session["aiView"]["pricingModel"] == {"type": "fixed"}
    prepared = await agent.prepared(session)
    assert taken(prepared) == int(total)


def taken(prepared: Mapping[str, Any]) -> int:
    """What the prepared call takes from the payer: the amounts of a ``PaymentOrder``."""
    data = bytes.fromhex(prepared["calldata"][2:])
    assert data[:4] == abi.selector(abi.PAY)
    words = [int.from_bytes(data[at : at + 32], "big") for at in range(4, 4 + 7 * 32, 32)]
    return words[3] + words[4]


# --- sessions -------------------------------------------------------------------------------------


async def test_a_session_is_for_its_payer_and_token(agent: Agent) -> None:
    session = await agent.session(await agent.link(), "polygon::usdt")
    merchant_view = await agent.merchant.data(f"/session/{session['sessionId']}")
    assert merchant_view["session"]["sessionType"] == "ai_checkout"
    assert merchant_view["session"]["businessType"] == "payment_link"
    assert session["sessionExpiresAt"] == merchant_view["session"]["expirationTime"]
    assert workflow(session) == ("session_ready", "prepare_payment")
    # Nobody else prepares it, by this door or by the payer's page.
    agent.key = b"\x33" * 32
    body = agent.signed(PREPARE, agent.preparation(session, "polygon::usdt"))
    assert (await agent.refusal(TO_PREPARE, body))[0] == 100206


async def test_what_is_prepared_is_told_in_both_forms(agent: Agent) -> None:
    session = await agent.session(await agent.link())
    prepared = await agent.prepared(session)
    router = agent.world.desk.networks.network("polygon").router
    request = prepared["aiView"]["paymentExecutionGuide"]["executionRequest"]
    assert prepared["executorContract"] == request["txRequest"]["to"] == to_checksum(router)
    assert prepared["calldata"] == request["txRequest"]["data"]
    assert prepared["executionChainId"] == request["txRequest"]["chainId"] == "1337137"
    assert request["txRequest"]["value"] == "0"
    assert request["sessionId"] == session["sessionId"]
    assert taken(prepared) == 9_018_000
    assert workflow(prepared) == ("payment_prepared", "execute_payment")
    shown = await agent.data(f"/session/{session['sessionId']}")
    assert workflow(shown) == ("payment_prepared", "execute_payment")
    guide = shown["aiView"]["paymentExecutionGuide"]
    assert guide == prepared["aiView"]["paymentExecutionGuide"]
    # Asked again in time, it is the same order: a payer who lost the answer pays once.
    assert await agent.prepared(session) == prepared
    merchant_view = await agent.merchant.data(f"/session/{session['sessionId']}")
    assert merchant_view["session"]["signedOnce"] == 1
    assert merchant_view["session"]["payerEmail"] == "agent@example.com"


@pytest.mark.parametrize("token_id", ["polygon::usdt", "base::usdc", "arbitrumone::usdt"])
async def test_other_tokens_and_networks_go_by_their_rails(agent: Agent, token_id: str) -> None:
    session = await agent.session(await agent.link(), token_id)
    prepared = await agent.prepared(session, token_id)
    token = agent.token(token_id)
    network = agent.world.desk.networks.network(token.network)
    assert prepared["executionChainId"] == str(token.chain_id)
    assert address_from_hex(prepared["executorContract"]) == network.router
    assert prepared["calldata"].startswith("0x" + abi.selector(abi.ROUTE).hex())


async def test_a_merchants_session_is_paid_with_any_token(agent: Agent) -> None:
    made = await agent.merchant.data(
        "/session/checkout/create",
        {
            "accountId": agent.world.account.account_id,
            "settlementToken": "polygon::usdc",
            "lineItems": [one_time()],
            "payerEmailRequired": 1,
        },
    )
    shown = await agent.data(f"/session/{made['sessionId']}")
    assert workflow(shown) == ("session_ready", "prepare_payment")
    guide = shown["aiView"]["completePaymentSessionGuide"]
    assert guide["requiredParameters"] == [
        "paymentChainId", "paymentToken", "payer", "payerEmail",
    ]  # fmt: skip
    assert len(guide["supportedPaymentTokens"]) == 7
    template = shown["aiView"]["preparePaymentRequirement"]["messageTemplate"]
    assert list(template) == [name for _, name in PREPARE.members]
    assert template["sessionId"] == made["sessionId"]
    assert template["payer"].startswith("<")
    body = agent.signed(PREPARE, agent.preparation(made, "base::usdc", payerEmail=""))
    assert await agent.refusal(TO_PREPARE, body) == (
        400101,
        "Invalid field format: message.payerEmail is required",
    )
    assert (await agent.prepared(made, "base::usdc"))["executionChainId"] == "1338453"
    assert (await agent.prepared(made, "polygon::usdt"))["executionChainId"] == "1337137"
    # It stays open to any payer and token: an agent that resumes finds what each costs.
    resumed = await agent.data(f"/session/{made['sessionId']}")
    assert workflow(resumed) == ("session_ready", "prepare_payment")
    assert len(resumed["aiView"]["completePaymentSessionGuide"]["supportedPaymentTokens"]) == 7


async def test_a_stranger_does_not_change_where_a_payers_letters_go(agent: Agent) -> None:
    made = await agent.merchant.data(
        "/session/checkout/create",
        {
            "accountId": agent.world.account.account_id,
            "settlementToken": "polygon::usdc",
            "lineItems": [one_time()],
        },
    )
    await agent.prepared(made)
    # Whoever knows a session's id can sign for it with a wallet of their own.
    agent.key = b"\x33" * 32
    body = agent.signed(PREPARE, agent.preparation(made, payerEmail="thief@example.com"))
    assert await agent.refusal(TO_PREPARE, body) == (
        400101,
        "Invalid field format: message.payerEmail was given for this session already, "
        "and is another one",
    )
    await agent.prepared(made, payerEmail="")
    view = await agent.merchant.data(f"/session/{made['sessionId']}")
    assert view["session"]["payerEmail"] == "agent@example.com"


async def test_the_stages_follow_the_payment(agent: Agent) -> None:
    created = await agent.session(await agent.link())
    await agent.prepared(created)
    path = f"/session/{created['sessionId']}"
    view = await agent.world.view(SessionId(created["sessionId"]))
    log = agent.world.log(
        view, merchant_received=9_000_000, fee_received=18_000, token=agent.token("polygon::usdc")
    )
    shown: dict[str, Any] = {}
    for kind, status, stage in (
        ("seen", "seen", ("payment_submitted", "wait")),
        ("reorged", None, ("payment_submitted", "wait")),
        ("seen", "seen", ("payment_submitted", "wait")),
        ("final", "final", ("payment_completed", "none")),
    ):
        await agent.world.hear(kind, log)
        shown = await agent.data(path)
        assert workflow(shown) == stage, kind
        payment = shown["aiView"].get("payment")
        assert (payment or {}).get("status") == status
    assert shown["aiView"]["payment"] == {
        "status": "final",
        "chainId": "1337137",
        "transactionHash": "0x" + log.tx_hash.hex(),
        "payer": to_checksum(log.payer),
    }
    assert not {"preparePaymentRequirement", "paymentExecutionGuide"} & set(shown["aiView"])
    body = agent.signed(PREPARE, agent.preparation(created))
    assert (await agent.refusal(TO_PREPARE, body))[0] == 100204


async def test_a_session_that_is_over(agent: Agent, clock: FakeClock) -> None:
    link_id = await agent.link()
    session, withdrawn = await agent.session(link_id), await agent.session(link_id)
    cancelled = SessionId(withdrawn["sessionId"])
    await agent.db.run(operations.cancel, agent.world.desk, agent.world.tenant, cancelled)
    shown = await agent.data(f"/session/{cancelled}")
    assert workflow(shown) == ("session_expired", "create_payment_session")
    body = agent.signed(PREPARE, agent.preparation(withdrawn))
    assert (await agent.refusal(TO_PREPARE, body))[0] == 100205
    clock.advance(1800)
    for _ in range(2):  # before and after the clock's own turn
        shown = await agent.data(f"/session/{session['sessionId']}")
        assert workflow(shown) == ("session_expired", "create_payment_session")
        assert set(shown["aiView"]) == {"pricingModel", "workflow"}
        body = agent.signed(PREPARE, agent.preparation(session))
        assert (await agent.refusal(TO_PREPARE, body))[0] == 100203
        await agent.db.run(hearing.expire_due, agent.world.desk)


async def test_nobody_is_told_what_is_not_there(agent: Agent) -> None:
    assert await agent.refusal("/payment/link/lnk_nobody") == (100101, "Payment link not found")
    assert await agent.refusal("/session/sess_nobody") == (100201, "Session not found")
    response = await agent.answer("/session/list/all/1/10")
    assert (response.status_code, response.json()["code"]) == (404, 400101)


async def test_a_message_is_good_to_its_last_second(agent: Agent, clock: FakeClock) -> None:
    link_id = await agent.link()
    now = str(unix_seconds(clock.now()))
    assert await agent.session(link_id, authorizationExpiresAt=now)
    day = await agent.session(link_id, authorizationExpiresAt=agent.in_seconds(24 * 3600))
    assert day["sessionType"] == "ai_checkout"


async def test_the_payers_page_keeps_to_the_preset_too(agent: Agent) -> None:
    """The same session by its hosted page: another wallet or token is refused there as well."""
    created = await agent.session(await agent.link())
    view = await agent.world.view(SessionId(created["sessionId"]))
    offered = paying.options(agent.world.desk, view.session, agent.db.clock.now())
    assert [option.token.token_id for option in offered] == ["polygon::usdc"]
    for payer, token_id in ((Address(b"\x01" * 20), "polygon::usdc"), (agent.payer, "base::usdc")):
        with pytest.raises(Refused) as caught:
            await agent.db.run(
                paying.prepare,
                agent.world.desk,
                view.session.session_id,
                client_code=view.session.client_code,
                token_id=token_id,
                payer=payer,
                payer_email=None,
            )
        assert caught.value.code.number == 100206
