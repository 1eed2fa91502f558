"""What the x402 addresses answer beside what is paid: never 402 for what cannot be paid, and never
200 for what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.agents.x402 import routes
from gstable_server.agents.x402.model import requirements
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.deposits import deposit_address
from gstable_server.chain.networks import X402, Networks
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.deposits import operations as deposits
from tests.unit.agents.x402.till import Till, read
from tests.unit.api.notes import SELDOM

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

REFUND_TO = Address(b"\x4e" * 20)


def session_id_in(path: str) -> SessionId:
    return SessionId(path.rsplit("/", 1)[1])


async def test_what_is_asked_for_is_what_routing_says(till: Till) -> None:
    path = await till.session(feeModel=2)
    asked = read(await till.ask(path), "PAYMENT-REQUIRED")
    view = await till.view(path)
    async with till.db.read() as tx:
        offered = await deposits.announce(tx, till.world.desk, view.session, None)
        assert offered is not None
        wanted = requirements(offered, None, tx.now)
    assert [one["amount"] for one in asked["accepts"]] == [str(one.amount) for one in wanted]
    [usdc] = asked["accepts"]
    assert (usdc["network"], usdc["amount"]) == ("eip155:1337137", "10020000")
    assert usdc["asset"] == to_checksum(till.token("USDC").address)
    assert usdc["payTo"] == to_checksum(offered.deposit.address)
    assert 0 < usdc["maxTimeoutSeconds"] <= 300
    assert asked["resource"]["url"].endswith(path)
    assert asked["resource"]["serviceName"] == "Tea house"
    assert view.session.signed_once is False


async def test_what_the_buyer_says_is_bound_by_the_address(till: Till) -> None:
    path = await till.session()
    plain = read(await till.ask(path), "PAYMENT-REQUIRED")["accepts"][0]["payTo"]
    answer = await till.ask(f"{path}?refundTo={to_checksum(REFUND_TO)}")
    other = read(answer, "PAYMENT-REQUIRED")["accepts"][0]["payTo"]
    assert plain != other
    async with till.db.read() as tx:
        session = (await till.view(path)).session
        offered = await deposits.announce(tx, till.world.desk, session, REFUND_TO)
    assert offered is not None
    terms = offered.deposit.terms
    assert terms.refund_to == REFUND_TO
    assert to_checksum(deposit_address(offered.deposit.collector, terms)) == other
    # What is signed for the one is not taken for the other.
    payload = await till.sign(path)
    refused = await till.pay(f"{path}?refundTo={to_checksum(REFUND_TO)}", payload)
    error = read(refused, "PAYMENT-REQUIRED")["error"]
    assert error == "invalid_exact_evm_payload_recipient_mismatch"


async def test_what_cannot_be_paid_is_no_402(till: Till) -> None:
    link = await till.link()
    cases = {
        "/x402/session/sess_unknown": (404, 100201),
        "/x402/session/nonsense": (404, 100201),
        "/x402/link/lnk_unknown": (404, 100101),
        "/x402/link/nonsense": (404, 100101),
        f"{link}?amount=1000000": (400, 400101),
        f"{link}?amount=-1": (400, 400101),
        f"{link}?amount=１": (400, 400101),
        f"{link}?refundTo=0x12": (400, 400101),
        f"{link}?refundTo={to_checksum(till.network.router)}": (400, 400101),
        await till.link(payerEmailRequired=1): (400, 400101),
    }
    cancelled = await till.session()
    await till.db.run(sessions.cancel, till.world.desk, till.world.tenant, session_id_in(cancelled))
    cases[cancelled] = (410, 100205)
    disabled = await till.link()
    await till.merchant.data("/payment/link/disable", {"linkId": disabled.rsplit("/", 1)[1]})
    cases[disabled] = (409, 100103)
    for path, expected in cases.items():
        answer = await till.ask(path)
        assert (answer.status_code, answer.json()["code"]) == expected, path
        assert "PAYMENT-REQUIRED" not in answer.headers
    email = await till.link(payerEmailRequired=1)
    assert (await till.ask(f"{email}?payerEmail=a%40example.com")).status_code == 402


async def test_a_stranger_does_not_change_where_a_payers_letters_go(till: Till) -> None:
    path = await till.session()
    async with till.db.begin() as tx:
        await tx.execute("UPDATE sessions SET payer_email = 'payer@example.com'")
    for email, expected in (("thief", 400), ("payer", 402)):
        answer = await till.ask(f"{path}?payerEmail={email}%40example.com")
        assert answer.status_code == expected, answer.text
    payload = await till.sign(path)
    assert (await till.pay(f"{path}?payerEmail=thief%40example.com", payload)).status_code == 400
    assert (await till.pay(path, payload)).status_code == 202
    assert (await till.view(path)).session.payer_email == "payer@example.com"


async def test_what_ends_too_soon_is_not_sold(till: Till) -> None:
    path = await till.session()
    async with till.db.begin() as tx:
        await tx.execute("UPDATE sessions SET expires_at = $1", tx.now + timedelta(seconds=50))
    answer = await till.ask(path)
    assert (answer.status_code, answer.json()["code"]) == (410, 100203)


async def test_what_is_not_worth_its_gas_is_not_offered(till: Till) -> None:
    path, dear = await till.session(), X402(amount_min=10_000_001)
    networks = Networks(tuple(replace(one, x402=dear) for one in till.world.desk.networks.all))
    view = await till.view(path)
    desk = replace(till.world.desk, networks=networks)
    async with till.db.read() as tx:
        offered = await deposits.announce(tx, desk, view.session, None)
        assert offered is not None
        assert requirements(offered, None, tx.now) == ()


async def test_pages_of_others_may_ask(till: Till) -> None:
    path = await till.session()
    preflight = await till.http.options(path)
    assert preflight.status_code == 204
    assert "PAYMENT-SIGNATURE" in preflight.headers["access-control-allow-headers"]
    asked = await till.ask(path)
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "PAYMENT-REQUIRED" in asked.headers["access-control-expose-headers"]
    assert asked.headers["cache-control"] == "no-store"


@pytest.fixture
def rationed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No further payment while a test runs, however slow the machine is."""
    monkeypatch.setattr(routes, "PAYMENTS_PER_SECOND", SELDOM)


@pytest.mark.usefixtures("rationed")
async def test_two_headers_are_no_payment_and_many_are_too_many(till: Till) -> None:
    path = await till.session()
    twice = [("PAYMENT-SIGNATURE", "e30="), ("PAYMENT-SIGNATURE", "e30=")]
    answer = await till.http.get(path, headers=twice)
    assert read(answer, "PAYMENT-REQUIRED")["error"] == "invalid_payload"
    payload = await till.sign(path)
    payload["accepted"]["network"] = "eip155:1"
    codes = [(await till.pay(path, payload)).status_code for _ in range(60)]
    assert (codes[0], codes[-1]) == (402, 429)
