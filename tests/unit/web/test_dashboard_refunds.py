"""Giving money back in the dashboard: the form, the page with the transfer, and its state."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from gstable_server.chain.facts import Fact, FactWhat, TransferLog, to_payload
from gstable_server.chain.networks_toml import parse_networks
from gstable_server.kernel.address import address_from_hex
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.sessions.model import Session
from gstable_server.sessions.refunds import operations as refunds
from tests.unit.web.console import Browser, Reader, browser_on, reader, registered
from tests.unit.web.shop import WALLET, Merchant, add_payment, new_desk
from tests.unit.web.test_dashboard_pages import stocked

pytestmark = pytest.mark.anyio

OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
USDC = "0x2222222222222222222222222222222222222222"
HOSTILE = "<script>alert(1)</script>\"'>"


@dataclass
class Console:
    """The owner's browser, and a session with a final payment of 99.80 USDC."""

    browser: Browser
    owner: Merchant
    session: Session

    @property
    def place(self) -> str:
        return f"/dashboard/test/sessions/{self.session.session_id}"

    async def page(self) -> Reader:
        return reader(await self.browser.get(self.place))

    async def prepare(self, **fields: str) -> str:
        """The address of the page of a new refund."""
        await self.page()
        answer = await self.browser.post(f"{self.place}/refunds", **{"to": OTHER, **fields})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def hear(self, what: str, amount: int) -> None:
        log = TransferLog(
            network="polygon",
            chain_id=1337137,
            tx_hash=b"\xee" * 32,
            log_position=0,
            block_number=200,
            block_hash=b"\x02" * 32,
            block_time=self.owner.db.clock.now(),
            token=address_from_hex(USDC),
            sender=address_from_hex(WALLET),
            receiver=address_from_hex(OTHER),
            amount=amount,
        )
        fact = Fact(FactWhat(what), log)
        event = Event(fact.event_type, log.subject, to_payload(fact))
        stored = StoredEvent(EventId("evt_fact"), 1, log.block_time, event)
        await self.owner.db.run(refunds.hear, self.owner.desk, stored)


@pytest.fixture
async def console(database: Database) -> AsyncIterator[Console]:
    async with browser_on(database, new_desk()) as browser:
        owner = await stocked(await registered(database, new_desk(), browser))
        session = await owner.session()
        await add_payment(database, session)
        await settle(database)
        yield Console(browser, owner, session)


async def settle(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute("UPDATE payments SET state = 'final', final_at = $1", tx.now)


async def test_a_refund_is_prepared_shown_and_followed(console: Console) -> None:
    before = await console.page()
    assert "All that remains, 99.80 USDC" in before.text
    place = await console.prepare(amount="4.50", reason="Out of stock")
    page = await console.browser.get(place)
    assert "Your wallet has to send it" in page.text
    shown = reader(page)
    [about] = [at for tag, at in shown.tags if at.get("id") == "refund"]
    assert {name: about[f"data-{name}"] for name in ("sender", "receiver", "token")} == {
        "sender": WALLET,
        "receiver": OTHER,
        "token": USDC,
    }
    assert (about["data-amount"], about["data-amount-text"]) == ("4500000", "4.50 USDC")
    assert (about["data-chain-id"], about["data-state"]) == ("1337137", "prepared")
    # The address of the operator's own node is nobody's business; a local one is.
    assert about["data-rpc-url"] == "http://127.0.0.1:8545"
    assert "secret-key" not in page.text
    assert "Out of stock" in shown.text
    assert f"0xa9059cbb{'0' * 24}{OTHER[2:].lower()}{4_500_000:064x}" in shown.text
    after = await console.page()
    assert "All that remains, 95.30 USDC" in after.text
    assert place in after.links()
    status = f"{place.partition('?')[0]}/status"
    assert (await console.browser.get(status)).json()["state"] == "prepared"
    await console.hear("seen", 4_500_000)
    seen = (await console.browser.get(status)).json()
    assert (seen["state"], seen["txHash"]) == ("seen", "0x" + "ee" * 32)
    await console.hear("final", 4_500_000)
    done = (await console.browser.get(status)).json()
    assert (done["state"], done["headline"]) == ("completed", "Given back")
    given_back = (await console.browser.get(place)).text
    assert "0x" + "ee" * 32 in given_back
    assert "It was sent without approval" not in given_back


async def test_what_remains_is_given_back_when_no_amount_is_typed(console: Console) -> None:
    place = await console.prepare()
    assert "99.80 USDC" in reader(await console.browser.get(place)).text
    assert "Give money back" not in (await console.page()).text


@pytest.mark.parametrize(
    ("fields", "name", "text"),
    [
        ({"amount": "4,500"}, "amount", "with a point"),
        ({"amount": "0"}, "amount", "above zero"),
        ({"amount": HOSTILE}, "amount", "with a point"),
        ({"to": ""}, "to", "Is required"),
        ({"to": OTHER[:-1] + "d"}, "to", "wrong checksum (EIP-55)"),
        ({"to": WALLET}, "to", "Must not be the wallet that gives the money back."),
        ({"reason": "x" * 501}, "reason", "at most 500 characters"),
        ({"reason": "\x00"}, "reason", "at most 500 characters"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    console: Console, fields: dict[str, str], name: str, text: str
) -> None:
    await console.page()
    answer = await console.browser.post(
        f"{console.place}/refunds", **{"amount": "1", "to": OTHER, "reason": "Late", **fields}
    )
    assert answer.status_code == 422
    page = reader(answer)
    assert page.field(name)["aria-invalid"] == "true"
    assert text in page.text
    kept = "to" if name != "to" else "reason"
    assert page.field(kept)["value"] in {OTHER, "Late"}
    assert "<script>alert" not in answer.text
    assert "To be sent" not in (await console.page()).text


async def test_more_than_remains_is_said_above_the_form(console: Console) -> None:
    await console.page()
    answer = await console.browser.post(f"{console.place}/refunds", amount="99.81", to=OTHER)
    assert answer.status_code == 422
    assert "only 99.80 USD remain" in reader(answer).text


async def test_money_that_is_not_final_has_no_form(console: Console) -> None:
    async with console.owner.db.begin() as tx:
        await tx.execute("UPDATE payments SET state = 'seen'")
    assert "Give money back" not in (await console.page()).text
    answer = await console.browser.post(f"{console.place}/refunds", to=OTHER)
    assert answer.status_code == 422
    assert "not final yet" in answer.text


async def test_of_several_payments_one_is_chosen(console: Console) -> None:
    await add_payment(
        console.owner.db, console.session, flags=("duplicate",), pays=False,
        tx_hash=b"\x0c" * 32, given=(1_000_000, 0),
    )  # fmt: skip
    await settle(console.owner.db)
    page = await console.page()
    choices = [at["value"] for _, at in page.tags if at.get("name") == "paymentId"]
    assert choices == [f"pay_{'ab' * 10}", f"pay_{'0c' * 10}"]
    german = reader(await console.browser.get(console.place, **{"accept-language": "de"}))
    assert len(re.findall(r"Bezahlt \d\S+, \S+ \(UTC\): 0x", " ".join(german.text.split()))) == 2
    answer = await console.browser.post(f"{console.place}/refunds", to=OTHER)
    assert answer.status_code == 422
    assert "Is required" in answer.text
    place = await console.prepare(paymentId=choices[1])
    assert "1.00 USDC" in reader(await console.browser.get(place)).text


async def test_a_refund_is_given_up(console: Console) -> None:
    place = await console.prepare()
    await console.browser.get(place)
    answer = await console.browser.post(f"{place}/cancel")
    assert answer.headers["location"] == f"{place}?done=refund-cancelled"
    page = (await console.browser.get(place)).text
    assert 'data-state="cancelled"' in page
    again = await console.browser.post(f"{place}/cancel")
    assert again.status_code == 422
    assert "it was given up" in again.text
    assert "All that remains, 99.80 USDC" in (await console.page()).text


async def test_forms_need_their_token_and_our_own_pages(console: Console) -> None:
    await console.page()
    elsewhere = {"sec-fetch-site": "cross-site"}
    for headers, token in ((elsewhere, console.browser.form_token), (None, "0" * 64)):
        answer = await console.browser.post(
            f"{console.place}/refunds", headers, to=OTHER, formToken=token
        )
        assert answer.status_code == 403
    assert "To be sent" not in (await console.page()).text


async def test_nobody_elses_refund_is_shown(console: Console, database: Database) -> None:
    place = await console.prepare()
    async with database.begin() as tx:
        await tx.execute("UPDATE sessions SET mode = 'live'")
    for path in (place, f"{place}/status"):
        assert (await console.browser.get(path)).status_code == 404
    assert (await console.browser.post(f"{place}/cancel")).status_code == 404
    missing = "/dashboard/test/refunds/rfd_0"
    assert (await console.browser.get(missing)).status_code == 404
    await console.browser.get("/dashboard/test/keys")
    await console.browser.post("/dashboard/logout")
    assert (await console.browser.get(place)).headers["location"] == "/dashboard/login"


async def test_a_reason_is_shown_as_text(console: Console) -> None:
    place = await console.prepare(reason=HOSTILE)
    for page in (await console.browser.get(place), await console.browser.get(console.place)):
        assert HOSTILE in reader(page).text
        assert "<script>alert" not in page.text


async def test_what_left_the_configuration_is_still_shown(
    console: Console, database: Database
) -> None:
    place = await console.prepare(amount="4.50")
    async with browser_on(database, replace(new_desk(), networks=parse_networks(ELSEWHERE))) as new:
        await new.get("/dashboard/login")
        await new.login()
        page = reader(await new.get(place))
        assert "4.50 polygon::usdc" in page.text
        session = await new.get(console.place)
        assert "4.50 polygon::usdc" in session.text
        assert "Give money back" not in session.text


async def test_the_list_has_every_refund_and_says_whose_turn_it_is(console: Console) -> None:
    browser, refunds_page = console.browser, "/dashboard/test/refunds"
    assert "No refunds yet" in (await browser.get(refunds_page)).text
    first, second = [(await console.prepare(amount=text))[-28:] for text in ("1", "2")]
    await browser.post(f"{refunds_page}/{second}/cancel")
    page = (await browser.get(refunds_page)).text
    assert page.index(second) < page.index(first), "the newest first"
    prepared = (await browser.get(f"{refunds_page}?state=prepared")).text
    assert first in prepared
    assert second not in prepared
    older = (await browser.get(f"{refunds_page}?before={second}")).text
    assert first in older
    assert second not in older
    for odd in ("state=lost", "before=x"):
        assert second in (await browser.get(f"{refunds_page}?{odd}")).text
    overview = await browser.get("/dashboard/test")
    assert "One refund waits for your wallet to send it." in overview.text
    assert f"{refunds_page}?state=prepared" in reader(overview).links()
    assert first not in (await browser.get("/dashboard/live/refunds")).text


ELSEWHERE = """
[[network]]
name = "base"
title = "Base (local)"
mode = "test"
chain_id = 1338453
route_group = "BASE"
rpc_urls = ["http://127.0.0.1:8545"]
router = "0x1111111111111111111111111111111111111111"
confirmations = 2
start_block = 0
native_symbol = "ETH"

[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0x2222222222222222222222222222222222222222"
decimals = 6
"""
