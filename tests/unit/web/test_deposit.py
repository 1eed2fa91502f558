"""The page's part for payers with any wallet or exchange: a form without a script, and JSON."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.deposits import NATIVE
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import hearing
from gstable_server.sessions.deposits import operations
from gstable_server.sessions.model import Session
from tests.unit.routing.market import rails_of
from tests.unit.sessions.deposit_desk import networks_with_deposits
from tests.unit.web.shop import PUBLIC_URL, Merchant, new_app, new_desk

pytestmark = pytest.mark.anyio

OURS = {"sec-fetch-site": "same-origin"}
REFUND_TO = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
DUE = 100_000_000


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    """Where four networks can pay, and what is sent to an address is collected."""
    networks = networks_with_deposits()
    desk = new_desk(networks)
    return await Merchant.open(database, replace(desk, rails=rails_of(networks), relays=True))


@pytest.fixture
async def payer(merchant: Merchant) -> AsyncIterator[AsyncClient]:
    app = new_app(merchant.db, merchant.desk)
    async with AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as client:
        yield client


def fields(session: Session, **changes: str) -> dict[str, str]:
    return {
        "clientCode": session.client_code,
        "tokenId": "polygon::usdc",
        "refundTo": REFUND_TO,
        **changes,
    }


async def ask(payer: AsyncClient, session: Session, **changes: str) -> Response:
    """What a program asks."""
    url = f"/pay/{session.session_id}/deposit"
    return await payer.post(url, json=fields(session, **changes), headers=OURS)


async def press(payer: AsyncClient, session: Session, **changes: str) -> Response:
    """The form's button, in a browser without a script."""
    url = f"/pay/{session.session_id}/deposit"
    return await payer.post(url, data=fields(session, **changes), headers=OURS)


async def see(merchant: Merchant, session: Session, token_id: str, balance: int) -> None:
    """The watch finds so much of that token at the address."""
    name, _, symbol = token_id.partition("::")
    network = merchant.desk.networks.network(name)
    balances = {
        **{token.address: 0 for token in network.tokens},
        NATIVE: balance if symbol == "native" else 0,
    }
    for token in network.tokens:
        if token.token_id == token_id:
            balances[token.address] = balance
    async with merchant.db.begin() as tx:
        view = await operations.view(tx, merchant.desk, session)
        assert view is not None
        await operations.found(tx, merchant.desk, network, view.deposit, balances)


async def status(payer: AsyncClient, session: Session) -> dict[str, Any]:
    return dict((await payer.get(f"/pay/{session.session_id}/status")).json())


async def test_a_program_learns_where_to_send_what(payer: AsyncClient, merchant: Merchant) -> None:
    session = await merchant.session()
    answer = await ask(payer, session, tokenId="base::usdc")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    token = merchant.desk.networks.require_token("base::usdc", session.tenant.mode)
    assert (found["network"], found["networkName"], found["chainId"]) == ("base", "Base", 1338453)
    assert (found["tokenAddress"], found["refundTo"]) == (to_checksum(token.address), REFUND_TO)
    assert (found["amountInToken"], found["arrivedInToken"]) == (str(DUE), "0")
    assert found["uri"] == (
        f"ethereum:{found['tokenAddress']}@1338453/transfer"
        f"?address={found['address']}&uint256={DUE}"
    )
    assert found["refundableAfter"] == int(session.expires_at.timestamp()) + 600


async def test_the_page_shows_all_of_it_without_a_script(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    url = f"/pay/{session.session_id}"
    before = (await payer.get(url)).text
    assert 'action="/pay/' in before
    assert 'id="deposit-address"' not in before
    # What the payer fills in is not lost to a page that renews itself; the status is then watched.
    assert 'http-equiv="refresh"' not in before
    answer = await press(payer, session, tokenId="ethereum::usdt")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{url}?deposit=ethereum%3A%3Ausdt#deposit"
    page = unescape((await payer.get(answer.headers["location"])).text)
    found = (await ask(payer, session, tokenId="ethereum::usdt")).json()
    for name, text in {
        "deposit-address": found["address"],
        "deposit-contract": found["tokenAddress"],
        "deposit-network": "Ethereum",
        "deposit-amount": "100.00",
        "deposit-refund-to": REFUND_TO,
    }.items():
        assert re.search(rf'id="{name}"(?: dir="ltr")?>\s*{re.escape(text)}\s*<', page), name
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in page
    assert "Only USDT, and before the time is over" in page
    assert page.count('class="qr" src="data:image/svg+xml') == 3
    # Who comes without choosing, or with nonsense, sees the first token of the session.
    for query in ("", "?deposit=nonsense", "?deposit=%00"):
        other = (await payer.get(url + query)).text
        assert 'id="deposit-network">Polygon<' in other


async def test_every_token_is_offered_and_none_without_a_relayer(
    payer: AsyncClient, merchant: Merchant, database: Database
) -> None:
    session = await merchant.session()
    page = (await payer.get(f"/pay/{session.session_id}")).text
    section = page[page.index('id="deposit"') :]
    assert len(re.findall(r'<option value="[a-z]+::usd[ct]"', section)) == 7
    assert "hidden" not in section[: section.index(">")]
    app = new_app(database, replace(merchant.desk, relays=False))
    async with AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as bare:
        page = (await bare.get(f"/pay/{session.session_id}")).text
        section = page[page.index('id="deposit"') :]
        assert "hidden" in section[: section.index(">")]
        assert "<option" not in section
        assert (await ask(bare, session)).status_code == 409


@pytest.mark.parametrize(
    ("refund_to", "said"),
    [
        ("0x12", "Your address for returns"),
        (REFUND_TO.replace("cC", "cc").replace("CdD", "Cdd"), "has a wrong checksum"),
        ("0x" + "00" * 20, "must be a wallet of your own"),
    ],
)
async def test_a_wrong_address_for_returns_is_told(
    payer: AsyncClient, merchant: Merchant, refund_to: str, said: str
) -> None:
    session = await merchant.session()
    answer = await ask(payer, session, refundTo=refund_to)
    assert answer.status_code == 409
    assert said in answer.json()["problem"]
    form = await press(payer, session, refundTo=refund_to)
    assert (form.status_code, said in form.text) == (409, True)
    # Nothing is fixed by it.
    assert (await ask(payer, session)).json()["refundTo"] == REFUND_TO
    changed = await ask(payer, session, refundTo="0x" + "66" * 20)
    assert "was chosen for this payment already" in changed.json()["problem"]


async def test_without_an_address_for_returns_the_merchant_is_named(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    answer = await press(payer, session, refundTo="")
    page = (await payer.get(answer.headers["location"])).text
    assert "What does not pay goes to the merchant after" in page
    assert to_checksum(session.recipient) in page


async def test_only_our_own_page_may_ask(payer: AsyncClient, merchant: Merchant) -> None:
    session = await merchant.session()
    url = f"/pay/{session.session_id}/deposit"
    foreign = {"sec-fetch-site": "cross-site"}
    assert (await payer.post(url, json=fields(session), headers=foreign)).status_code == 403
    assert (await payer.post(url, data=fields(session), headers=foreign)).status_code == 403
    assert (await payer.post(url, content=b"x", headers=OURS)).status_code == 403
    for extra in ({"more": "x"}, {"tokenId": ""}):
        assert (await press(payer, session, **extra)).status_code == 400
    wrong = await ask(payer, session, clientCode="cc_other")
    assert wrong.status_code == 409
    missing = await ask(payer, replace(session, session_id="sess_" + "0" * 32))  # type: ignore[arg-type]
    assert missing.status_code == 404


async def test_the_page_says_what_is_missing(payer: AsyncClient, merchant: Merchant) -> None:
    session = await merchant.session()
    await ask(payer, session)
    await see(merchant, session, "polygon::usdt", 40_000_000)
    shown = await status(payer, session)
    assert shown["phase"] == "open"
    assert shown["notices"] == [
        "40.00 USDT arrived on Polygon. Send 60.00 USDT more to the same address to complete it."
    ]
    # The page now begins with the token of which a part is there, and asks for the rest.
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assert 'id="deposit-amount" dir="ltr">60.00<' in page
    assert 'value="polygon::usdt" selected' in page


async def test_the_page_says_that_it_is_brought_to_the_merchant(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    await ask(payer, session)
    await see(merchant, session, "polygon::usdc", DUE)
    shown = await status(payer, session)
    assert (shown["state"], shown["phase"]) == ("initialized", "progress")
    assert shown["headline"] == "Your transfer has arrived"
    assert "Do not send it again" in shown["detail"]
    assert (shown["notices"], shown["receipt"], shown["confirmations"]) == ([], None, None)
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assert re.search(r'id="deposit" aria-labelledby="deposit-title" hidden', page)


async def test_the_page_says_what_goes_back(
    payer: AsyncClient, merchant: Merchant, clock: FakeClock
) -> None:
    session = await merchant.session()
    await ask(payer, session)
    await see(merchant, session, "base::native", 10**18)
    [coin] = (await status(payer, session))["notices"]
    assert coin.startswith(f"A deposit of BASE on Base does not pay this. It goes to {REFUND_TO}")
    await see(merchant, session, "base::native", 0)
    clock.advance(1801)
    await merchant.db.run(hearing.expire_due, merchant.desk)
    await see(merchant, session, "polygon::usdc", DUE)
    shown = await status(payer, session)
    assert (shown["phase"], shown["detail"]) == ("closed", "Please do not pay any more.")
    [late] = shown["notices"]
    assert late.startswith("100.00 USDC on Polygon does not pay this. It goes to")
    assert late.endswith("after 1 Jan 2026, 12:40:00 UTC.")
    # Dust is not announced, because we do not send it back.
    await see(merchant, session, "polygon::usdc", 99_999)
    assert (await status(payer, session))["notices"] == []


async def test_what_is_known_is_not_asked_again(payer: AsyncClient, merchant: Merchant) -> None:
    session = await merchant.session(payerEmailRequired=1)
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assert 'id="deposit-refund"' in page
    assert 'id="deposit-email"' in page
    missing = await press(payer, session)
    assert "Enter your e-mail address" in missing.text
    assert (await press(payer, session, payerEmail="a@example.com")).status_code == 303
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assert 'id="deposit-refund"' not in page
    assert 'id="deposit-email"' not in page
