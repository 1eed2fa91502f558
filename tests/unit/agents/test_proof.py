"""Who may have signed, for which domain, by which door, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from gstable_server.agents import verification
from gstable_server.agents.model import CREATE_SESSION, OFFICIAL_DOMAIN, PREPARE, Proven
from gstable_server.agents.verification import QUESTIONS_BURST
from gstable_server.agents.wire import CreateSessionInput
from gstable_server.api.app import ApiLimits
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.contract_wallets import question
from gstable_server.chain.rpc import ProviderFailed
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.agents.support import AI_HOST, Agent, Doors, nonce
from tests.unit.api.notes import SELDOM
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio

CREATE = "/payment/session/create"
WALLET = Address(b"\x44" * 20)


# --- domains and hosts ----------------------------------------------------------------------------


async def test_the_operators_own_host_is_a_domain_too(agent: Agent) -> None:
    link_id = await agent.link()
    for name in (AI_HOST, OFFICIAL_DOMAIN):
        agent.domain_name = name
        assert await agent.session(link_id)
    for name in ("aipay.gstable.example", "", AI_HOST.upper()):
        agent.domain_name = name
        body = agent.signed(CREATE_SESSION, await agent.creation(link_id))
        assert (await agent.refusal(CREATE, body))[0] == 400104


async def test_without_a_host_only_the_published_domain_is_good(
    database: Database, world: World
) -> None:
    agent = await Doors(agent_host=None).opened(database, world)
    async with agent.client:
        agent.domain_name = AI_HOST
        body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
        assert (await agent.refusal(CREATE, body))[0] == 400104


@pytest.mark.parametrize("chain_id", [1338453, 1, 0])
async def test_a_signature_for_another_chain_is_none(agent: Agent, chain_id: int) -> None:
    """The domain's chain id is the payment's, whatever else says so."""
    message = await agent.creation(await agent.link())
    elsewhere = agent.sign(CREATE_SESSION, {**message, "paymentChainId": str(chain_id)})
    body = {"message": message, "signature": "0x" + elsewhere.hex()}
    assert (await agent.refusal(CREATE, body))[0] == 400104


async def test_the_agents_host_has_their_door_where_merchants_have_theirs(agent: Agent) -> None:
    link_id = await agent.link()
    path = f"/api/v1/payment/link/{link_id}"
    for host in (AI_HOST, AI_HOST.upper(), f"{AI_HOST}:8443"):
        response = await agent.client.get(path, headers={"host": host})
        assert response.json()["data"]["aiView"]["workflow"]["stage"] == "link_ready", host
        assert response.headers["x-request-id"].startswith("req_")
    # Everywhere else it is the merchants' path, which asks for a key.
    for host in ("pay.shop.example", f"{AI_HOST}.example", f"x{AI_HOST}"):
        response = await agent.client.get(path, headers={"host": host})
        assert (response.status_code, response.json()["code"]) == (401, 200101), host
    assert (await agent.merchant.data(f"/payment/link/{link_id}"))["linkId"] == link_id


# --- contract wallets -----------------------------------------------------------------------------


async def of_wallet(agent: Agent, signature: bytes, **changes: Any) -> dict[str, Any]:
    """A creation in the name of the contract wallet, with a signature that only it understands."""
    message = await agent.creation(await agent.link(), payer=to_checksum(WALLET), **changes)
    return {"message": message, "signature": "0x" + signature.hex()}


def says(agent: Agent, body: dict[str, Any], answer: bytes, network: str = "polygon") -> None:
    """What the wallet will answer when it is asked about that body."""
    digest = agent.digest(CREATE_SESSION, body["message"])
    asked = question(WALLET, digest, bytes.fromhex(body["signature"][2:]))
    agent.chains[network].programs[asked] = answer


@pytest.mark.parametrize("signature", [b"\x31" * 64 + b"\x1b", b"\x32" * 700])
async def test_a_contract_wallet_is_asked_on_the_payments_chain(
    agent: Agent, signature: bytes
) -> None:
    body = await of_wallet(agent, signature)
    assert (await agent.refusal(CREATE, body))[0] == 400104
    for answer in (b"", b"\x00", b"\x02", b"\x01\x01"):
        says(agent, body, answer)
        assert (await agent.refusal(CREATE, body))[0] == 400104, answer
    says(agent, body, b"\x01", "base")
    assert (await agent.refusal(CREATE, body))[0] == 400104
    says(agent, body, b"\x01")
    session = await agent.data(CREATE, body)
    template = session["aiView"]["preparePaymentRequirement"]["messageTemplate"]
    assert template["payer"] == to_checksum(WALLET)
    assert (await agent.refusal(CREATE, body))[0] == 400106


async def test_a_chain_that_does_not_answer_is_told_from_a_wrong_signature(agent: Agent) -> None:
    body = await of_wallet(agent, b"\x33" * 65 + b"\x1b")
    agent.chains["polygon"].trouble.append(ProviderFailed("down"))
    code, text = await agent.refusal(CREATE, body)
    assert code == 400205
    assert "down" not in text
    assert (await agent.refusal(CREATE, body))[0] == 400104


async def test_no_chain_is_asked_for_what_a_key_signed(agent: Agent) -> None:
    await agent.prepared(await agent.session(await agent.link()))
    assert all("run" not in chain.asked for chain in agent.chains.values())


@pytest.fixture
def rationed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No further question while a test runs, however slow the machine is."""
    monkeypatch.setattr(verification, "QUESTIONS_PER_SECOND", SELDOM)


@pytest.mark.usefixtures("rationed")
async def test_questions_to_a_chain_are_rationed_per_client(agent: Agent) -> None:
    body = await of_wallet(agent, b"\x34" * 65 + b"\x1b")
    codes = [(await agent.refusal(CREATE, body))[0] for _ in range(QUESTIONS_BURST)]
    assert set(codes) == {400104}
    response = await agent.answer(CREATE, body)
    assert (response.status_code, response.json()["code"]) == (429, 900101)
    assert int(response.headers["retry-after"]) >= 1
    # Whoever signs with a key asks nothing, and is not in their way.
    assert await agent.session(await agent.link())


# --- limits ---------------------------------------------------------------------------------------


async def test_api_32_a_payer_has_so_many_messages_a_minute(
    database: Database, world: World, clock: FakeClock
) -> None:
    agent = await Doors(payer_per_minute=3).opened(database, world)
    async with agent.client:
        link_id = await agent.link()
        session = await agent.session(link_id)
        await agent.prepared(session)
        clock.advance(20)
        await agent.session(link_id)
        body = agent.signed(CREATE_SESSION, await agent.creation(link_id))
        response = await agent.answer(CREATE, body)
        assert (response.status_code, response.json()["code"]) == (429, 900101)
        assert response.headers["retry-after"] == "40"
        prepare = agent.signed(PREPARE, agent.preparation(session))
        assert (await agent.answer("/payment/prepare", prepare)).status_code == 429
        # What was refused is not used up, nor can others use up this payer's turns.
        forged = {**body, "message": {**body["message"], "authorizationNonce": nonce()}}
        for _ in range(5):
            assert (await agent.refusal(CREATE, forged))[0] == 400104
        clock.advance(40)
        assert (await agent.data(CREATE, body))["sessionId"]
        agent.key = b"\x55" * 32
        assert await agent.session(link_id)


async def test_api_32_a_client_address_has_so_many_requests(
    database: Database, world: World
) -> None:
    limits = ApiLimits(address_rate=SELDOM, address_burst=2, key_rate=1000, key_burst=1000)
    agent = await Doors(limits=limits).opened(database, world)
    async with agent.client:
        link_id = await agent.link()
        paths = (f"/aipay/api/v1/payment/link/{link_id}", f"/api/v1/payment/link/{link_id}")
        answers = [await agent.client.get(paths[at % 2], headers={"host": AI_HOST})
                   for at in range(3)]  # fmt: skip
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["code"] == 900101
        assert int(answers[2].headers["retry-after"]) >= 1


async def test_what_was_acted_upon_is_kept_with_its_proof(agent: Agent) -> None:
    message = await agent.creation(await agent.link())
    body = agent.signed(CREATE_SESSION, message)
    session = await agent.data(CREATE, body)
    async with agent.db.read() as tx:
        row = await tx.fetchrow("SELECT * FROM agent_authorizations")
    assert row is not None
    assert row["session_id"] == session["sessionId"]
    assert row["payer"] == agent.payer
    assert row["signature"] == bytes.fromhex(body["signature"][2:])
    authorization = CreateSessionInput.model_validate(body).parsed().authorization
    assert row["digest"] == Proven(authorization, agent.digest(CREATE_SESSION, message)).digest
    assert row["chain_id"] == 1337137
