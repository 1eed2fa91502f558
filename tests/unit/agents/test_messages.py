"""What is signed is judged member by member, in one order, and nothing refused leaves anything."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gstable_server.agents.model import CREATE_SESSION, PREPARE
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.address import Address
from tests.unit.agents.support import Agent, nonce

pytestmark = pytest.mark.anyio

CREATE = "/payment/session/create"
TO_PREPARE = "/payment/prepare"
STRANGER = to_checksum(Address(b"\x99" * 20))
ON_BASE = "1338453"
NO_CHAIN = "424242"


def later(text: str, seconds: int = 1) -> str:
    return str(int(text) + seconds)


def flipped(signature: str, at: int) -> str:
    """One bit of the signature's byte ``at`` changed; v becomes the other one."""
    raw = bytearray.fromhex(signature[2:])
    raw[at] ^= 0b111 if at == 64 else 1
    return "0x" + raw.hex()


async def test_every_member_of_a_creation_is_bound(agent: Agent) -> None:
    link_id, other_link = await agent.link(), await agent.link()
    body = agent.signed(CREATE_SESSION, await agent.creation(link_id))
    message, signature = body["message"], body["signature"]
    usdt = to_checksum(agent.token("polygon::usdt").address)
    flips: list[tuple[str, str, int]] = [
        ("purpose", "prepare_payment", 400101),
        ("linkId", other_link, 100104),
        ("linkId", "lnk_nobody", 100101),
        ("linkId", "nonsense", 100101),
        ("linkVersion", "ver_0123456789abcdef", 100104),
        ("merchantId", "0" * 64, 400101),
        ("payer", STRANGER, 400104),
        ("paymentChainId", ON_BASE, 400201),
        ("paymentChainId", NO_CHAIN, 400202),
        ("paymentToken", STRANGER, 400201),
        ("paymentToken", usdt, 400101),  # another fee, another amount
        ("amount", later(message["amount"]), 400101),
        ("amount", later(message["amount"], -1), 400101),
        ("amount", "0", 400101),
        ("authorizationNonce", nonce(), 400104),
        ("authorizationExpiresAt", later(message["authorizationExpiresAt"]), 400104),
        ("authorizationExpiresAt", agent.in_seconds(-1), 400105),
        ("authorizationExpiresAt", agent.in_seconds(24 * 3600 + 1), 400101),
        ("authorizationExpiresAt", str(2**256 - 1), 400101),
    ]
    assert {name for name, _, _ in flips} == set(message)
    for name, value, code in flips:
        changed = {"message": {**message, name: value}, "signature": signature}
        assert (await agent.refusal(CREATE, changed))[0] == code, (name, value)
    for at in (0, 31, 32, 63, 64):
        changed = {"message": message, "signature": flipped(signature, at)}
        assert (await agent.refusal(CREATE, changed))[0] == 400104, at
    # And the message as it was signed is good.
    assert (await agent.data(CREATE, body))["sessionType"] == "ai_checkout"


async def test_every_member_of_a_preparation_is_bound(agent: Agent) -> None:
    link_id = await agent.link()
    session, other = await agent.session(link_id), await agent.session(link_id)
    body = agent.signed(PREPARE, agent.preparation(session))
    message, signature = body["message"], body["signature"]
    usdt = to_checksum(agent.token("polygon::usdt").address)
    flips: list[tuple[str, str, int]] = [
        ("purpose", "create_payment_session", 400101),
        ("sessionId", other["sessionId"], 400104),
        ("sessionId", "sess_nobody", 100201),
        ("merchantId", "0" * 64, 400101),
        ("paymentChainId", ON_BASE, 400201),
        ("paymentChainId", NO_CHAIN, 400202),
        ("paymentToken", STRANGER, 400201),
        ("paymentToken", usdt, 100206),
        ("payer", STRANGER, 100206),
        ("payerEmail", "another@example.com", 400104),
        ("payerEmail", "no address", 400101),
        ("authorizationNonce", nonce(), 400104),
        ("authorizationExpiresAt", later(message["authorizationExpiresAt"]), 400104),
        ("authorizationExpiresAt", agent.in_seconds(-1), 400105),
        ("authorizationExpiresAt", agent.in_seconds(24 * 3600 + 1), 400101),
    ]
    assert {name for name, _, _ in flips} == set(message)
    for name, value, code in flips:
        changed = {"message": {**message, name: value}, "signature": signature}
        assert (await agent.refusal(TO_PREPARE, changed))[0] == code, (name, value)
    for at in (0, 31, 32, 63, 64):
        changed = {"message": message, "signature": flipped(signature, at)}
        assert (await agent.refusal(TO_PREPARE, changed))[0] == 400104, at
    assert (await agent.data(TO_PREPARE, body))["executionChainId"] == "1337137"


async def test_what_is_signed_for_one_message_is_no_signature_of_the_other(agent: Agent) -> None:
    session = await agent.session(await agent.link())
    message = agent.preparation(session)
    creation = {**await agent.creation(await agent.link()), **message}
    foreign = agent.sign(CREATE_SESSION, {**creation, "purpose": "prepare_payment"})
    body = {"message": message, "signature": "0x" + foreign.hex()}
    assert (await agent.refusal(TO_PREPARE, body))[0] == 400104


async def test_the_checks_come_in_their_order(agent: Agent) -> None:
    """A message that is wrong in everything, set right from the first check to the last."""
    link_id = await agent.link()
    used = await agent.creation(link_id)
    await agent.data(CREATE, agent.signed(CREATE_SESSION, used))
    good = await agent.creation(link_id, authorizationNonce=used["authorizationNonce"])
    wrong = {
        **good,
        "linkId": "lnk_nobody",
        "linkVersion": "ver_0123456789abcdef",
        "merchantId": "0" * 64,
        "paymentChainId": NO_CHAIN,
        "paymentToken": STRANGER,
        "amount": later(good["amount"]),
        "authorizationExpiresAt": agent.in_seconds(-1),
    }
    signature = "0x" + "11" * 64 + "1b"
    for name, code in (
        ("linkId", 100101),
        ("linkVersion", 100104),
        ("merchantId", 400101),
        ("paymentChainId", 400202),
        ("paymentToken", 400201),
        ("amount", 400101),
        ("authorizationExpiresAt", 400105),
    ):
        body = {"message": wrong, "signature": signature}
        assert (await agent.refusal(CREATE, body))[0] == code, name
        wrong[name] = good[name]
    assert wrong == good
    body = {"message": good, "signature": signature}
    assert (await agent.refusal(CREATE, body))[0] == 400104
    assert (await agent.refusal(CREATE, agent.signed(CREATE_SESSION, good)))[0] == 400106


async def test_links_that_are_not_open(agent: Agent) -> None:
    link_id = await agent.link()
    body = agent.signed(CREATE_SESSION, await agent.creation(link_id))
    await agent.merchant.data("/payment/link/disable", {"linkId": link_id})
    assert (await agent.refusal(CREATE, body))[0] == 100103
    assert (await agent.refusal(f"/payment/link/{link_id}"))[0] == 100103
    await agent.merchant.data("/payment/link/enable", {"linkId": link_id})
    await _mark(agent, link_id, "archived")
    assert (await agent.refusal(CREATE, body))[0] == 100102
    assert (await agent.refusal(f"/payment/link/{link_id}"))[0] == 100102


async def _mark(agent: Agent, link_id: str, status: str) -> None:
    async with agent.db.begin() as tx:
        await tx.execute("UPDATE payment_links SET status = $2 WHERE link_id = $1", link_id, status)


# --- the form of a message ------------------------------------------------------------------------

ILL_FORMED: list[tuple[str, Any, str]] = [
    ("amount", 9_027_000, "message.amount must be a decimal string"),
    ("amount", "9027000.0", "message.amount must be a decimal string"),
    ("amount", "-1", "message.amount must be a decimal string"),
    ("amount", "09027000", "message.amount must be a decimal string"),
    ("amount", "0x10", "message.amount must be a decimal string"),
    ("amount", "９", "message.amount must be a decimal string"),
    ("amount", str(2**256), "message.amount must be a decimal string"),
    ("amount", True, "message.amount must be a decimal string"),
    ("amount", None, "message.amount must be a decimal string"),
    ("paymentChainId", 1337137, "message.paymentChainId must be a decimal string"),
    ("paymentChainId", "", "message.paymentChainId must be a decimal string"),
    ("authorizationExpiresAt", 1, "message.authorizationExpiresAt must be a decimal string"),
    ("payer", "0x12", "message.payer must be 0x followed by 40 hexadecimal digits"),
    ("payer", None, "message.payer must be a string"),
    ("paymentToken", "11" * 20, "message.paymentToken must be 0x followed by 40"),
    ("authorizationNonce", "0x" + "1" * 63, "message.authorizationNonce must be 0x followed by 64"),
    ("linkId", "", "message.linkId must have 1 to 100 characters"),
    ("merchantId", 5, "message.merchantId must be a string"),
    ("extra", "x", "message.extra is not a known field"),
]


async def test_the_field_that_is_wrong_is_named(agent: Agent) -> None:
    body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
    for name, value, problem in ILL_FORMED:
        changed = {**body, "message": {**body["message"], name: value}}
        code, text = await agent.refusal(CREATE, changed)
        assert code == 400101, (name, value)
        assert text.startswith(f"Invalid field format: {problem}"), (name, value)


async def test_nothing_of_a_message_may_be_left_out(agent: Agent) -> None:
    body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
    for name in body["message"]:
        short = {one: text for one, text in body["message"].items() if one != name}
        refused = await agent.refusal(CREATE, {**body, "message": short})
        assert refused[0] == 400101
        assert f"message.{name}" in refused[1]
    for body_name in body:
        rest = {one: value for one, value in body.items() if one != body_name}
        assert await agent.refusal(CREATE, rest) == (
            400101,
            f"Invalid field format: {body_name} is required",
        )


NO_SIGNATURES: tuple[Any, ...] = (
    "",
    "0x",
    "0x12",
    "11" * 65,
    "0x" + "11" * 64,
    "0x" + "11" * 64 + "00",
    "0x" + "zz" * 65,
    "0x" + "11" * 64 + "1d",
    "0x" + "11" * (6 * 1024 + 1),
    5,
    None,
)


async def test_a_signature_has_its_form(agent: Agent) -> None:
    body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
    for signature in NO_SIGNATURES:
        code, text = await agent.refusal(CREATE, {**body, "signature": signature})
        assert code == 400101, signature
        assert "signature must" in text


async def test_api_09_a_key_that_stands_twice_is_refused(agent: Agent) -> None:
    body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
    text = json.dumps(body).replace('"amount"', '"amount": "1", "amount"')
    before = await agent.stored()
    response = await agent.client.post(
        "/aipay/api/v1" + CREATE, content=text, headers={"content-type": "application/json"}
    )
    assert response.json()["message"] == "Invalid field format: message.amount appears twice"
    assert await agent.stored() == before


async def test_addresses_are_taken_in_any_case(agent: Agent) -> None:
    link_id = await agent.link()
    for change in (str.lower, lambda text: "0x" + text[2:].upper(), to_checksum_free):
        message = await agent.creation(link_id)
        for name in ("payer", "paymentToken"):
            message[name] = change(message[name])
        made = await agent.data(CREATE, agent.signed(CREATE_SESSION, message))
        template = made["aiView"]["preparePaymentRequirement"]["messageTemplate"]
        assert template["payer"] == to_checksum(agent.payer)
        assert template["paymentToken"] == to_checksum(agent.token("polygon::usdc").address)


def to_checksum_free(text: str) -> str:
    """Mixed case that is no checksum."""
    return "0x" + text[2:].swapcase()


# --- replay ---------------------------------------------------------------------------------------


async def test_a_message_is_good_once(agent: Agent) -> None:
    link_id = await agent.link()
    message = await agent.creation(link_id)
    body = agent.signed(CREATE_SESSION, message)
    session = await agent.data(CREATE, body)
    assert (await agent.refusal(CREATE, body))[0] == 400106
    # Nor is its nonce good for anything else of the same payer.
    again = await agent.creation(link_id, authorizationNonce=message["authorizationNonce"])
    assert (await agent.refusal(CREATE, agent.signed(CREATE_SESSION, again)))[0] == 400106
    preparation = agent.preparation(session, authorizationNonce=message["authorizationNonce"])
    assert (await agent.refusal(TO_PREPARE, agent.signed(PREPARE, preparation)))[0] == 400106
    # Another payer's nonces are others.
    agent.key = b"\x22" * 32
    other = await agent.creation(link_id, authorizationNonce=message["authorizationNonce"])
    assert (await agent.data(CREATE, agent.signed(CREATE_SESSION, other)))["sessionId"]


async def test_the_twin_of_a_signature_is_none(agent: Agent) -> None:
    """Whoever saw a signature can compute a second one of the same key and message (EIP-2)."""
    order = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
    body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
    raw = bytes.fromhex(body["signature"][2:])
    s = order - int.from_bytes(raw[32:64], "big")
    twin = raw[:32] + s.to_bytes(32, "big") + bytes([55 - raw[64]])
    assert (await agent.refusal(CREATE, {**body, "signature": "0x" + twin.hex()}))[0] == 400104


async def test_of_the_same_message_at_once_one_is_good(agent: Agent) -> None:
    body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
    answers = await asyncio.gather(*(agent.answer(CREATE, body) for _ in range(6)))
    codes = sorted(answer.json()["code"] for answer in answers)
    assert codes == [0, *[400106] * 5]
    assert (await agent.stored())[:2] == (1, 1)


async def test_a_process_that_dies_before_its_commit_leaves_the_message_good(
    agent: Agent,
) -> None:
    body = agent.signed(CREATE_SESSION, await agent.creation(await agent.link()))
    async with agent.db.begin() as tx:
        await tx.execute("ALTER TABLE agent_authorizations ADD CONSTRAINT planted CHECK (false)")
    response = await agent.answer(CREATE, body)
    assert (response.status_code, response.json()["code"]) == (500, 999999)
    assert (await agent.stored())[:2] == (0, 0)
    async with agent.db.begin() as tx:
        await tx.execute("ALTER TABLE agent_authorizations DROP CONSTRAINT planted")
    assert (await agent.data(CREATE, body))["sessionId"]
