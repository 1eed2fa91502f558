"""What anybody may ask of a session or a link is bounded, and where it is refused the payer is told
when to come again, in the shop's modal as well."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette
from starlette.requests import Request

from gstable_server.accounts.branding import operations as brandings
from gstable_server.api.edge import Edge
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.limits import RateLimiter
from gstable_server.sessions.model import Session
from gstable_server.web.base import Pages
from gstable_server.web.checkout import routes as checkout
from gstable_server.web.checkout.notices import Notices
from gstable_server.web.checkout.turns import LIMITS, Act, Turns
from tests.unit.web.shop import PUBLIC_URL, Merchant, new_desk

pytestmark = pytest.mark.anyio

STRANGER, PAYER = "192.0.2.1", "192.0.2.2"
WALLET = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
SHOP = "https://shop.example"


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Clock:
    return Clock()


@pytest.fixture
def turns(monotonic: Clock) -> Turns:
    return Turns(monotonic)


def _asked_by(address: str) -> Request:
    return Request({"type": "http", "client": (address, 40000), "headers": []})


def _take_all(turns: Turns, act: Act, subject: str, address: str) -> int:
    for count in range(1000):
        try:
            turns.take(act, _asked_by(address), subject)
        except Refused as refused:
            if refused.code is not Code.TOO_MANY_REQUESTS or not refused.retry_after:
                raise
            return count
    raise AssertionError("there is no limit")


@pytest.mark.parametrize("act", list(Act))
def test_a_stranger_is_stopped_before_the_payer(turns: Turns, monotonic: Clock, act: Act) -> None:
    (rate, burst), (_, burst_of_all) = LIMITS[act]
    assert _take_all(turns, act, "sess_1", STRANGER) == burst < burst_of_all
    turns.take(act, _asked_by(PAYER), "sess_1")
    turns.take(act, _asked_by(STRANGER), "sess_2")
    monotonic.now += 1 / rate
    turns.take(act, _asked_by(STRANGER), "sess_1")
    # Many addresses together have a limit, too.
    taken = sum(_take_all(turns, act, "sess_1", f"198.51.100.{one}") for one in range(1, 60))
    assert burst < taken + burst <= burst_of_all + burst
    # What is refused costs those nothing who come later.
    monotonic.now += 1000
    assert _take_all(turns, act, "sess_1", PAYER) == burst


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    merchant = await Merchant.open(database, new_desk())
    entries = {"displayName": "Blue Door Books", "frameOrigins": SHOP}
    await database.run(brandings.save, merchant.tenant.merchant_id, entries, actor="a@b.example")
    return merchant


@pytest.fixture
async def stranger(merchant: Merchant, turns: Turns) -> AsyncIterator[AsyncClient]:
    pages = Pages.load()
    app = Starlette(routes=checkout.routes(merchant.db, merchant.desk, pages, turns=turns))
    transport = ASGITransport(app=app, client=(STRANGER, 40000))
    async with AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        yield client


async def _ask(client: AsyncClient, session: Session, act: Act) -> Response:
    code = {"clientCode": session.client_code}
    return await client.post(
        f"/pay/{session.session_id}/{act}",
        json={
            Act.PREPARE: {**code, "tokenId": "polygon::usdc", "way": "approve", "payer": WALLET},
            Act.AUTHORIZE: {
                **code,
                "digest": "0x" + "00" * 32,
                "way": "permit",
                "payer": WALLET,
                "signature": "0x" + "00" * 65,
            },
            Act.DEPOSIT: {**code, "tokenId": "polygon::usdc"},
            Act.NETWORK: {**code, "chainId": 1337137, "method": "eth_getBlockByNumber"},
        }[act],
    )


@pytest.mark.parametrize("act", [Act.PREPARE, Act.AUTHORIZE, Act.DEPOSIT, Act.NETWORK])
async def test_one_who_asks_too_often_is_told_when_to_come_again(
    stranger: AsyncClient, merchant: Merchant, turns: Turns, monotonic: Clock, act: Act
) -> None:
    session = await merchant.session()
    # Also of a wrong client code: looking at it is work.
    _take_all(turns, act, session.session_id, STRANGER)
    answer = await _ask(stranger, session, act)
    assert (answer.status_code, answer.headers["retry-after"]) == (
        429,
        str(round(1 / LIMITS[act][0][0])),
    )
    assert "Wait a moment" in answer.json()["problem"]
    monotonic.now += 1000
    assert (await _ask(stranger, session, act)).status_code != 429


async def test_links_open_only_so_many_sessions(
    stranger: AsyncClient, merchant: Merchant, turns: Turns
) -> None:
    link = await merchant.link()
    _take_all(turns, Act.OPEN, link.link_id, STRANGER)
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await stranger.post(f"/link/{link.link_id}/open", headers=form)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "Please try again" in answer.text
    async with merchant.db.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM sessions") == 0
    # The page of the shop's modal shows it: this process showed the link's page there before.
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    await stranger.get(f"/link/{link.link_id}")
    answer = await stranger.post(f"/link/{link.link_id}/open", headers=form)
    assert f"frame-ancestors {SHOP}" in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers
    assert f'name="frame-origins" content="{SHOP}"' in answer.text
    assert 'src="/static/frame-' in answer.text


async def test_chk_02_a_notice_of_what_does_not_exist_is_framed_by_nobody(
    stranger: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    await stranger.get(f"/pay/{session.session_id}")
    missing = await stranger.get("/pay/sess_00000000000000000000")
    assert missing.status_code == 404
    assert "frame-ancestors 'none'" in missing.headers["content-security-policy"]
    assert missing.headers["x-frame-options"] == "DENY"
    # And after the merchant took its site away, by nobody any more.
    async with merchant.db.begin() as tx:
        merchant_id = merchant.tenant.merchant_id
        await brandings.save(tx, merchant_id, {"displayName": "Books"}, actor="a@b.example")
    for method, path in (("GET", ""), ("POST", "/deposit")):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await stranger.request(
            method, f"/pay/{session.session_id}{path}", headers=headers, content=b""
        )
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_an_address_that_asks_too_often_gets_a_page_it_can_read(
    merchant: Merchant,
) -> None:
    pages = Pages.load()
    notices = Notices(pages)
    limiter = RateLimiter(1, 1, monotonic=Clock())
    routes = checkout.routes(merchant.db, merchant.desk, pages, notices)
    app = Edge(
        Starlette(routes=routes),
        ids=merchant.db.ids,
        public_limiter=limiter,
        turn_away=notices.turn_away,
    )
    path = f"/pay/{(await merchant.session()).session_id}"
    page = {"accept": "text/html,*/*;q=0.8", "accept-language": "de"}
    for address, first in (("192.0.2.7", page), ("192.0.2.8", {})):
        transport = ASGITransport(app=app, client=(address, 40000))
        async with AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
            assert (await client.get(path, headers=first)).status_code == 200
            refused = await client.get(path, headers=first)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            if not first:
                assert refused.json()["code"] == Code.TOO_MANY_REQUESTS.number
                continue
            assert '<html lang="de"' in refused.text
            # In the modal of the shop, which may frame the page itself.
            assert f"frame-ancestors {SHOP}" in refused.headers["content-security-policy"]
